"""The release index: every cell that ever left, of either lane, with whom it was about and what was shown of it.

An entry of the human lane also knows how many units were in the cell; so the index is as confidential as exact tables, and lies inside. An
entry of the noised lane has no value that anything could be subtracted from: what its noise hides of each unit, it hides of every difference,
too. Looking up is by arrays: each column's sets of values are few and numbered, a cell is a row of numbers, and which set is within which is
one table per column, filled as it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.disclosure.predicate import EVERYTHING, Population, Values, cell_population
from policies.disclosure.table import Exact, ExactTable, Measure, text

Range = tuple[Exact, Exact]


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """A released cell. `values`: by what is added up (`summed`), the least and the most it can be given what was shown, the same where it
    was shown exactly; `noised`: a draw lies over it, and `values` is empty; `units`: known inside for the human lane; `disjoint`: units of
    parts of its table add up."""

    job: str
    cell: tuple[str, ...]
    space: str
    rows: str
    snapshot: str
    where: Population
    units: int | None = None
    values: Mapping[str, Range] = field(default_factory=dict)
    noised: bool = False
    disjoint: bool = False

    def __repr__(self) -> str:
        return f"Entry({self.job}, redacted)"

    @property
    def group(self) -> tuple[str, str]:
        return self.space, self.rows


def summed(measure: Measure) -> str:
    """What a measure adds up: two measures of one name can be subtracted. A mean is known as its sum is."""
    if measure.kind == "count":
        return f"count:{measure.of}" if measure.additive else f"distinct:{measure.of}"
    return f"sum:{measure.of or measure.name}"


class _Column:
    """The sets of values that cells restrict a column to, numbered; 0 is no restriction."""

    def __init__(self) -> None:
        self.sets: list[Values] = [EVERYTHING]
        self._number: dict[Values, int] = {EVERYTHING: 0}
        self._below: dict[int, NDArray[np.bool_]] = {}
        self._above: dict[int, NDArray[np.bool_]] = {}

    def number(self, values: Values) -> int:
        found = self._number.get(values)
        if found is None:
            found = self._number[values] = len(self.sets)
            self.sets.append(values)
        return found

    def below(self, values: Values) -> NDArray[np.bool_]:
        """Of each set, whether it is within these values."""
        return self._asked(self._below, values, lambda one: one.within(values))

    def above(self, values: Values) -> NDArray[np.bool_]:
        """Of each set, whether these values are within it."""
        return self._asked(self._above, values, values.within)

    def _asked(self, known: dict[int, NDArray[np.bool_]], values: Values, holds: Any) -> NDArray[np.bool_]:
        number = self.number(values)
        before = known.get(number, np.zeros(0, np.bool_))
        if len(before) < len(self.sets):
            more = np.fromiter((holds(one) for one in self.sets[len(before) :]), np.bool_)
            before = known[number] = np.concatenate([before, more])
        return before


class _Group:
    """Entries over one relation of one unit space."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.columns: dict[str, _Column] = {}
        self.jobs: dict[tuple[str, str], list[Entry]] = {}  # by job and snapshot, as they came
        self._rows: list[dict[str, int]] = []
        self._places: list[int] = []
        self.many: list[int] = []  # entries of several boxes: looked at one by one
        self._matrix: NDArray[np.int32] | None = None
        self._units: NDArray[np.int64] | None = None
        self._wheres = np.zeros(0, np.int64)

    def add(self, entry: Entry) -> None:
        place = len(self.entries)
        self.entries.append(entry)
        self.jobs.setdefault((entry.job, entry.snapshot), []).append(entry)
        self._matrix = self._units = None
        if len(entry.where.boxes) != 1:
            self.many.append(place)
            return
        (only,) = entry.where.boxes
        self._rows.append({column: self.columns.setdefault(column, _Column()).number(values) for column, values in only})
        self._places.append(place)

    def _arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        names = list(self.columns)
        if self._matrix is None or self._matrix.shape[1] != len(names):
            self._matrix = np.array([[row.get(name, 0) for name in names] for row in self._rows], np.int32).reshape(len(self._rows), len(names))
            units = (self.entries[place].units for place in self._places)
            self._units = np.fromiter((-1 if each is None else each for each in units), np.int64, len(self._places))
            self._wheres = np.array(self._places, np.int64)
        assert self._units is not None
        return self._matrix, self._units, self._wheres

    def near(self, where: Population, units: int, threshold: int) -> list[tuple[int, bool]]:
        """(place, whether it holds this population): entries that hold this population or lie within it, with fewer than `threshold` units
        between, or with an unknown number."""
        found = [
            (place, holds)
            for place in self.many
            for holds in (False, True)
            if (where.within(self.entries[place].where) if holds else self.entries[place].where.within(where))
        ]
        if len(where.boxes) != 1:
            for place in self._places:
                entry = self.entries[place]
                if entry.units is None or abs(entry.units - units) < threshold:
                    if entry.where.within(where):
                        found.append((place, False))
                    elif where.within(entry.where):
                        found.append((place, True))
            return found
        (only,) = where.boxes
        for name in dict(only):
            self.columns.setdefault(name, _Column())
        matrix, known, places = self._arrays()
        close = np.nonzero((np.abs(known - units) < threshold) | (known < 0))[0]
        mine = dict(only)
        for holds in (False, True):
            rows = close
            for at, (name, column) in enumerate(self.columns.items()):
                values = mine.get(name, EVERYTHING)
                if not len(rows) or (not holds and values == EVERYTHING):
                    continue
                rows = rows[(column.above(values) if holds else column.below(values))[matrix[rows, at]]]
            found += [(int(places[row]), holds) for row in rows]
        return found


class ReleaseIndex:
    """Everything that was released, to be compared with what is to be. `add` as tables leave; entries are never taken out: what has left
    is known."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}
        self._exact: dict[tuple[str, str, str, Population], int] = {}
        self.size = self.noised = 0
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        if entry.noised:
            self.add_noised(1)
            return
        self.size += 1
        self._groups.setdefault(entry.group, _Group()).add(entry)
        if any(low == high for low, high in entry.values.values()):
            self._exact[(*entry.group, entry.snapshot, entry.where)] = 1

    def add_noised(self, count: int) -> None:
        """So many cells of the noised lane: nothing but that they left is kept."""
        self.size += count
        self.noised += count

    def near(self, entry: Entry, threshold: int) -> list[tuple[Entry, bool]]:
        """Released cells of the same relation that hold the entry's population (True) or lie within it (False), with fewer units between than
        the threshold, as far as that is known."""
        group = self._groups.get(entry.group)
        if group is None or entry.units is None:
            return []
        return [(group.entries[place], holds) for place, holds in group.near(entry.where, entry.units, threshold)]

    def recent(self, space: str, rows: str, snapshot: str, tables: int) -> tuple[list[Entry], int]:
        """(entries, of how many): those of the newest tables over one relation and snapshot, and how many there are in all tables."""
        found: list[Entry] = []
        group = self._groups.get((space, rows))
        several = [] if group is None else [entries for (_, of), entries in reversed(group.jobs.items()) if of == snapshot]
        for entries in several[:tables]:
            found += entries
        return found, sum(map(len, several))

    def shown(self, table: ExactTable) -> frozenset[int]:
        """Cells of a table whose very population, on the same snapshot, an earlier release shows exactly."""
        if not self._groups.get((table.basis.space, table.basis.rows)):
            return frozenset()
        basis = table.basis
        return frozenset(
            number
            for number in range(len(table.cells))
            if (basis.space, basis.rows, basis.snapshot, cell_population(table, number)) in self._exact
        )


def entry_data(entry: Entry, where: object) -> dict[str, Any]:
    """An entry as JSON for storing, `where` being its population in the planner's form. As confidential as the table."""
    return {
        "job": entry.job,
        "cell": list(entry.cell),
        "space": entry.space,
        "rows": entry.rows,
        "snapshot": entry.snapshot,
        "where": where,
        "units": entry.units,
        "values": {name: [text(low), text(high)] for name, (low, high) in entry.values.items()},
        "noised": entry.noised,
        "disjoint": entry.disjoint,
    }


def _exact(value: str) -> Exact:
    number = Fraction(value)
    return int(number) if number.denominator == 1 else number


def entry_from(data: Mapping[str, Any], where: Population) -> Entry:
    """The entry that `entry_data` wrote."""
    return Entry(
        data["job"],
        tuple(data["cell"]),
        data["space"],
        data["rows"],
        data["snapshot"],
        where,
        data["units"],
        {name: (_exact(low), _exact(high)) for name, (low, high) in data["values"].items()},
        data["noised"],
        data["disjoint"],
    )
