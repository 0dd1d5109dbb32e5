#!/usr/bin/env python3
"""Measures the whole program: one JSON line per figure, ratios against something of the same run.

    bench/end_to_end.py [--build DIR] [--only NAME] [--quick]

Each line has the bench's name, what was measured, the reference measured in the same run, their ratio
and the target. Nothing is a test: a slow machine prints slow figures. Use an idle machine.
"""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HZ = os.sysconf("SC_CLK_TCK")


def out(bench, **figures):
    for key, value in figures.items():
        if isinstance(value, float):
            figures[key] = float(f"{value:.4g}")
    print(json.dumps({"bench": bench, **figures}), flush=True)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def peak_rss_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return float("nan")


class Bench:
    def __init__(self, build, quick):
        self.bin = os.path.join(build, "bin", "skyline")
        self.tools = os.path.join(build, "bench")
        self.quick = quick
        self.dir = tempfile.mkdtemp(prefix="skyline-bench-")
        self.env = dict(os.environ, SKYLINE_KEYS=os.path.join(self.dir, "keys"))
        self.n = 0

    def close(self):
        shutil.rmtree(self.dir)

    def path(self, suffix):
        self.n += 1
        return os.path.join(self.dir, f"{self.n}{suffix}")

    def sweep(self, text):
        path = self.path(".yaml")
        with open(path, "w") as f:
            f.write(text)
        return path

    def noop(self, points, where=""):
        return self.sweep(f"name: noop{self.n}\njob: noop\n"
                          f"space: {{x: {{from: 0, to: {points - 1}, step: 1}}}}\n{where}")

    def run(self, *argv):
        start = time.perf_counter()
        done = subprocess.run([self.bin, *argv], env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"skyline {' '.join(argv)}: exit {done.returncode}\n{done.stderr}")
        return time.perf_counter() - start

    def run_sweep(self, sweep, slots=2):
        db = self.path(".db")
        seconds = self.run("run", sweep, "--db", db, "-j", str(slots), "--progress", "none")
        return seconds, db

    def rows_per_commit(self, db):
        got = subprocess.run(["sqlite3", db, "SELECT avg(rows) FROM sky_commits WHERE rows > 0"],
                             capture_output=True, text=True).stdout.strip()
        return max(1, int(float(got or 1)))

    def floor(self, rows, per_transaction):
        db = self.path(".db")
        got = subprocess.run([os.path.join(self.tools, "sqlite_floor"), db, str(rows),
                              str(per_transaction)], capture_output=True, text=True, check=True)
        os.unlink(db)
        return float(got.stdout)

    @contextlib.contextmanager
    def coordinator(self):
        """A coordinator on a free TCP port with CURVE; yields (process, endpoint, database)."""
        db, log = self.path(".db"), self.path(".log")
        with open(log, "wb") as f:
            process = subprocess.Popen([self.bin, "coordinator", "--db", db, "--listen",
                                        "tcp://127.0.0.1:0"], env=self.env, stdout=subprocess.PIPE,
                                       stderr=f, text=True)
        endpoint = process.stdout.readline().split()[-1]
        try:
            yield process, endpoint, db
        finally:
            process.terminate()
            process.wait()

    @contextlib.contextmanager
    def worker(self, endpoint, slots=2):
        with open(self.path(".log"), "wb") as f:
            process = subprocess.Popen([self.bin, "worker", "--connect", endpoint, "-j", str(slots)],
                                       env=self.env, stdout=f, stderr=f)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    # ---- the figures ----

    def recorded(self):
        """noop points recorded durably, 2 executors, against SQLite alone with the same transactions."""
        points = 400_000 if self.quick else 3_000_000
        seconds, db = self.run_sweep(self.noop(points))
        per = self.rows_per_commit(db)
        floor = statistics.median(self.floor(points, per) for _ in range(3))
        out("noop_recorded", points_per_s=points / seconds, sqlite_alone_per_s=floor,
            rows_per_transaction=per, ratio=points / seconds / floor, target=">= 0.5")
        sweep = self.noop(points)
        with self.coordinator() as (process, endpoint, cdb), self.worker(endpoint):
            time.sleep(1)
            before = cpu_seconds(process.pid)
            seconds = self.run("submit", sweep, "--connect", endpoint, "--wait")
            cpu = cpu_seconds(process.pid) - before
            per = self.rows_per_commit(cdb)
        floor = statistics.median([floor] + [self.floor(points, per) for _ in range(2)])
        out("noop_recorded_curve", points_per_s=points / seconds, sqlite_alone_per_s=floor,
            ratio=points / seconds / floor, target=">= 0.4")
        out("coordinator_cpu", us_per_point=cpu / points * 1e6,
            sqlite_alone_us_per_row=1e6 / floor, target="< 3 us")

    def command(self):
        """`command: true` against xargs -P2 and GNU parallel on the same number of processes."""
        n = 500 if self.quick else 4000
        sweep = self.sweep(f"name: true\njob: command\ncommand: [\"true\"]\n"
                           f"space: {{i: {{from: 1, to: {n}, step: 1}}}}\n")
        rates = []
        xargs = []
        for _ in range(3):
            rates.append(n / self.run_sweep(sweep)[0])
            start = time.perf_counter()
            subprocess.run(f"seq {n} | xargs -P2 -n1 true", shell=True, check=True)
            xargs.append(n / (time.perf_counter() - start))
        rate, peer = statistics.median(rates), statistics.median(xargs)
        out("command_true", per_s=rate, xargs_per_s=peer, ratio=rate / peer, target=">= 0.8")
        if shutil.which("parallel"):
            m = n // 4
            start = time.perf_counter()
            subprocess.run(f"seq {m} | parallel -j2 true {{}}", shell=True, check=True,
                           stderr=subprocess.DEVNULL)
            peer = m / (time.perf_counter() - start)
            out("command_true_parallel", per_s=rate, gnu_parallel_per_s=peer, ratio=rate / peer,
                target=">= 3")

    def grid(self):
        """A grid of 10^7 points: accepted at once, run in bounded memory, completed."""
        points = 10_000_000
        sweep = self.noop(points)
        with self.coordinator() as (process, endpoint, _):
            accepted = self.run("submit", sweep, "--connect", endpoint)
            out("grid_1e7_accepted", ms=accepted * 1e3, target="< 100 ms")
            if self.quick:
                return
            start = time.perf_counter()
            with self.worker(endpoint):
                self.run("submit", sweep, "--connect", endpoint, "--wait")
            out("grid_1e7_completed", seconds=time.perf_counter() - start,
                coordinator_peak_mib=peak_rss_mib(process.pid), target="< 100 MiB")

    def one_point(self):
        """`skyline run` of one point, from start to exit."""
        sweep = self.sweep("name: one\njob: noop\nspace: {x: [1.5]}\n")
        times = [self.run_sweep(sweep)[0] * 1e3 for _ in range(11)]
        start = time.perf_counter()
        for _ in range(20):
            subprocess.run(["true"])
        spawn = (time.perf_counter() - start) / 20 * 1e3
        out("run_one_point", ms=statistics.median(times), ms_min=min(times), spawn_true_ms=spawn,
            ratio=statistics.median(times) / spawn, target="< 100 ms")

    def idle(self):
        """The CPU that 1,000 connected idle workers cost the coordinator."""
        n, seconds = (100, 5) if self.quick else (1000, 30)
        with self.coordinator() as (process, endpoint, _):
            peers = subprocess.Popen([os.path.join(self.tools, "idle_workers"), endpoint, str(n),
                                      str(seconds + 30)], env=self.env, stdout=subprocess.PIPE,
                                     text=True)
            if not peers.stdout.readline().startswith("welcomed"):
                sys.exit("idle_workers failed")
            time.sleep(3)
            before, start = cpu_seconds(process.pid), time.perf_counter()
            time.sleep(seconds)
            share = (cpu_seconds(process.pid) - before) / (time.perf_counter() - start)
            peers.kill()
            peers.wait()
        out("idle_workers", workers=n, core_share=share, target="< 0.05")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="recorded, command, grid, one_point or idle")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    args = parser.parse_args()
    bench = Bench(os.path.abspath(args.build), args.quick)
    try:
        for name in ["one_point", "recorded", "command", "grid", "idle"]:
            if args.only in (None, name):
                getattr(bench, name)()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
