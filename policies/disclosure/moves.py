"""Moves: how far from the truth a table can be while everything that is shown stays as it is.

A move gives each unknown a difference from its truth so that every sum still holds; an attacker who sees what does not move cannot tell the
moved table from the true one. A sensitive cell is protected when some move lowers it, and some move raises it, by what its rule asks. Working
with differences instead of values keeps numbers small, whatever the totals are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from policies.disclosure.solver import INFINITY, Rows, Vector
from policies.disclosure.system import System
from policies.disclosure.table import Exact

NOTHING = 1e-7  # a difference, in the unit of the program, that is none
REACH = 64  # how many times what is asked for a cell any other may move: cuts away moves, never makes one


@dataclass(frozen=True, slots=True)
class Need:
    """What an attacker must hold possible of a sensitive cell: the truth less `below`, and the truth plus `above`."""

    below: Exact
    above: Exact

    def with_(self, other: Need) -> Need:
        return Need(max(self.below, other.below), max(self.above, other.above))


@dataclass(frozen=True, slots=True)
class Side:
    """One half of a need: `unknown` is to move by `amount` (positive) in the direction `sign`."""

    unknown: int
    sign: int
    amount: Exact


def sides(needs: Mapping[int, Need]) -> list[Side]:
    """The largest first: what they need covers many of the others."""
    found = [
        Side(unknown, sign, amount) for unknown, need in needs.items() for sign, amount in ((1, need.above), (-1, need.below)) if amount > 0
    ]
    return sorted(found, key=lambda side: (-side.amount, side.unknown, side.sign))


@dataclass(slots=True)
class Room:
    """How far each unknown may move, down and up, exactly: a hidden one down to 0 (or without end, where values may be negative), one that
    is shown not at all, one that is shown rounded within what rounds to the same."""

    system: System
    windows: Mapping[int, tuple[Exact, Exact]] = field(default_factory=dict)  # least and most a rounded one may be

    def of(self, unknown: int, hidden: bool) -> tuple[Exact | None, Exact | None]:
        """(down, up), both at least 0; None: without end."""
        truth = self.system.truth[unknown]
        if truth is None:
            return 0, 0
        if hidden:
            return (None if self.system.measure.signed else max(truth, 0)), None
        if unknown in self.windows:
            low, high = self.windows[unknown]
            return max(truth - low, 0), max(high - truth, 0)
        return 0, 0


def rows(system: System, columns: Sequence[int], scale: Exact, split: bool) -> Rows:
    """The sums over the columns (all other unknowns stay as they are), in units of `scale`. `split`: column j is up-movement j less
    down-movement len(columns)+j."""
    place = {unknown: at for at, unknown in enumerate(columns)}
    made = []
    for number in sorted({number for unknown in columns for number in system.touching.get(unknown, ())}):
        each = system.sums[number]
        inside = [place[part] for part in each.parts if part in place]
        whole = place.get(each.whole)
        for coefficients, slack in _inequalities(system, number, whole, inside, place):
            names, values = list(coefficients), list(coefficients.values())
            if split:
                names, values = [*names, *(name + len(columns) for name in names)], [*values, *(-value for value in values)]
            made.append((names, values, -_float(slack, scale), 0.0 if not each.cover else INFINITY))
    return Rows.of(made)


def _inequalities(
    system: System, number: int, whole: int | None, inside: list[int], place: Mapping[int, int]
) -> Iterator[tuple[dict[int, float], Exact]]:
    """(coefficients, slack): the combination of differences is at least −slack, and exactly 0 for a sum that is no cover."""
    each = system.sums[number]
    combined = {part: 1.0 for part in inside}
    if whole is not None:
        combined[whole] = combined.get(whole, 0.0) - 1.0
    if not each.cover:
        yield combined, 0
        return
    known = [(part, value) for part in each.parts if (value := system.truth[part]) is not None]
    total = system.truth[each.whole]
    assert total is not None
    yield combined, sum(value for _, value in known) - total
    for part, value in known:
        alone = {place[part]: -1.0} if part in place else {}
        if whole is not None:
            alone[whole] = alone.get(whole, 0.0) + 1.0
        if alone:
            yield alone, total - value


def _float(value: Exact, scale: Exact) -> float:
    return float(Fraction(value) / Fraction(scale))


def limits(room: Room, columns: Sequence[int], hidden: Collection[int], scale: Exact, reach: float) -> tuple[Vector, Vector]:
    """(down, up) of the columns in units of `scale`, at most `reach`."""
    down, up = np.zeros(len(columns)), np.zeros(len(columns))
    for at, unknown in enumerate(columns):
        lower, upper = room.of(unknown, unknown in hidden)
        down[at] = reach if lower is None else min(reach, _float(lower, scale))
        up[at] = reach if upper is None else min(reach, _float(upper, scale))
    return down, up
