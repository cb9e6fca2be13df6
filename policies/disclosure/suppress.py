"""Complementary suppression: what else to leave out so that what is sensitive cannot be had from the margins, losing as little as possible.

Cell suppression is NP-hard (Kelly, Golden & Assad 1992). A pattern is found by linear programs, one sensitive cell and direction after another
(after Kelly et al. 1992 and Castro 2001: the cheapest move, what is hidden already costing nothing), which makes it safe by
construction; then cells that no longer serve are shown again, and `bound` tells how much less any safe pattern could lose. Nobody needs to
trust this module: `attack` audits what comes out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from policies.disclosure.moves import NOTHING, REACH, Need, Room, Side, limits, rows, sides
from policies.disclosure.region import regions
from policies.disclosure.solver import Optimum, Program, Unsolved
from policies.disclosure.system import Linked, System
from policies.disclosure.table import Exact

Move = Mapping[int, float]  # by unknown: its difference from the truth


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be protected. `needs`: per system (as in `linked.systems`), of each sensitive unknown; `weights`: what is lost with each
    unknown; `forced`: hidden whatever happens; `keep`: shown if at all possible; `windows`: per system, what rounding leaves open of
    those shown rounded; `alone`: groups of unknowns that one attacker knows each (it is alone in them), who is not to find others."""

    linked: Linked
    needs: Sequence[Mapping[int, Need]]
    weights: Sequence[float]
    forced: frozenset[int] = frozenset()
    keep: frozenset[int] = frozenset()
    windows: Sequence[Mapping[int, tuple[Exact, Exact]]] = ()
    alone: Sequence[frozenset[int]] = ()
    full: bool = False  # whether such an attacker is kept from the whole need, or only from the exact value
    fixed: frozenset[int] = frozenset()  # known to everybody, hidden or not: nothing can be hidden behind them

    @property
    def sensitive(self) -> frozenset[int]:
        return frozenset(unknown for needs in self.needs for unknown in needs) | self.forced

    def room(self, number: int) -> Room:
        return Room(self.linked.systems[number], self.windows[number] if self.windows else {})


@dataclass(slots=True)
class _Found:
    """A pattern under construction: what is hidden, and a move for each side that is protected, by system."""

    hidden: set[int]
    moves: dict[tuple[int, Side, frozenset[int]], Move] = field(default_factory=dict)
    reached: list[dict[tuple[int, int], list[Move]]] = field(default_factory=list)  # per system: moves by (unknown, sign)

    def covered(self, number: int, side: Side, known: frozenset[int]) -> Move | None:
        for move in reversed(self.reached[number].get((side.unknown, side.sign), ())):
            if abs(move[side.unknown]) >= float(side.amount) * (1 - NOTHING) and known.isdisjoint(move):
                return move
        return None

    def take(self, number: int, side: Side, known: frozenset[int], move: Move) -> None:
        self.moves[number, side, known] = move
        for unknown, difference in move.items():
            self.reached[number].setdefault((unknown, 1 if difference > 0 else -1), []).append(move)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`hidden`: unknowns left out; `open`: sides for which no move was found, whatever is hidden: nothing but another table protects them."""

    hidden: frozenset[int]
    cost: float
    open: tuple[tuple[int, Side], ...] = ()
    programs: int = 0


def pattern(task: Task, effort: int = 20) -> Pattern:
    """A safe pattern, or the sides that none can protect. `effort`: how hard to look for cells that can be shown again."""
    search = _Search(task)
    search.cover()
    search.cover_alone()
    search.thin(effort * 50 if not any(task.windows) else effort * 2)  # where rounding leaves everything open, programs are large
    hidden = frozenset(search.found.hidden)
    return Pattern(hidden, sum(task.weights[unknown] for unknown in hidden), tuple(search.open), search.programs)


class _Search:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.found = _Found(set(task.sensitive), reached=[{} for _ in task.linked.systems])
        self.open: list[tuple[int, Side]] = []
        self.programs = 0
        self._rooms = [task.room(number) for number in range(len(task.linked.systems))]

    def cover(self) -> None:
        """A move for every side of every need."""
        for number, needs in enumerate(self.task.needs):
            for side in sides(needs):
                self._protect(number, side, frozenset())

    def cover_alone(self) -> None:
        """And one that moves nothing of what an attacker who is alone in cells knows."""
        for known in self.task.alone:
            if not known & self.found.hidden:
                continue
            for number, needs in enumerate(self.task.needs):
                near = _together(self.task.linked.systems[number], known, self.found.hidden)
                for side in sides({unknown: need for unknown, need in needs.items() if unknown in near and unknown not in known}):
                    self._protect(number, side if self.task.full else self._least(number, side), known)

    def _least(self, number: int, side: Side) -> Side:
        """Not exactly: by one in the last place shown, in either direction."""
        return Side(side.unknown, side.sign, min(side.amount, Fraction(1, 10 ** self.task.linked.systems[number].measure.decimals)))

    def _protect(self, number: int, side: Side, known: frozenset[int]) -> None:
        move = self.found.covered(number, side, known)
        if move is None:
            move = self._cheapest(number, side, known)
        if move is None:
            if not known or self.task.full or not self._other_way(number, side, known):
                self.open.append((number, side))
            return
        self.found.hidden.update(unknown for unknown, difference in move.items() if not self._shown(number, unknown, difference))
        self.found.take(number, side, known, move)

    def _shown(self, number: int, unknown: int, difference: float) -> bool:
        """Whether a number that moves so far still rounds to what is shown of it."""
        down, up = self._rooms[number].of(unknown, hidden=False)
        return -float(down or 0) * (1 + NOTHING) <= difference <= float(up or 0) * (1 + NOTHING)

    def _other_way(self, number: int, side: Side, known: frozenset[int]) -> bool:
        """To keep somebody from the exact value one direction is enough."""
        other = Side(side.unknown, -side.sign, side.amount)
        return self.found.covered(number, other, known) is not None or self._cheapest(number, other, known) is not None

    def _cheapest(self, number: int, side: Side, known: frozenset[int]) -> Move | None:
        for columns in regions(self.task.linked, side.unknown, self._price):
            usable = [unknown for unknown in columns if unknown not in known]
            for windows in (True, False) if self._rooms[number].windows else (False,):
                move = self._move(number, side, usable, self.found.hidden if windows else None)
                if move is not None:
                    return move
        return None

    def _price(self, unknown: int) -> float:
        return 0.0 if unknown in self.found.hidden else self.task.weights[unknown]

    def _move(self, number: int, side: Side, columns: Sequence[int], hidden: set[int] | None) -> Move | None:
        """The cheapest move among the columns that gives the side what it needs; None when there is none. `hidden`: only those may leave what
        they are rounded to; None: any may, and is then to be hidden."""
        system, room = self.task.linked.systems[number], self._rooms[number]
        columns = [unknown for unknown in columns if system.truth[unknown] is not None and unknown not in self.task.fixed]
        if side.unknown not in columns:
            return None
        kept = set() if hidden is None else {unknown for unknown in columns if unknown in room.windows and unknown not in hidden}
        down, up = limits(room, columns, set(columns) - kept, side.amount, REACH)
        at = columns.index(side.unknown)
        if (up if side.sign > 0 else down)[at] < 1 - NOTHING:
            return None
        low = np.zeros(2 * len(columns))
        high = np.concatenate([up, down])
        chosen, other = (at, at + len(columns)) if side.sign > 0 else (at + len(columns), at)
        low[chosen] = high[chosen] = 1.0
        high[other] = 0.0
        program = Program(low, high, rows(system, columns, side.amount, split=True))
        price = np.array([self._price(unknown) * (8.0 if unknown in self.task.keep else 1.0) for unknown in columns])
        free = np.array([unknown in self.found.hidden or unknown in kept for unknown in columns])
        cost = np.where(free, 1e-4, price + 1e-3)
        program.cost(np.concatenate([cost / np.clip(up, 0.02, 1.0), cost / np.clip(down, 0.02, 1.0)]))
        self.programs += 1
        try:
            best = program.solve("min")
        except Unsolved:
            return None
        return None if best is None else _difference(best, columns, float(side.amount))

    def thin(self, most: int) -> None:
        """Show again what no protection needs, the most valuable first, with at most so many programs."""
        until = self.programs + most
        sensitive = self.task.sensitive
        extra = sorted(self.found.hidden - sensitive, key=lambda unknown: (-self.task.weights[unknown], unknown))
        used: dict[int, set[tuple[int, Side, frozenset[int]]]] = {}
        for key, move in self.found.moves.items():
            for unknown in move:
                used.setdefault(unknown, set()).add(key)
        for unknown in extra:
            if self.programs >= until:
                return
            again: dict[tuple[int, Side, frozenset[int]], Move] = {}
            hidden = self.found.hidden - {unknown}
            for key in sorted(used.get(unknown, ()), key=lambda key: (key[0], -key[1].amount, key[1].unknown, key[1].sign, sorted(key[2]))):
                kept = self._within(key, hidden)
                if kept is None:
                    break
                again[key] = kept
            else:
                self.found.hidden = hidden
                for key, move in again.items():
                    for before in self.found.moves[key]:
                        used[before].discard(key)
                    self.found.moves[key] = move
                    for now in move:
                        used.setdefault(now, set()).add(key)

    def _allowed(self, number: int, move: Move, hidden: set[int]) -> bool:
        return all(unknown in hidden or self._shown(number, unknown, difference) for unknown, difference in move.items())

    def _within(self, key: tuple[int, Side, frozenset[int]], hidden: set[int]) -> Move | None:
        """A move of what is hidden alone."""
        number, side, known = key
        for other, move in self.found.moves.items():
            far = move.get(side.unknown, 0.0) * side.sign >= float(side.amount) * (1 - NOTHING)
            if far and other[0] == number and known.isdisjoint(move) and self._allowed(number, move, hidden):
                return move
        windows = self._rooms[number].windows
        for columns in regions(self.task.linked, side.unknown, lambda unknown: 0.0 if unknown in hidden else 1.0):
            usable = [unknown for unknown in columns if (unknown in hidden or unknown in windows) and unknown not in known]
            if len(usable) > (300 if windows else 2_000):
                return None
            found = self._move(number, side, usable, hidden)
            if found is not None:
                return found
        return None


def _difference(best: Optimum, columns: Sequence[int], scale: float) -> Move:
    half = len(columns)
    differences = best.point[:half] - best.point[half:]
    return {unknown: float(difference) * scale for unknown, difference in zip(columns, differences, strict=True) if abs(difference) > NOTHING}


def _together(system: System, known: frozenset[int], hidden: set[int]) -> frozenset[int]:
    """What is hidden and connected with what is known."""
    groups = system.components(frozenset(hidden))
    return frozenset(unknown for group in groups if not known.isdisjoint(group) for unknown in group)
