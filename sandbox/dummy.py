"""Rows that look like the real ones and come from the catalogue alone, and a job's answer over them: free, because they concern nobody.

Types, ranges, domains and nullability are the catalogue's; everything else is invented: units have several rows each, columns used as keys take
few values, some more often than others, so that an answer has something to show. Nothing here can open the vault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from policies.catalogue import Catalogue, Column, Dataset
from sandbox.finish.finish import Released
from sandbox.plan.model import ColumnUse, Part, Plan, Scan
from sandbox.raw.rules import stored_type
from sandbox.raw.run import totals_of_tables
from sandbox.raw.totals import ExactTotals
from sandbox.steps import at_once, released

ROWS = 2_000
MOST_ROWS = 200_000
ROWS_PER_UNIT = 3
FEW = 20  # values of a key column without a domain
NULLS = 0.02
_INT64 = 2**63
_EPOCH = date(1970, 1, 1)

Integers = npt.NDArray[np.int64]


def dummy_tables(
    plan: Plan, catalogue: Catalogue, *, rows: int | None = None, seed: int = 0, scans: Sequence[Scan] | None = None
) -> dict[str, pa.Table]:
    """Invented tables for every scan of the plan (of `scans`), by alias, with the scanned columns in their stored types.

    `rows` is the size of each private table; by default enough for common keys to pass the plan's threshold. Public tables hold each value
    of their columns' domains. The same plan, catalogue, size and seed give the same rows.
    """
    if rows is None:
        threshold = max(part.draws[0].threshold or 0 for part in plan.parts)
        rows = min(MOST_ROWS, max(ROWS, 10 * FEW * threshold))
    return {scan.alias: invented(scan, plan.uses, catalogue, rows, seed) for scan in (plan.scans if scans is None else scans)}


def dummy_answer(plan: Plan, catalogue: Catalogue, *, seed: int = 0) -> Released:
    """What the job would look like: the same shard query, the same noise and the same last query, over invented rows."""

    def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
        return totals_of_tables(part, {**dummy_tables(plan, catalogue, seed=seed, scans=part.scans), **read}, seed)

    return released(plan, at_once(plan, compute), compute, dummy_tables(plan, catalogue, seed=seed, scans=plan.tables))


def invented(scan: Scan, uses: Sequence[ColumnUse], catalogue: Catalogue, rows: int, seed: int) -> pa.Table:
    """Invented rows of one scan; columns that `uses` names as keys take few values."""
    dataset = catalogue[scan.dataset].dataset
    keys = {use.column.casefold() for use in uses if use.use == "key" and use.dataset.casefold() == dataset.name.casefold()}
    columns = [_column_of(dataset, name) for name in scan.columns]
    if dataset.unit is None:
        sizes = [len(domain) for column in columns if column.type != "boolean" and (domain := _domain(dataset, column, catalogue))]
        rows = min(rows, max(sizes, default=FEW))  # so that the column others take their values from has each once
    linked = _linked(dataset, catalogue, rows)
    arrays = {}
    for column in columns:
        if column.name in linked:
            arrays[column.name] = linked[column.name]
            continue
        generator = np.random.default_rng(list(hashlib.sha256(f"{seed}/{dataset.name}/{column.name}".encode()).digest()))
        if dataset.unit is not None and column.name.casefold() == dataset.unit.column.casefold():
            arrays[column.name] = _units(column, rows, generator)
            continue
        values = _values(dataset, column, catalogue, rows, generator, few=column.name.casefold() in keys)
        if column.nullable and dataset.unit is not None:
            values = values.take(pa.array(np.arange(rows), mask=generator.random(rows) < NULLS))
        arrays[column.name] = values
    return pa.table(arrays)


def _linked(dataset: Dataset, catalogue: Catalogue, rows: int) -> dict[str, pa.Array]:
    """Of a dataset with unique columns, or one that finds its unit in another: keys, references and units that fit together, so that joins on
    them meet. All follow from the number of the row."""
    unit = dataset.unit_column
    via = None if dataset.unit is None else dataset.unit.via
    unique = [column for column in dataset.columns if column.unique and column != unit]
    if unit is None or (via is None and not unique):
        return {}
    numbers = np.arange(rows, dtype=np.int64)
    made = {column.name: _numbered(column, numbers) for column in unique}
    holder, places = dataset, numbers
    for _ in range(len(catalogue)):
        link = None if holder.unit is None else holder.unit.via
        parent = None if link is None else catalogue.get(link.table)
        if link is None or parent is None:
            break
        places = (places * 7919 + 13) % rows
        key, reference = parent.dataset.get(link.key), holder.get(link.column)
        if holder is dataset and key is not None and reference is not None:
            made[reference.name] = _numbered(key, places)
        holder = parent.dataset
    owner = holder.unit_column
    return made | {unit.name: _numbered(unit if owner is None else owner, places % max(1, rows // ROWS_PER_UNIT))}


def _numbered(column: Column, numbers: Integers) -> pa.Array:
    low = int(column.low) if isinstance(column.low, Decimal) else 1
    if column.type == "integer":
        return pa.array(low + numbers, pa.int64())
    return pa.array([str(low + number)[-column.max_length :] for number in numbers.tolist()], pa.string())


def _column_of(dataset: Dataset, name: str) -> Column:
    column = next((column for column in dataset.stored if column.name == name), None)
    if column is None:
        raise KeyError(f"{dataset.name} has no column {name}")
    return column


def _units(column: Column, rows: int, generator: np.random.Generator) -> pa.Array:
    """Units 1, 2, … (or from the column's low), each with a few rows."""
    low, high = (int(column.low), int(column.high)) if isinstance(column.low, Decimal) and isinstance(column.high, Decimal) else (1, _INT64 - 1)
    numbers = low + generator.integers(0, min(max(1, rows // ROWS_PER_UNIT), high - low + 1), rows)
    if column.type == "integer":
        return pa.array(numbers, pa.int64())
    return pa.array([str(number)[-column.max_length :] for number in numbers], pa.string())


def _domain(dataset: Dataset, column: Column, catalogue: Catalogue) -> tuple[object, ...] | None:
    """The column's domain, or the one that another table took from it."""
    if column.domain is not None:
        return column.domain
    if column.type == "boolean":
        return (False, True)
    own = f"{dataset.name}.{column.name}".casefold()
    taken = (other for snapshot in catalogue.values() for other in snapshot.dataset.columns if (other.domain_from or "").casefold() == own)
    return next((other.domain for other in taken if other.domain), None)


def _values(dataset: Dataset, column: Column, catalogue: Catalogue, rows: int, generator: np.random.Generator, *, few: bool) -> pa.Array:
    domain = _domain(dataset, column, catalogue)
    if domain is None and column.type == "text":
        domain = tuple(dict.fromkeys(f"{column.name}-{number}"[-column.max_length :] for number in range(1, FEW + 1)))
    if domain is not None:
        return pa.array(list(domain), stored_type(column)).take(pa.array(_places(len(domain), dataset, rows, generator)))
    if column.type == "number":
        ends = (column.low, column.high)
        lowest, highest = (float(end) if isinstance(end, Decimal) else invented for end, invented in zip(ends, (0.0, float(FEW)), strict=True))
        return pa.array(np.clip(lowest + (highest - lowest) * generator.random(rows), lowest, highest))
    low, high = _range(dataset, column)
    if few:
        step = max(1, (high - low) // FEW)
        return _stored(column, low + step * _places(min(FEW, (high - low) // step + 1), dataset, rows, generator))
    if dataset.unit is None:  # a public table: in step with the keys of others, as far as the range goes
        return _stored(column, low + np.arange(rows, dtype=np.int64) % (high - low + 1))
    return _stored(column, generator.integers(low, high, rows, dtype=np.int64, endpoint=True))


def _places(size: int, dataset: Dataset, rows: int, generator: np.random.Generator) -> Integers:
    """Which of `size` values each row has: a public table goes through them in turn, in a private one the first are the commonest."""
    if dataset.unit is None:
        return np.arange(rows, dtype=np.int64) % size
    weights = 1 / np.arange(1, size + 1)
    return generator.choice(size, rows, p=weights / weights.sum()).astype(np.int64)


def _range(dataset: Dataset, column: Column) -> tuple[int, int]:
    """The declared range in whole steps of the stored type (units of 10**-decimals, days); an invented one where none is declared."""
    if column.type in ("date", "timestamp"):
        first = column.low if isinstance(column.low, date) else dataset.acquired_on - timedelta(days=365)
        last = column.high if isinstance(column.high, date) else dataset.acquired_on
        return (first - _EPOCH).days, (last - _EPOCH).days
    scale = 10**column.decimals
    low = int((column.low * scale).to_integral_value(ROUND_CEILING)) if isinstance(column.low, Decimal) else 1
    high = int((column.high * scale).to_integral_value(ROUND_FLOOR)) if isinstance(column.high, Decimal) else FEW * scale
    low, high = max(low, -_INT64), min(high, _INT64 - 1)
    return low, max(low, high)


def _stored(column: Column, steps: Integers) -> pa.Array:
    """Whole steps as the column's stored type."""
    kind = stored_type(column)
    steps = np.ascontiguousarray(steps, dtype=np.int64)
    forms: dict[str, Callable[[], pa.Array]] = {
        "integer": lambda: pa.array(steps),
        "decimal": lambda: pa.Array.from_buffers(kind, len(steps), [None, pa.py_buffer(steps)]),  # 64-bit decimals are scaled int64
        "date": lambda: pa.array(steps.astype(np.int32), pa.int32()).cast(kind),
        "timestamp": lambda: pa.array(steps * 86_400_000_000, pa.int64()).cast(kind),
    }
    return forms[column.type]()
