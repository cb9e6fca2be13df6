"""The audit of a suppression pattern: what somebody who sees the released table can work out of each cell that was left out.

The attacker knows what is shown, what it was rounded to, every way in which cells are made of others, and that counts are not negative; one
who is alone in a cell knows that cell too. The feasible interval of a cell is the least and the largest it can be in any table that agrees
with all of that: two linear programs a cell (Hundepool et al. 2012, section 4.3.2; Fischetti & Salazar 2001). A count must also be
attained by a table of whole numbers.

This module shares no code with the search for patterns but the relations between cells. It starts from the numbers that are shown, and a
table that an attacker must hold possible is believed only when it satisfies every relation by this module's own sums, exactly where its
entries are whole in the last place shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from policies.disclosure.relations import MOST, Seen, Steps, relations
from policies.disclosure.solver import INFINITY, Program, Rows, Vector, integers
from policies.disclosure.system import Linked, System
from policies.disclosure.table import Exact, text

CAP = 64  # how many times the largest need around a number may stray: programs stay well scaled, intervals are "at least"
SPREAD = 100  # the largest and the smallest need of one program
NODES = 100  # of branch and bound, for a whole table that attains a need
Need = tuple[Exact, Exact]  # (below, above)


@dataclass(slots=True)
class Interval:
    """What an attacker must hold possible of a hidden number: at least everything from `low` to `high`. `exact`: both ends are attained by
    tables that satisfy every relation exactly; else within the solver's tolerance."""

    low: Fraction
    high: Fraction
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Breach:
    """A hidden number that an attacker can confine more narrowly than its need. `knows`: the unknowns it knows besides what is shown."""

    system: int
    unknown: int
    side: Literal["below", "above", "exact"]
    needed: Exact
    attained: Exact
    knows: tuple[int, ...] = ()


@dataclass(slots=True)
class Audit:
    """`intervals` per system. No breach means: for every need there are possible tables on both sides, each checked."""

    intervals: list[dict[int, Interval]]
    breaches: list[Breach] = field(default_factory=list)
    programs: int = 0
    toleranced: int = 0  # tables that were checked within the tolerance only

    @property
    def safe(self) -> bool:
        return not self.breaches

    def as_data(self, linked: Linked) -> dict[str, Any]:
        """For the evidence: intervals by cell of the first table that has it, breaches, how much work it was."""
        return {
            "safe": self.safe,
            "programs": self.programs,
            "toleranced": self.toleranced,
            "intervals": [
                {
                    "measure": linked.systems[number].measure.name,
                    "cell": list(linked.cells[unknown][0]),
                    "low": text(interval.low),
                    "high": text(interval.high),
                    "exact": interval.exact,
                }
                for number, found in enumerate(self.intervals)
                for unknown, interval in sorted(found.items())
            ],
            "breaches": [
                {
                    "measure": linked.systems[breach.system].measure.name,
                    "cell": list(linked.cells[breach.unknown][0]),
                    "side": breach.side,
                    "needed": text(breach.needed),
                    "attained": text(breach.attained),
                    "knows": [list(linked.cells[unknown][0]) for unknown in breach.knows],
                }
                for breach in self.breaches
            ],
        }


def audit(
    linked: Linked,
    seen: Sequence[Seen],
    needs: Sequence[Mapping[int, Need]],
    alone: Sequence[frozenset[int]] = (),
    full: bool = False,
    thorough: bool = True,
) -> Audit:
    """Feasible intervals of everything that is not shown, and every need that they do not meet. `thorough` False: an interval is followed
    only until its need is met."""
    result = Audit([{} for _ in linked.systems])
    for number, system in enumerate(linked.systems):
        for unknown, need in sorted(needs[number].items()):
            if unknown in seen[number].values:  # hidden here, and shown elsewhere
                result.breaches.append(Breach(number, unknown, "exact", max(need), 0))
        for columns in _components(system, seen[number]):
            _Component(number, system, seen[number], columns, result).run(needs[number], alone, full, thorough)
    return result


def _components(system: System, seen: Seen) -> list[list[int]]:
    """Unknowns that are open (hidden or shown rounded), grouped by the relations between them; groups of rounded ones alone are left out."""
    hidden = {unknown for unknown, value in enumerate(system.truth) if value is not None and unknown not in seen.values}
    rounded = {unknown for unknown, (low, high) in seen.values.items() if low != high}
    return [group for group in system.components(frozenset(hidden | rounded)) if not hidden.isdisjoint(group)]


class _Component:
    def __init__(self, number: int, system: System, seen: Seen, columns: list[int], result: Audit) -> None:
        self.number, self.system, self.seen, self.columns, self.result = number, system, seen, columns, result
        self.hidden = [unknown for unknown in columns if unknown not in seen.values]
        self.place = {unknown: at for at, unknown in enumerate(columns)}
        self.grid = Fraction(1, 10**system.measure.decimals)
        self.whole = system.measure.kind == "count"
        self.truth = [Fraction(system.truth[unknown] or 0) for unknown in columns]
        self.relations = list(relations(system, seen, columns, self.place, self.truth))
        for unknown in self.hidden:
            at = self.truth[self.place[unknown]]
            result.intervals[number][unknown] = Interval(at, at)

    def run(self, needs: Mapping[int, Need], alone: Sequence[frozenset[int]], full: bool, thorough: bool) -> None:
        mine = {unknown: needs[unknown] for unknown in self.hidden if unknown in needs}
        # where rounding leaves everything open, an interval is followed to its need only: it is wide by itself
        thorough = thorough and (len(self.columns) <= 400 or len(self.columns) == len(self.hidden))
        for scale, members in _buckets(mine, self.hidden, self.grid):
            view = _View(self, scale)
            wanted = {unknown: mine.get(unknown, (0, 0)) for unknown in members}
            view.intervals(wanted, thorough)
            view.needs({unknown: mine[unknown] for unknown in members if unknown in mine})
            for known in alone:
                if not known.isdisjoint(self.place):
                    others = {unknown: need for unknown, need in wanted.items() if unknown in mine and unknown not in known}
                    if others:
                        view.knowing(known & self.place.keys(), others, full)


def _buckets(needs: Mapping[int, Need], hidden: Sequence[int], grid: Fraction) -> Iterator[tuple[Fraction, list[int]]]:
    """(scale, unknowns): needs of about one size make one program; what has no need of its own goes with the largest."""
    sized = sorted(((max(Fraction(item) for item in (*needs[unknown], grid)), unknown) for unknown in needs), reverse=True)
    free = [unknown for unknown in hidden if unknown not in needs]
    while sized:
        scale = sized[0][0]
        members = [unknown for size, unknown in sized if size * SPREAD >= scale]
        sized = sized[len(members) :]
        yield scale, members + free
        free = []
    if free:
        yield max(grid, Fraction(1)), free


class _View:
    """The programs of one component, in units of `scale`."""

    def __init__(self, of: _Component, scale: Fraction) -> None:
        self.of, self.scale = of, scale
        self.low, self.high = zip(*(self._ends(unknown, at) for at, unknown in enumerate(of.columns)), strict=True)
        self._steps = Steps(of.relations, self.low, self.high, of.grid)
        self.program = Program(
            np.array([float(end / scale) for end in self.low]), np.array([float(end / scale) for end in self.high]), self._rows(scale)
        )

    def _ends(self, unknown: int, at: int) -> tuple[Fraction, Fraction]:
        of, far = self.of, CAP * self.scale
        known = of.seen.values.get(unknown)
        if known is not None:
            return max(Fraction(known[0]) - of.truth[at], -far), min(Fraction(known[1]) - of.truth[at], far)
        return (-far if of.system.measure.signed else max(-of.truth[at], -far)), far

    def _rows(self, unit: Fraction) -> Rows:
        return Rows.of(
            [
                (
                    each.columns,
                    [float(value) for value in each.coefficients],
                    -INFINITY if each.lower is None else float(each.lower / unit),
                    INFINITY if each.upper is None else float(each.upper / unit),
                )
                for each in self.of.relations
            ]
        )

    @cached_property
    def _fine(self) -> Rows:
        """In last places: for programs in whole numbers."""
        return self._rows(self.of.grid)

    def intervals(self, wanted: Mapping[int, Need], thorough: bool) -> None:
        """Follow each unknown down and up; every table met on the way counts for all of them."""
        found = self.of.result.intervals[self.of.number]
        for unknown, (below, above) in wanted.items():
            at = self.of.place[unknown]
            truth = self.of.truth[at]
            for sign, need in ((-1, below), (1, above)):
                interval = found[unknown]
                reached = truth - interval.low if sign < 0 else interval.high - truth
                if not thorough and reached >= need and reached > 0:
                    continue
                self._note(self._push({at: float(sign)}))

    def _push(self, costs: Mapping[int, float]) -> Vector:
        """A possible table that is as far as can be in a direction."""
        cost = np.zeros(len(self.of.columns))
        for at, value in costs.items():
            cost[at] = value
        self.program.cost(cost)
        self.of.result.programs += 1
        best = self.program.solve("max")
        assert best is not None, "the truth itself satisfies every relation"
        return best.point

    def _note(self, point: Vector) -> None:
        moved, exact = self._exact(point)
        if not exact:
            self.of.result.toleranced += 1
            if self.of.whole:
                return
        found = self.of.result.intervals[self.of.number]
        for unknown in self.of.hidden:
            at = self.of.place[unknown]
            interval, value = found[unknown], self.of.truth[at] + moved[at]
            if value < interval.low:
                interval.low, interval.exact = value, interval.exact and exact
            if value > interval.high:
                interval.high, interval.exact = value, interval.exact and exact

    def _exact(self, point: Vector) -> tuple[list[Fraction], bool]:
        """The table in whole last places, when it is one and satisfies everything exactly; else as the solver gave it."""
        factor = float(self.scale / self.of.grid)
        steps = np.round(point * factor)
        if float(np.abs(point * factor - steps).max(initial=0.0)) < 1e-2 and float(np.abs(steps).max(initial=0.0)) < MOST:
            whole = steps.astype(np.int64)
            if self._steps.hold(whole):
                return [int(step) * self.of.grid for step in whole], True
        return [Fraction(float(value)) * self.scale for value in point], False

    def needs(self, needs: Mapping[int, Need]) -> None:
        """Whether each is met; a count that is not yet is tried in whole numbers."""
        found = self.of.result.intervals[self.of.number]
        for unknown, (below, above) in needs.items():
            truth = self.of.truth[self.of.place[unknown]]
            for sign, side, need in ((-1, "below", below), (1, "above", above)):
                if self._reached(found[unknown], truth, sign) < need and self.of.whole:
                    self._whole(unknown, sign, need)
                reached = self._reached(found[unknown], truth, sign)
                slack = Fraction(0) if found[unknown].exact else Fraction(need) / 10**4
                if reached < need - slack:
                    self.of.result.breaches.append(Breach(self.of.number, unknown, "below" if side == "below" else "above", need, reached))

    @staticmethod
    def _reached(interval: Interval, truth: Fraction, sign: int) -> Fraction:
        return truth - interval.low if sign < 0 else interval.high - truth

    def _whole(self, unknown: int, sign: int, need: Exact) -> None:
        """A table of whole numbers that is so far: the one that differs least from the truth is one nearly always; else by branch and bound."""
        at, steps = self.of.place[unknown], sign * float(Fraction(need) / self.of.grid)
        unit = float(self.of.grid / self.scale)
        low, high = self.program.lower / unit, self.program.upper / unit
        if not low[at] - 1e-9 <= steps <= high[at] + 1e-9:
            return
        half = len(low)
        chosen, other = (at, at + half) if sign > 0 else (at + half, at)
        ends = self._least.upper[[chosen, other]].copy()
        self._least.bound([chosen, other], [abs(steps), 0.0], [abs(steps), 0.0])
        self.of.result.programs += 1
        best = self._least.solve("min")
        self._least.bound([chosen, other], [0.0, 0.0], ends)
        if best is None:
            return
        point = (best.point[:half] - best.point[half:]) * unit
        if self._exact(point)[1]:
            self._note(point)
            return
        low[at] = high[at] = steps
        self.of.result.programs += 1
        made = integers(np.zeros(half), low, high, self._fine, np.ones(half, np.bool_), NODES)
        if made is not None and made.point is not None:
            self._note(made.point * unit)

    @cached_property
    def _least(self) -> Program:
        """How little a table can differ, in last places: each difference as an increase less a decrease."""
        unit, half, fine = float(self.of.grid / self.scale), len(self.of.columns), self._fine
        sizes = np.diff(fine.start)
        rows = Rows.of(
            [
                (
                    [*fine.index[start : start + size], *(fine.index[start : start + size] + half)],
                    [*fine.value[start : start + size], *(-fine.value[start : start + size])],
                    low,
                    high,
                )
                for start, size, low, high in zip(fine.start, sizes, fine.lower, fine.upper, strict=False)
            ]
        )
        ends = np.concatenate([np.maximum(self.program.upper, 0), np.maximum(-self.program.lower, 0)]) / unit
        program = Program(np.zeros(2 * half), ends, rows)
        program.cost(np.ones(2 * half))
        return program

    def knowing(self, known: frozenset[int], needs: Mapping[int, Need], full: bool) -> None:
        """The same for an attacker who knows some of the hidden numbers: not even one of the others exactly, or (`full`) within its need."""
        places = [self.of.place[unknown] for unknown in sorted(known)]
        before = self.program.lower[places].copy(), self.program.upper[places].copy()
        self.program.bound(places, np.zeros(len(places)), np.zeros(len(places)))
        reached = {unknown: [Fraction(0), Fraction(0)] for unknown in needs}

        def note(point: Vector) -> None:
            moved, exact = self._exact(point)
            if not exact and self.of.whole:
                return
            for unknown, ends in reached.items():
                value = moved[self.of.place[unknown]]
                ends[0], ends[1] = max(ends[0], -value), max(ends[1], value)

        def wants(unknown: int) -> Iterator[tuple[int, Exact]]:
            for sign, need in zip((0, 1), needs[unknown], strict=True):
                if need > 0 and reached[unknown][sign] < (need if full else self.of.grid):
                    yield sign, need

        for signs in (1.0, -1.0):  # most are settled together, by two tables
            note(self._push({self.of.place[unknown]: signs * (1 if number % 2 else -1) for number, unknown in enumerate(needs)}))
        for unknown in needs:
            if not full and max(reached[unknown]) >= self.of.grid:
                continue
            for sign, _ in list(wants(unknown)):
                note(self._push({self.of.place[unknown]: 1.0 if sign else -1.0}))
        for unknown, (below, above) in needs.items():
            if not full:
                if max(below, above) > 0 and max(reached[unknown]) < self.of.grid:
                    self._breach(unknown, "exact", self.of.grid, max(reached[unknown]), known)
                continue
            for side, need, got in (("below", below, reached[unknown][0]), ("above", above, reached[unknown][1])):
                if got < need:
                    self._breach(unknown, "below" if side == "below" else "above", need, got, known)
        self.program.bound(places, *before)

    def _breach(self, unknown: int, side: Literal["below", "above", "exact"], need: Exact, got: Exact, known: frozenset[int]) -> None:
        self.of.result.breaches.append(Breach(self.of.number, unknown, side, need, got, tuple(sorted(known))))
