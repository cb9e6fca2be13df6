"""Where to look for a move first: near the cell. A hierarchy makes most moves local, and a small program is a thousand times cheaper than
one over the whole table. A move that is found in a region is a move of the whole system, for everything outside stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from policies.disclosure.system import Linked
from policies.disclosure.table import Dimension

WIDTHS = (4, 8, 24, 10_000)  # how many levels of each dimension a region has at most, tried in this order
MOST = 6_000  # unknowns in a region that is not everything


def regions(linked: Linked, unknown: int, price: Callable[[int], float]) -> Iterator[Sequence[int]]:
    """Ever larger sets of unknowns around one; the last is every unknown there is. `price` ranks siblings: the cheapest to move come first."""
    seen = 0
    for climb in (1, 2):
        for width in WIDTHS:
            found = {slot for where in linked.cells[unknown] for slot in _around(linked, *where, climb, width, price)}
            if seen < len(found) <= MOST:
                seen = len(found)
                yield sorted(found)
    yield range(len(linked.cells))


def _around(linked: Linked, table: int, number: int, climb: int, width: int, price: Callable[[int], float]) -> Iterator[int]:
    one = linked.tables[table]
    where, at = linked.where[table], one.cells[number].at

    def worth(axis: int) -> Callable[[int], tuple[float, int]]:
        def rank(level: int) -> tuple[float, int]:
            place = where.get((*at[:axis], level, *at[axis + 1 :]))
            return (float("inf") if place is None else price(linked.slot[table, place])), level

        return rank

    axes = [_levels(dimension, at[axis], climb, width, worth(axis)) for axis, dimension in enumerate(one.dimensions)]
    if _size(axes) > MOST:
        return
    for levels in product(*axes):
        place = where.get(levels)
        if place is not None:
            yield linked.slot[table, place]


def _size(axes: Sequence[Sequence[int]]) -> int:
    size = 1
    for axis in axes:
        size *= len(axis)
    return size


def _levels(dimension: Dimension, level: int, climb: int, width: int, rank: Callable[[int], tuple[float, int]]) -> list[int]:
    """The level and its siblings (`climb` 2: cousins), each with all that is below it: what is above stays fixed."""
    top = level
    for _ in range(climb):
        parent = dimension.levels[top].parent
        if parent is None:
            siblings = [at for at, other in enumerate(dimension.levels) if other.parent is None]
            break
        siblings, top = list(dimension.children[parent]), parent
    mine = next(other for other in siblings if other == level or level in _below(dimension, other))
    chosen = [mine, *sorted((other for other in siblings if other != mine), key=rank)[: max(width - 1, 0)]]
    return [each for other in chosen for each in (other, *_below(dimension, other))]


def _below(dimension: Dimension, level: int) -> list[int]:
    return [each for part in dimension.children.get(level, ()) for each in (part, *_below(dimension, part))]
