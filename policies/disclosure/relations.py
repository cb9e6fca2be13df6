"""What the numbers shown say about those that are not: the attacker's relations, and whether a table satisfies them exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from policies.disclosure.system import System
from policies.disclosure.table import Exact


@dataclass(frozen=True, slots=True)
class Seen:
    """What is shown of one measure: `values` by unknown, each as the least and the most it can be (the same where it is exact)."""

    values: Mapping[int, tuple[Exact, Exact]]


@dataclass(frozen=True, slots=True)
class Relation:
    """lower <= sum of coefficient * difference <= upper, in the measure's own numbers, exactly. None: without end."""

    columns: tuple[int, ...]
    coefficients: tuple[int, ...]
    lower: Fraction | None
    upper: Fraction | None


def relations(system: System, seen: Seen, columns: Sequence[int], place: Mapping[int, int], truth: Sequence[Fraction]) -> Iterator[Relation]:
    """What the numbers shown say about those that are not, as differences from the truth: worked out from what is shown."""
    for number in sorted({number for unknown in columns for number in system.touching.get(unknown, ())}):
        each = system.sums[number]
        if not each.cover:
            yield _relation(seen, place, truth, {each.whole: -1, **dict.fromkeys(each.parts, 1)}, equal=True)
            continue
        yield _relation(seen, place, truth, {each.whole: -1, **dict.fromkeys(each.parts, 1)}, equal=False)
        for part in each.parts:
            if part in place or each.whole in place:
                yield _relation(seen, place, truth, {each.whole: 1, part: -1}, equal=False)


def _relation(seen: Seen, place: Mapping[int, int], truth: Sequence[Fraction], coefficients: Mapping[int, int], equal: bool) -> Relation:
    constant, names, values = Fraction(0), [], []
    for unknown, coefficient in coefficients.items():
        at = place.get(unknown)
        if at is None:
            constant += coefficient * Fraction(seen.values[unknown][0])
        else:
            constant += coefficient * truth[at]
            names.append(at)
            values.append(coefficient)
    return Relation(tuple(names), tuple(values), -constant, -constant if equal else None)


MOST = 2**50  # steps of the last place: sums of thousands of them stay exact in 64 bits


class Steps:
    """The same relations in whole last places, as integers: what is decided here is exact."""

    def __init__(self, relations: Sequence[Relation], low: Sequence[Fraction], high: Sequence[Fraction], grid: Fraction) -> None:
        relations = [each for each in relations if each.columns]
        self._start = np.cumsum([0, *(len(each.columns) for each in relations)], dtype=np.int64)[: len(relations)]
        self._index = np.array([at for each in relations for at in each.columns], np.int64)
        self._value = np.array([value for each in relations for value in each.coefficients], np.int64)
        self._lower = np.array([_steps(each.lower, grid, -1) for each in relations], np.int64)
        self._upper = np.array([_steps(each.upper, grid, 1) for each in relations], np.int64)
        self._low = np.array([_steps(end, grid, -1) for end in low], np.int64)
        self._high = np.array([_steps(end, grid, 1) for end in high], np.int64)

    def hold(self, moved: NDArray[np.int64]) -> bool:
        if np.any(moved < self._low) or np.any(moved > self._high):
            return False
        sides = np.add.reduceat(moved[self._index] * self._value, self._start) if len(self._start) else np.zeros(0, np.int64)
        return not (np.any(sides < self._lower) or np.any(sides > self._upper))


def _steps(end: Fraction | None, grid: Fraction, side: int) -> int:
    """An end in last places, inwards; no end is one that nothing reaches."""
    if end is None:
        return side * 2**62
    steps = end / grid
    return max(-(2**62), min(2**62, int(-(-steps // 1)) if side < 0 else int(steps // 1)))
