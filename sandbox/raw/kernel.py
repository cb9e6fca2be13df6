"""One pass over a shard's rows when the keys are public and few: no hash table, no ranking of units that need none.

Shards are stored sorted by unit, and DuckDB hands the rows of a filter or join on in that order. So the rows of one unit are a run,
and (unit, key) is a cell of a small dense matrix, one block of units after another. Half of the time of the SQL plan or less.

The result is what the SQL plan would give when no unit has more keys than it may touch; when one has, both keep the first ones in the
order of a hash keyed with the seed, but not of the same hash. Which of the two runs is decided by the plan, never by rows. The order of
rows is not trusted: a block whose units are not runs is sorted first, so the totals are a function of the rows as a multiset.

Exact by construction: a value is within 2**31 and a block sum of at most 2**21 of them is exact in a double; a cell's cap is within 2**40
and a block has at most 2**21 units. `sandbox.plan.dense` admits only plans within those bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from policies.catalogue import KeyValue
from sandbox.plan.model import Part, Total

Ints = npt.NDArray[np.int64]
BLOCK_ROWS = 2**16  # a block's matrices stay in the second-level cache
EXACT_ROWS = 2**21
BLOCK_CELLS = 2**20
WIDE = pa.decimal128(38)  # what DuckDB hands out for its HUGEINT


@dataclass(frozen=True, slots=True)
class Values:
    """What the rows give to one total: `value` None where only presence counts; `there` False where the row has no value, None: all have."""

    value: Ints | None
    there: npt.NDArray[np.bool_] | None


def dense_totals(part: Part, rows: pa.Table, seed: int) -> pa.Table:
    """Partial totals of one shard from its rows.

    `rows` has `u` (unit: integer or text, no NULL), `h` (uint64, a hash of the unit, only where units are text), k*, and v<i> for every total
    i that looks at a value: int64, or a decimal with the total's decimals, not yet clamped. The result has one row per key that occurs,
    k* in their types and t* as wide integers.
    """
    codes, size = key_codes(part, rows)
    if codes is not None and (outside := codes < 0).any():
        rows, codes = rows.filter(pa.array(~outside)), codes[~outside]
    if part.rows is not None and part.rows.single:
        return single_totals(part, rows, codes, size)
    if codes is None:
        rows, _ = in_order(rows, np.zeros(0, dtype=np.int64))
    else:
        rows, codes = in_order(rows, codes)
    unit = rows.column("u").combine_chunks()
    starts = run_starts(unit)
    hashes = unit_hashes(rows, unit, starts) if part.groups_per_unit < size else None
    values = [values_of(rows, f"v{place}", total) for place, total in enumerate(part.totals)]
    sums = [[0] * size for _ in part.totals]
    bins = {place: np.zeros((size, total.candidates), dtype=np.int64) for place, total in enumerate(part.totals) if total.kind == "quantile"}
    seen = np.zeros(size, dtype=bool)
    for low, high, first, last in blocks(starts, rows.num_rows, min(BLOCK_ROWS, BLOCK_CELLS // size)):
        block = Block(part, size, codes, starts[first:last] - low, high - low, low)
        chosen = block.chosen(None if hashes is None else hashes[first:last], seed)
        seen |= chosen.any(axis=1)
        for place, total in enumerate(part.totals):
            if place in bins:
                bins[place] += block.histogram(total, values[place], chosen)
                continue
            added = (block.bounded(total, values[place]) * chosen).sum(axis=1)
            sums[place] = [before + int(more) for before, more in zip(sums[place], added, strict=True)]
    return as_table(part, sums, bins, seen)


def single_totals(part: Part, rows: pa.Table, codes: Ints | None, size: int) -> pa.Table:
    """The same where no unit has two rows: a row is what its unit gives, within every cap and in one key."""
    at = np.zeros(rows.num_rows, dtype=np.int64) if codes is None else codes
    sums: list[list[int]] = []
    bins: dict[int, Ints] = {}
    for place, total in enumerate(part.totals):
        found = values_of(rows, f"v{place}", total)
        value, cells = found.value, at
        if found.there is not None:
            value, cells = None if value is None else value[found.there], at[found.there]
        if total.kind == "quantile":
            assert value is not None
            counted = np.bincount(cells * total.candidates + value, minlength=size * total.candidates)
            bins[place] = counted.astype(np.int64, copy=False).reshape(size, total.candidates)
            value = cells[:0]
            cells = cells[:0]
        whole = np.zeros(size, dtype=np.int64)
        for low in range(0, len(cells), EXACT_ROWS):
            weights = None if value is None else value[low : low + EXACT_ROWS]
            whole += np.bincount(cells[low : low + EXACT_ROWS], weights=weights, minlength=size).astype(np.int64)
        sums.append(whole.tolist())
    return as_table(part, sums, bins, np.bincount(at, minlength=size) > 0)


def in_order(rows: pa.Table, codes: Ints) -> tuple[pa.Table, Ints]:
    """The rows, sorted by unit if they were not, and their codes (or none) likewise. A join may have lost the order."""
    unit = rows.column("u").combine_chunks()
    if increasing(unit.take(pa.array(run_starts(unit)))):
        return rows, codes
    order = pc.sort_indices(unit)
    return rows.take(order), codes[order.to_numpy()] if len(codes) else codes


def run_starts(unit: pa.Array) -> Ints:
    """Where each run of equal units begins."""
    if len(unit) == 0:
        return np.zeros(0, dtype=np.int64)
    if pa.types.is_integer(unit.type):
        plain = unit.to_numpy()
        changes = plain[1:] != plain[:-1]
    else:
        changes = pc.not_equal(unit[1:], unit[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.flatnonzero(changes).astype(np.int64) + 1])


def increasing(unit: pa.Array) -> bool:
    """Whether no unit has two runs: runs are in order, so each begins with a new unit."""
    return len(unit) < 2 or bool(pc.all(pc.less(unit[:-1], unit[1:])).as_py())


def unit_hashes(rows: pa.Table, unit: pa.Array, starts: Ints) -> npt.NDArray[np.uint64]:
    """One hash per unit: of its number itself, or what DuckDB says of its text."""
    if pa.types.is_integer(unit.type):
        return np.asarray(unit.to_numpy()[starts], dtype=np.int64).view(np.uint64)
    return np.asarray(rows.column("h").to_numpy(), dtype=np.uint64)[starts]


def key_codes(part: Part, rows: pa.Table) -> tuple[Ints | None, int]:
    """Where each row's key stands in the product of the domains, last key fastest; -1 for a key outside. None without keys."""
    if not part.keys:
        return None, 1
    size, code, inside = 1, np.zeros(rows.num_rows, dtype=np.int64), np.ones(rows.num_rows, dtype=bool)
    for key in part.keys:
        assert key.domain is not None
        column = rows.column(key.name).combine_chunks()
        place = places(column, key.domain)
        inside &= place >= 0
        code = code * len(key.domain) + place
        size *= len(key.domain)
    code[~inside] = -1
    return code, size


def places(column: pa.Array, domain: Sequence[KeyValue | None]) -> Ints:
    """The position of each value in the domain, -1 where there is none."""
    numbers = [value for value in domain if isinstance(value, int)]
    if pa.types.is_integer(column.type) and column.null_count == 0 and numbers == list(range(numbers[0], numbers[0] + len(domain))):
        place = column.to_numpy().astype(np.int64, copy=False) - numbers[0]
        return np.where((place >= 0) & (place < len(domain)), place, -1)
    found = pc.index_in(column, value_set=pa.array(list(domain), column.type))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def values_of(rows: pa.Table, name: str, total: Total) -> Values:
    """A total's values, clamped to its bounds and about its centre."""
    if name not in rows.column_names:
        return Values(None, None)
    column = rows.column(name).combine_chunks()
    there = None if column.null_count == 0 else np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=bool)
    if total.kind in ("units", "count"):
        return Values(None, there)
    if total.kind == "distinct":  # its hash
        return Values(np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False), dtype=np.int64), there)
    plain = whole_numbers(column, total.decimals)
    if total.kind == "quantile":  # the number of the nearest candidate
        return Values((np.clip(plain, total.low, total.high) - (total.low - total.step // 2)) // total.step, there)
    return Values(np.clip(plain, total.low + total.centre, total.high + total.centre) - total.centre, there)


def whole_numbers(column: pa.Array, decimals: int) -> Ints:
    """The values in fixed point; anything where there is none."""
    if pa.types.is_decimal(column.type):
        words = column.type.bit_width // 64
        if column.type.scale != decimals or column.type.precision > 18 or words not in (1, 2):
            raise TypeError("a decimal of another grain")
        # little end first: up to 18 digits the lowest eight bytes hold the whole number, sign included
        numbers = np.frombuffer(column.buffers()[1], dtype=np.int64)
        return numbers[words * column.offset : words * (column.offset + len(column)) : words]
    if not pa.types.is_signed_integer(column.type):
        raise TypeError(f"values are integers or decimals, not {column.type}")
    whole = column if column.null_count == 0 else pc.fill_null(column, 0)
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.int64)


def blocks(starts: Ints, rows: int, aim: int) -> Iterator[tuple[int, int, int, int]]:
    """(first row, row after the last, first run, run after the last) of blocks of whole runs, at most `aim` rows or one unit each."""
    first = 0
    while first < len(starts):
        low = int(starts[first])
        last = max(first + 1, int(np.searchsorted(starts, low + aim, side="right")) - 1)
        if last == len(starts) - 1 and rows - low <= aim:
            last = len(starts)
        high = int(starts[last]) if last < len(starts) else rows
        yield low, high, first, last
        first = last


class Block:
    """Some units' rows as cells, one row of the matrix per key, one column per unit: sums over units then run along memory."""

    def __init__(self, part: Part, size: int, codes: Ints | None, starts: Ints, rows: int, at: int) -> None:
        self.part, self.size, self.starts, self.rows, self.at = part, size, starts, rows, at
        self.units = len(starts)
        lengths = np.diff(starts, append=rows)
        own = np.repeat(np.arange(self.units, dtype=np.int64), lengths)
        self.codes = None if codes is None else codes[at : at + rows]
        self.cells = own if self.codes is None else self.codes * self.units + own
        self.counts = lengths.reshape(1, -1) if codes is None else self.add(None, None)

    def add(self, value: Ints | None, there: npt.NDArray[np.bool_] | None) -> Ints:
        """Per cell, the sum of values (or the number of rows) that are there; exact."""
        total: Ints | None = None
        for low in range(0, self.rows, EXACT_ROWS):  # more than one turn only where one unit alone has that many rows
            part = slice(low, min(low + EXACT_ROWS, self.rows))
            cells = self.cells[part]
            weights = None if value is None else value[self.at : self.at + self.rows][part]
            if there is not None:
                mask = there[self.at : self.at + self.rows][part]
                cells, weights = cells[mask], None if weights is None else weights[mask]
            part_sum = np.bincount(cells, weights=weights, minlength=self.units * self.size).astype(np.int64, copy=False)
            total = part_sum if total is None else total + part_sum
        assert total is not None  # a block has rows
        return total.reshape(self.size, self.units)

    def chosen(self, hashes: npt.NDArray[np.uint64] | None, seed: int) -> npt.NDArray[np.bool_]:
        """Which cells count: those with rows, of a unit with too many the `groups_per_unit` first in the order of a keyed hash, ties by key."""
        present = self.counts > 0
        if hashes is None:
            return present
        over = np.flatnonzero(np.add.reduce(present, axis=0, dtype=np.int32) > self.part.groups_per_unit)
        if len(over):
            order = scores(hashes[over], self.size, seed)
            order[~present[:, over]] = np.uint64(2**64 - 1)
            first = np.argsort(order, axis=0, kind="stable")[: self.part.groups_per_unit]
            keep = np.zeros((self.size, len(over)), dtype=bool)
            np.put_along_axis(keep, first, True, axis=0)
            present[:, over] &= keep
        return present

    def bounded(self, total: Total, values: Values) -> Ints:
        """Each cell's part of a total, at most `cap` in absolute value."""
        rows = self.part.rows_per_group
        counted = self.counts if values.there is None else self.add(None, values.there)
        if values.value is None:
            return np.minimum(counted, total.cap)
        return within_cap(total, counted, self.add(values.value, values.there), rows)

    def histogram(self, total: Total, values: Values, chosen: npt.NDArray[np.bool_]) -> Ints:
        """Rows by key and candidate: all of a cell's, or, of more than `cap`, that many at even ranks."""
        assert values.value is not None
        size = self.size * total.candidates
        part = slice(self.at, self.at + self.rows)
        counted = self.counts if values.there is None else self.add(None, values.there)
        cells, codes = self.cells, values.value[part]
        if self.codes is not None:
            codes = codes + self.codes * total.candidates
        if values.there is not None:
            cells, codes = cells[values.there[part]], codes[values.there[part]]
        found = np.bincount(codes, minlength=size)
        crowded = counted > total.cap
        apart = (crowded | ~chosen) & (counted > 0)
        if apart.any():  # few cells: what they added is taken back, and the crowded ones' share put in its place
            rows = np.flatnonzero(apart.reshape(-1)[cells])
            found = found - np.bincount(codes[rows], minlength=size)
            full = np.flatnonzero((crowded & chosen).reshape(-1))
            if len(full):
                rows = np.flatnonzero((crowded & chosen).reshape(-1)[cells])
                place = values.value[part] if values.there is None else values.value[part][values.there[part]]
                ranked = cells[rows] * total.candidates + place[rows]
                ranked = np.sort(ranked.astype(np.int32) if self.units * size < 2**31 else ranked)
                lengths = counted.reshape(-1)[full]
                starts = np.cumsum(lengths) - lengths
                ranks = (np.arange(1, total.cap + 1) * lengths.reshape(-1, 1) + total.cap - 1) // total.cap - 1
                picked = ranked[(starts.reshape(-1, 1) + ranks)] - full.reshape(-1, 1) * total.candidates
                codes = picked + (full // self.units * total.candidates).reshape(-1, 1)
                found = found + np.bincount(codes.reshape(-1), minlength=size)
        return found.astype(np.int64, copy=False).reshape(self.size, total.candidates)


def within_cap(total: Total, counted: Ints, summed: Ints, rows: int) -> Ints:
    """What units add to a total, from the number and the sum of their values: clamped, or brought to the weight of `rows` rows."""
    if total.kind == "sum":
        return np.clip(summed, min(0, rows * total.low), max(0, rows * total.high))
    # sum · rows / counted, rounded towards zero, without leaving 64 bits
    many = np.maximum(counted, 1)
    whole, rest = np.divmod(np.abs(summed), many)
    weighed = np.sign(summed) * (whole * rows + rest * rows // many)
    return np.where(counted <= rows, summed, weighed)


def scores(units: npt.NDArray[np.uint64], size: int, seed: int) -> npt.NDArray[np.uint64]:
    """A keyed order of the keys for each unit: 63 bits, so that an absent key can come after all of them."""
    with np.errstate(over="ignore"):
        keyed = mixed(np.uint64(seed) + (np.arange(size, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
        return mixed(units.reshape(1, -1) ^ keyed.reshape(-1, 1)) >> np.uint64(1)


def mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection whose every output bit depends on every input bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def as_table(part: Part, sums: list[list[int]], bins: Mapping[int, Ints], seen: npt.NDArray[np.bool_]) -> pa.Table:
    """One row per key that occurs; without keys the one row that a sum over everything has. Then one per bin that does."""
    at = np.flatnonzero(seen) if part.keys else np.zeros(1, dtype=np.int64)
    filled = {place: np.nonzero(counts) for place, counts in bins.items()}
    parts = [table_of(part, at, None, {place: [column[key] for key in at] for place, column in enumerate(sums)})]
    parts += [table_of(part, key, bin, {place: bins[place][key, bin]}) for place, (key, bin) in filled.items()]
    return pa.concat_tables(parts)


def table_of(part: Part, at: Ints, bin: Ints | None, columns: Mapping[int, list[int] | Ints]) -> pa.Table:
    """Rows of the keys at those positions, with the totals given and 0 for the others."""
    arrays: dict[str, pa.Array] = {}
    inner = math.prod(len(key.domain or ()) for key in part.keys)
    for key in part.keys:
        domain = list(key.domain or ())
        inner //= len(domain)
        kind = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}[key.type]
        arrays[key.name] = pa.array(domain, kind).take(pa.array(at // inner % len(domain)))
    if "bin" in part.shard_columns:
        arrays["bin"] = pa.nulls(len(at), pa.int64()) if bin is None else pa.array(bin, pa.int64())
    for place, total in enumerate(part.totals):
        column = columns.get(place, np.zeros(len(at), dtype=np.int64))
        arrays[total.name] = pa.array(map(Decimal, column), WIDE) if isinstance(column, list) else pa.array(column).cast(WIDE)
    return pa.table(arrays)
