"""The trusted end of the line to a zygote: what is sent, how long is waited, what is believed. The same for every backend that has one.

    hello   JSON of the cargo and limits, with the files package, parameters and two filters → the zygote's features, in JSON
    block   `B` with the block (a sealed memory file), an output pipe and a file for errors → the frame in the pipe, then `D`, or `F`: not run

What comes back is looked at for two things only: whether exactly the declared number of bytes came, and whether `D` did. Files are passed by
SCM_RIGHTS over SOCK_SEQPACKET (unix(7)).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from infra.cells import bpf
from infra.cells.base import Cargo, CellsError, Limits, Rehearsal

START_S = 60.0
GRACE_S = 2.0  # beyond a block's own time: for the zygote to end it and say so
TEXT_BYTES = 64 * 1024
READABLE = ("/opt/py", "/lib", "/lib64", "/usr")
ENVIRONMENT: Mapping[str, str] = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ARROW_IO_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.pthread.rseq=0",
    "HOME": "/",
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
}
"""All that a cell's processes find in their environment. Restartable sequences (rseq(2)) tell a process when it was interrupted and moved
to another processor: whoever keeps a neighbour's processor busy could be heard by it."""

SAFEGUARDS = frozenset({"capabilities", "clocks", "descriptors", "landlock", "limits", "namespaces", "proc", "seccomp"})
"""What a zygote puts in place, and says so."""

FLAGS = ("-s", "-P", "-S", "-B")
"""Of the interpreter: nothing from a user's folder, from the current one, from .pth files; no byte code written."""


class Gone(Exception):
    """The zygote does not answer. The cell is to be ended; whoever waits for a frame gets none."""


def memory_file(name: str, content: bytes) -> int:
    """A file in memory that nobody can change any more."""
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(os.dup(file), "wb") as stream:
        stream.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return file


class Line:
    """One zygote's line. `without`: safeguards to leave out, for tests that must see an attack succeed."""

    def __init__(
        self,
        control: socket.socket,
        cargo: Cargo,
        limits: Limits,
        *,
        talkative: bool,
        readable: Iterable[str] = READABLE,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._control = control
        self._cargo = cargo
        self._limits = limits
        self._talkative = talkative
        self._readable = tuple(readable)
        self._without = without
        self._nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def hello(self) -> dict[str, bool]:
        """Hand over the cargo and wait until the libraries are loaded: what the zygote could do for its safety, by feature. Gone."""
        cargo, limits = self._cargo, self._limits
        said = {
            "entry": cargo.entry,
            "shape": cargo.shape,
            "libraries": cargo.libraries,
            "readable": self._readable,
            "output_bytes": limits.output_bytes,
            "memory_mb": limits.memory_mb,
            "cpu_s": limits.cpu_s,
            "wall_s": limits.wall_s,
            "talkative": self._talkative,
            "without": sorted(self._without),
        }
        contents = (cargo.package, cargo.parameters, bpf.filter_for("zygote"), bpf.filter_for("block"))
        files = [memory_file("cargo", content) for content in contents]
        try:
            self._send(json.dumps(said).encode(), files)
        finally:
            for file in files:
                os.close(file)
        told = json.loads(self._receive(START_S))
        return {str(name): value is True for name, value in told.items()}

    def block(self, rows: bytes) -> Rehearsal:
        """One block. The frame is exactly as long as declared, or None; text is empty unless talkative. Gone; CellsError(cells_start_failed)
        when no process could be confined for it: that is before the block is looked at, so it depends on no row."""
        until = time.monotonic() + self._limits.wall_s + GRACE_S
        frame, frame_end = os.pipe2(os.O_CLOEXEC)
        text, text_end = os.pipe2(os.O_CLOEXEC) if self._talkative else (None, self._nowhere)
        block = memory_file("block", rows)
        try:
            try:
                self._send(b"B", [block, frame_end, text_end])
            finally:
                for end in (block, frame_end, *((text_end,) if text is not None else ())):
                    os.close(end)
            found = _drain({frame: self._limits.output_bytes, **({text: TEXT_BYTES} if text is not None else {})}, until)
        finally:
            for end in (frame, text):
                if end is not None:
                    os.close(end)
        ended = self._receive(until - time.monotonic())
        if ended == b"F":
            raise CellsError("cells_start_failed", "a process of its own for each block")
        if ended != b"D":
            raise Gone
        complete = found[frame] if len(found[frame]) == self._limits.output_bytes else None
        return Rehearsal(complete, found[text][:TEXT_BYTES].decode("utf-8", "replace") if text is not None else "")

    def close(self) -> None:
        self._control.close()
        with suppress(OSError):
            os.close(self._nowhere)

    def _send(self, message: bytes, files: list[int]) -> None:
        try:
            socket.send_fds(self._control, [message], files)
        except OSError:
            raise Gone from None

    def _receive(self, within_s: float) -> bytes:
        self._control.settimeout(max(within_s, 0.001))
        try:
            message = self._control.recv(TEXT_BYTES)
        except OSError:  # a time-out is one, too
            raise Gone from None
        if not message:
            raise Gone
        return message


def _drain(most: Mapping[int, int], until: float) -> dict[int, bytes]:
    """Read each file to its end, or one byte past its limit, or until the time is over."""
    found = {file: b"" for file in most}
    waiting = select.poll()
    for file in most:
        waiting.register(file, select.POLLIN)
    open_files = set(most)
    while open_files and (left := until - time.monotonic()) > 0:
        for file, _ in waiting.poll(left * 1000):
            data = os.read(file, most[file] + 1 - len(found[file]))
            found[file] += data
            if not data or len(found[file]) > most[file]:
                waiting.unregister(file)
                open_files.discard(file)
    return found


def require(features: Mapping[str, bool], accept: frozenset[str]) -> None:
    """CellsError(cells_refused) when a cell came up without a feature that nobody agreed to do without, or does not say."""
    for name in sorted(SAFEGUARDS):
        if not features.get(name) and name not in accept:
            raise CellsError("cells_refused", name)
