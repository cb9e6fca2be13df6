"""Rows into blocks, blocks into a program's cell, and back come frames: the one place where a program and rows meet.

Which block a unit is in follows from the unit and the job's key alone, so a unit's rows, in every table, are in exactly one block, and no other
unit moves them (docs/proofs/sample-and-aggregate.md). What a worker hands to a cell is one Arrow stream; what it takes back is one frame of
float64 or nothing. A call that gives nothing counts as its public defaults, whatever the reason was; the reason is neither kept nor told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infra.cells.base import Cargo, Cell, Limits
from infra.vault import Vault
from sandbox.plan.model import Part, Plan, Scan
from sandbox.program.run import Run
from sandbox.raw.frames import ExactFrames, unit_totals
from sandbox.raw.partition import hashes_of
from sandbox.raw.plain import plain
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, open_version
from sandbox.raw.totals import ExactTotals, combine

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class Cells(Protocol):
    """Where calls are made; `infra.cells` has backends. It travels to workers, so it can be pickled."""

    def open(self, cargo: Cargo, limits: Limits) -> AbstractContextManager[Cell]: ...


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the shards, one or more of every table, and the number of blocks that their units are dealt to."""

    sources: tuple[Source, ...]
    blocks: int


@dataclass(frozen=True, slots=True)
class Bay:
    """Where calls are made, of what, within which limits."""

    cells: Cells = field(repr=False)
    cargo: Cargo = field(repr=False)
    limits: Limits


@dataclass(frozen=True, slots=True)
class BlocksTask:
    """What one worker does: its groups in turn, with one cell for all of them."""

    run: Run
    part: Part
    groups: tuple[Group, ...]
    bay: Bay
    key: bytes = field(repr=False)
    memory_bytes: int


def run_blocks(task: BlocksTask) -> pa.Table | None:
    """Whole numbers of every call (of a run over units, their totals). None for every failure of ours: no text, no type, no traceback."""
    try:
        with task.bay.cells.open(task.bay.cargo, task.bay.limits) as cell:
            made = [_called(task, cell, group) for group in task.groups]
        return pa.concat_tables(made)
    except Exception:
        return None


def exact_frames(plan: Plan, run: Run, vault: Vault, workers: Pool, bay: Bay, seed: int) -> ExactFrames:
    """Run the program once on every block. `seed` keys the dealing of units to blocks: 0 ≤ seed < 2**64, secret, one per job; the same seed
    deals alike, whatever the number of workers. Raises `data_snapshot_refused` before any row is read, `job_failed` from then on."""
    tasks = blocks_tasks(plan, run, vault, workers, bay, seed)
    return constant_failure(lambda: ExactFrames(pa.concat_tables(_all(workers.stream(run_blocks, tasks)))))


def exact_unit_totals(plan: Plan, run: Run, vault: Vault, workers: Pool, bay: Bay, seed: int) -> ExactTotals:
    """Run the program once on every unit and add up what they give, key by key. As `exact_frames`."""
    tasks = blocks_tasks(plan, run, vault, workers, bay, seed)
    return constant_failure(lambda: combine(plan.only, _all(workers.stream(run_blocks, tasks))))


def blocks_tasks(plan: Plan, run: Run, vault: Vault, workers: Pool, bay: Bay, seed: int) -> list[BlocksTask]:
    """The groups of the run, dealt to as many tasks as there are workers."""
    part = plan.parts[0]
    made = list(groups(part.scans, run.blocks, vault))
    tasks = [tuple(made[place :: workers.size]) for place in range(min(workers.size, len(made)))]
    return [BlocksTask(run, part, own, bay, key_of(seed), workers.memory_bytes) for own in tasks]


def key_of(seed: int) -> bytes:
    return seed.to_bytes(8, "big") * 2


def groups(scans: Sequence[Scan], blocks: int, vault: Vault) -> Iterator[Group]:
    """Shards that are read together, and how many of the blocks they fill.

    There are as many groups as shards, or, where there are fewer blocks than shards, the largest power of two that leaves each group a block:
    of tables with 8 and 32 shards, group i of 4 has shards i, i + 4 and i, i + 4, … (tables of one space are dealt by the same hash into
    powers of two). Blocks are shared out evenly. All of it is public.
    """
    versions = [open_version(scan, vault) for scan in scans]
    shards = min(len(version.parts) for version in versions)
    count = shards if not blocks else min(shards, 1 << (blocks.bit_length() - 1))
    for place in range(count):
        own = blocks // count + (1 if place < blocks % count else 0)
        yield Group(
            tuple(Source(scan.alias, version.parts[place::count], scan.columns) for scan, version in zip(scans, versions, strict=True)),
            own,
        )


def _called(task: BlocksTask, cell: Cell, group: Group) -> pa.Table:
    tables = {source.alias: decrypted(source, task.memory_bytes) for source in group.sources}
    frames = [cell.run(block) for block in dealt(task.part.scans, tables, group.blocks, task.key)]
    return numbers(task.run, task.part, frames)


def numbers(run: Run, part: Part, frames: Sequence[bytes | None]) -> pa.Table:
    """Frames as the whole numbers that totals are made of: one row a block, or the totals of these units."""
    fixed = run.fixed(frames)
    if run.mode == "units":
        return unit_totals(run, part, fixed)
    return pa.table({clamp.name: pa.array(fixed[:, place], pa.int64()) for place, clamp in enumerate(run.clamps)})


def dealt(scans: Sequence[Scan], tables: Mapping[str, pa.Table], blocks: int, key: bytes) -> Iterator[bytes]:
    """Every block as an Arrow stream: `blocks` of them, empty ones too, or (0) one for each unit.

    Within a block rows are in the order of a keyed hash of their units, and of one unit as stored; the unit's column holds 0, 1, … in that
    order, the same number in every table. A run over one table gets its rows; over several, one row of a list of rows for each table.
    """
    owned = [_owned(tables[scan.alias], scan, key) for scan in scans]
    every = np.unique(np.concatenate([hashes for _, hashes in owned])) if owned else np.zeros(0, np.uint64)
    place = np.arange(len(every), dtype=np.int64) if not blocks else _block_of(every, blocks)
    order = np.argsort(place, kind="stable")  # units by block, and in each by hash
    starts = np.searchsorted(place[order], np.arange((blocks or len(every)) + 1))
    rank = np.empty(len(every), dtype=np.int64)
    rank[order] = np.arange(len(every))
    sorted_tables = [_in_rank(table, rank[np.searchsorted(every, hashes)]) for table, hashes in owned]
    for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        yield _stream([_piece(scan, rows, ranks, low, high) for scan, (rows, ranks) in zip(scans, sorted_tables, strict=True)], scans)


def _owned(table: pa.Table, scan: Scan, key: bytes) -> tuple[pa.Table, Hashes]:
    """The rows that belong to a unit, and the keyed hash of it."""
    unit = table.column(scan.unit)
    if unit.null_count:
        table = table.filter(pc.is_valid(unit))
    return table, hashes_of(table.column(scan.unit), key)


def _block_of(hashes: Hashes, blocks: int) -> Places:
    """The block of each unit: its hash's upper half, which sorting within a block does not use up, in steps of equal size."""
    return ((hashes >> np.uint64(32)) * np.uint64(blocks) >> np.uint64(32)).astype(np.int64)


def _in_rank(table: pa.Table, ranks: Places) -> tuple[pa.Table, Places]:
    order = np.argsort(ranks, kind="stable")
    return table.take(pa.array(order)), ranks[order]


def _piece(scan: Scan, rows: pa.Table, ranks: Places, low: int, high: int) -> pa.Table:
    """One block's rows of one table, in buffers that hold nothing else, the unit's column replaced."""
    first, last = np.searchsorted(ranks, [low, high]).tolist()
    piece, numbered = rows.slice(first, last - first), pa.array(ranks[first:last] - low, pa.int64())
    return pa.table({name: numbered if name == scan.unit else plain(piece.column(name)) for name in scan.columns})


def _stream(pieces: Sequence[pa.Table], scans: Sequence[Scan]) -> bytes:
    whole = pieces[0] if len(pieces) == 1 else pa.table({scan.dataset: _folded(piece) for scan, piece in zip(scans, pieces, strict=True)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue())


def _all(partials: Iterator[pa.Table | None]) -> Iterator[pa.Table]:
    for partial in partials:
        if partial is None:
            raise ValueError("a worker failed")
        yield partial


def _folded(table: pa.Table) -> pa.Array:
    """A table as one row: the list of its rows."""
    columns = [column.combine_chunks() for column in table.columns]
    rows = pa.StructArray.from_arrays(columns, fields=list(table.schema))
    return pa.LargeListArray.from_arrays(pa.array([0, len(rows)], pa.int64()), rows)
