"""Rounding: to a base, to the middle of runs of six, or controlled, so that the rounded table still adds up.

Midpoint-6 is OpenSAFELY's: ceil(x/6)*6 - 3, and 0 stays 0. Controlled rounding (Cox 1987; Salazar 2006) moves each number to one of the two
multiples around it, multiples staying, so that every sum holds: an integer program, always solvable for two dimensions without hierarchy and
not always beyond; where none is found the numbers are rounded one by one, and the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from policies.disclosure.rules import Rounded
from policies.disclosure.solver import Rows, integers
from policies.disclosure.system import System
from policies.disclosure.table import Exact

NODES = 500


def rounded(value: Exact, how: Rounded) -> Exact:
    """One number, by itself: the nearest multiple, halves up; or the middle of its run."""
    base = how.base
    if how.method == "midpoint":
        return 0 if value == 0 else -(-Fraction(value) // base) * base - base // 2
    return int((Fraction(value) / base + Fraction(1, 2)) // 1) * base


def window(shown: Exact, how: Rounded, grid: Fraction, signed: bool) -> tuple[Exact, Exact]:
    """The least and the largest number that is shown like this; `grid`: the last place of the true numbers."""
    base, low, high = Fraction(how.base), Fraction(0), Fraction(0)
    if how.controlled:
        low, high = Fraction(shown) - base + grid, Fraction(shown) + base - grid
    elif how.method == "midpoint":
        if shown == 0:
            return 0, 0
        high = Fraction(shown) + how.base // 2
        low = high - base + grid
    else:
        low, high = Fraction(shown) - base / 2, Fraction(shown) + base / 2
        low, high = -(-low // grid) * grid, high // grid * grid
        if rounded(high, how) != shown:
            high -= grid
    return (low if signed else max(low, Fraction(0))), high


def controlled(system: System, base: int) -> Mapping[int, int] | None:
    """Multiples of `base` around each number with every sum holding, as near to the truth as such a table can be; None when none is found."""
    known = [unknown for unknown, value in enumerate(system.truth) if value is not None]
    place = {unknown: at for at, unknown in enumerate(known)}
    below = [int(Fraction(system.truth[unknown] or 0) // base) * base for unknown in known]
    rest = [Fraction(system.truth[unknown] or 0) - low for unknown, low in zip(known, below, strict=True)]
    rows = []
    for each in system.sums:
        if each.cover:
            continue
        gap = below[place[each.whole]] - sum(below[place[part]] for part in each.parts)
        columns = [place[each.whole], *(place[part] for part in each.parts)]
        rows.append((columns, [-1.0] + [1.0] * len(each.parts), gap / base, gap / base))
    cost = np.array([float(base - 2 * left) for left in rest])
    high = np.array([0.0 if left == 0 else 1.0 for left in rest])
    found = integers(cost, np.zeros(len(known)), high, Rows.of(rows), np.ones(len(known), np.bool_), NODES)
    if found is None or found.point is None:
        return None
    made = {unknown: low + base * int(found.point[at]) for at, (unknown, low) in enumerate(zip(known, below, strict=True))}
    return made if all(made[each.whole] == sum(made[part] for part in each.parts) for each in system.sums if not each.cover) else None
