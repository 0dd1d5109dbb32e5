#!/usr/bin/env python3
"""The dashboard's server as a browser meets it.

    dash_test.py SKYLINE OPENAPI.json

Every path of the description is asked, and its answers are held against the schemas; then filters,
security, events, and a live coordinator with commands.
"""
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from dash_client import Failed, Server, Stream, check, frame, query, run

SKYLINE = os.path.abspath(sys.argv[1])
API = json.load(open(sys.argv[2]))

GRID = """name: grid
job: gemm
space:
  m: [64, 128, 256]
  n: [64, 128]
  k: {from: 1, to: 40, step: 1}
  dataflow: [ws, os]
derived: {waste: "1 - utilization"}
constraints: ["k > 2"]
objectives: [{cycles: min}, {utilization: max}]
"""
REPEATED = """name: repeated
job: fault
space:
  x: {from: 1, to: 20, step: 1}
objectives: [{y: min}]
repeats: 3
"""
PROGRAM = """name: program
job: command
command: [sh, -c, 'printf "{\\"y\\": %d}\\n" $((20 * SKYLINE_TRIAL + $1))', "it's", "{x}"]
space: {x: [10, 20]}
metrics: {y: {goal: min}}
"""
FAILING = """name: failing
job: fault
space:
  x: {from: 1, to: 12, step: 1}
  fail: [1.0]
limits: {attempts: 1}
"""


# ---- Schemas ----

def resolve(schema):
    while "$ref" in schema:
        at = API
        for part in schema["$ref"].split("/")[1:]:
            at = at[part]
        schema = at
    return schema


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def valid(value, schema, where):
    schema = resolve(schema)
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        check(any(is_type(value, n) for n in names), f"{where}: {value!r} is no {names}")
    if "enum" in schema:
        check(value in schema["enum"], f"{where}: {value!r} is not in {schema['enum']}")
    if "minimum" in schema and is_type(value, "number"):
        check(value >= schema["minimum"], f"{where}: {value!r} is below {schema['minimum']}")
    for name in schema.get("required", []):
        check(name in value, f"{where}: {name} is missing")
    if isinstance(value, dict) and "properties" in schema:
        extra = set(value) - set(schema["properties"])
        check(not extra, f"{where}: not described: {extra}")
        for name, part in value.items():
            valid(part, schema["properties"][name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, part in enumerate(value):
            valid(part, schema["items"], f"{where}[{i}]")


# ---- The description against the server ----

# Arguments with which each path answers 200, some paths in several ways.
SAMPLES = {
    "/api/v1/info": [{}],
    "/api/v1/openapi.json": [{}],
    "/api/v1/sweeps": [{}],
    "/api/v1/sweeps/{name}": [{}, {"name": "REPEATED"}],
    "/api/v1/sweeps/{name}/columns": [{"columns": "m,dataflow,cycles"}, {"columns": ""},
                                      {"columns": "k,sky_feasible", "limit": 7, "since": 3},
                                      {"columns": "m", "within_ms": 100}],
    "/api/v1/sweeps/{name}/summary": [{}, {"name": "failing"}, {"within_ms": 50}],
    "/api/v1/sweeps/{name}/front": [{}, {"name": "repeated"}, {"name": "repeated", "by_trial": "true"},
                                    {"objectives": "cycles:min,k:max,m"}, {"infeasible": "true"},
                                    {"reference": "1e9,0"}, {"name": "failing", "objectives": "y"},
                                    {"within_ms": 20}],
    "/api/v1/sweeps/{name}/history": [{}, {"points": 3}, {"name": "failing", "objectives": "y"}],
    "/api/v1/sweeps/{name}/density": [{"x": "k", "y": "cycles", "w": 8, "h": 4, "ylog": "true"},
                                      {"x": "k", "y": "cycles", "z": "utilization", "feasible": "true"},
                                      {"x": "k", "y": "m", "ranges": "k:2:9,cycles:0:1e9", "within_ms": 100},
                                      {"name": "failing", "x": "x", "y": "y"}],
    "/api/v1/sweeps/{name}/importance": [{}, {"metric": "utilization"}],
    "/api/v1/sweeps/{name}/slice": [{"x": "dataflow"}, {"x": "k", "y": "waste", "bins": 5},
                                    {"name": "failing", "x": "x", "y": "y"}],
    "/api/v1/sweeps/{name}/rows": [{}, {"where": "m = 64 AND k > 30", "order": "cycles:desc", "offset": 2,
                                        "limit": 3}, {"ids": "5,2"}, {"columns": "trial,m"}],
    "/api/v1/sweeps/{name}/filter": [{}, {"where": "dataflow = 'ws'", "order": "dataflow"}],
    "/api/v1/sweeps/{name}/export": [{}, {"format": "jsonl", "where": "k < 3"}, {"format": "json"}],
    "/api/v1/sweeps/{name}/failures": [{}, {"name": "failing"}],
    "/api/v1/sweeps/{name}/environments": [{}],
    "/api/v1/sweeps/{name}/trials/{trial}": [{}, {"name": "failing", "trial": 3}],
    "/api/v1/sweeps/{name}/trials/{trial}/artifact": [{"name": "notes.bin"}],
    "/api/v1/compare": [{"sweeps": "grid,GRID"}],
    "/metrics": [{}],
    # In tests of their own: what is live.
    "/api/v1/live": None, "/api/v1/events": None, "/api/v1/sweeps/{name}/{command}": None,
}


def address(path, sample):
    sample = dict(sample)
    artifact = path.endswith("/artifact")
    name = "grid" if artifact else sample.pop("name", "grid")
    filled = path.replace("{name}", name).replace("{trial}", str(sample.pop("trial", 4)))
    return filled + (query(**sample) if sample else "")


def answers_as_described(server, path, sample):
    told = API["paths"][path]["get"]["responses"]["200"]["content"]
    where = address(path, sample)
    response, body = server.ask(where)
    check(response.status == 200, f"{where}: {response.status} {body[:300]}")
    media = response.getheader("Content-Type").split(";")[0]
    if path.endswith("/export"):
        check(media in ("text/csv", "application/json", "application/x-ndjson"), f"{where}: {media}")
    else:
        check(media in told, f"{where}: {media} is not described")
    if media == "application/json" and "schema" in told.get(media, {}):
        valid(json.loads(body), told[media]["schema"], where)
    if media == "application/octet-stream" and not path.endswith("/artifact"):
        frame(body)
    etag = response.getheader("ETag")
    if etag:
        again, _ = server.ask(where, headers={"If-None-Match": etag})
        check(again.status in (200, 304), f"{where}: {again.status} for a tag")


def refuses_as_described(server, path):
    """Each number that is no number, each missing argument, each unknown sweep is told."""
    get = API["paths"][path]["get"]
    base = dict((SAMPLES[path] or [{}])[0])
    for p in get["parameters"]:
        if p["in"] != "query":
            continue
        if p["required"] and not path.endswith("/artifact"):
            less = {k: v for k, v in base.items() if k != p["name"]}
            expect(server, address(path, less), get, "400")
        if p["schema"]["type"] in ("integer", "number", "boolean"):
            expect(server, address(path, {**base, p["name"]: "x1"}), get, "400")
        if p["schema"].get("maximum"):
            expect(server, address(path, {**base, p["name"]: p["schema"]["maximum"] + 1}), get, "400")
    if "{name}" in path:
        expect(server, address(path, base).replace("/sweeps/grid", "/sweeps/nobody"), get, "404")


def expect(server, where, get, status):
    response, body = server.ask(where)
    check(str(response.status) == status, f"{where}: {response.status}, expected {status}")
    check(status in get["responses"], f"{where}: {status} is not described")
    valid(json.loads(body), {"$ref": "#/components/schemas/Error"}, where)


def test_description(server):
    check(set(SAMPLES) == set(API["paths"]), f"every path has samples: {set(SAMPLES) ^ set(API['paths'])}")
    for path, samples in SAMPLES.items():
        if samples is None:
            continue
        for sample in samples:
            answers_as_described(server, path, sample)
        refuses_as_described(server, path)
    check(server.json("/api/v1/openapi.json") == API, "the description is served as it is")
    for nothing in ("/nothing", "/api/v1/nothing", "/api/v1/sweeps/grid/nothing", "/api/v2/sweeps",
                    "/api/v1/sweeps/grid/trials/4/nothing"):
        response, _ = server.ask(nothing)
        check(response.status in (400, 404), f"{nothing}: {response.status}")


# ---- What the answers say ----

def test_values(server, db):
    truth = sqlite3.connect(db)
    rows = truth.execute("SELECT trial, m, k, cycles, utilization FROM grid ORDER BY trial").fetchall()
    meta, columns = frame(server.ask("/api/v1/sweeps/grid/columns?columns=m,k,cycles,dataflow")[1])
    check(meta["next"] == meta["rows"] == len(rows), "all rows at once")
    check(sorted(columns["trial"]) == [r[0] for r in rows], "each trial once")
    by_trial = {int(t): i for i, t in enumerate(columns["trial"])}
    for trial, m, k, cycles, _ in rows:
        i = by_trial[trial]
        check(columns["m"][i] == m and columns["k"][i] == k, f"row {trial}")
        check(abs(columns["cycles"][i] - cycles) <= 1e-6 * cycles, f"cycles of {trial}")
    texts = next(c for c in meta["columns"] if c["name"] == "dataflow")["texts"]
    check(sorted(texts) == ["os", "ws"], f"texts: {texts}")
    part, _ = frame(server.ask(f"/api/v1/sweeps/grid/columns?columns=m&since=10&epoch={meta['epoch']}")[1])
    check(part["first"] == 10 and not part["reset"], "what came since")
    part, _ = frame(server.ask("/api/v1/sweeps/grid/columns?columns=m&since=10&epoch=1")[1])
    check(part["first"] == 0 and part["reset"], "another epoch begins anew")

    feasible = [r for r in rows if r[2] > 2]
    best = {r[0] for r in feasible if not any(
        q[3] <= r[3] and q[4] >= r[4] and (q[3] < r[3] or q[4] > r[4]) for q in feasible)}
    front = server.json("/api/v1/sweeps/grid/front")
    check(set(front["trials"]) == best and front["size"] == len(best), "the front by its definition")
    check(front["infeasible"] == len(rows) - len(feasible), "infeasible ones are counted")
    volume = 0
    reference = front["reference"]
    ceiling = reference[1]
    for (cycles, use) in sorted(zip(front["values"][0::2], front["values"][1::2])):
        volume += (reference[0] - cycles) * max(0, use - ceiling)
        ceiling = max(ceiling, use)
    check(abs(volume - front["hypervolume"]) <= 1e-9 * volume, "hypervolume by strips")
    grown = server.json("/api/v1/sweeps/grid/history")
    check(grown["size"][-1] == front["size"] and grown["rows"][-1] == len(rows), "history ends at the front")
    check(grown["hypervolume"] == sorted(grown["hypervolume"]), "a volume never shrinks")

    means = dict(truth.execute("SELECT trial % 20, avg(y) FROM repeated GROUP BY 1").fetchall())
    front = server.json("/api/v1/sweeps/repeated/front")
    check(front["by_point"] and front["values"] == [min(means.values())], "means of points")
    check(front["repeats"] == [3] and len(front["sd"]) == 1, "with their spread")

    low, high = min(r[3] for r in rows), max(r[3] for r in rows)
    meta, grid = frame(server.ask("/api/v1/sweeps/grid/density" +
                                  query(x="k", y="cycles", z="utilization", w=4, h=3, x0=1, x1=31))[1])
    counts, sums = [0] * 12, [0.0] * 12
    for _, _, k, cycles, use in rows:
        if k <= 31:
            cell = min(2, int((cycles - low) * (3 / (high - low)))) * 4 + min(3, int((k - 1) * (4 / 30)))
            counts[cell] += 1
            sums[cell] += use
    check(list(grid["count"]) == counts and meta["inside"] == sum(counts), "cells counted one by one")
    check(meta["y"] == [low, high], "the window's default is what there is")
    check(all(abs(grid["mean"][c] - sums[c] / counts[c]) < 1e-6 if counts[c] else grid["mean"][c] != grid["mean"][c]
              for c in range(12)), "means of the third column")

    check(meta["recorded"] == meta["rows"] == len(rows) and not meta["more"], "all rows were read")
    meta, grid = frame(server.ask("/api/v1/sweeps/grid/density" +
                                  query(x="k", y="m", w=2, h=2, ranges=f"k:3:20,cycles:{low}:{(low + high) / 2}"))[1])
    check(sum(grid["count"]) == sum(3 <= r[2] <= 20 and r[3] <= (low + high) / 2 for r in rows), "rows in the ranges only")
    for bad in ("k", "k:1", "k:a:2", "nothing:1:2"):
        check(server.ask("/api/v1/sweeps/grid/density?x=k&y=m&ranges=" + bad)[0].status == 400, f"ranges={bad}")

    slices = server.json("/api/v1/sweeps/grid/slice?x=m&y=cycles")
    for b in slices["bins"]:
        values = [r[3] for r in rows if r[1] == b["low"]]
        check(b["n"] == len(values) and b["min"] == min(values) and
              abs(b["mean"] - sum(values) / len(values)) < 1e-6 * b["mean"], f"slice at {b['low']}")

    importance = server.json("/api/v1/sweeps/repeated/importance?metric=y")["parameters"]
    check(importance[0]["name"] == "x" and importance[0]["share"] > 0.999, "y = 2x + 1 is all x")
    check(all(p["share"] == 0 for p in importance[1:]), "what does not vary explains nothing")

    both = server.json("/api/v1/compare?sweeps=grid,grid")
    check(both["sweeps"][0]["hypervolume"] == both["hypervolume"] and
          both["sweeps"][0]["joint"] == both["sweeps"][0]["size"], "a sweep beside itself")


def test_rows(server, db):
    truth = sqlite3.connect(db)
    where = "m = 64 AND dataflow = 'ws'"
    expected = [r[0] for r in truth.execute(f"SELECT trial FROM grid WHERE {where} ORDER BY cycles DESC, trial")]
    first = server.json("/api/v1/sweeps/grid/rows" + query(where=where, order="cycles:desc", limit=10))
    check(first["total"] == len(expected), "how many there are")
    second = server.json("/api/v1/sweeps/grid/rows" + query(
        where=where, order="cycles:desc", limit=1000, offset=10, snapshot=first["snapshot"]))
    check(second["snapshot"] == first["snapshot"], "the same snapshot")
    check([r["trial"] for r in first["rows"] + second["rows"]] == expected, "in SQL's order")
    _, columns = frame(server.ask("/api/v1/sweeps/grid/filter" + query(where=where, order="cycles:desc"))[1])
    check([int(t) for t in columns["trial"]] == expected, "a filter gives the same trials")
    down = server.json("/api/v1/sweeps/grid/rows?order=trial:desc&limit=2")["rows"]
    check(down[0]["trial"] > down[1]["trial"], "trials backwards")
    exported = server.ask("/api/v1/sweeps/grid/export" + query(where=where, columns="trial,m"))[1].decode()
    check(exported.split("\n")[0] == "trial,m" and exported.count("\n") == len(expected) + 1, "an export")
    for wrong in ("1; DROP TABLE grid", "1) OR (1", "nothing = 1", "load_extension('x')",
                  "(SELECT writefile('x', 'y'))", "1 /*", "'"):
        response, body = server.ask("/api/v1/sweeps/grid/rows" + query(where=wrong))
        check(response.status == 400, f"{wrong}: {response.status} {body}")
    check(truth.execute("SELECT count(*) FROM grid").fetchone()[0] > 0, "nothing was dropped")


def test_endless_filter(server):
    endless = "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c) > 0"
    asker = http.client.HTTPConnection(server.host, server.port, timeout=30)
    began = time.monotonic()
    asker.request("GET", "/api/v1/sweeps/grid/rows" + query(where=endless))
    server.json("/api/v1/sweeps/grid/front")  # others are answered meanwhile
    response = asker.getresponse()
    body = response.read()
    check(response.status == 503 and b"limit" in body, f"an endless question ends: {response.status} {body}")
    check(time.monotonic() - began < 20, "and soon")
    asker.close()


def test_trial(server):
    trial = server.json("/api/v1/sweeps/repeated/trials/25")
    check(trial["point"] == 5 and trial["row"]["x"] == 6, "trial 25 is the second of point 5")
    check(trial["again"].startswith("skyline eval fault --seed ") and " x=6 " in trial["again"], trial["again"])
    again = json.loads(run([SKYLINE] + trial["again"].split()[1:], "."))
    check(again["metrics"]["y"] == trial["row"]["y"], "the command gives the same")
    program = server.json("/api/v1/sweeps/program/trials/1")["again"]
    said = subprocess.run(["sh", "-c", program], stdout=subprocess.PIPE, check=True).stdout
    row = server.json("/api/v1/sweeps/program/trials/1")["row"]
    check(json.loads(said)["y"] == row["y"] == 40, f"a program's line gives the same: {program}")
    failed = server.json("/api/v1/sweeps/failing/trials/3")
    check(failed["row"] is None and len(failed["failures"]) == 1, "a failed trial has its reason")
    response, body = server.ask("/api/v1/sweeps/grid/trials/4/artifact?name=notes.bin")
    check(body == b"\x00<script>" and response.getheader("Content-Disposition") == "attachment",
          "artifacts are never pages")


# ---- Security ----

def test_security(server, cwd):
    for path in ("/", "/api/v1/info", "/nothing", "/api/v1/sweeps/grid/export"):
        response, _ = server.ask(path)
        csp = response.getheader("Content-Security-Policy")
        check(csp and "default-src 'none'" in csp and "unsafe" not in csp, f"{path}: {csp}")
        check(response.getheader("X-Content-Type-Options") == "nosniff", path)
        check(response.getheader("X-Frame-Options") == "DENY", path)
        check(not any(h.lower().startswith("access-control") for h, _ in response.getheaders()), "no CORS")
    for host, status in (("evil.example", 421), (f"localhost:{server.port}", 200), ("127.0.0.1", 200),
                         ("127.0.0.1.evil.example", 421), ("8.8.8.8", 421), ("", 421)):
        response, _ = server.ask("/api/v1/info", headers={"Host": host})
        check(response.status == status or (host == "" and response.status >= 400), f"Host {host}: {response.status}")
    for method in ("OPTIONS", "PUT", "DELETE", "PATCH"):
        response, _ = server.ask("/api/v1/sweeps", method=method)
        check(response.status in (403, 405), f"{method}: {response.status}")
    response, body = server.ask("/api/v1/sweeps/grid/pause", method="POST")
    check(response.status == 403, f"no commands without a token: {response.status}")
    response, body = server.ask("/", method="HEAD")
    check(response.status == 200 and body == b"", "HEAD has no body")
    refused = subprocess.run([SKYLINE, "dash", "--db", "dash.db", "--listen", "0.0.0.0:0"], cwd=cwd,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    check(refused.returncode != 0 and b"token" in refused.stderr, "beyond loopback only with a token")


def test_token(cwd):
    server = Server([SKYLINE, "dash", "--db", "dash.db", "--listen", "0.0.0.0:0", "--token-file", "token"], cwd)
    token = open(os.path.join(cwd, "token")).read().strip()
    check(os.stat(os.path.join(cwd, "token")).st_mode & 0o777 == 0o600, "the token is private")
    for path in ("/", "/api/v1/info", "/metrics", "/api/v1/events"):
        response, _ = server.ask(path)
        check(response.status == 401, f"{path} without the token: {response.status}")
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    for given, status in ((wrong, 401), (token, 200), (token + "x", 401), ("", 401)):
        response, _ = server.ask("/api/v1/info", headers={"Authorization": f"Bearer {given}"})
        check(response.status == status, f"a bearer: {response.status}")
    response, _ = server.ask("/?token=" + wrong)
    check(response.status == 401, "a wrong token in the address")
    response, _ = server.ask("/?token=" + token)
    cookie = response.getheader("Set-Cookie")
    check(response.status == 303 and "HttpOnly" in cookie and "SameSite=Strict" in cookie, f"{cookie}")
    response, body = server.ask("/api/v1/info", headers={"Cookie": "a=b; " + cookie.split(";")[0]})
    check(response.status == 200 and json.loads(body)["authorized"], "the cookie lets in")
    server.stop()


# ---- Malformed requests ----

def test_malformed(server):
    for raw in (b"GET\r\n\r\n", b"\x00" * 64, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
                b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                b"GET /?" + b"a=1&" * 100 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                b"GET /%zz%%% HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                b"POST /api/v1/sweeps/grid/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999999\r\n\r\nabc"):
        with socket.create_connection((server.host, server.port), timeout=5) as s:
            try:
                s.sendall(raw)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
        server.json("/api/v1/info")


# ---- Live ----

def wait_for(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, f"waited in vain for {what}")
        time.sleep(0.05)


def test_events_and_commands(cwd):
    os.makedirs(os.path.join(cwd, "hub"), mode=0o700)
    endpoint = "ipc://" + os.path.join(cwd, "hub", "s")
    server = Server([SKYLINE, "coordinator", "--db", "live.db", "--listen", endpoint, "--dash", "127.0.0.1:0",
                     "--token-file", "token", "--log", "warn"], cwd)
    token = open(os.path.join(cwd, "token")).read().strip()
    bearer = {"Authorization": f"Bearer {token}"}
    worker = None
    try:
        stream = Stream(server)
        check(stream.event()[:2] == ("reset", {}), "a new stream begins with a reset")
        open(os.path.join(cwd, "slow.yaml"), "w").write(
            "name: slow\njob: fault\nspace:\n  x: {from: 1, to: 5000, step: 1}\n  sleep_us: [2000]\n"
            "objectives: [{y: min}]\n")
        run([SKYLINE, "submit", "slow.yaml", "--connect", endpoint], cwd)
        worker = subprocess.Popen([SKYLINE, "worker", "--connect", endpoint, "-j", "1", "--log", "error"], cwd=cwd)
        seen, ident, states = 0, None, 0
        while seen == 0 or states == 0:
            name, data, this = stream.event()
            valid(data, {"$ref": f"#/components/schemas/{ {'sweeps': 'SweepsEvent', 'status': 'StatusEvent'}[name] }"},
                  name)
            if name == "status":
                states += data["workers"]
            else:
                ident = this
                seen = max(s["recorded"] for s in data["sweeps"])
        stream.close()
        wait_for("news", lambda: server.json("/api/v1/sweeps")["sweeps"][0]["recorded"] > seen)
        other = Stream(server)
        while other.event()[2] in (None, ident):  # so that there is an event after ident
            pass
        while True:
            name, _, this = other.event()
            if name == "sweeps":
                break
        resumed = Stream(server, last=ident)
        name, data, after = resumed.event()
        check(name == "sweeps" and int(after.split("-")[1]) == int(ident.split("-")[1]) + 1,
              f"what came after {ident}: {name} {after}")
        resumed.close()
        for unknown in ("0-5", ident.split("-")[0] + "-99999999", "nonsense"):
            s = Stream(server, last=unknown)
            check(s.event()[0] == "reset", f"{unknown} is not known")
            s.close()

        live = server.json("/api/v1/live")
        valid(live, {"$ref": "#/components/schemas/Live"}, "live")
        check(live["sweeps"][0]["name"] == "slow" and len(live["workers"]) == 1, "the coordinator's state")
        check(server.json("/api/v1/info", headers=bearer)["authorized"], "the token is known")
        text = server.ask("/metrics")[1].decode()
        for family in ("skyline_sweep_recorded", "skyline_workers 1", "skyline_dash_streams"):
            check(family in text, f"/metrics lacks {family}")

        def command(name, expected, headers=bearer):
            response, body = server.ask(f"/api/v1/sweeps/slow/{name}", method="POST", headers=headers)
            check(response.status == expected, f"{name}: {response.status} {body}")
            if expected == 200:
                valid(json.loads(body), API["paths"]["/api/v1/sweeps/{name}/{command}"]["post"]["responses"]["200"]
                      ["content"]["application/json"]["schema"], name)

        def state():
            return server.json("/api/v1/sweeps/slow")

        command("pause", 403, headers={})
        command("pause", 403, headers={"Authorization": "Bearer wrongwrongwrongwrong"})
        command("pause", 403, headers={**bearer, "Origin": "http://evil.example"})
        check(state()["state"] == "running", "still running")
        command("pause", 200, headers={**bearer, "Origin": f"http://{server.host}:{server.port}"})
        wait_for("the pause", lambda: state()["state"] == "paused")
        command("resume", 200)
        wait_for("the end of the pause", lambda: state()["state"] == "running")
        command("priority?value=7", 200)
        wait_for("the priority", lambda: state()["priority"] == 7)
        command("priority?value=x", 400)
        command("retry", 200)
        command("cancel", 200)
        wait_for("the cancellation", lambda: state()["state"] == "cancelled")
        command("resume/x", 405)
        response, _ = server.ask("/api/v1/sweeps/nobody/pause", method="POST", headers=bearer)
        check(response.status == 404, f"a command for nobody: {response.status}")
        while True:
            name, data, _ = other.event()
            if name == "sweeps" and data["sweeps"][0]["state"] == "cancelled":
                break
        other.close()
    finally:
        if worker:
            worker.kill()
            worker.wait()
        code, said = server.stop()
    check(code == 0, f"the coordinator ended with {code}: {said}")


def test_run(cwd):
    """`run --dash` serves while it runs, and ends as it would without."""
    open(os.path.join(cwd, "short.yaml"), "w").write(
        "name: short\njob: fault\nspace:\n  x: {from: 1, to: 300, step: 1}\n  sleep_us: [5000]\n")
    server = Server([SKYLINE, "run", "short.yaml", "--db", "run.db", "-j", "1", "--dash", "127.0.0.1:0"], cwd)
    check(server.json("/api/v1/sweeps")["sweeps"][0]["name"] == "short", "the sweep is there")
    check(server.process.wait(60) == 0, "the run ends well")


def test_interrupted(cwd):
    """A sweep is running while somebody writes, whoever serves; and interrupted once that process was killed."""
    open(os.path.join(cwd, "long.yaml"), "w").write(
        "name: long\njob: fault\nspace:\n  x: {from: 1, to: 100000, step: 1}\n  sleep_us: [5000]\n")
    writer = Server([SKYLINE, "run", "long.yaml", "--db", "long.db", "-j", "1", "--dash", "127.0.0.1:0"], cwd)
    server = Server([SKYLINE, "dash", "--db", "long.db", "--listen", "127.0.0.1:0"], cwd)

    def state():
        one = server.json("/api/v1/sweeps/long")
        check(one["state"] == server.json("/api/v1/sweeps")["sweeps"][0]["state"], "list and sweep say the same")
        return one["state"]

    check(state() == "running", "running")
    writer.process.kill()
    writer.process.wait()
    wait_for("the writer's death", lambda: state() == "interrupted")
    server.stop()


def prepare(cwd):
    for name, text in (("grid", GRID), ("repeated", REPEATED), ("failing", FAILING),
                       ("program", PROGRAM)):
        open(os.path.join(cwd, name + ".yaml"), "w").write(text)
        run([SKYLINE, "run", name + ".yaml", "--db", "dash.db", "-j", "1"], cwd, ok=(0, 1))
    db = sqlite3.connect(os.path.join(cwd, "dash.db"))
    db.execute("INSERT INTO sky_artifacts (sweep, trial, name, bytes) VALUES "
               "((SELECT id FROM sky_sweeps WHERE name = 'grid'), 4, 'notes.bin', x'003c7363726970743e')")
    db.commit()
    db.close()


def main():
    cwd = tempfile.mkdtemp(prefix="sky-dash-")
    try:
        prepare(cwd)
        db = os.path.join(cwd, "dash.db")
        server = Server([SKYLINE, "dash", "--db", "dash.db", "--listen", "127.0.0.1:0"], cwd)
        test_description(server)
        test_values(server, db)
        test_rows(server, db)
        test_endless_filter(server)
        test_trial(server)
        test_security(server, cwd)
        test_malformed(server)
        code, said = server.stop()
        check(code == 0, f"the dashboard ended with {code}: {said}")
        test_token(cwd)
        test_events_and_commands(cwd)
        test_run(cwd)
        test_interrupted(cwd)
    except Failed as failed:
        log = os.path.join(cwd, "server.log")
        print(f"dash_test: {failed}", file=sys.stderr)
        if os.path.exists(log):
            print(open(log, errors="replace").read()[-3000:], file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(cwd, ignore_errors=True)
    return 0


sys.exit(main())
