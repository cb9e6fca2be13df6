"""How little any safe pattern could lose: a bound that says how far from the best the pattern found may be.

Every hidden number must be able to move, and no number moves alone: in every sum it is in, another one is hidden ("bridgeless" inequalities,
Fischetti & Salazar 2001). The cheapest fractional pattern that satisfies these is a bound below every safe pattern; it is solved over the sums
near sensitive cells, round by round.
"""

from __future__ import annotations

import numpy as np

from policies.disclosure.solver import INFINITY, Program, Rows, Unsolved
from policies.disclosure.suppress import Task


def least(task: Task) -> float:
    """What every safe pattern loses at least, in the task's weights."""
    sensitive = task.sensitive
    sure = sum(task.weights[unknown] for unknown in sensitive)
    moving = {
        number: frozenset(unknown for unknown, need in needs.items() if need.below > 0 or need.above > 0)
        for number, needs in enumerate(task.needs)
    }
    columns: dict[int, int] = {}
    rows: list[tuple[list[int], list[float], float, float]] = []
    for number, system in enumerate(task.linked.systems):
        windows = task.windows[number] if task.windows else {}
        for each in system.sums:
            members = [each.whole, *each.parts]
            if each.cover or any(unknown in windows for unknown in members):
                continue
            inside = [unknown for unknown in members if unknown in sensitive]
            if len(inside) == 1 and inside[0] in moving[number] and inside[0] not in task.fixed:
                free = [unknown for unknown in members if unknown not in sensitive and unknown not in task.fixed]
                if free:
                    places = [columns.setdefault(unknown, len(columns)) for unknown in free]
                    rows.append((places, [1.0] * len(places), 1.0, INFINITY))
    if not rows:
        return sure
    for number, system in enumerate(task.linked.systems):
        windows = task.windows[number] if task.windows else {}
        for each in system.sums:
            members = [each.whole, *each.parts]
            if each.cover or any(unknown in windows for unknown in members) or not sensitive.isdisjoint(members):
                continue
            for unknown in members:
                if unknown in columns and all(other in columns or other in task.fixed for other in members):
                    others = [columns[other] for other in members if other != unknown and other in columns]
                    rows.append(([columns[unknown], *others], [-1.0] + [1.0] * len(others), 0.0, INFINITY))
    program = Program(np.zeros(len(columns)), np.ones(len(columns)), Rows.of(rows))
    program.cost(np.array([task.weights[unknown] for unknown in columns]))
    try:
        best = program.solve("min")
    except Unsolved:
        return sure
    return sure if best is None else sure + max(0.0, best.value)
