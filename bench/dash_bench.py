#!/usr/bin/env python3
"""What the dashboard's answers over a million rows take, and what its clients cost a coordinator.

    dash_bench.py SKYLINE [--only latencies|clients] [--rows N] [--idle N] [--active N]
                          [--seconds S] [--rounds N] [--sleep-us N]

One JSON line a figure. Latencies are of whole requests over loopback, the least and the median of
several, with the server's CPU time for each, beside a scan of two columns by SQLite in the same run. What clients
cost a coordinator is told by its rate and its CPU time for each result that it made durable, with a page
or with many event streams, over those without, in turn: medians and quartiles of many short spells.
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
    """Idle clients read nothing. Active ones take every event, and the sweeps and a front are asked for each second.
    A page does with each event what the real one does: new rows of two columns, the front, its axes' ends."""

    def __init__(self, server, idle=0, active=0, pages=0):
        super().__init__(daemon=True)
        self.server, self.ended = server, threading.Event()
        self.idle = [self.open() for _ in range(idle)]
        self.active = [self.open() for _ in range(active)]
        self.pages = [{"socket": self.open(), "since": 0, "epoch": 0, "front": 0} for _ in range(pages)]

    def open(self):
        s = socket.create_connection((self.server.host, self.server.port), timeout=20)
        s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {self.server.host}\r\n\r\n".encode())
        return s

    def follow(self, page):
        base = "/api/v1/sweeps/busy/"
        response, body = self.server.ask(base + "columns" + query(columns="a,b", since=page["since"], epoch=page["epoch"],
                                                                  within_ms=100))
        meta = json.loads(body[24:24 + int.from_bytes(body[8:12], "little")])
        page["since"], page["epoch"] = meta["next"], meta["epoch"]
        if time.monotonic() - page["front"] > 0.4:
            page["front"] = time.monotonic()
            self.server.ask(base + "front" + query(objectives="a,b", within_ms=100))

    def run(self):
        poll = selectors.DefaultSelector()
        for s in self.active + [p["socket"] for p in self.pages]:
            s.setblocking(False)
            poll.register(s, selectors.EVENT_READ)
        of_page = {p["socket"]: p for p in self.pages}
        asked = 0
        while not self.ended.is_set():
            for key, _ in poll.select(0.05):
                try:
                    key.fileobj.recv(65536)
                except OSError:
                    continue
                if key.fileobj in of_page:
                    self.follow(of_page[key.fileobj])
            if self.active and time.monotonic() - asked > 1:
                asked = time.monotonic()
                self.server.ask("/api/v1/sweeps")
                self.server.ask("/api/v1/sweeps/busy/front" + query(objectives="a,b", within_ms=100))

    def end(self):
        self.ended.set()
        self.join()
        for s in self.idle + self.active + [p["socket"] for p in self.pages]:
            s.close()


def quartiles(values, digits=3):
    q = statistics.quantiles(values, n=4, method="inclusive")
    return [round(x, digits) for x in q]


def clients_cost(skyline, cwd, a):
    """Without anybody, with a page, with a crowd, in turn and as often as asked: what else the machine does hits all
    three alike. Each spell with clients is divided by the mean of the spells without, before and after it."""
    os.makedirs(os.path.join(cwd, "hub"), mode=0o700)
    endpoint = "ipc://" + os.path.join(cwd, "hub", "s")
    open(os.path.join(cwd, "busy.yaml"), "w").write(
        "name: busy\n" + ("job: noop\nspace:\n  x: {from: 0, to: 1000000000, step: 1}\n" if a.sleep_us == 0 else
                          "job: fault\nspace:\n  x: {from: 0, to: 1000000000, step: 1}\n"
                          f"  sleep_us: [{a.sleep_us}]\n") +
        "derived: {a: \"(x * 7919) % 100003\", b: \"(x * 104729) % 99991\"}\nobjectives: [{a: min}, {b: min}]\n")
    kinds = {"page": {"pages": 1}, "crowd": {"idle": a.idle, "active": a.active}}
    ratios = {k: {"rate": [], "cpu": []} for k in kinds}
    rates, cpus = [], []

    def spell(server, with_whom):
        clients = Clients(server, **with_whom)
        clients.start()
        time.sleep(0.3)
        before = server.json("/api/v1/live")
        begin = time.perf_counter()
        time.sleep(a.seconds)
        after = server.json("/api/v1/live")
        took = time.perf_counter() - begin
        clients.end()
        n = max(1, after["committed"] - before["committed"])
        return n / took, (after["cpu_s"] - before["cpu_s"]) / n * 1e6

    dropped = 0
    # A store of its own each round, so that a round does not work on what the rounds before made.
    for r in range(a.rounds):
        db = f"busy{r}.db"
        server = Server([skyline, "coordinator", "--db", db, "--listen", endpoint, "--dash", "127.0.0.1:0", "--log", "error"],
                        cwd)
        worker = subprocess.Popen([skyline, "worker", "--connect", endpoint, "--log", "error", "-j", "1"], cwd=cwd)
        try:
            run([skyline, "submit", "busy.yaml", "--connect", endpoint], cwd)
            time.sleep(1)
            last = spell(server, {})
            for kind in kinds if r % 2 == 0 else reversed(kinds):
                with_them = spell(server, kinds[kind])
                dropped += int(server.ask("/metrics")[1].decode().split("\nskyline_dash_dropped_total ")[1].split("\n")[0])
                again = spell(server, {})
                ratios[kind]["rate"].append(with_them[0] / ((last[0] + again[0]) / 2))
                ratios[kind]["cpu"].append(with_them[1] / ((last[1] + again[1]) / 2))
                rates.append(again[0])
                cpus.append(again[1])
                last = again
        finally:
            worker.kill()
            worker.wait()
            server.process.kill()
            server.process.wait()
            for tail in ("", "-wal", "-shm", "-lock"):
                if os.path.exists(os.path.join(cwd, db + tail)):
                    os.remove(os.path.join(cwd, db + tail))
    for kind, with_whom in kinds.items():
        say("clients of events: " + kind, **with_whom, spells=len(ratios[kind]["rate"]),
            ratio_of_rates_median=round(statistics.median(ratios[kind]["rate"]), 3),
            ratio_of_rates_quartiles=quartiles(ratios[kind]["rate"]),
            ratio_of_cpu_median=round(statistics.median(ratios[kind]["cpu"]), 3),
            rows_per_s_without=round(statistics.median(rates)), cpu_us_per_row_without=round(statistics.median(cpus), 3),
            dropped=dropped, note="CPU time of the coordinator's process, the dashboard's threads and answers included")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("skyline")
    a.add_argument("--only", choices=["latencies", "clients"])
    a.add_argument("--rows", type=int, default=1000000)
    a.add_argument("--idle", type=int, default=500)
    a.add_argument("--active", type=int, default=50)
    a.add_argument("--seconds", type=float, default=2)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--sleep-us", type=int, default=0, help="of each evaluation; 0: none at all")
    a = a.parse_args()
    cwd = tempfile.mkdtemp(prefix="sky-dash-bench-")
    try:
        skyline = os.path.abspath(a.skyline)
        if a.only != "clients":
            latencies(skyline, cwd, a.rows)
        if a.only != "latencies":
            clients_cost(skyline, cwd, a)
    finally:
        shutil.rmtree(cwd, ignore_errors=True)


main()
