"""Populations in one canonical form, so that two of them can be compared: unions of boxes, a box being a set of values for some columns.

The planner states a population as JSON (`sandbox.plan.population`): comparisons of one stored column with constants, joined by and, or, not;
whatever else is opaque, named by the digest of its meaning, and is then a column of its own that is true. A row belongs where its condition is
TRUE: NULL is in no comparison and in no negation of one, only in {"null": column}. Values of numbers, dates and times are ordered; texts are
compared for equality alone. Sets are dense: x > 5 and x < 6 is not known to be empty, which costs a question and hides nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from policies.disclosure.table import ExactTable

Value = tuple[int, Any]  # (0, Fraction) for numbers, (1, text) for everything else: ordered
MOST_BOXES = 64
_NUMERAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+|/[1-9][0-9]*)?")
_LEAST: Value = (-1, 0)
_MOST: Value = (2, 0)


def value_of(text: str) -> Value:
    """A value as text (a level's code, a constant): numerals by what they are, however written."""
    return (0, Fraction(text)) if _NUMERAL.fullmatch(text) else (1, text)


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`; the ends belong to it or do not."""

    low: Value
    low_in: bool
    high: Value
    high_in: bool

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and not (self.low_in and self.high_in))

    def cut(self, other: Span) -> Span:
        low, low_in = max((self.low, not self.low_in), (other.low, not other.low_in))
        high, high_in = min((self.high, self.high_in), (other.high, other.high_in))
        return Span(low, not low_in, high, high_in)


@dataclass(frozen=True)
class Values:
    """A set of values of one column: disjoint spans in order, and NULL or not."""

    spans: tuple[Span, ...]
    null: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.spans, self.null))

    @property
    def empty(self) -> bool:
        return not self.spans and not self.null

    def __and__(self, other: Values) -> Values:
        spans, mine, theirs = [], 0, 0
        while mine < len(self.spans) and theirs < len(other.spans):
            one, two = self.spans[mine], other.spans[theirs]
            both = one.cut(two)
            if not both.empty:
                spans.append(both)
            if (one.high, one.high_in) <= (two.high, two.high_in):
                mine += 1
            else:
                theirs += 1
        return Values(tuple(spans), self.null and other.null)

    def without(self, other: Values) -> Values:
        rest = self & other.complement
        return Values(rest.spans, self.null and not other.null)

    @property
    def complement(self) -> Values:
        """Every other value; NULL is in neither a comparison nor its negation."""
        spans, low, low_in = [], _LEAST, True
        for span in self.spans:
            before = Span(low, low_in, span.low, not span.low_in)
            if not before.empty:
                spans.append(before)
            low, low_in = span.high, not span.high_in
        rest = Span(low, low_in, _MOST, True)
        return Values((*spans, rest) if not rest.empty else tuple(spans))

    def within(self, other: Values) -> bool:
        return self.without(other).empty


EVERYTHING = Values((Span(_LEAST, True, _MOST, True),), null=True)
NOT_NULL = Values(EVERYTHING.spans)
NULL = Values((), null=True)
NOTHING = Values(())


@lru_cache(maxsize=65_536)
def among(codes: frozenset[str]) -> Values:
    """Exactly these values."""
    found = sorted({value_of(code) for code in codes})
    return Values(tuple(Span(value, True, value, True) for value in found))


Box = tuple[tuple[str, Values], ...]  # by column, in order; a column that is not named is not restricted


def box(sets: Mapping[str, Values]) -> Box | None:
    """None: nobody."""
    if any(values.empty for values in sets.values()):
        return None
    return tuple(sorted((column, values) for column, values in sets.items() if values != EVERYTHING))


def meet(one: Box, other: Box) -> Box | None:
    """Who is in both."""
    sets = dict(one)
    for column, values in other:
        sets[column] = sets[column] & values if column in sets else values
    return box(sets)


def inside(one: Box, other: Box) -> bool:
    """Whether everybody in one box is in the other."""
    mine = dict(one)
    return all(mine.get(column, EVERYTHING).within(values) for column, values in other)


@dataclass(frozen=True)
class Population:
    """Everybody in any of the boxes."""

    boxes: tuple[Box, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.boxes)

    @property
    def nobody(self) -> bool:
        return not self.boxes

    def within(self, other: Population) -> bool:
        """Whether everybody in this one is surely in the other: each box in one box (that several cover it together is not seen)."""
        return all(any(inside(mine, theirs) for theirs in other.boxes) for mine in self.boxes)

    def __and__(self, other: Population) -> Population:
        made = [both for mine in self.boxes for theirs in other.boxes if (both := meet(mine, theirs)) is not None]
        return _simplified(made)


ALL = Population(((),))


def population(data: object) -> Population:
    """From the planner's JSON; a form that is not known, or that has too many boxes, is opaque: itself, and like nothing else."""
    found = _read(data, negated=False)
    return _opaque(data) if found is None else found


def _opaque(data: object, negated: bool = False) -> Population:
    name = data["opaque"] if isinstance(data, dict) and set(data) == {"opaque"} else json.dumps(data, sort_keys=True, ensure_ascii=False)
    return Population((((f"?{name}", among(frozenset({"false" if negated else "true"}))),),))


def _read(data: object, negated: bool) -> Population | None:
    if isinstance(data, bool):
        return ALL if data is not negated else Population(())
    if not isinstance(data, dict) or len(data) != 1:
        return _opaque(data, negated)
    ((op, args),) = data.items()
    if op == "not":
        return _read(args, not negated)
    if op in ("and", "or") and isinstance(args, Sequence):
        parts = [_read(part, negated) for part in args]
        if any(part is None for part in parts):
            return None
        return _joined([part for part in parts if part is not None], every=(op == "and") is not negated)
    if op == "null" and isinstance(args, str):
        return _one(args, NOT_NULL if negated else NULL)
    found = _comparison(op, args)
    if found is None:
        return _opaque(data, negated)
    column, values = found
    return _one(column, values.complement if negated else values)


def _one(column: str, values: Values) -> Population:
    made = box({column: values})
    return Population(() if made is None else (made,))


def _joined(parts: Sequence[Population], every: bool) -> Population | None:
    if not every:
        boxes = [one for part in parts for one in part.boxes]
        return None if len(boxes) > MOST_BOXES else _simplified(boxes)
    found = ALL
    for part in parts:
        if len(found.boxes) * len(part.boxes) > MOST_BOXES:
            return None
        found = found & part
    return found


def _simplified(boxes: Iterable[Box]) -> Population:
    """Without boxes that another one holds."""
    kept: list[Box] = []
    for one in dict.fromkeys(boxes):
        if any(inside(one, other) for other in kept):
            continue
        kept = [other for other in kept if not inside(other, one)] + [one]
    return Population(tuple(sorted(kept, key=repr)))


_ORDERED = frozenset({"number", "date", "time"})


def _comparison(op: str, args: object) -> tuple[str, Values] | None:
    if not isinstance(args, Sequence) or len(args) != 2 or not isinstance(args[0], str):
        return None
    column, given = args
    if op == "in":
        return column, among(frozenset(text for _, text in given))
    if op not in ("lt", "le", "gt", "ge") or given[0] not in _ORDERED:
        return None
    end = value_of(given[1])
    if op in ("lt", "le"):
        return column, Values((Span(_LEAST, True, end, op == "le"),))
    return column, Values((Span(end, op == "ge", _MOST, True),))


def cell_where(table: ExactTable, number: int) -> dict[str, Any]:
    """Whom a cell is about, in the planner's form: what is stored of it."""
    levels = [
        {"in": [dimension.column, [["text", code] for code in sorted(dimension.codes(place))]]}
        for dimension, place in zip(table.dimensions, table.cells[number].at, strict=True)
    ]
    return {"and": [table.basis.population, *levels]}


def cell_population(table: ExactTable, number: int) -> Population:
    """Whom a cell is about: the table's condition, and the levels of the cell. `population(cell_where(…))`, faster."""
    sets: dict[str, Values] = {}
    for dimension, place in zip(table.dimensions, table.cells[number].at, strict=True):
        values = among(dimension.codes(place))
        sets[dimension.column] = sets[dimension.column] & values if dimension.column in sets else values
    made = box(sets)
    return Population(()) if made is None else _cells(json.dumps(table.basis.population, sort_keys=True)) & Population((made,))


@lru_cache(maxsize=256)
def _cells(text: str) -> Population:
    return population(json.loads(text))
