#!/usr/bin/env python3
"""What the dashboard's answers over a million rows take, and what its clients cost a coordinator.

    dash_bench.py SKYLINE [--rows N] [--idle N] [--active N] [--seconds S]

One JSON line a figure. Latencies are of whole requests over loopback, the least and the median of
several, with the server's CPU time for each, beside a scan of two columns by SQLite in the same run. The cost of clients is the
coordinator's own CPU time for each result that it made durable, with and without them: `ratio` is
with over without, each taken several times in turn.
"""
import argparse
import json
import os
import selectors
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "dash"))
from dash_client import Server, frame, query, run  # noqa: E402


def say(name, **figures):
    print(json.dumps({"bench": "dash", "figure": name, **figures}), flush=True)


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def timed(call, times=9):
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        result = call()
        took.append((time.perf_counter() - begin) * 1e3)
    return min(took), statistics.median(took), result


def latencies(skyline, cwd, rows):
    """Two metrics without correlation: a front of the usual size."""
    db = os.path.join(cwd, "million.db")
    open(os.path.join(cwd, "million.yaml"), "w").write(
        f"name: million\njob: noop\nspace:\n  x: {{from: 0, to: {rows - 1}, step: 1}}\n"
        # Fractional parts of x times irrational numbers: uniform, and the same on every machine.
        "derived:\n  a: \"(x * 0.6180339887498949) - CAST(x * 0.6180339887498949 AS INTEGER)\"\n"
        "  b: \"(x * 0.4142135623730951) - CAST(x * 0.4142135623730951 AS INTEGER)\"\n"
        "objectives: [{a: min}, {b: min}]\n")
    run([skyline, "run", "million.yaml", "--db", db, "--progress", "none"], cwd)
    server = Server([skyline, "dash", "--db", db, "--listen", "127.0.0.1:0"], cwd)
    base = "/api/v1/sweeps/million/"
    begin = time.perf_counter()
    server.json(base + "summary")
    say("from the start of the server to its first answer over all columns", rows=rows,
        ms=round((time.perf_counter() - begin) * 1e3, 1))
    sql = sqlite3.connect(db)
    scan, _, _ = timed(lambda: sql.execute("SELECT sum(a), sum(b) FROM million").fetchone(), 3)
    say("SQLite's scan of two columns", rows=rows, ms_min=round(scan, 1))
    questions = {
        "front of new axes": "front" + query(objectives="a:max,b:min"),
        "front of two axes, feasible or not": "front" + query(objectives="a:min,b:max", infeasible="true"),
        "front of three axes": "front" + query(objectives="a:min,b:min,x:max"),
        "density 512 x 512": "density" + query(x="a", y="b", w=512, h=512),
        "density 512 x 512, logarithmic": "density" + query(x="a", y="b", w=512, h=512, xlog="1", ylog="1"),
        "importance": "importance" + query(metric="a"),
        "slice": "slice" + query(x="x", y="a", bins=32),
        "history again": "history",
        "a window of sorted rows, again": "rows" + query(order="a", offset=rows // 2, limit=100),
        "columns a, b": "columns" + query(columns="a,b"),
    }
    for name, path in questions.items():
        first = time.perf_counter()
        server.ask(base + path)
        first = (time.perf_counter() - first) * 1e3
        cpu = cpu_ms(server.process.pid)
        least, median, (response, body) = timed(lambda: server.ask(base + path), 20)
        cpu = (cpu_ms(server.process.pid) - cpu) / 20
        assert response.status == 200, body
        say(name, rows=rows, ms_first=round(first, 1), ms_min=round(least, 1), ms_median=round(median, 1), cpu_ms=round(cpu, 1),
            bytes=len(body), ratio_to_scan=round(least / scan, 3))
    begin = time.perf_counter()
    server.json(base + "rows" + query(where="a < 0.5 AND b > 0.25", order="b:desc", limit=100))
    say("a new filter with a new order", rows=rows, ms=round((time.perf_counter() - begin) * 1e3, 1))
    sql.close()
    server.stop()


class Clients(threading.Thread):
    """Idle clients read nothing; active ones take every event and ask for the sweeps and the front."""

    def __init__(self, server, idle, active):
        super().__init__(daemon=True)
        self.server, self.ended = server, threading.Event()
        self.bytes = 0
        self.idle = [self.open() for _ in range(idle)]
        self.active = [self.open() for _ in range(active)]

    def open(self):
        s = socket.create_connection((self.server.host, self.server.port), timeout=20)
        s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {self.server.host}\r\n\r\n".encode())
        return s

    def run(self):
        poll = selectors.DefaultSelector()
        for s in self.active:
            s.setblocking(False)
            poll.register(s, selectors.EVENT_READ)
        asked = 0
        while not self.ended.is_set():
            for key, _ in poll.select(0.05):
                try:
                    self.bytes += len(key.fileobj.recv(65536))
                except OSError:
                    pass
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                self.server.ask("/api/v1/sweeps")
                self.server.ask("/api/v1/sweeps/busy/front?objectives=x,y")

    def end(self):
        self.ended.set()
        self.join()
        for s in self.idle + self.active:
            s.close()


def clients_cost(skyline, cwd, idle, active, seconds, rounds=3):
    os.makedirs(os.path.join(cwd, "hub"), mode=0o700)
    endpoint = "ipc://" + os.path.join(cwd, "hub", "s")
    server = Server([skyline, "coordinator", "--db", "busy.db", "--listen", endpoint, "--dash", "127.0.0.1:0",
                     "--log", "error"], cwd)
    worker = subprocess.Popen([skyline, "worker", "--connect", endpoint, "--log", "error"], cwd=cwd)
    open(os.path.join(cwd, "busy.yaml"), "w").write(
        "name: busy\njob: fault\nspace:\n  x: {from: 0, to: 100000000, step: 1}\n  sleep_us: [20]\n")

    def spell():
        before = server.json("/api/v1/live")
        begin = time.perf_counter()
        time.sleep(seconds)
        after = server.json("/api/v1/live")
        took = time.perf_counter() - begin
        n = after["committed"] - before["committed"]
        return n / took, (after["cpu_s"] - before["cpu_s"]) / n * 1e6

    try:
        run([skyline, "submit", "busy.yaml", "--connect", endpoint], cwd)
        time.sleep(2)
        without, with_them = [], []
        for _ in range(rounds):
            without.append(spell())
            clients = Clients(server, idle, active)
            clients.start()
            time.sleep(0.5)
            with_them.append(spell())
            dropped = server.ask("/metrics")[1].decode().split("\nskyline_dash_dropped_total ")[1].split("\n")[0]
            clients.end()
        rate = [max(r for r, _ in x) for x in (without, with_them)]
        cpu = [min(c for _, c in x) for x in (without, with_them)]
        say("clients of events", idle=idle, active=active, rows_per_s_without=round(rate[0]),
            rows_per_s_with=round(rate[1]), ratio_of_rates=round(rate[1] / rate[0], 3),
            cpu_us_per_row_without=round(cpu[0], 3), cpu_us_per_row_with=round(cpu[1], 3),
            ratio_of_cpu=round(cpu[1] / cpu[0], 3), dropped=int(dropped),
            note="CPU time of the coordinator's process, the dashboard's threads and answers included")
    finally:
        worker.kill()
        worker.wait()
        server.process.kill()
        server.process.wait()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("skyline")
    a.add_argument("--rows", type=int, default=1000000)
    a.add_argument("--idle", type=int, default=500)
    a.add_argument("--active", type=int, default=50)
    a.add_argument("--seconds", type=float, default=4)
    a = a.parse_args()
    cwd = tempfile.mkdtemp(prefix="sky-dash-bench-")
    try:
        skyline = os.path.abspath(a.skyline)
        latencies(skyline, cwd, a.rows)
        clients_cost(skyline, cwd, a.idle, a.active, a.seconds)
    finally:
        shutil.rmtree(cwd, ignore_errors=True)


main()
