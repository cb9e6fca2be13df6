"""A backend without cells, and a launcher that has it: `python -m tests.echo_cells SOCKET USERS CELLS`, "ready" when it listens."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.cells import launcher
from infra.cells.base import Cargo, Cell, CellsError, Finding, Limits, Rehearsal

MOST = launcher.Most(memory_mb=2_048, cpu_s=60, wall_s=120.0)


class Echo:
    """A backend whose cells give the block back, and say what they were opened with."""

    name = "bwrap"
    isolates = True

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Cell]:
        if cargo.package == b"refuse":
            raise CellsError("cells_refused", "landlock")
        yield EchoCell(cargo, limits)

    def probe(self) -> tuple[Finding, ...]:
        return (Finding("network", True), Finding("clocks", False, "not here"))


class EchoCell:
    def __init__(self, cargo: Cargo, limits: Limits) -> None:
        self.opened_with = (cargo, limits)
        self.features = {"clocks": False, "proc": True}

    def run(self, block: bytes) -> bytes | None:
        if block == b"die":
            os._exit(9)
        if block == b"broken machine":
            raise CellsError("cells_start_failed", "no process to be had")
        return None if block == b"nothing" else block

    def rehearse(self, block: bytes) -> Rehearsal:
        return Rehearsal(block, repr(self.opened_with))

    def close(self) -> None:
        pass


def main(path: str, users: str, cells: str) -> None:
    launcher.CELLS = int(cells)
    with launcher.door(Path(path)) as listening:
        print("ready", flush=True)
        who = frozenset(int(user) for user in users.split(","))
        launcher.Launcher(Echo(), False, who, MOST, lambda: 0).serve(listening)


if __name__ == "__main__":
    main(*sys.argv[1:])
