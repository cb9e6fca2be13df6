"""Cells for tests: programs run in this process, on rows that were invented for the test."""

from __future__ import annotations

import io
import json
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from infra.cells.base import Cargo, Limits, Rehearsal

Program = Callable[[pa.Table], object]


def table_of(block: bytes) -> pa.Table:
    with pa.ipc.open_stream(block) as reader:
        return reader.read_all()


class Hands:
    """A cell whose program is a function of this process: what it gives is packed, what it raises is nothing."""

    def __init__(self, program: Program, limits: Limits) -> None:
        self._program, self._limits = program, limits

    def run(self, block: bytes) -> bytes | None:
        try:
            given = self._program(table_of(block))
            if isinstance(given, bytes) or given is None:
                return given
            return np.atleast_1d(np.asarray(given, dtype="<f8")).tobytes()
        except Exception:
            return None

    def rehearse(self, block: bytes) -> Rehearsal:
        return Rehearsal(self.run(block), "")

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class FakeCells:
    """A backend of `Hands`. Counts the cells it opened and the blocks it was given."""

    program: Program
    blocks: list[bytes] = field(default_factory=list)
    opened: int = 0

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> Iterator[Hands]:
        self.opened += 1

        def seen(table: pa.Table) -> object:
            return self.program(table)

        cell = Hands(seen, limits)
        run = cell.run

        def kept(block: bytes) -> bytes | None:
            self.blocks.append(block)
            return run(block)

        cell.run = kept  # type: ignore[method-assign]
        yield cell


def called(cargo: Cargo) -> Callable[[pa.Table], object]:
    """The cargo's entry as a function of this process: what a cell would call."""
    with zipfile.ZipFile(io.BytesIO(cargo.package)) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist()}
    module, _, function = cargo.entry.partition(":")
    loaded = types.ModuleType(module)
    added = []
    for path, text in sorted(sources.items(), key=lambda item: item[0] == f"{module}.py"):
        name = path.removesuffix(".py").replace("/", ".")
        made = loaded if name == module else types.ModuleType(name)
        sys.modules[name] = made
        added.append(name)
        exec(compile(text, path, "exec"), made.__dict__)
    for name in added:
        del sys.modules[name]
    return lambda rows: getattr(loaded, function)(rows, json.loads(cargo.parameters))
