"""The process that runs functions on rows: `python -m infra.workers.child FD PARENT [MODULE …]`, started and limited by `infra.workers.warden`.

It knows nothing of Ray. Over one socket it gets calls and gives answers, one at a time, and ends when the socket does. The modules named
are imported at once, so that a process that takes another's place is soon as quick.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from infra.memory import guard, hold
from infra.workers.inline import attempt

HEADER = struct.Struct("<Q?")  # length, ok
NAME = b"yunei-shard"
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def receive(channel: socket.socket) -> tuple[bool, bytes]:
    """One frame. EOFError when the other side is gone."""
    length, ok = HEADER.unpack(_exactly(channel, HEADER.size))
    return ok, bytes(_exactly(channel, length))


def send(channel: socket.socket, ok: bool, data: bytes) -> None:
    channel.sendall(HEADER.pack(len(data), ok))
    channel.sendall(data)


def _exactly(channel: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        got = channel.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return buffer


def serve(channel: socket.socket) -> None:
    """Call by call, until there is nobody to answer."""
    while True:
        _, call = receive(channel)
        ok, result = _call(call)
        del call
        send(channel, ok, result)


def _call(call: bytes) -> tuple[bool, bytes]:
    ok, result = attempt(_run, call)
    return (True, result) if ok else (False, b"")


def _run(call: bytes) -> bytes:
    fn, item = pickle.loads(call)  # noqa: S301  # from the server, through a socket that only the warden has
    return pickle.dumps(fn(item), 5)


def _settle(parent: int) -> None:
    """No core file, no page on a disk, no life after the parent's, and first to go when the machine has no memory left."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NAME, NAME, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
    hold()
    guard()  # last: files of a process that cannot be dumped are root's


def main() -> None:
    _settle(int(sys.argv[2]))
    for name in sys.argv[3:]:
        with suppress(ImportError):
            importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as channel, suppress(EOFError, ConnectionError):
        serve(channel)


if __name__ == "__main__":
    main()
