"""Delivered files over loopback: how fast a long one streams and in how much memory, how many short requests a second are answered.

The server is the whole application in a process of its own; requests come from this one, by raw sockets, so that the client costs little.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bureau import Bureau, opened, set_up
from tests.products import ID, on_the_shelf, taken

LONG_BYTES = 2 * 2**30
SHORT_S = 5.0
CONNECTIONS = 4
SERVER = """
import sys, time
from pathlib import Path
import uvicorn
from api import logs
from api.app import create_app
from api.services import Services
from tests.bureau import settings_in
logs.configure(quiet=True)
services = Services.open(settings_in(Path(sys.argv[1])))
server = uvicorn.Server(uvicorn.Config(create_app(services), host="127.0.0.1", port=0, log_config=None, access_log=False))
import threading
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
while not server.started:
    time.sleep(0.01)
print(server.servers[0].sockets[0].getsockname()[1], flush=True)
thread.join()
"""


LONG_SERVER = """
import os, sys, threading, time
from pathlib import Path
import uvicorn
from fastapi import FastAPI, Request
from api import logs
from api.files import FileAnswer
from api.web import Shell
logs.configure(quiet=True)
path = Path(sys.argv[1])
app = FastAPI()
@app.get("/file")
def file(request: Request):
    return FileAnswer(request.scope, path, etag='"x"', length=path.stat().st_size, media_type="text/csv", name="x")
app.add_middleware(Shell, limit=2**20, default_language="en", random=os.urandom)
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
while not server.started:
    time.sleep(0.01)
print(server.servers[0].sockets[0].getsockname()[1], flush=True)
thread.join()
"""


def bench(folder: Path) -> dict[str, Any]:
    home = folder / "home"
    keys = set_up(home)
    services = opened(home)
    bureau = Bureau(services, keys)
    on_the_shelf(bureau)
    made, _ = taken(bureau, "csv")
    ticket, _ = services.tickets.issue(made.entry)
    services.close()
    with _server(SERVER, home) as (port, _):
        per_s = _short(port, f"/v1/files/{ticket}/{ID}-v1.csv")
    long = folder / "long"
    with long.open("wb") as file:
        for _ in range(LONG_BYTES // 2**20):
            file.write(os.urandom(2**20))
    with _server(LONG_SERVER, long) as (port, pid):
        found = _long(port, pid)
    shutil.rmtree(folder, ignore_errors=True)
    return {"short_per_s": round(per_s), **found}


@contextmanager
def _server(program: str, argument: Path) -> Iterator[tuple[int, int]]:
    """Port and process of a server in a process of its own."""
    child = subprocess.Popen([sys.executable, "-c", program, str(argument)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline()), child.pid
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _answered(connection: socket.socket, request: bytes) -> tuple[bytes, bytes, int]:
    """Head, what came of the body with it, and the body's length."""
    connection.sendall(request)
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        assert piece, "the server closed the connection"
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = re.search(rb"content-length: (\d+)", head, re.I)
    assert length is not None
    return head, body, int(length[1])


def _short(port: int, path: str) -> float:
    """Whole short files a second, over a few connections that stay open."""
    counts: list[int] = []
    until = time.monotonic() + SHORT_S

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            request, count = _request(path), 0
            while time.monotonic() < until:
                _, body, length = _answered(connection, request)
                while len(body) < length:
                    body += connection.recv(65536)
                count += 1
            counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SHORT_S


def _long(port: int, pid: int) -> dict[str, Any]:
    """One long file, three times, thrown away as it comes; the fastest."""
    buffer, times = bytearray(2**20), []
    idle_mb = _memory_mb(pid)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            began = time.monotonic()
            _, body, length = _answered(connection, _request("/file"))
            left = length - len(body)
            while left:
                left -= connection.recv_into(buffer)
            times.append(time.monotonic() - began)
    return {"long_mb": length // 10**6, "mb_per_s": round(length / min(times) / 1e6), "idle_mb": idle_mb, "then_mb": _memory_mb(pid)}


def _memory_mb(pid: int) -> int:
    """The most the process has held in memory so far."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) // 1024
