"""Attacks by several tables: which groups of people some combination of released cells isolates, by linear algebra.

Cells are rows of zeros and ones over atoms, the finest groups that any of them tells apart. If a combination of cells is the number of people
in one group of atoms, that group's row is in the row space. Elimination brings every single atom that is in the row space out as a row of its
own (the reduced echelon form of a space that holds a unit vector has it as a row), with the combination's value beside it; groups of atoms
that come out as rows are seen as well. Arithmetic is modulo the prime 2^31 - 1, where what holds over the fractions holds, and values below it
are read back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.disclosure.predicate import EVERYTHING, NOT_NULL, NULL, Box, Population, Span, Value, Values

PRIME = 2**31 - 1
MOST_ROWS = 600  # cells in one elimination
MOST_ATOMS = 200_000  # before those that no cell tells apart are joined


@dataclass(frozen=True, slots=True)
class Isolated:
    """A group that a combination tells: `rows` with their weights modulo the prime; `value`: its number of units; `atoms`: how many."""

    value: int
    rows: tuple[int, ...]
    atoms: int


def membership(populations: Sequence[Population]) -> NDArray[np.bool_] | None:
    """Rows of the populations over atoms; None when there are too many atoms."""
    pieces: dict[str, dict[Values, NDArray[np.bool_]]] = {}
    size = 1
    for column in sorted({column for one in populations for box in one.boxes for column, _ in box}):
        used = list(dict.fromkeys(values for one in populations for box in one.boxes for name, values in box if name == column))
        pieces[column] = _pieces(used)
        size *= len(next(iter(pieces[column].values())))
        if size > MOST_ATOMS:
            return None
    found = np.zeros((len(populations), size), np.bool_)
    for row, one in enumerate(populations):
        for box in one.boxes:
            found[row] |= _spread(box, pieces)
    return found


def _pieces(used: Sequence[Values]) -> dict[Values, NDArray[np.bool_]]:
    """Which elementary pieces of the column each set of values holds: points between ends, the ends themselves, and NULL where a condition
    asks for it; pieces that no set tells apart are one. Elsewhere an attacker is supposed to know that nothing is NULL: with NULLs between
    them, fewer cells add up to others, and less is told."""
    ends: list[Value] = sorted({end for values in used for span in values.spans for end in (span.low, span.high)})
    points: list[Span] = []
    for at, end in enumerate(ends):
        points.append(Span(end, True, end, True))
        if at + 1 < len(ends):
            points.append(Span(end, False, ends[at + 1], False))
    asked = NULL in used or NOT_NULL in used
    somewhere = [any(not point.cut(span).empty for values in used for span in values.spans) for point in points]
    rest = NOT_NULL
    for values in used:
        rest = rest.without(values)
    outside = [False] if rest.spans else []  # values that no set holds, if there are any
    rows = []
    for values in used:
        held = [any(not point.cut(span).empty for span in values.spans) for point, kept in zip(points, somewhere, strict=True) if kept]
        rows.append([*held, *outside, *([values.null] if asked else [])])
    joined = np.unique(np.array(rows, np.bool_), axis=1)
    return {values: joined[at] for at, values in enumerate(used)} | {EVERYTHING: np.ones(joined.shape[1], np.bool_)}


def _spread(box: Box, pieces: dict[str, dict[Values, NDArray[np.bool_]]]) -> NDArray[np.bool_]:
    named = dict(box)
    found = np.ones(1, np.bool_)
    for column, sets in pieces.items():
        found = np.logical_and.outer(found, sets[named.get(column, EVERYTHING)]).ravel()
    return found


def isolated(rows: NDArray[np.bool_], values: Sequence[int], threshold: int) -> list[Isolated]:
    """Groups of fewer than `threshold` units that combinations of rows tell; `values`: units of each row, which add up over atoms."""
    atoms = np.unique(rows, axis=1)
    atoms = atoms[:, atoms.any(axis=0)]
    count, width = atoms.shape
    work = np.concatenate([atoms.astype(np.int64), np.array(values, np.int64).reshape(-1, 1) % PRIME, np.eye(count, dtype=np.int64)], axis=1)
    rank = 0
    for column in range(width):
        pivots = np.nonzero(work[rank:, column])[0]
        if not len(pivots):
            continue
        pivot = rank + int(pivots[0])
        if pivot != rank:
            work[[rank, pivot]] = work[[pivot, rank]]
        work[rank] = work[rank] * pow(int(work[rank, column]), PRIME - 2, PRIME) % PRIME
        others = np.nonzero(work[:, column])[0]
        others = others[others != rank]
        work[others] = (work[others] - work[others, column][:, None] * work[rank]) % PRIME
        rank += 1
        if rank == count:
            break
    found = []
    for row in work[:rank]:
        support, value = row[:width], int(row[width])
        if np.all(support <= 1) and 0 < value < threshold:
            used = tuple(int(at) for at in np.nonzero(row[width + 1 :])[0])
            if len(used) > 1:
                found.append(Isolated(value, used, int(support.sum())))
    return found
