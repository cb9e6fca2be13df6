"""Exact tables behind the wall: every shard's partial sums added up in whole numbers, cell by cell, with what the largest units contribute.

What comes out is redacted wherever it is printed and cannot be pickled. It is as dangerous as rows: the caller seals it before anything else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

import pyarrow as pa

from infra.vault import Vault
from policies.catalogue import KeyValue
from policies.disclosure.table import Amount, Basis, Cell, Dimension, Exact, ExactTable, Level, Measure
from sandbox.plan.exact_model import MOST_CONTRIBUTIONS, ExactColumn, ExactKey, ExactPlan, ExactTotal
from sandbox.raw.engine import query
from sandbox.raw.released import streamed
from sandbox.raw.run import Pool, Source, constant_failure, decrypted, open_version, sources_of
from sandbox.raw.verify import check_rows
from sandbox.redacted import Redacted

TOTAL_CODES = ("*", "**", "***")  # the level of a total: the first that is no value of its key
NULL_CODES = ("NULL", "(NULL)", "((NULL))")


@dataclass(frozen=True, slots=True)
class ExactTask:
    plan: ExactPlan
    seed: int = field(repr=False)
    sources: tuple[Source, ...]
    memory_bytes: int


class Counted(Redacted):
    """An exact table, and how many rows had a value that fits no number and was left out. Neither is printed or written down."""

    __slots__ = ("lost", "table")

    def __init__(self, table: ExactTable, lost: int) -> None:
        self.table = table
        self.lost = lost


Largest = list[tuple[int, int]]  # (contribution, who)


@dataclass(slots=True, repr=False)
class _Sum:
    total: int = 0
    values: int = 0
    absolute: int = 0
    largest: Largest = field(default_factory=list)


@dataclass(slots=True, repr=False)
class _Group:
    units: int
    sums: list[_Sum]


Place = tuple[int, tuple[object, ...]]  # a grouping set and its keys
Partial = tuple[pa.Table, tuple[int, int, int]]


def run_exact_shard(task: ExactTask) -> Partial | None:
    """One shard's groups, and its units, placed units and lost rows. None for every failure: no text, no type, no traceback."""
    try:
        return _partial(task.plan, {source.alias: decrypted(source, task.memory_bytes) for source in task.sources}, task.seed)
    except Exception:
        return None


def exact_counts(plan: ExactPlan, vault: Vault, workers: Pool, seed: int, basis: Basis) -> Counted:
    """The plan's table over every shard. Raises `data_snapshot_refused` before any row is read, `job_failed` from then on."""
    tasks = [ExactTask(plan, seed, sources, workers.memory_bytes) for sources in sources_of(plan.scans, vault)]
    return constant_failure(lambda: _combined(plan, streamed(workers, run_exact_shard, tasks), basis))


def counts_of_tables(plan: ExactPlan, tables: Mapping[str, pa.Table], seed: int, basis: Basis) -> Counted:
    """The same over tables given by alias, as one shard: invented rows, tests. Raises `job_failed`."""
    return constant_failure(lambda: _combined(plan, [_partial(plan, tables, seed)], basis))


def check_exact(plan: ExactPlan, vault: Vault) -> None:
    """What has to hold before rows are read: the snapshots open, and DuckDB reads the plan's rows as rows of single units."""
    check_rows(plan.digest, plan.rows_sql, plan.scans)
    for scan in plan.scans:
        open_version(scan, vault)


def _partial(plan: ExactPlan, tables: Mapping[str, pa.Table], seed: int) -> Partial:
    rows = {"rows": query(plan.rows_sql, tables, {"seed": seed})}
    (counts,) = query(plan.distinct_sql, rows).to_pylist()
    return query(plan.tables_sql, rows, {"seed": seed}), (int(counts["units"]), int(counts["placed"]), int(counts["lost"]))


def _combined(plan: ExactPlan, partials: Iterable[Partial | None], basis: Basis) -> Counted:
    groups: dict[Place, _Group] = {}
    units = placed = lost = 0
    for partial in partials:
        if partial is None:
            raise ValueError("a shard failed")
        table, counts = partial
        units, placed, lost = units + counts[0], placed + counts[1], lost + counts[2]
        for row in table.to_pylist():
            _add(plan, groups, row)
    return Counted(_table(plan, groups, basis, disjoint=units == placed), lost)


def _add(plan: ExactPlan, groups: dict[Place, _Group], row: Mapping[str, object]) -> None:
    values = dict(row)
    place = (_int(values["g"]), tuple(values[plan.keys[at].name] for at in plan.sets[_int(values["g"])]))
    group = groups.setdefault(place, _Group(0, [_Sum() for _ in plan.totals]))
    group.units += _int(values["units"])
    for at, held in enumerate(group.sums):
        held.total += _int(values[f"s{at}"])
        held.values += _int(values[f"c{at}"])
        held.absolute += _int(values[f"a{at}"])
        found = values[f"l{at}"]
        assert isinstance(found, list | None)  # none over no rows
        held.largest = sorted([*held.largest, *((int(much), int(who)) for much, who in found or [])], reverse=True)[:MOST_CONTRIBUTIONS]


def _int(value: object) -> int:
    return 0 if value is None else int(str(value))


def _table(plan: ExactPlan, groups: Mapping[Place, _Group], basis: Basis, *, disjoint: bool) -> ExactTable:
    """Every combination of every set, those that no row has as zeros."""
    dimensions = tuple(_dimension(key) for key in plan.keys)
    measured = [column for column in plan.columns if column.kind != "key"]
    who: dict[int, int] = {}
    cells = []
    for number, places in enumerate(plan.sets):
        for values in itertools.product(*(plan.keys[place].domain for place in places)):
            levels = dict(zip(places, values, strict=True))
            at = tuple(
                dimensions[place].at(code_of(key, levels[place])) if place in levels else len(key.domain) for place, key in enumerate(plan.keys)
            )
            group = groups.get((number, values)) or _Group(0, [_Sum() for _ in plan.totals])
            amounts = tuple(_amount(plan.totals[column.place], group.sums[column.place], who) for column in measured)
            cells.append(Cell(at, group.units, amounts))
    cells.sort(key=lambda cell: cell.at)
    measures = tuple(_measure(column, plan.totals[column.place]) for column in measured)
    return ExactTable(basis, dimensions, measures, tuple(cells), disjoint)


def _dimension(key: ExactKey) -> Dimension:
    whole = len(key.domain) if key.total else None
    levels = [Level(code_of(key, value), whole) for value in key.domain]
    if key.total:
        levels.append(Level(_fresh(TOTAL_CODES, _codes(key))))
    return Dimension(key.label, key.column, tuple(levels))


def code_of(key: ExactKey, value: KeyValue | None) -> str:
    """A key's value as text."""
    return _fresh(NULL_CODES, _codes(key)) if value is None else _code(value)


def _code(value: KeyValue) -> str:
    return str(value).lower() if isinstance(value, bool) else value.isoformat() if isinstance(value, date) else str(value)


def _codes(key: ExactKey) -> set[str]:
    return {_code(value) for value in key.domain if value is not None}


def _fresh(names: Sequence[str], taken: set[str]) -> str:
    return next(name for name in names if name not in taken)


def _measure(column: ExactColumn, total: ExactTotal) -> Measure:
    kind = "mean" if column.kind == "mean" else "sum" if column.kind == "sum" else "count"
    return Measure(column.label, kind, column.decimals, total.of, total.signed, total.kind != "units")  # type: ignore[arg-type]  # spelt above


def _amount(total: ExactTotal, held: _Sum, who: dict[int, int]) -> Amount:
    def exact(number: int) -> Exact:
        return Fraction(number, 10**total.decimals) if total.decimals else number

    holders = tuple(who.setdefault(unit, len(who)) for _, unit in held.largest)
    return Amount(exact(held.total), held.values, tuple(exact(much) for much, _ in held.largest), holders, exact(held.absolute))
