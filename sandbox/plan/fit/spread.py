"""Centres to begin k-means with, far from each other and the same whatever the data: sphere packing (Su et al. 2016, section 4.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_TRIES = 400  # points looked at for one radius
_HALVINGS = 12


def packed(count: int, boxes: Sequence[tuple[float, float]]) -> list[list[float]]:
    """`count` points inside the boxes, each at least 2a from the others and a from the ends of the range, for an a that is as large as a few
    tries find; the same every time.

    >>> [[round(place, 2) for place in point] for point in packed(1, [(-1.0, 1.0)])]
    [[0.0]]
    """
    if count == 1:
        return [[(low + high) / 2 for low, high in boxes]]
    low, high = 0.0, max(end - start for start, end in boxes) * math.sqrt(len(boxes))
    found = _fitting(count, boxes, 0.0)
    assert found is not None  # any points do at radius 0
    for _ in range(_HALVINGS):
        radius = (low + high) / 2
        better = _fitting(count, boxes, radius)
        if better is None:
            high = radius
        else:
            low, found = radius, better
    return found


def _fitting(count: int, boxes: Sequence[tuple[float, float]], radius: float) -> list[list[float]] | None:
    if any(end - start < 2 * radius for start, end in boxes) and radius > 0:
        boxes = [((start + end) / 2, (start + end) / 2) if end - start < 2 * radius else (start, end) for start, end in boxes]
    chosen: list[list[float]] = []
    for point in _points(len(boxes)):
        placed = [
            start + min(radius, (end - start) / 2) + at * max(0.0, end - start - 2 * radius)
            for at, (start, end) in zip(point, boxes, strict=True)
        ]
        if all(math.dist(placed, other) >= 2 * radius for other in chosen) and placed not in chosen:
            chosen.append(placed)
            if len(chosen) == count:
                return chosen
    return None


def _points(dimensions: int) -> Iterator[list[float]]:
    """Points of the unit cube, evenly spread: the additive recurrence of the generalised golden ratio (Roberts 2018)."""
    ratio = 2.0
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    for number in range(1, _TRIES + 1):
        yield [(0.5 + number * ratio ** -(place + 1)) % 1 for place in range(dimensions)]
