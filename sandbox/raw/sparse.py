"""One pass over a shard's rows when keys are private or many: pairs of (unit, key) by sorting packed integers, no hash table over rows.

As the dense kernel (`sandbox.raw.kernel`), it takes the rows of a unit as a run. Within a block of whole runs, (unit, key, row) are packed
into one 64-bit integer each and sorted; equal (unit, key) then lie side by side, and what a unit gives to a key is a sum over them. A unit
with too many keys keeps the first in the order of a hash keyed with the seed, ties by the keys themselves.

Keys are numbered within a shard, and the numbers depend on which keys the shard has. Nothing that leaves does: hashes are of the keys'
values, numbers are in the order of the values, and the result names keys by value.

Exact by construction: a value is within 2**31, so a unit's sum in a key is exact in 64 bits; caps are within 2**40, and sums over units are
made in doubles of parts that stay below 2**53 (`Sums`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.plan.model import Key, Part, Total
from sandbox.raw.engine import query
from sandbox.raw.kernel import WIDE, Ints, Values, blocks, in_order, mixed, places, run_starts, unit_hashes, values_of, within_cap

BLOCK_ROWS = 2**16  # a block's arrays stay in the second-level cache
HASH_BITS = 24  # of a hash that orders keys; the same whatever else is in the block, so that a unit's order is its own
SMALL = 2**17  # up to so many numbers are counted block by block
DENSE = 2**22  # up to so many in one array at the end; beyond, by sorting
Hashes = npt.NDArray[np.uint64]
Chosen = npt.NDArray[np.bool_] | None  # None: all
ARROW = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def sparse_totals(part: Part, rows: pa.Table, seed: int) -> pa.Table:
    """Partial totals of one shard; rows and result as of `sandbox.raw.kernel.dense_totals`, v<i> of a distinct count being hashes of values."""
    rows, codes, keys = keyed_rows(part, rows)
    rows, codes = in_order(rows, codes)
    unit = rows.column("u").combine_chunks()
    starts = run_starts(unit)
    hashes = unit_hashes(rows, unit, starts)
    values = [values_of(rows, f"v{place}", total) for place, total in enumerate(part.totals)]
    ranked = {place: Ranked.of(value) for place, (total, value) in enumerate(zip(part.totals, values, strict=True)) if total.kind == "distinct"}
    sizes = {place: ranked[place].size if place in ranked else total.candidates for place, total in enumerate(part.totals) if binned(total)}
    seen, sums = Tally(keys.size), {place: Sums(keys.size, total.cap) for place, total in enumerate(part.totals) if place not in sizes}
    bins = {place: Tally(keys.size * size) for place, size in sizes.items()}
    keyed = keys.hashes(seed)
    for low, high, first, last in blocks(starts, rows.num_rows, BLOCK_ROWS):
        pairs = Pairs.of(codes[low:high], starts[first:last] - low, keys.size)
        chosen = pairs.chosen(part.groups_per_unit, hashes[first:last], keyed)
        shown = taken(pairs.code, chosen)
        seen.add(shown)
        for place, total in enumerate(part.totals):
            block = cut(ranked[place].values if place in ranked else values[place], low, high)
            if place in sizes:
                bins[place].add(pairs.bins(block, sizes[place], total.cap, chosen, different=place in ranked))
            else:
                sums[place].add(shown, taken(pairs.bounded(total, block, part.rows_per_group), chosen))
    there, _ = seen.found()
    tables = [table_of(part, keys, there, None, {place: made.found(there) for place, made in sums.items()})]
    for place, size in sizes.items():
        found, counts = bins[place].found()
        tables.append(
            table_of(part, keys, found // size, ranked[place].hashes[found % size] if place in ranked else found % size, {place: counts})
        )
    return pa.concat_tables(tables)


def binned(total: Total) -> bool:
    return total.kind in ("quantile", "distinct")


def taken(values: Ints, chosen: Chosen) -> Ints:
    return values if chosen is None else values[chosen]


def cut(values: Values, low: int, high: int) -> Values:
    there = None if values.there is None else values.there[low:high]
    return Values(None if values.value is None else values.value[low:high], there)


# ---- keys -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coded:
    """One key's values, numbered in their own order, NULL last; and a hash of each that depends on nothing else."""

    values: pa.Array
    hashes: Hashes

    @property
    def size(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Keys:
    """Numbers of key tuples: lexicographic in the tuples, so that their order does not depend on which others there are.

    `steps[i]`: the tuples of the first i + 1 keys that occur, by number, where they were renumbered to close gaps.
    """

    columns: tuple[Coded, ...]
    steps: tuple[Ints | None, ...]
    size: int

    def split(self, codes: Ints) -> list[Ints]:
        """The number of each key's value, by key."""
        found: list[Ints] = []
        for column, step in zip(reversed(self.columns), reversed(self.steps), strict=True):
            codes = codes if step is None else step[codes]
            found.append(codes % column.size)
            codes = codes // column.size
        return found[::-1]

    def hashes(self, seed: int) -> Hashes:
        """One keyed hash per key tuple."""
        made = np.full(self.size, seed, dtype=np.uint64)
        for column, numbers in zip(self.columns, self.split(np.arange(self.size)), strict=True):
            made = mixed((made + GOLDEN) ^ column.hashes[numbers])
        return made


def keyed_rows(part: Part, rows: pa.Table) -> tuple[pa.Table, Ints, Keys]:
    """The rows whose keys are inside the domains, and the number of each one's key tuple."""
    code, size = np.zeros(rows.num_rows, dtype=np.int64), 1
    inside = np.ones(rows.num_rows, dtype=bool)
    columns: list[Coded] = []
    steps: list[Ints | None] = []
    for key in part.keys:
        numbers, column = coded(rows.column(key.name).combine_chunks(), key)
        inside &= numbers >= 0
        code = code * column.size + np.maximum(numbers, 0)
        size *= max(1, column.size)
        step = None
        if size > max(4 * rows.num_rows, 2**16):
            code, step = renumbered(code, size)
            size = len(step)
        columns.append(column)
        steps.append(step)
    if not inside.all():
        rows, code = rows.filter(pa.array(inside)), code[inside]
    return rows, code, Keys(tuple(columns), tuple(steps), size)


def coded(column: pa.Array, key: Key) -> tuple[Ints, Coded]:
    """Each row's value as a number, -1 where it is outside the key's domain."""
    if key.domain is not None:
        domain = pa.array(list(key.domain), ARROW[key.type])
        return places(column, key.domain), Coded(domain, value_hashes(domain))
    column = column.cast(ARROW[key.type])
    if key.type == "integer" and column.null_count == 0 and len(column):
        plain = np.asarray(column.to_numpy(), dtype=np.int64)
        low, high = int(plain.min()), int(plain.max())
        if high - low <= max(len(plain), 2**16):
            values = pa.array(low + np.arange(high - low + 1, dtype=np.int64))
            return plain - low, Coded(values, value_hashes(values))
    encoded = pc.dictionary_encode(column)
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)  # NULL
    values = pa.concat_arrays([encoded.dictionary.take(pa.array(order)), pa.nulls(1, ARROW[key.type])])
    numbers = np.asarray(pc.fill_null(encoded.indices, len(order)).to_numpy(zero_copy_only=False), dtype=np.int64)
    return rank[numbers], Coded(values, value_hashes(values))


def value_hashes(values: pa.Array) -> Hashes:
    """A hash of each value, of the value alone."""
    if pa.types.is_string(values.type):
        said = query("SELECT hash(v) AS h FROM texts", {"texts": pa.table({"v": values})}).column("h")
        return np.asarray(said.to_numpy(), dtype=np.uint64)
    plain = values.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date(values.type) else values.cast(pa.int64())
    made = mixed(np.asarray(pc.fill_null(plain, 0).to_numpy(zero_copy_only=False), dtype=np.int64).view(np.uint64) + GOLDEN)
    made[np.asarray(pc.is_null(plain).to_numpy(zero_copy_only=False), dtype=bool)] = GOLDEN
    return made


def renumbered(code: Ints, size: int) -> tuple[Ints, Ints]:
    """The codes without gaps, in the same order; and the old code of each."""
    if size > DENSE:
        step, inverse = np.unique(code, return_inverse=True)
        return inverse.astype(np.int64, copy=False), step
    there = np.zeros(size, dtype=bool)
    there[code] = True
    return (np.cumsum(there) - 1)[code], np.flatnonzero(there).astype(np.int64)


# ---- pairs of (unit, key) ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """The (unit, key) pairs of one block in ascending order: pair i is of run `own[i]` and key `code[i]`, and its rows are
    `order[starts[i]:starts[i + 1]]` of the block."""

    own: Ints
    code: Ints
    starts: Ints
    order: Ints

    @classmethod
    def of(cls, codes: Ints, starts: Ints, size: int) -> Pairs:
        rows = len(codes)
        own = np.repeat(np.arange(len(starts), dtype=np.int64), np.diff(starts, append=rows))
        order, pair = in_sequence(own * size + codes, len(starts) * size)
        first = first_of_runs(pair)
        run, code = np.divmod(pair[first], size)
        return cls(run, code, first, order)

    @cached_property
    def counts(self) -> Ints:
        return np.diff(self.starts, append=len(self.order))

    @cached_property
    def of_row(self) -> Ints:
        """The pair of each row, rows in `order`."""
        return np.repeat(np.arange(len(self.code), dtype=np.int64), self.counts)

    def chosen(self, most: int, units: Hashes, keyed: Hashes) -> Chosen:
        """Which pairs count: of a unit with more than `most` keys, the first in the order of a keyed hash, ties by key."""
        lengths = np.bincount(self.own, minlength=len(units))
        if lengths.max() <= most:
            return None
        keep = np.ones(len(self.code), dtype=bool)
        over = lengths > most
        crowded = np.flatnonzero(over[self.own])
        own = self.own[crowded]
        scores = mixed(units[own] ^ keyed[self.code[crowded]]) >> np.uint64(64 - HASH_BITS)
        # pairs of one unit are in the order of keys, which is what a sort that keeps the order of equals breaks ties by
        place, _ = in_sequence(own << HASH_BITS | scores.astype(np.int64), len(units) << HASH_BITS)
        lengths = lengths[over]  # sorted, the pairs of a run stand where they stood, in another order
        rank = np.arange(len(own)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        keep[crowded[place[rank >= most]]] = False
        return keep

    def counted(self, values: Values) -> Ints:
        """Per pair, the rows that have a value."""
        return self.counts if values.there is None else np.add.reduceat(values.there[self.order].astype(np.int64), self.starts)

    def bounded(self, total: Total, values: Values, rows: int) -> Ints:
        """Each pair's part of a total, at most `cap` in absolute value."""
        counted = self.counted(values)
        if values.value is None:
            return np.minimum(counted, total.cap)
        value = values.value if values.there is None else np.where(values.there, values.value, 0)
        return within_cap(total, counted, np.add.reduceat(value[self.order], self.starts), rows)

    def bins(self, values: Values, size: int, cap: int, chosen: Chosen, *, different: bool) -> Ints:
        """What chosen pairs add to bins, as key code · size + bin: all of a pair's rows (or different values), or, of more than `cap`, that
        many at even ranks."""
        assert values.value is not None
        pair, value = self.of_row, values.value[self.order]
        keep = chosen if chosen is None else chosen[pair]
        if values.there is not None:
            keep = values.there[self.order] if keep is None else keep & values.there[self.order]
        if keep is not None:
            pair, value = pair[keep], value[keep]
        packed = pair * size + value
        if different:
            packed = np.sort(packed)
            packed = packed[first_of_runs(packed)]
            pair = packed // size
        counted = np.bincount(pair, minlength=len(self.code))
        over = counted > cap
        full = np.flatnonzero(over)
        if len(full):
            crowded = over[pair]
            ranked = np.sort(packed[crowded])
            lengths = counted[full]
            ranks = (np.arange(1, cap + 1) * lengths.reshape(-1, 1) + cap - 1) // cap - 1
            picked = ranked[(np.cumsum(lengths) - lengths).reshape(-1, 1) + ranks]
            packed = np.concatenate([packed[~crowded], picked.reshape(-1)])
        added: Ints = self.code[packed // size] * size + packed % size
        return added


def in_sequence(values: Ints, size: int) -> tuple[Ints, Ints]:
    """The order that sorts the values (all below `size`), and the values so sorted: one sort of packed integers where they fit."""
    bits = max(1, len(values)).bit_length()
    if size.bit_length() + bits > 63:
        order = np.argsort(values, kind="stable").astype(np.int64, copy=False)
        return order, values[order]
    packed = np.sort(values << bits | np.arange(len(values)))
    return packed & ((1 << bits) - 1), packed >> bits


@dataclass(frozen=True, slots=True)
class Ranked:
    """Values of a distinct count as numbers in the order of their hashes."""

    hashes: Ints
    values: Values

    @classmethod
    def of(cls, values: Values) -> Ranked:
        assert values.value is not None
        encoded = pc.dictionary_encode(pa.array(values.value))
        distinct = encoded.dictionary.to_numpy()
        order = np.argsort(distinct)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return cls(distinct[order], Values(rank[encoded.indices.to_numpy()], values.there))

    @property
    def size(self) -> int:
        return max(1, len(self.hashes))


# ---- the result --------------------------------------------------------------------------------------------------------------------


def first_of_runs(values: Ints) -> Ints:
    """Where each run of equal values begins."""
    return np.concatenate([np.zeros(min(1, len(values)), dtype=np.int64), np.flatnonzero(values[1:] != values[:-1]).astype(np.int64) + 1])


class Tally:
    """How often each number below `size` was added: in one array where that is small, else by sorting at the end."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.counts = np.zeros(size, dtype=np.int64) if size <= SMALL else None
        self.added: list[Ints] = []

    def add(self, numbers: Ints) -> None:
        if self.counts is None:
            self.added.append(numbers)
        else:
            self.counts += np.bincount(numbers, minlength=self.size)

    def found(self) -> tuple[Ints, Ints]:
        """The numbers that were added, ascending, and how often."""
        if self.counts is None and self.size > DENSE:
            ordered = np.sort(np.concatenate(self.added)) if self.added else np.zeros(0, dtype=np.int64)
            first = first_of_runs(ordered)
            return ordered[first], np.diff(first, append=len(ordered))
        counts = self.counts
        if counts is None:
            counts = np.bincount(np.concatenate(self.added), minlength=1) if self.added else np.zeros(1, dtype=np.int64)
        numbers = np.flatnonzero(counts).astype(np.int64)
        return numbers, counts[numbers].astype(np.int64)


class Sums:
    """Sums of parts by number. A double holds whole numbers up to 2**53: parts within 2**31 add up exactly while there are fewer than 2**22,
    larger ones (up to 2**51) are added as a high and a low half."""

    def __init__(self, size: int, cap: int) -> None:
        self.size, self.halves = size, cap > 2**31
        self.sums = np.zeros(size, dtype=np.int64)
        self.codes: list[Ints] = []
        self.parts: list[Ints] = []

    def add(self, codes: Ints, parts: Ints) -> None:
        if self.size <= SMALL:
            self._sum(codes, parts)
        else:
            self.codes.append(codes)
            self.parts.append(parts)

    def _sum(self, codes: Ints, parts: Ints) -> None:
        for low in range(0, len(codes), 2**21):
            some, part = codes[low : low + 2**21], parts[low : low + 2**21]
            if self.halves:
                self.sums += np.bincount(some, weights=part >> 20, minlength=self.size).astype(np.int64) << 20
                part = part & (2**20 - 1)
            self.sums += np.bincount(some, weights=part, minlength=self.size).astype(np.int64)

    def found(self, numbers: Ints) -> Ints:
        if self.codes:
            self._sum(np.concatenate(self.codes), np.concatenate(self.parts))
        self.codes, self.parts = [], []
        return self.sums[numbers]


def table_of(part: Part, keys: Keys, codes: Ints, bins: Ints | None, columns: dict[int, Ints]) -> pa.Table:
    """Rows of the keys so numbered, with the totals given and 0 for the others."""
    numbers = keys.split(codes)
    arrays: dict[str, pa.Array] = {
        key.name: column.values.take(pa.array(number)) for key, column, number in zip(part.keys, keys.columns, numbers, strict=True)
    }
    if "bin" in part.shard_columns:
        arrays["bin"] = pa.nulls(len(codes), pa.int64()) if bins is None else pa.array(bins)
    for place, total in enumerate(part.totals):
        arrays[total.name] = wide(columns.get(place, np.zeros(len(codes), dtype=np.int64)))
    return pa.table(arrays)


def wide(values: Ints) -> pa.Array:
    """64-bit integers as Arrow's decimals of 38 digits: sixteen bytes, little end first, two's complement."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63
    return pa.Array.from_buffers(WIDE, len(values), [None, pa.py_buffer(words.tobytes())])
