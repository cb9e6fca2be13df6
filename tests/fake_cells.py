"""Cells for tests: programs run in this process, on rows that were invented for the test."""

from __future__ import annotations

import io
import json
import sys
import traceback
import types
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from infra.cells.base import Cargo, Finding, Limits, Rehearsal
from jobs.cells import CellRoom

Program = Callable[[pa.Table], object]


def table_of(block: bytes) -> pa.Table:
    with pa.ipc.open_stream(block) as reader:
        return reader.read_all()


class Hands:
    """A cell whose program is a function of this process: what it gives is packed, what it raises is nothing."""

    def __init__(self, program: Program, told: list[bytes]) -> None:
        self._program, self._told = program, told

    def run(self, block: bytes) -> bytes | None:
        return self.rehearse(block).frame

    def rehearse(self, block: bytes) -> Rehearsal:
        self._told.append(block)
        try:
            given = self._program(table_of(block))
            frame = given if isinstance(given, bytes) else np.atleast_1d(np.asarray(given, dtype="<f8")).tobytes()
            return Rehearsal(frame, "")
        except Exception:
            return Rehearsal(None, traceback.format_exc())

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class FakeCells:
    """A backend of `Hands`: of `program`, or of what the cargo holds. Keeps the blocks it was given."""

    program: Program | None = None
    findings: Sequence[Finding] = (Finding("files", True),)
    isolates: bool = True
    name: str = "fake"
    blocks: list[bytes] = field(default_factory=list)
    opened: int = 0
    probed: int = 0

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Hands]:
        self.opened += 1
        yield Hands(self.program or called(cargo), self.blocks)

    def probe(self) -> tuple[Finding, ...]:
        self.probed += 1
        return tuple(self.findings)


class FakeRoom(CellRoom):
    """The server's view of cells, with a backend of the test's."""

    fake: FakeCells

    def backend(self) -> FakeCells:  # type: ignore[override]
        return self.fake

    def opener(self) -> FakeCells:  # type: ignore[override]
        return self.fake


def called(cargo: Cargo) -> Program:
    """The cargo's entry as a function of this process: what a cell would call."""
    with zipfile.ZipFile(io.BytesIO(cargo.package)) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist()}
    module, _, function = cargo.entry.partition(":")
    loaded: dict[str, types.ModuleType] = {}
    for path in sorted(sources, key=lambda path: path == f"{module}.py"):
        name = path.removesuffix(".py").replace("/", ".")
        for parent in [".".join(name.split(".")[:end]) for end in range(1, name.count(".") + 1)]:
            loaded.setdefault(parent, types.ModuleType(parent)).__path__ = []
        loaded[name] = types.ModuleType(name)
    try:
        sys.modules.update(loaded)
        for path in sorted(sources, key=lambda path: (path == f"{module}.py", "/" not in path)):
            exec(compile(sources[path], path, "exec"), loaded[path.removesuffix(".py").replace("/", ".")].__dict__)
    finally:
        for name in loaded:
            sys.modules.pop(name, None)
    return lambda rows: getattr(loaded[module], function)(rows, json.loads(cargo.parameters))
