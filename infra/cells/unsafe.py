"""No cell at all: the zygote as a plain process of ours, for machines where nothing better is to be had and rows are invented.

A program run by it can read what the server can read, talk to the network, and stay. It takes part in the same protocol with the same limits
of time and length, so that programs behave alike; it holds against mistakes only. Whoever opens one checks that the dataset is marked
synthetic (`Backend.isolates`); its probes all fail, so a server that is set to it gives no raw rows to programs.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from infra.cells import wire
from infra.cells.base import Cargo, Cell, CellsError, Finding, Limits, Rehearsal
from infra.cells.lined import Guarded

if TYPE_CHECKING:
    from infra.settings import Settings

NOTHING = frozenset({"proc", "seccomp", "landlock", "capabilities", "descriptors", "namespaces", "clocks", "network", "files"})
log = structlog.get_logger("yunei.cells")


@dataclass(frozen=True)
class Unsafe:
    """A backend in name only."""

    name: str = field(default="unsafe", init=False)
    isolates: bool = field(default=False, init=False)

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Cell]:
        """CellsError: cells_start_failed."""
        log.warning("cells_unsafe", about="a program runs without a cell: invented rows only · 程序未经隔离运行，仅限虚构数据")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = wire.Line(ours, cargo, limits, talkative=talkative, without=NOTHING)
        command = [sys.executable, *wire.FLAGS, str(Path(__file__).with_name("zygote.py")), str(theirs.fileno())]
        environment = {**wire.ENVIRONMENT, "PYTHONPATH": sysconfig.get_path("purelib")}
        with subprocess.Popen(  # noqa: S603 - our own interpreter
            command,
            env=environment,
            cwd="/",
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            theirs.close()
            try:
                line.hello()
                yield _UnsafeCell(line, talkative)
            except wire.Gone:
                raise CellsError("cells_start_failed", "unsafe") from None
            finally:
                line.close()
                process.kill()

    def probe(self) -> tuple[Finding, ...]:
        return tuple(Finding(feature, False, "no cell at all") for feature in sorted(NOTHING))


class _UnsafeCell(Guarded):
    def __init__(self, line: wire.Line, talkative: bool) -> None:
        super().__init__(talkative=talkative)
        self._line = line
        self._gone = False

    def _run(self, block: bytes) -> Rehearsal:
        """A program that ended the zygote, which nothing here hinders it to do, gets no frame for what is left of the job either."""
        if self._gone:
            return Rehearsal(None, "")
        try:
            return self._line.block(block)
        except wire.Gone:
            self._gone = True
            return Rehearsal(None, "")

    def close(self) -> None:
        self._gone = True


def from_settings(_settings: Settings) -> Unsafe:
    return Unsafe()
