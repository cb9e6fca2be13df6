"""The cheapest pattern of a small table, by one integer program: which cells are hidden, and a move for every side of every need within them.

A side's move may only be of hidden cells: |δ| of a cell is at most its room if it is hidden, and nothing if it is shown. That is the cell
suppression problem as Fischetti & Salazar (2001, section 3) state it, with a flow for each side instead of their cuts: too large for
hierarchies, and exact for tables that people can overlook.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.disclosure.moves import Room, Side, limits, rows, sides
from policies.disclosure.solver import Rows, Vector, integers
from policies.disclosure.suppress import Task

MOST = 2_500  # columns of the program: some seconds at most
NODES = 200
REACH = 8.0  # how many times what a side needs any cell of its move may move


def cheapest(task: Task, found: float) -> tuple[frozenset[int] | None, float] | None:
    """(pattern, bound): a pattern that is cheaper than `found`, if there is one and it was found, and a bound below every safe pattern (whose
    moves stay within the reach). None: the table is too large, or rounding makes its cells move without being hidden."""
    wanted = [(number, side) for number, needs in enumerate(task.needs) for side in sides(needs)]
    size = len(task.linked.cells)
    if not wanted or size * (1 + 2 * len(wanted)) > MOST or any(task.windows):
        return None
    costs = np.zeros(size * (1 + 2 * len(wanted)))
    costs[:size] = task.weights
    low, high = np.zeros(len(costs)), np.ones(len(costs))
    for unknown in range(size):
        low[unknown] = float(unknown in task.sensitive)
    made: list[tuple[Sequence[int], Sequence[float], float, float]] = []
    for place, (number, side) in enumerate(wanted):
        room = task.room(number)
        _flow(task, number, side, room, size * (1 + 2 * place), high, low, made)
    whole = np.zeros(len(costs), np.bool_)
    whole[:size] = True
    best = integers(costs, low, high, Rows.of(made), whole, NODES)
    if best is None or not np.isfinite(best.bound):
        return None
    better = best.point is not None and best.value < found - 1e-6
    hidden = frozenset(int(at) for at in np.nonzero(best.point[:size] > 0.5)[0]) if better and best.point is not None else None
    return hidden, best.bound


def _flow(
    task: Task,
    number: int,
    side: Side,
    room: Room,
    first: int,
    high: Vector,
    low: Vector,
    made: list[tuple[Sequence[int], Sequence[float], float, float]],
) -> None:
    """One side's move: increases, then decreases, in units of what it needs; each at most its room, and nothing where nothing is hidden."""
    system, size = task.linked.systems[number], len(task.linked.cells)
    columns = list(range(size))
    down, up = limits(room, columns, set(columns), side.amount, REACH)
    for unknown in columns:
        if unknown in task.fixed or system.truth[unknown] is None:
            down[unknown] = up[unknown] = 0.0
    high[first : first + size], high[first + size : first + 2 * size] = up, down
    chosen, other = (
        (first + side.unknown, first + size + side.unknown) if side.sign > 0 else (first + size + side.unknown, first + side.unknown)
    )
    low[chosen] = high[chosen] = min(1.0, high[chosen]) if high[chosen] >= 1.0 else 1.0
    high[other] = 0.0
    relations = rows(system, columns, side.amount, split=True)
    for start, end, lower, upper in zip(relations.start, relations.start[1:], relations.lower, relations.upper, strict=False):
        made.append(([int(at) + first for at in relations.index[start:end]], list(relations.value[start:end]), float(lower), float(upper)))
    for unknown in columns:
        if unknown in task.sensitive:
            continue
        for at, most in ((first + unknown, up[unknown]), (first + size + unknown, down[unknown])):
            if most > 0:
                made.append(([at, unknown], [1.0, -most], -float("inf"), 0.0))
