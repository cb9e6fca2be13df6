"""Which tables a model of many columns is kept in: a junction tree over the measured sets of columns.

Columns that were measured together are neighbours; filling the graph in so that it has no long cycle gives cliques, and a tree over them in
which the cliques that hold a column hang together. Everything about the joint distribution of greatest entropy with the measured marginals
follows from the cliques' own tables (Koller & Friedman 2009, chapters 9 and 10). Deterministic: ties go to the lower column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Clique = tuple[int, ...]  # places of columns, ascending


@dataclass(frozen=True, slots=True)
class Tree:
    """Cliques from the root outwards; `parent[i]` is before i (None for the root), `shared[i]` what clique i has in common with it."""

    cliques: tuple[Clique, ...]
    parent: tuple[int | None, ...]
    shared: tuple[Clique, ...]

    def holding(self, columns: Iterable[int]) -> int | None:
        """The first of the smallest cliques that hold all the columns, or None."""
        wanted = set(columns)
        found = [place for place, clique in enumerate(self.cliques) if wanted <= set(clique)]
        return min(found, key=lambda place: len(self.cliques[place]), default=None)


def cells(clique: Iterable[int], sizes: Sequence[int]) -> int:
    return math.prod(sizes[column] for column in clique)


def junction_tree(sets: Iterable[Clique], sizes: Sequence[int]) -> Tree:
    """A junction tree over columns 0 … len(sizes) - 1 in which every one of `sets` lies in a clique."""
    cliques = _maximal(_eliminated(sets, sizes))
    return _spanning(cliques)


def size_of(sets: Iterable[Clique], sizes: Sequence[int]) -> int:
    """How many cells the tables of that junction tree have together."""
    return sum(cells(clique, sizes) for clique in _maximal(_eliminated(sets, sizes)))


def _eliminated(sets: Iterable[Clique], sizes: Sequence[int]) -> list[Clique]:
    """Take out the column whose neighbourhood is the smallest table, join its neighbours, and so on (min-weight elimination)."""
    near: dict[int, set[int]] = {column: set() for column in range(len(sizes))}
    for one in sets:
        for column in one:
            near[column] |= set(one) - {column}
    made: list[Clique] = []
    while near:
        column = min(near, key=lambda each: (cells({each, *near[each]}, sizes), each))
        around = near.pop(column)
        made.append(tuple(sorted({column, *around})))
        for other in around:
            near[other] |= around - {other}
            near[other].discard(column)
    return made


def _maximal(cliques: Sequence[Clique]) -> list[Clique]:
    kept = [one for one in dict.fromkeys(cliques) if not any(set(one) < set(other) for other in cliques)]
    return sorted(kept)


def _spanning(cliques: Sequence[Clique]) -> Tree:
    """A spanning tree of largest intersections is a junction tree (Jensen & Jensen 1994); grown from the first clique (Prim)."""
    order: list[int] = [0]
    parent: dict[int, int] = {}
    waiting = set(range(1, len(cliques)))
    while waiting:
        _, child, other = min((-len(set(cliques[new]) & set(cliques[old])), new, old) for new in waiting for old in order)
        parent[child] = other
        order.append(child)
        waiting.discard(child)
    at = {old: new for new, old in enumerate(order)}
    placed = tuple(cliques[old] for old in order)
    parents = tuple(at[parent[old]] if old in parent else None for old in order)
    shared = tuple(
        () if above is None else tuple(sorted(set(clique) & set(placed[above]))) for clique, above in zip(placed, parents, strict=True)
    )
    return Tree(placed, parents, shared)
