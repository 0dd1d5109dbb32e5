#!/usr/bin/env python3
"""Kill test: a real coordinator, real workers and their executors are killed and stopped at random.

A sweep of the `fault` job with a known answer runs over TCP with CURVE while a nemesis, from a seed,
picks a process and either kills it (SIGKILL) or stops it for a while (SIGSTOP, SIGCONT). Killed
coordinators and workers are started again, as a service manager would. At the end:

  * each trial is there once, and its metric is the known function of its parameter;
  * the sums agree, PRAGMA integrity_check says ok, `skyline verify` agrees;
  * every result that a worker saw acknowledged is in the file (the workers log each acknowledgement);
  * the number that the coordinator reports as recorded never went down, across restarts;
  * nobody was charged an attempt: signals from outside charge nobody.

    kill_test.py SKYLINE [--seconds S] [--kills N] [--seed N]
"""
import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

X_STEP = 0.5


def sweep_text(points, sleep_us):
    return f"""name: killed
job: fault
space:
  x: {{from: 0, to: {(points - 1) * X_STEP}, step: {X_STEP}}}
  sleep_us: {sleep_us}
limits: {{attempts: 3, timeout: 60s}}
"""


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


class Service(threading.Thread):
    """Keeps one command running: starts it again whenever it ends, until stop()."""

    def __init__(self, name, argv, env, log):
        super().__init__(daemon=True)
        self.name, self.argv, self.env, self.log = name, argv, env, log
        self.process, self.starts, self.stopping = None, 0, False

    def run(self):
        while not self.stopping:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.argv, env=self.env, stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL)
            self.starts += 1
            self.process.wait()
            if not self.stopping:
                time.sleep(0.05)

    def pid(self):
        p = self.process
        return p.pid if p and p.poll() is None else None

    def stop(self):
        self.stopping = True
        if self.pid():
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.join()


class Cluster:
    def __init__(self, skyline, folder, port):
        self.skyline, self.folder = skyline, folder
        self.db = os.path.join(folder, "killed.db")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.env = dict(os.environ, SKYLINE_KEYS=os.path.join(folder, "keys"), NO_COLOR="1",
                        SKYLINE_CONNECT=self.endpoint)
        log = lambda name: os.path.join(folder, name + ".log")
        self.coordinator = Service("coordinator", [skyline, "coordinator", "--db", self.db, "--listen",
                                                   self.endpoint], self.env, log("coordinator"))
        self.workers = [
            Service(f"worker{i}", [skyline, "worker", "--connect", self.endpoint, "-j", "2"],
                    dict(self.env, SKYLINE_LOG="debug"), log(f"worker{i}")) for i in range(2)]
        self.services = [self.coordinator] + self.workers

    def command(self, *argv, check=True):
        done = subprocess.run([self.skyline, *argv], env=self.env, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"skyline {' '.join(argv)}: exit {done.returncode}: {done.stderr}")
        return done

    def status(self):
        """The sweep's line of `skyline status --json`, or None while the coordinator is down."""
        done = subprocess.run([self.skyline, "status", "--json", "--timeout", "2s"], env=self.env,
                              capture_output=True, text=True)
        if done.returncode != 0:
            return None
        for sweep in json.loads(done.stdout)["sweeps"]:
            if sweep["name"] == "killed":
                return sweep
        return None

    def acknowledged(self):
        """Trials whose acknowledgement reached a worker, from the workers' logs."""
        trials = set()
        for worker in self.workers:
            with open(worker.log, errors="replace") as f:
                for line in f:
                    m = re.search(r"acknowledged .*positions=([0-9,-]+)", line)
                    if not m:
                        continue
                    for part in m.group(1).split(","):
                        first, _, last = part.partition("-")
                        trials.update(range(int(first), int(last or first) + 1))
        return trials


def nemesis(cluster, rng, seconds, kills_min, counts):
    """Kills and stops at random until both the time has passed and enough was done."""
    end = time.monotonic() + seconds
    mean = seconds / (kills_min * 1.6)
    stopped = []
    while time.monotonic() < end or counts["kill"] < kills_min:
        if time.monotonic() > end + 120:
            break
        time.sleep(rng.uniform(0.2, 1.8) * mean)
        kind = rng.choices(["coordinator", "worker", "executor"], [2, 2, 3])[0]
        service = cluster.coordinator if kind == "coordinator" else rng.choice(cluster.workers)
        pid = service.pid()
        if pid and kind == "executor":
            below = children(pid)
            pid = rng.choice(below) if below else None
        if not pid:
            continue
        try:
            if rng.random() < 0.75:
                os.kill(pid, signal.SIGKILL)
                counts["kill"] += 1
            else:
                os.kill(pid, signal.SIGSTOP)
                counts["stop"] += 1
                stopped.append((time.monotonic() + rng.uniform(0.05, 1.5), pid))
            counts[kind] += 1
        except ProcessLookupError:
            pass
        stopped = resume(stopped, time.monotonic())
    resume(stopped, float("inf"))


def resume(stopped, now):
    for due, pid in stopped:
        if due <= now:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    return [s for s in stopped if s[0] > now]


def wait_done(cluster, limit_s, seen):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        status = cluster.status()
        if status:
            seen.append(status["recorded"])
            if status["state"] == "done":
                return status
        time.sleep(0.2)
    raise AssertionError(f"the sweep did not end within {limit_s} s: {cluster.status()}")


def check(cluster, points, seen):
    db = sqlite3.connect(cluster.db)
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    rows = db.execute('SELECT trial, x, y FROM "killed" ORDER BY trial').fetchall()
    assert len(rows) == points, f"{len(rows)} rows, expected {points}"
    for trial, (stored, x, y) in enumerate(rows):
        assert stored == trial, f"row {trial} holds trial {stored}"
        assert x == trial * X_STEP, f"trial {trial}: x is {x}"
        assert y == 2 * x + 1, f"trial {trial}: y is {y}"
    expected = sum(2 * i * X_STEP + 1 for i in range(points))
    assert db.execute('SELECT sum(y) FROM "killed"').fetchone()[0] == expected
    charged = db.execute("SELECT count(*) FROM sky_attempts").fetchone()[0]
    failed = db.execute("SELECT count(*) FROM sky_failures").fetchone()[0]
    assert (charged, failed) == (0, 0), f"charged: {charged}, quarantined: {failed}"
    acknowledged = cluster.acknowledged()
    lost = acknowledged - {r[0] for r in rows}
    assert acknowledged, "no acknowledgement was logged: the check would be empty"
    assert not lost, f"acknowledged but not stored: {sorted(lost)[:10]}"
    assert seen == sorted(seen), "the recorded count went down"
    cluster.command("verify", "--db", cluster.db)
    return len(acknowledged)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("skyline")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SKY_TEST_SEED", time.time())))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    rng = random.Random(args.seed)
    # Four executors sleep in parallel; half of the time goes to deaths. Long enough to last.
    sleep_us = 4000
    points = int(args.seconds * 4 / (sleep_us * 1e-6) * 0.45)
    with tempfile.TemporaryDirectory(prefix="skyline-kill-") as folder:
        cluster = Cluster(os.path.abspath(args.skyline), folder, rng.randrange(20000, 40000))
        sweep = os.path.join(folder, "killed.yaml")
        with open(sweep, "w") as f:
            f.write(sweep_text(points, sleep_us))
        counts = dict.fromkeys(["kill", "stop", "coordinator", "worker", "executor"], 0)
        seen = []
        try:
            cluster.coordinator.start()
            time.sleep(0.5)  # the first start makes the keys that the workers read
            for worker in cluster.workers:
                worker.start()
            cluster.command("submit", sweep)
            start = time.monotonic()
            nemesis(cluster, rng, args.seconds, args.kills, counts)
            status = cluster.status()
            early = bool(status and status["state"] == "done")
            wait_done(cluster, 60 + args.seconds, seen)
            took = time.monotonic() - start
        except BaseException:
            for service in cluster.services:
                print(f"--- {service.log}")
                with open(service.log, errors="replace") as f:
                    print("".join(f.readlines()[-15:]))
            raise
        finally:
            for service in cluster.services:
                if service.ident:
                    service.stop()
        acknowledged = check(cluster, points, seen)
    print(json.dumps(dict(counts, points=points, seconds=round(took, 1), acknowledged=acknowledged,
                          done_before_the_last_kill=early)))
    assert counts["kill"] >= args.kills, f"only {counts['kill']} kills"


if __name__ == "__main__":
    sys.exit(main())
