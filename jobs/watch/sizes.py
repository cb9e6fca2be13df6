"""How many rows a population may be, by the catalogue's public numbers alone: rows declared, domains, ranges. An order of magnitude, no count.

Values of a column are taken to be even over its domain or range, columns to have nothing to do with each other; a single value of a column that
has neither is taken for one row. What cannot be said so is None, and no rule finds anything by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from policies.catalogue import Column, Dataset
from policies.disclosure.predicate import EVERYTHING, Population, Span, Values, value_of

Share = Fraction | None
MOST_PAIRS = 2**16  # remembered: more than all pairs among the notes that a rule is given, or each question would compare them anew


@dataclass(frozen=True)
class Sizes:
    """Of the datasets one question reads, by case-folded name. `compared`: what rules found of two populations and so many rows."""

    datasets: Mapping[str, Dataset]
    _known: dict[tuple[str, Values], Share] = field(default_factory=dict, repr=False, compare=False)
    _sized_before: dict[Population, Fraction | None] = field(default_factory=dict, repr=False, compare=False)
    _apart_before: dict[tuple[Population, Population], Fraction | None] = field(default_factory=dict, repr=False, compare=False)
    compared: dict[tuple[Population, Population, int], bool] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Of the largest private dataset."""
        private = [each.approximate_rows for each in self.datasets.values() if each.unit is not None]
        return max(private, default=1)

    def rows_of(self, where: Population) -> Fraction | None:
        """At most so many rows: boxes that overlap are counted each."""
        if where not in self._sized_before:
            self._sized_before[where] = self._rows_of(where)
        return self._sized_before[where]

    def _rows_of(self, where: Population) -> Fraction | None:
        total = Fraction(0)
        for box in where.boxes:
            share = self._share(dict(box))
            if share is None:
                return None
            total += share
        return min(total, Fraction(1)) * self.rows

    def gap(self, inner: Population, outer: Population) -> Fraction | None:
        """Rows of `outer` that are not in `inner`, which lies within it. A column that cannot be sized says nothing unless both restrict it
        alike."""
        if inner == outer:
            return Fraction(0)
        if inner.nobody:
            return self.rows_of(outer)
        if len(inner.boxes) == len(outer.boxes) == 1:
            mine, theirs = dict(inner.boxes[0]), dict(outer.boxes[0])
            same = {column: values for column, values in mine.items() if theirs.get(column) == values}
            less = self._share({column: values for column, values in mine.items() if column not in same})
            more = self._share({column: values for column, values in theirs.items() if column not in same})
            if less is None or more is None:
                return None
            common = Fraction(1)  # what cannot be sized leaves the gap larger
            for column, values in same.items():
                share = self.share(column, values)
                common *= Fraction(1) if share is None else share
            return max(Fraction(0), more - less) * common * self.rows
        one, two = self.rows_of(inner), self.rows_of(outer)
        return None if one is None or two is None else max(Fraction(0), two - one)

    def apart(self, one: Population, other: Population) -> Fraction | None:
        """Rows that are in one of them alone."""
        pair = one, other
        if pair not in self._apart_before:
            if len(self._apart_before) >= MOST_PAIRS:
                self._apart_before.clear()
            self._apart_before[pair] = self._apart(one, other)
        return self._apart_before[pair]

    def _apart(self, one: Population, other: Population) -> Fraction | None:
        if one == other:
            return Fraction(0)
        both = one & other
        left, right = self.gap(both, one), self.gap(both, other)
        return None if left is None or right is None else left + right

    def _share(self, sets: Mapping[str, Values]) -> Share:
        total = Fraction(1)
        for column, values in sets.items():
            share = self.share(column, values)
            if share is None:
                return None
            total *= share
        return total

    def share(self, column: str, values: Values) -> Share:
        """Of a column's values, how much these are: `dataset.column`, as populations name it."""
        if values == EVERYTHING:
            return Fraction(1)
        key = column, values
        if key not in self._known:
            self._known[key] = self._sized(column, values)
        return self._known[key]

    def _sized(self, name: str, values: Values) -> Share:
        dataset, _, column = name.partition(".")
        found = self.datasets.get(dataset.partition("#")[0])
        declared = None if found is None else found.get(column)
        if found is None or declared is None:
            return None
        if declared.domain is not None:
            codes = [value_of(code(value)) for value in declared.domain]
            return Fraction(sum(any(_in(value, span) for span in values.spans) for value in codes), len(codes))
        if declared.low is not None and declared.high is not None:
            return _ranged(declared, values)
        points = sum(span.low == span.high for span in values.spans)
        if points == len(values.spans):
            return min(Fraction(1), Fraction(points, found.approximate_rows))
        left_out = values.complement
        if all(span.low == span.high for span in left_out.spans):
            return max(Fraction(0), 1 - Fraction(len(left_out.spans), found.approximate_rows))
        return None


def code(value: object) -> str:
    """A value of a domain as populations spell it."""
    return str(value).lower() if isinstance(value, bool) else value.isoformat() if isinstance(value, date) else str(value)


def _in(value: tuple[int, object], span: Span) -> bool:
    return not Span(value, True, value, True).cut(span).empty


def _ranged(declared: Column, values: Values) -> Share:
    low, high = _number(declared.low), _number(declared.high)
    if low is None or high is None:
        return None
    whole = declared.type in ("integer", "date", "timestamp")
    step = Fraction(1) if whole else Fraction(1, 10**declared.decimals)
    width = high - low + step
    total = Fraction(0)
    for span in values.spans:
        start = low if span.low[0] < 0 else _place(span.low)
        end = high if span.high[0] > 1 else _place(span.high)
        if start is None or end is None:
            return None
        start, end = max(start, low), min(end, high)
        if end < start:
            continue
        total += max(Fraction(0), end - start + step - step * ((not span.low_in) + (not span.high_in)))
    return min(Fraction(1), total / width)


def _number(value: object) -> Fraction | None:
    if isinstance(value, date):
        return Fraction(value.toordinal())
    return Fraction(value) if isinstance(value, (int, Decimal)) else None


def _place(value: tuple[int, object]) -> Fraction | None:
    """Where a value of a population lies: a number, or a day by its ordinal."""
    if isinstance(value[1], Fraction):
        return value[1]
    try:
        return Fraction(date.fromisoformat(str(value[1])[:10]).toordinal())
    except ValueError:
        return None
