"""What an attacker can write down of a table: one unknown per cell, and every way in which cells are made of others.

Several tables over one population make one system: cells that are about the same people are one unknown, and a table without a dimension
holds totals of a table with it. A relation is used only where it holds in the truth, exactly: one that does not (NULL keys, rows outside a
domain) tells an attacker nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import rfc8785

from policies.disclosure.table import Dimension, Exact, ExactTable, Measure

Where = tuple[int, int]  # (number of the table, number of the cell)


@dataclass(frozen=True, slots=True)
class Sum:
    """The unknown `whole` is the sum of `parts`; `cover`: it lies between the largest of them and their sum (things counted once each)."""

    whole: int
    parts: tuple[int, ...]
    cover: bool = False


@dataclass(frozen=True)
class System:
    """One measure over the unknowns. `truth[i]` None: the measure is not in any table that has the cell. `units[i]`: units in the cell."""

    measure: Measure
    truth: tuple[Exact | None, ...]
    sums: tuple[Sum, ...]
    units: tuple[int, ...]

    @cached_property
    def touching(self) -> Mapping[int, tuple[int, ...]]:
        """The sums each unknown is in."""
        found: dict[int, list[int]] = {}
        for number, each in enumerate(self.sums):
            for unknown in (each.whole, *each.parts):
                found.setdefault(unknown, []).append(number)
        return {unknown: tuple(numbers) for unknown, numbers in found.items()}

    def components(self, unknown: frozenset[int]) -> list[list[int]]:
        """The suppressed unknowns in groups that no sum connects: each can be looked at by itself."""
        groups: list[list[int]] = []
        seen: set[int] = set()
        for first in sorted(unknown):
            if first in seen:
                continue
            seen.add(first)
            group, waiting = [], [first]
            while waiting:
                here = waiting.pop()
                group.append(here)
                for number in self.touching.get(here, ()):
                    each = self.sums[number]
                    for other in (each.whole, *each.parts):
                        if other in unknown and other not in seen:
                            seen.add(other)
                            waiting.append(other)
            groups.append(sorted(group))
        return groups


@dataclass(frozen=True)
class Linked:
    """Tables as systems over common unknowns. `slot`: the unknown of each cell; `cells`: the cells of each unknown."""

    tables: tuple[ExactTable, ...]
    slot: Mapping[Where, int]
    cells: tuple[tuple[Where, ...], ...]
    systems: tuple[System, ...]

    @cached_property
    def where(self) -> tuple[Mapping[tuple[int, ...], int], ...]:
        """Of each table, the number of the cell at each combination of levels."""
        return tuple(table.where for table in self.tables)

    def units(self, slot: int) -> int:
        table, cell = self.cells[slot][0]
        return self.tables[table].cells[cell].units


def link(tables: Sequence[ExactTable]) -> Linked:
    """The systems of the tables' measures: measures of different tables that add up the same thing are one. A mean is taken for its sum: an
    attacker who knows counts knows it, and one who does not knows less."""
    slot, cells = _slots(tables)
    sums = set(_inside(tables, slot))
    if len(tables) > 1:
        sums |= set(_across(tables, slot))
    units = tuple(tables[where[0][0]].cells[where[0][1]].units for where in cells)
    systems = []
    for members in _measures(tables).values():
        truth: list[Exact | None] = [None] * len(cells)
        for table, place in members:
            for number, cell in enumerate(tables[table].cells):
                truth[slot[table, number]] = cell.amounts[place].total
        first, place = members[0]
        described = tables[first].measures[place]
        additive = all(tables[table].measures[place].additive for table, place in members)
        held = tuple(made for each in sorted(sums) if (made := _held(each, truth, additive)) is not None)
        systems.append(System(described, tuple(truth), held, units))
    return Linked(tuple(tables), slot, cells, tuple(systems))


def _measures(tables: Sequence[ExactTable]) -> dict[tuple[str, ...], list[Where]]:
    found: dict[tuple[str, ...], list[Where]] = {}
    for table, one in enumerate(tables):
        for place, measure in enumerate(one.measures):
            summed = "count" if measure.kind == "count" else "sum"
            key = (summed, measure.of, "" if measure.of or summed == "count" else measure.name, str(measure.additive))
            found.setdefault(key, []).append((table, place))
    return found


def _held(pair: tuple[int, tuple[int, ...]], truth: Sequence[Exact | None], additive: bool) -> Sum | None:
    whole, parts = pair
    total, values = truth[whole], [truth[part] for part in parts]
    if total is None or any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    if additive:
        return Sum(whole, parts) if sum(known) == total else None
    return Sum(whole, parts, cover=True) if max(known) <= total <= sum(known) else None


Pair = tuple[int, tuple[int, ...]]


def _inside(tables: Sequence[ExactTable], slot: Mapping[Where, int]) -> Iterator[Pair]:
    for number, table in enumerate(tables):
        for whole, parts in table.sums():
            yield slot[number, whole], tuple(sorted(slot[number, part] for part in parts))


def _slots(tables: Sequence[ExactTable]) -> tuple[dict[Where, int], tuple[tuple[Where, ...], ...]]:
    slot: dict[Where, int] = {}
    cells: list[list[Where]] = []
    known: dict[object, int] = {}
    for number, table in enumerate(tables):
        for place in range(len(table.cells)):
            key = canonical(table, place) if len(tables) > 1 else (number, place)
            found = known.get(key)
            if found is not None and not _same(tables, cells[found][0], (number, place)):
                found, key = None, (number, place)  # they are called alike and are not: no relation
            if found is None:
                found = known[key] = len(cells)
                cells.append([])
            cells[found].append((number, place))
            slot[number, place] = found
    return slot, tuple(tuple(where) for where in cells)


def _same(tables: Sequence[ExactTable], one: Where, other: Where) -> bool:
    a, b = tables[one[0]].cells[one[1]], tables[other[0]].cells[other[1]]
    return a.units == b.units


def canonical(table: ExactTable, number: int) -> object:
    """Names the population of a cell: columns that it restricts, each with the finest levels in it. Equal names, equal people."""
    basis = table.basis
    parts = []
    for dimension, place in zip(table.dimensions, table.cells[number].at, strict=True):
        if dimension.everything != place:
            parts.append((dimension.column, dimension.codes(place)))
    return (basis.space, basis.rows, basis.snapshot, rfc8785.dumps(basis.population), tuple(sorted(parts, key=lambda part: part[0])))


def _across(tables: Sequence[ExactTable], slot: Mapping[Where, int]) -> Iterator[Pair]:
    """Cells of one table as sums of another's that has more dimensions, or finer levels of the same."""
    for one, coarse in enumerate(tables):
        for other, fine in enumerate(tables):
            if one == other or _base(coarse) != _base(fine):
                continue
            where = fine.where
            for number in range(len(coarse.cells)):
                choices = _choices(coarse, number, fine)
                if choices is None:
                    continue
                places = [where.get(at) for at in product(*choices)]
                if None in places:
                    continue
                parts = tuple(sorted({slot[other, place] for place in places if place is not None}))
                if parts != (slot[one, number],) and slot[one, number] not in parts:
                    yield slot[one, number], parts


def _base(table: ExactTable) -> object:
    basis = table.basis
    return basis.space, basis.rows, basis.snapshot, rfc8785.dumps(basis.population)


def _choices(coarse: ExactTable, number: int, fine: ExactTable) -> list[tuple[int, ...]] | None:
    """For each dimension of `fine`, the levels whose cells together are the cell of `coarse`; None when there are no such."""
    wanted = {
        dimension.column: (dimension.codes(place), dimension.everything == place)
        for dimension, place in zip(coarse.dimensions, coarse.cells[number].at, strict=True)
    }
    choices = []
    for dimension in fine.dimensions:
        if dimension.column in wanted:
            codes, everything = wanted.pop(dimension.column)
            made = _covering(dimension, codes) if not everything else _roots(dimension)
        else:
            made = _roots(dimension)
        if made is None:
            return None
        choices.append(made)
    return None if any(not everything for _, everything in wanted.values()) else choices


def _roots(dimension: Dimension) -> tuple[int, ...] | None:
    return tuple(place for place, level in enumerate(dimension.levels) if level.parent is None) if dimension.complete else None


def _covering(dimension: Dimension, codes: frozenset[str]) -> tuple[int, ...] | None:
    """The largest levels that lie within the codes, if they are exactly those."""
    chosen: list[int] = []

    def visit(place: int) -> None:
        inside = dimension.codes(place)
        if inside <= codes and dimension.levels[place].whole:
            chosen.append(place)
        elif inside & codes:
            for part in dimension.children.get(place, ()):
                visit(part)

    for place, level in enumerate(dimension.levels):
        if level.parent is None:
            visit(place)
    return tuple(chosen) if frozenset().union(*(dimension.codes(place) for place in chosen)) == codes else None
