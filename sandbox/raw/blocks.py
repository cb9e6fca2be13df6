"""Rows into blocks, blocks into a program's cell, and back come frames: the one place where a program and rows meet.

Which block a unit is in follows from the unit and the job's key alone, so a unit's rows, in every table, are in exactly one block, and no other
unit moves them (docs/proofs/sample-and-aggregate.md). What a worker hands to a cell is one Arrow stream; what it takes back is one frame of
float64 or nothing. A call that gives nothing counts as its public defaults, whatever the reason was; the reason is neither kept nor told.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from infra.cells.base import Cargo, Cell, Limits
from infra.vault import Vault
from infra.workers import Terms
from sandbox.plan.model import Part, Plan, Scan
from sandbox.program.run import Run
from sandbox.raw.frames import ExactFrames, unit_totals
from sandbox.raw.partition import hashes_of
from sandbox.raw.plain import plain
from sandbox.raw.released import streamed
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, files_of, open_version
from sandbox.raw.totals import ExactTotals, combine

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
MOST_CELLS = 4  # that a worker keeps open for runs that take turns
START_S = 600  # for cells that have to be started, and rows decrypted and dealt
TASK_S = 10  # of the schedule: how long one task may keep a worker


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
    """Where calls are made, of what, within which limits. `name` is the run's own: a worker keeps its cell from one task to the next."""

    name: str
    cells: Cells = field(repr=False)
    cargo: Cargo = field(repr=False)
    limits: Limits


@dataclass(frozen=True, slots=True)
class BlocksTask:
    """Part `share` of `shares` of a group's blocks (units): a worker is given little at a time, so that other jobs have their turn."""

    run: Run
    part: Part
    group: Group
    share: int
    shares: int
    bay: Bay
    key: bytes = field(repr=False)
    memory_bytes: int


class _Kept:
    """Cells of this process that wait for their next task."""

    def __init__(self) -> None:
        self._cells: OrderedDict[str, tuple[Cell, ExitStack]] = OrderedDict()

    def cell(self, bay: Bay) -> Cell:
        if bay.name not in self._cells:
            while len(self._cells) >= MOST_CELLS:
                self.close(next(iter(self._cells)))
            with ExitStack() as held:
                cell = held.enter_context(bay.cells.open(bay.cargo, bay.limits))
                self._cells[bay.name] = (cell, held.pop_all())
        self._cells.move_to_end(bay.name)
        return self._cells[bay.name][0]

    def close(self, name: str) -> None:
        found = self._cells.pop(name, None)
        if found is not None:
            found[1].close()


_kept = _Kept()


def run_blocks(task: BlocksTask) -> pa.Table | None:
    """Whole numbers of every call (of a run over units, their totals). None for every failure of ours: no text, no type, no traceback."""
    try:
        cell = _kept.cell(task.bay)  # before any row is decrypted
        return _called(task, cell)
    except Exception:
        return None


def end_cell(name: str) -> None:
    """The run is over in this worker."""
    with suppress(Exception):
        _kept.close(name)


Wanted = Callable[[], bool]  # asked before each task: whether anybody still waits for the run


def exact_frames(plan: Plan, run: Run, vault: Vault, workers: Pool, bay: Bay, seed: int, *, wanted: Wanted = lambda: True) -> ExactFrames:
    """Run the program once on every block. `seed` keys the dealing of units to blocks: 0 ≤ seed < 2**64, secret, one per job; the same seed
    deals alike, whatever the number of workers. Raises `data_snapshot_refused` before any row is read, `job_failed` from then on, also when
    the run is wanted no longer."""
    tasks = blocks_tasks(plan, run, vault, workers.memory_bytes, bay, seed)
    with _ended(workers, bay):
        return constant_failure(
            lambda: ExactFrames(pa.concat_tables(_all(streamed(workers, run_blocks, _while(wanted, tasks), _terms(run, bay)))))
        )


def exact_unit_totals(
    plan: Plan, run: Run, vault: Vault, workers: Pool, bay: Bay, seed: int, *, rows: int, wanted: Wanted = lambda: True
) -> ExactTotals:
    """Run the program once on every unit and add up what they give, key by key. `rows`: how many the data is declared to have. As
    `exact_frames`."""
    tasks = blocks_tasks(plan, run, vault, workers.memory_bytes, bay, seed, rows=rows)
    with _ended(workers, bay):
        return constant_failure(lambda: combine(plan.only, _all(streamed(workers, run_blocks, _while(wanted, tasks), _terms(run, bay)))))


def _terms(run: Run, bay: Bay) -> Terms:
    """A task may take as long as its calls may, which have limits of their own, and is never begun twice for being slow."""
    return Terms(patience_s=math.inf, wall_s=_at_once(run) * bay.limits.wall_s + START_S)


def _at_once(run: Run) -> int:
    return max(1, int(TASK_S / float(run.seconds)))


def _while(wanted: Wanted, tasks: Iterable[BlocksTask]) -> Iterator[BlocksTask]:
    for task in tasks:
        if not wanted():
            raise ValueError("nobody waits for it any more")
        yield task


def check_versions(scans: Sequence[Scan], vault: Vault) -> None:
    """Raises `data_snapshot_refused` when a version cannot be opened as it was ingested. Reads manifests, no row."""
    for scan in scans:
        open_version(scan, vault)


@contextmanager
def _ended(workers: Pool, bay: Bay) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(Exception):
            deque(workers.stream(end_cell, [bay.name] * workers.size), maxlen=0)


def blocks_tasks(plan: Plan, run: Run, vault: Vault, memory_bytes: int, bay: Bay, seed: int, *, rows: int = 0) -> list[BlocksTask]:
    """Every group in shares that take a worker some seconds at most: by the schedule, so by public facts alone."""
    part, made = plan.parts[0], list(groups(plan.parts[0].scans, run.blocks, vault))
    at_once = _at_once(run)
    tasks = []
    for group in made:
        calls = group.blocks or max(1, rows // len(made))
        shares = -(-calls // at_once)
        tasks += [BlocksTask(run, part, group, share, shares, bay, key_of(seed), memory_bytes) for share in range(shares)]
    return tasks


def key_of(seed: int) -> bytes:
    return seed.to_bytes(8, "big") * 2


def groups(scans: Sequence[Scan], blocks: int, vault: Vault) -> Iterator[Group]:
    """Shards that are read together, and how many of the blocks they fill.

    There are as many groups as shards, or, where there are fewer blocks than shards, the largest power of two that leaves each group a block:
    of tables with 8 and 32 shards, group i of 4 has shards i, i + 4 and i, i + 4, … (tables of one space are dealt by the same hash into
    powers of two). Blocks are shared out evenly. All of it is public.
    """
    versions = [open_version(scan, vault) for scan in scans]
    shards = min(len(version.shards) for version in versions)
    count = shards if not blocks else min(shards, 1 << (blocks.bit_length() - 1))
    for place in range(count):
        own = blocks // count + (1 if place < blocks % count else 0)
        yield Group(
            tuple(
                Source(scan.alias, files_of(version.shards[place::count]), scan.columns, scan.window)
                for scan, version in zip(scans, versions, strict=True)
            ),
            own,
        )


def _called(task: BlocksTask, cell: Cell) -> pa.Table:
    tables = {source.alias: decrypted(source, task.memory_bytes) for source in task.group.sources}
    blocks = dealt(task.part.scans, tables, task.group.blocks, task.key, share=task.share, shares=task.shares)
    return numbers(task.run, task.part, [cell.run(block) for block in blocks])


def numbers(run: Run, part: Part, frames: Sequence[bytes | None]) -> pa.Table:
    """Frames as the whole numbers that totals are made of: one row a block, or the totals of these units."""
    fixed = run.fixed(frames)
    if run.mode == "units":
        return unit_totals(run, part, fixed)
    return pa.table({clamp.name: pa.array(fixed[:, place], pa.int64()) for place, clamp in enumerate(run.clamps)})


def dealt(
    scans: Sequence[Scan], tables: Mapping[str, pa.Table], blocks: int, key: bytes, *, share: int = 0, shares: int = 1
) -> Iterator[bytes]:
    """Every block of a share as an Arrow stream: of `blocks`, empty ones too, or (0) one for each unit.

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
    first, last = ((len(starts) - 1) * end // shares for end in (share, share + 1))
    for low, high in zip(starts[first:last].tolist(), starts[first + 1 : last + 1].tolist(), strict=True):
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
