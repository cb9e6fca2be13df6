"""A figure as plain shapes, so that HTML and PDF draw the same: integers in a box of 640 by 200 units, y downwards."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.reports.model import Figure

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 60, 8, 10, 24
LABELS_AT_MOST = 16


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    y: int


@dataclass(frozen=True, slots=True)
class Label:
    """`anchor`: where x is, "middle" or "end" of the text; y is its base line."""

    x: int
    y: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Shapes:
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]


def scale(most: int) -> int:
    """The end of an axis that starts at 0 and has four equal steps: a round number not below `most`.

    >>> [scale(most) for most in (0, 1, 4, 5, 97, 1001)]
    [4, 4, 4, 8, 200, 2000]
    """
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 4 >= most:
                return factor * power * 4
        power *= 10


def shapes(figure: Figure) -> Shapes:
    top, count = scale(max(figure.values, default=0)), max(1, len(figure.values))
    floor, inner = HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT
    bars, labels, lines = [], [], []
    for step in range(5):
        y = floor - (floor - TOP) * step // 4
        lines.append(Line(y))
        labels.append(Label(LEFT - 6, y + 4, f"{top * step // 4:,}", "end"))
    every = -(-count // LABELS_AT_MOST)
    for place, (label, value) in enumerate(zip(figure.labels, figure.values, strict=True)):
        left, right = LEFT + inner * place // count, LEFT + inner * (place + 1) // count
        width = min(48, max(1, (right - left) * 2 // 3))
        height = (floor - TOP) * value // top
        middle = (left + right) // 2
        if height or value:
            bars.append(Bar(middle - width // 2, floor - max(1, height), width, max(1, height)))
        if place % every == 0:
            labels.append(Label(middle, HEIGHT - 8, label, "middle"))
    return Shapes(tuple(bars), tuple(lines), tuple(labels))
