"""What the dashboard's tests share: starting the program, asking it, reading frames and events."""
import atexit
import http.client
import json
import os
import re
import socket
import struct
import subprocess
import time
import urllib.parse


class Failed(Exception):
    pass


def check(ok, what):
    if not ok:
        raise Failed(what)


class Server:
    """A `skyline` process that serves a dashboard; its address is in what it prints first."""

    def __init__(self, argv, cwd):
        self.log = open(os.path.join(cwd, "server.log"), "ab+")
        begin = self.log.seek(0, 2)
        self.process = subprocess.Popen(argv, cwd=cwd, stdout=self.log, stderr=self.log)
        atexit.register(self.process.kill)  # a test that fails leaves nothing running
        deadline = time.monotonic() + 30
        while True:
            self.log.seek(begin)
            said = self.log.read().decode()
            found = re.search(r"http://([0-9.]+):(\d+)/", said)
            if found:
                break
            check(self.process.poll() is None and time.monotonic() < deadline,
                  f"{argv}: no address was printed: {said}")
            time.sleep(0.02)
        self.host, self.port = found.group(1), int(found.group(2))
        if self.host == "0.0.0.0":
            self.host = "127.0.0.1"

    def ask(self, path, method="GET", headers=None, timeout=30):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def json(self, path, **more):
        response, body = self.ask(path, **more)
        check(response.status == 200, f"{path}: {response.status} {body[:300]}")
        return json.loads(body)

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        self.log.seek(0)
        return code, self.log.read().decode()


class Stream:
    """An event stream, read line by line."""

    def __init__(self, server, last=None, headers=None):
        self.socket = socket.create_connection((server.host, server.port), timeout=20)
        lines = [f"GET /api/v1/events HTTP/1.1", f"Host: {server.host}:{server.port}"]
        if last is not None:
            lines.append(f"Last-Event-ID: {last}")
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def event(self):
        """The next event: name, data, id (or None)."""
        name = data = ident = None
        while True:
            line = self.file.readline()
            check(line, "the stream ended")
            line = line.decode().rstrip("\n").rstrip("\r")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith("id: "):
                ident = line[4:]
            elif line == "" and data is not None:
                return name, data, ident

    def close(self):
        self.file.close()
        self.socket.close()


def frame(body):
    """A frame of columns (docs/columns.md): its JSON, and a dict of lists."""
    check(body[:4] == b"SKYC", "a frame begins with SKYC")
    version, flags, length, count, rows = struct.unpack_from("<HHIIQ", body, 4)
    check((version, flags) == (1, 0), "version 1, no flags")
    meta = json.loads(body[24:24 + length])
    begin = 24 + (length + 7) // 8 * 8
    check(len(meta["columns"]) == count, "as many columns as the head says")
    columns, end = {}, begin
    for c in meta["columns"]:
        kind, size = {"f32": ("f", 4), "f64": ("d", 8), "u32": ("I", 4)}[c["dtype"]]
        check(c["offset"] % 8 == 0, "columns are aligned")
        values = struct.unpack_from(f"<{rows}{kind}", body, begin + c["offset"])
        columns[c["name"]] = [v + c["base"] for v in values]
        end = begin + c["offset"] + (rows * size + 7) // 8 * 8
    check(end == len(body), "nothing after the last column")
    return meta, columns


def query(**arguments):
    return "?" + urllib.parse.urlencode(arguments)


def run(argv, cwd, ok=(0,)):
    done = subprocess.run(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
    check(done.returncode in ok, f"{argv}: exit {done.returncode}: {done.stdout.decode()[-2000:]}")
    return done.stdout.decode()
