#!/usr/bin/env python3
"""Measures the peers that Debian packages beside Skyline, in one run: one JSON line per figure.

    scripts/deps --bench && bench/peers.py [--build DIR]

dask.distributed and Optuna do what Skyline's `noop` sweep does: hand out points that cost nothing and
collect the values. Skyline's figure includes durable recording; Dask's and Optuna's in-memory ones do not.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def out(bench, **figures):
    print(json.dumps({"bench": bench, **{k: float(f"{v:.4g}") if isinstance(v, float) else v
                                         for k, v in figures.items()}}), flush=True)


def skyline_rate(binary, points, folder):
    sweep = os.path.join(folder, "noop.yaml")
    with open(sweep, "w") as f:
        f.write(f"name: noop\njob: noop\nspace: {{x: {{from: 1, to: {points}, step: 1}}}}\n")
    start = time.perf_counter()
    subprocess.run([binary, "run", sweep, "--db", os.path.join(folder, "noop.db"), "-j", "2",
                    "--progress", "none"], check=True, stdout=subprocess.DEVNULL)
    return points / (time.perf_counter() - start)


def dask_rate(points):
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                      processes=True) as cluster, Client(cluster) as client:
        client.gather(client.map(lambda x: x, range(100), pure=False))
        start = time.perf_counter()
        client.gather(client.map(lambda x: x, range(points), pure=False))
        return points / (time.perf_counter() - start)


def optuna_rate(points, storage):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0), storage=storage,
                                directions=["minimize", "maximize"])
    start = time.perf_counter()
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), 0.0), n_trials=points)
    return points / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skyline-peers-") as folder:
        rate = skyline_rate(os.path.abspath(os.path.join(args.build, "bin", "skyline")), 1_000_000, folder)
        for name, measure in [
            ("dask_distributed", lambda: dask_rate(5000)),
            ("optuna_in_memory", lambda: optuna_rate(1000, None)),
            ("optuna_sqlite", lambda: optuna_rate(200, f"sqlite:///{folder}/optuna.db")),
        ]:
            try:
                peer = measure()
            except ImportError as missing:
                print(f"bench/peers.py: {missing} (scripts/deps --bench installs it)", file=sys.stderr)
                continue
            out(name, skyline_points_per_s=rate, peer_points_per_s=peer, ratio=rate / peer)


if __name__ == "__main__":
    main()
