"""A found file's rows among those of the table as released.

Columns that are never moved must be equal as text; where they do not single out a row, the moved ones must be near: within the amplitude and
what the file's rounding makes. A row that fits none, or several, says nothing and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from jobs.watermark.cells import Marked, numbers
from jobs.watermark.code import Floats

Ints = npt.NDArray[np.int64]
MOST_CANDIDATES = 512  # rows near enough in one column: beyond, the column does not tell rows apart
_DIGITS, _PLACES = range(1, 8), range(-6, 7)


@dataclass(frozen=True, slots=True)
class Rounding:
    """What was done to a column's numbers: to so many significant digits, and so many places after the point; None: not at all."""

    digits: int | None
    places: int | None

    def of(self, values: Floats) -> Floats:
        rounded = values if self.digits is None else significant(values, self.digits)
        return rounded if self.places is None else np.round(rounded, self.places)

    def step(self, values: Floats) -> Floats:
        """How far rounding may have moved each value, at most."""
        far = np.zeros(len(values))
        if self.digits is not None:
            size = np.abs(np.where(values == 0, 1.0, values))
            far = 0.51 * 10.0 ** (np.floor(np.log10(size)) - self.digits + 1)  # of a rounded value: never fewer digits than it had
        return far if self.places is None else far + 0.51 * 10.0**-self.places


def significant(values: Floats, digits: int) -> Floats:
    """Rounded to so many significant digits."""
    size = np.abs(np.where(values == 0, 1.0, values))
    grain = 10.0 ** (np.floor(np.log10(size)) - digits + 1)
    return np.asarray(np.round(values / grain) * grain)


def rounding_of(values: Floats) -> Rounding:
    """The coarsest rounding that 99 of 100 values agree with."""
    given = values[np.isfinite(values)]
    if len(given) == 0:
        return Rounding(None, None)
    digits = next((d for d in _DIGITS if _agrees(given, significant(given, d), 1e-9 * np.abs(given))), None)
    places = next((p for p in _PLACES if _agrees(given, np.round(given, p), 1e-14 * np.abs(given))), None)
    return Rounding(digits, places)


def _agrees(values: Floats, rounded: Floats, within: Floats) -> bool:
    return bool(np.mean(np.abs(values - rounded) <= within) >= 0.99)


def texts(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Values as one text whatever file they went through: whole numbers without a point, days without a time, NULL and nothing alike."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_decode()
    if pa.types.is_floating(plain.type):
        whole = pc.equal(plain, pc.floor(plain))
        plain = pc.if_else(whole, pc.cast(pc.cast(plain, pa.int64(), safe=False), pa.string()), pc.cast(plain, pa.string()))
    elif not pa.types.is_string(plain.type):
        plain = pc.cast(plain, pa.string())
    shown = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(plain, "")))
    return pc.replace_substring_regex(shown, r"^(\d{4}-\d\d-\d\d)[t ]00:00:00(\.0+)?z?$", r"\1")


def matched(table: pa.Table, found: pa.Table, fixed: Sequence[str], moved: Sequence[Marked], reach: Sequence[Floats]) -> tuple[Ints, Ints]:
    """Pairs (row of the table, row of the file) that belong together. `fixed`: columns both have that are never moved; `moved`: columns both
    have that are, with the amplitude of each row of the table in `reach`."""
    mine, theirs = _codes([texts(table.column(name)) for name in fixed], [texts(found.column(name)) for name in fixed], table, found)
    order = np.argsort(mine, kind="stable")
    first, last = (np.searchsorted(mine[order], theirs, side=side) for side in ("left", "right"))
    if not moved:
        alone = last - first == 1
        return order[first[alone]], np.flatnonzero(alone)
    values = [numbers(table.column(one.name).combine_chunks()) for one in moved]
    seen = [numbers(found.column(one.name).combine_chunks()) for one in moved]
    near = [rounding_of(each).step(each) for each in seen]
    lead = max(range(len(moved)), key=lambda place: _telling(values[place], reach[place], near[place]))
    order = np.lexsort((values[lead], mine))
    low, high = _window(mine[order], values[lead][order], theirs, seen[lead], near[lead] + float(reach[lead].max(initial=0.0)) * 1.001)
    return _only(order, low, high, values, seen, reach, near)


def _codes(mine: Sequence[pa.Array], theirs: Sequence[pa.Array], table: pa.Table, found: pa.Table) -> tuple[Ints, Ints]:
    """One number for each combination of fixed values, the same on both sides; -1 for one that the table does not have."""
    left, right = np.zeros(table.num_rows, dtype=np.int64), np.zeros(found.num_rows, dtype=np.int64)
    for ours, other in zip(mine, theirs, strict=True):
        distinct = pc.unique(ours)
        at, seen = (np.asarray(pc.fill_null(pc.index_in(side, value_set=distinct), -1).to_numpy(), dtype=np.int64) for side in (ours, other))
        pairs = left * len(distinct) + at
        known = np.unique(pairs)
        asked = np.where((right >= 0) & (seen >= 0), right * len(distinct) + seen, -1)
        place = np.clip(np.searchsorted(known, asked), 0, len(known) - 1)
        left = np.searchsorted(known, pairs)
        right = np.where((asked >= 0) & (known[place] == asked), place, -1)
    return left, right


def _telling(values: Floats, reach: Floats, near: Floats) -> float:
    """How many rows a column tells apart: its spread over what it is known to within."""
    given = values[np.isfinite(values)]
    if len(given) < 2:
        return 0.0
    within = float(np.median(reach)) + (float(np.nanmedian(near)) if len(near) else 0.0)
    return float(np.quantile(given, 0.9) - np.quantile(given, 0.1)) / max(within, 1e-12)


def _window(codes: Ints, values: Floats, theirs: Ints, seen: Floats, within: Floats) -> tuple[Ints, Ints]:
    """Of rows sorted by code and value: from which to which have the code, and a value that is near."""
    known, starts = np.unique(codes, return_index=True)
    place = np.clip(np.searchsorted(known, theirs), 0, max(len(known) - 1, 0))
    hit = (known[place] == theirs) & np.isfinite(seen) if len(known) else np.zeros(len(theirs), dtype=bool)
    ends = np.append(starts[1:], len(codes))
    finite = np.where(np.isfinite(values), values, math.inf)
    low, high = np.zeros(len(theirs), dtype=np.int64), np.zeros(len(theirs), dtype=np.int64)
    for row in np.flatnonzero(hit):
        begin, end = starts[place[row]], ends[place[row]]
        part = finite[begin:end]
        low[row] = begin + np.searchsorted(part, seen[row] - within[row], side="left")
        high[row] = begin + np.searchsorted(part, seen[row] + within[row], side="right")
    return low, high


def _only(
    order: Ints, low: Ints, high: Ints, values: Sequence[Floats], seen: Sequence[Floats], reach: Sequence[Floats], near: Sequence[Floats]
) -> tuple[Ints, Ints]:
    """Rows that are alone in fitting, in every moved column."""
    rows = np.flatnonzero((high > low) & (high - low <= MOST_CANDIDATES))
    fits, which = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    for step in range(int((high - low)[rows].max(initial=0))):
        there = low[rows] + step < high[rows]
        candidate = order[np.where(there, low[rows] + step, 0)]
        good = there.copy()
        for value, other, far, rounded in zip(values, seen, reach, near, strict=True):
            a, b = value[candidate], other[rows]
            close = np.abs(a - b) <= far[candidate] * 1.001 + rounded[rows] + 1e-9 * np.abs(np.nan_to_num(a))
            good &= close | (np.isnan(a) & np.isnan(b))
        fits += good
        which = np.where(good, candidate, which)
    alone = fits == 1
    return which[alone], rows[alone]
