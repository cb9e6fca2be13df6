"""An exact table and what is said about it: the words the review lane and the mathematics of disclosure share.

A table is what the raw side counted, cell by cell: levels of its dimensions, and for each measure the exact total, how many values went into
it and the largest contributions of single units. It is as dangerous as rows: neither repr, str nor format of a table, a cell or an amount
says anything of it. What may be read by reviewers is an `Evidence`, which is JSON data; what may leave is a `ReleasedTable`.

Numbers are exact: integers, or fractions with the measure's `decimals` at most. A cell's number is its place in `ExactTable.cells`; findings
and patterns name cells by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NoReturn, cast

import rfc8785

MeasureKind = Literal["count", "sum", "mean"]
Exact = int | Fraction
Severity = Literal["refuse", "look", "note"]
SEVERITIES: tuple[Severity, ...] = ("refuse", "look", "note")  # must be mended; a reviewer must judge; for the record


class _Redacted:
    """Repr, str and format say what kind of thing it is and nothing more, and it cannot be pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(redacted)"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("exact numbers are not written down")


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a dimension. `code`: the key's value as text, unique in its dimension; `parent`: the place of the level it is a part of.
    The children of a level are all of its parts: where some are missing the parent's `whole` is False, and nothing adds up to it. `codes`:
    the key's values it stands for, where it is not one (merged levels)."""

    code: str
    parent: int | None = None
    whole: bool = True
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dimension:
    """A key of the table. `column`: the canonical name of what is grouped by ("visits.city", or the digest of an expression), by which
    cells of different tables are compared; `levels` in the order they are shown, parents before or after children; `complete`: the levels
    that have no parent are together all there is, so that tables without this dimension hold its totals."""

    name: str
    column: str
    levels: tuple[Level, ...]
    complete: bool = True

    def __post_init__(self) -> None:
        if len({level.code for level in self.levels}) != len(self.levels) or not self.levels:
            raise ValueError(f"dimension {self.name}: levels are empty or repeat")
        for at in range(len(self.levels)):
            seen = set()
            here: int | None = at
            while here is not None:
                if here in seen or not 0 <= here < len(self.levels):
                    raise ValueError(f"dimension {self.name}: levels are no forest")
                seen.add(here)
                here = self.levels[here].parent

    @cached_property
    def children(self) -> Mapping[int, tuple[int, ...]]:
        """Parts of each level that has any."""
        found: dict[int, list[int]] = {}
        for at, level in enumerate(self.levels):
            if level.parent is not None:
                found.setdefault(level.parent, []).append(at)
        return {parent: tuple(parts) for parent, parts in found.items()}

    def leaves(self, level: int) -> tuple[int, ...]:
        """The finest parts of a level; of a leaf, itself."""
        parts = self.children.get(level, ())
        return (level,) if not parts else tuple(leaf for part in parts for leaf in self.leaves(part))

    def codes(self, level: int) -> frozenset[str]:
        """The key's values that the level stands for."""
        return frozenset(code for leaf in self.leaves(level) for code in self.levels[leaf].codes or (self.levels[leaf].code,))

    @cached_property
    def everything(self) -> int | None:
        """The level that is the sum of all others, and of all there is."""
        roots = [place for place, level in enumerate(self.levels) if level.parent is None]
        return roots[0] if self.complete and len(roots) == 1 and self.levels[roots[0]].whole and self.children.get(roots[0]) else None

    def at(self, code: str) -> int:
        """The place of a level. KeyError when there is none."""
        for place, level in enumerate(self.levels):
            if level.code == code:
                return place
        raise KeyError(code)


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of numbers. `decimals`: digits after the point that are shown. `of`: the canonical name of what is added up (empty: rows or
    units). `signed`: contributions may be negative, so that an attacker cannot suppose they are not. `additive` False: parts do not add up
    to their whole because a unit may be in several parts (COUNT(DISTINCT …)); the whole then lies between the largest part and their sum.
    """

    name: str
    kind: MeasureKind
    decimals: int = 0
    of: str = ""
    signed: bool = False
    additive: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Amount(_Redacted):
    """One measure in one cell. `total`: the exact count or sum (of a mean: the sum over `values`); `values`: how many rows' values are in it;
    `largest`: absolute contributions of single units, the largest first, as many as the raw side was asked for (at least what the pack's
    dominance rules need: `RulePack.contributions`); `holders`, when given, says who each belongs to by an ordinal that is the same across
    the cells of the table and means nothing outside of it; `absolute`: the sum of absolute contributions, where they may be negative."""

    total: Exact
    values: int
    largest: tuple[Exact, ...] = ()
    holders: tuple[int, ...] = ()
    absolute: Exact | None = None

    def __post_init__(self) -> None:
        if self.values < 0 or (self.holders and len(self.holders) != len(self.largest)):
            raise ValueError("an amount of fewer than no values, or with holders that do not match")
        if any(item < 0 for item in self.largest) or list(self.largest) != sorted(self.largest, reverse=True):
            raise ValueError("largest contributions are absolute, the largest first")

    @property
    def weight(self) -> Exact:
        """The sum of absolute contributions."""
        total: Exact = self.total if self.absolute is None else self.absolute
        return total if total >= 0 else -total


@dataclass(frozen=True, slots=True, repr=False)
class Cell(_Redacted):
    """`at`: the level of each dimension, by its place; `units`: how many privacy units have a row in the cell; one amount per measure."""

    at: tuple[int, ...]
    units: int
    amounts: tuple[Amount, ...]

    def __post_init__(self) -> None:
        if self.units < 0:
            raise ValueError("a cell of fewer than no units")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a table was counted over, all of it public. `space`: the unit space; `rows`: the canonical name of the relation its rows come
    from (datasets and joins, without conditions); `snapshot`: digest of the data; `population`: the condition, as the data of
    `predicate.as_data`; `subject`: the licence, `shape`: the digest of the plan without its snapshot, `job`: whatever names the table."""

    space: str
    rows: str
    snapshot: str
    population: object = True
    subject: str = ""
    shape: str = ""
    job: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class ExactTable(_Redacted):
    """Exact cells, each combination of levels once; combinations that are absent are not part of the table. `disjoint`: no unit is in two
    cells of the finest levels, so that units of parts add up. `facts`: what the author said of the table (title, purpose, …)."""

    basis: Basis
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    cells: tuple[Cell, ...]
    disjoint: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        places = set()
        for cell in self.cells:
            if len(cell.at) != len(self.dimensions) or len(cell.amounts) != len(self.measures):
                raise ValueError("a cell does not have the table's shape")
            if any(not 0 <= place < len(dimension.levels) for place, dimension in zip(cell.at, self.dimensions, strict=True)):
                raise ValueError("a cell has a level that its dimension has not")
            places.add(cell.at)
        if len(places) != len(self.cells):
            raise ValueError("a cell is there twice")
        names = [dimension.name for dimension in self.dimensions] + [measure.name for measure in self.measures]
        if len(set(names)) != len(names):
            raise ValueError("dimensions and measures share a name")

    @property
    def where(self) -> dict[tuple[int, ...], int]:
        """The number of the cell at each combination of levels."""
        return {cell.at: number for number, cell in enumerate(self.cells)}

    def codes(self, number: int) -> tuple[str, ...]:
        """The levels of a cell, as they are shown."""
        return tuple(dimension.levels[place].code for dimension, place in zip(self.dimensions, self.cells[number].at, strict=True))

    def measure(self, name: str) -> int:
        """The place of a measure. KeyError when there is none."""
        for place, measure in enumerate(self.measures):
            if measure.name == name:
                return place
        raise KeyError(name)

    def sums(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Every way in which a cell is made of others: (number of the whole, numbers of its parts along one dimension). Only where every
        part is in the table."""
        where = self.where
        for number, cell in enumerate(self.cells):
            for axis, dimension in enumerate(self.dimensions):
                parts = dimension.children.get(cell.at[axis], ())
                if not parts or not dimension.levels[cell.at[axis]].whole:
                    continue
                places = [where.get((*cell.at[:axis], part, *cell.at[axis + 1 :])) for part in parts]
                if None not in places:
                    yield number, tuple(cast(list[int], places))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found. `cells`: their numbers; `measure`: the name of the measure it is about, empty for all; `facts`: what was measured,
    for reviewers only (JSON data; exact numbers may be in it); `remedy`: the kind of mend that helps, "" when none does."""

    rule: str
    severity: Severity
    cells: tuple[int, ...] = ()
    measure: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    remedy: str = ""

    def as_data(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "severity": self.severity,
            "cells": list(self.cells),
            "measure": self.measure,
            "facts": dict(self.facts),
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was checked and found, apart from any decision: which pack, which rules ran, which could not and why, findings,
    the audit of a suppression pattern, what only the raw side can count. `data` is JSON; `digest` names it in the register."""

    data: Mapping[str, Any] = field(repr=False)

    @property
    def verdict(self) -> Literal["refuse", "look", "pass"]:
        """`refuse`: something must be mended first; `look`: a reviewer must judge a finding; `pass`: rules are silent. Never a decision."""
        return cast(Literal["refuse", "look", "pass"], self.data["verdict"])

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(item["rule"], item["severity"], tuple(item["cells"]), item["measure"], item["facts"], item["remedy"])
            for item in self.data["findings"]
        )

    @property
    def requests(self) -> tuple[Mapping[str, Any], ...]:
        """What is to be counted on the raw side before the evidence is complete."""
        return tuple(self.data["requests"])

    @property
    def canonical(self) -> bytes:
        """RFC 8785: what is stored and digested. Exact numbers in it are text."""
        return cast(bytes, rfc8785.dumps(dict(self.data)))

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical).hexdigest()


@dataclass(frozen=True, slots=True)
class Shown:
    """One number as it leaves: `value` None when suppressed; `base`: it is rounded to a multiple of that (midpoint-6: to the middle of
    six), so that the true number is within half of it."""

    value: Decimal | None
    base: int = 0


@dataclass(frozen=True, slots=True)
class ReleasedCell:
    levels: tuple[str, ...]
    shown: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class ReleasedTable:
    """What may leave once it is approved: no exact number that a mend was to hide, no unit count that is not a measure. `notes`: what was
    done to it, in words for its readers, (zh, en) pairs."""

    basis: Basis
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    cells: tuple[ReleasedCell, ...]
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def suppressed(self) -> int:
        return sum(shown.value is None for cell in self.cells for shown in cell.shown)


def text(value: Exact | Decimal | None) -> str | None:
    """An exact number as JSON carries it: integers plainly, fractions as decimals where they end, else p/q."""
    if value is None or isinstance(value, (int, Decimal)):
        return None if value is None else str(value)
    if value.denominator == 1:
        return str(value.numerator)
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    return str(value) if rest != 1 else format(Decimal(f"{int(value * 10**places)}e-{places}"), "f")
