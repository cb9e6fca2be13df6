"""A program on invented rows: for its author, with every word it says; and as a job's dummy run. Rows come from the catalogue alone, so all
that comes of them may be told."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from infra.cells.base import Cargo, Cell, Limits
from policies.catalogue import Catalogue
from sandbox.dummy import invented
from sandbox.finish.finish import Released
from sandbox.plan.model import Part
from sandbox.program.compile import ProgramPlan
from sandbox.raw.blocks import dealt, key_of, numbers
from sandbox.raw.frames import ExactFrames, frame_totals
from sandbox.raw.totals import ExactTotals, combine
from sandbox.steps import released

ROWS = 2_000
CALLS = 8  # of a dummy run: more would take longer and tell no more
TEXT = 20_000  # characters of what one call said


class Talkative(Protocol):
    """A backend whose cells may tell what happened inside: their rows are invented."""

    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> AbstractContextManager[Cell]: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what it gave, in order of the outputs (None: its public defaults stand in), and what it wrote and raised."""

    rows: int
    values: tuple[float | None, ...] | None
    text: str


def rehearse(plan: ProgramPlan, catalogue: Catalogue, cells: Talkative, cargo: Cargo, limits: Limits, *, seed: int = 0) -> tuple[Call, ...]:
    """The program on a few blocks (units) of invented rows, with the run's limits. Raises CellsError."""
    calls = []
    with cells.open(cargo, limits, talkative=True) as cell:
        for block in _blocks(plan, catalogue, seed):
            found = cell.rehearse(block)
            values = _values(found.frame, plan.run.floats)
            calls.append(Call(_rows(block, several=len(plan.scans) > 1), values, found.text[-TEXT:]))
    return tuple(calls)


def dummy_run(plan: ProgramPlan, catalogue: Catalogue, cells: Talkative, cargo: Cargo, limits: Limits, *, seed: int = 0) -> Released:
    """The answer that the run would have over invented rows: right columns, values that mean nothing. A few blocks stand for all."""
    with cells.open(cargo, limits) as cell:
        frames = [cell.run(block) for block in _blocks(plan, catalogue, seed)]
    if plan.run.blocks:
        frames = [frames[place % len(frames)] for place in range(plan.run.blocks)]
    made = numbers(plan.run, plan.plan.parts[0], frames)

    def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
        return combine(part, [made]) if plan.run.mode == "units" else frame_totals(part, plan.run, ExactFrames(made), read)

    return released(plan.plan, {}, compute)


def _blocks(plan: ProgramPlan, catalogue: Catalogue, seed: int) -> list[bytes]:
    rows = max(ROWS, CALLS)
    tables = {scan.alias: invented(scan, plan.uses, catalogue, rows, seed) for scan in plan.scans}
    found: list[bytes] = []
    for block in dealt(plan.scans, tables, CALLS if plan.run.blocks else 0, key_of(seed)):
        found.append(block)
        if len(found) == CALLS:
            break
    return found


def _values(frame: bytes | None, floats: int) -> tuple[float | None, ...] | None:
    if frame is None or len(frame) != 8 * floats:
        return None
    return tuple(value if math.isfinite(value) else None for value in struct.unpack(f"<{floats}d", frame))


def _rows(block: bytes, *, several: bool) -> int:
    with pa.ipc.open_stream(block) as reader:
        table = reader.read_all()
    return sum(len(column.chunk(0).values) for column in table.columns) if several else int(table.num_rows)
