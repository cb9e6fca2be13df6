"""Charts as SVG, drawn on the server: classes and attributes only, so that the page's policy needs no exception; each with a text beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 26


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its 95 % half-width, if it has one."""

    label: str
    value: float
    half_width: float | None = None


def share(used: object, cap: object) -> float:
    """How much of a cap is used, 0 to 1; 0 for a cap of nothing."""
    whole = Decimal(str(cap))
    return float(min(Decimal(1), Decimal(str(used)) / whole)) if whole > 0 else 0.0


def meter(used: object, cap: object, label: str) -> Markup:
    """A budget as one bar."""
    part = share(used, cap)
    tone = "bad" if part >= 0.9 else "warn" if part >= 0.7 else "good"
    text = f"{label}: {part * 100:.1f}%"
    return Markup(
        '<svg class="meter {tone}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{text}">'
        '<rect class="back" width="100" height="6" rx="1"/><rect class="part" width="{part}" height="6" rx="1"/></svg>'
    ).format(tone=tone, text=text, part=f"{max(part * 100, 0.6 if part > 0 else 0):.2f}")


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that cover a range.

    >>> ticks(0, 97), ticks(0, 0)
    ([0.0, 25.0, 50.0, 75.0, 100.0], [0.0, 1.0])
    """
    if not high > low:
        return [low, low + 1.0]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    start = math.floor(low / step + 1e-9) * step
    count = math.ceil((high - start) / step - 1e-9)
    return [round(start + place * step, 12) for place in range(count + 1)]


def _label(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    if size >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


def _frame(body: list[str], title: str, height: int = HEIGHT) -> Markup:
    inside = "".join(body)  # of numbers, and of labels escaped where they were made
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{inside}</svg>')  # noqa: S704


def _grid(marks: Sequence[float], at: object, right: float = WIDTH - RIGHT) -> list[str]:
    lines = []
    for mark in marks:
        y = at(mark)  # type: ignore[operator]  # a scale
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick end" x="{LEFT - 6}" y="{y + 3.5:.1f}">{_label(mark)}</text>')
    return lines


def bars(values: Sequence[Bar], title: str) -> Markup:
    """Values as columns, with error bars. At most 60, wider ones are for the table."""
    shown = [bar for bar in values if math.isfinite(bar.value)][:60]
    if not shown:
        return Markup("")
    ends = [(bar.value - (bar.half_width or 0), bar.value + (bar.half_width or 0)) for bar in shown]
    marks = ticks(min(0.0, *(low for low, _ in ends)) if len(ends) > 1 else min(0.0, ends[0][0]), max([0.0, *(high for _, high in ends)]))
    low, high = marks[0], marks[-1]
    # long labels are written aslant, and want room below
    slanted = len(shown) > 8 or max(len(bar.label) for bar in shown) * 7 > (WIDTH - LEFT - RIGHT) / len(shown)
    height = HEIGHT + (34 if slanted else 0)
    floor = HEIGHT - BOTTOM

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (floor - TOP)

    step = (WIDTH - LEFT - RIGHT) / len(shown)
    body = _grid(marks, y)
    for place, bar in enumerate(shown):
        middle, wide = LEFT + step * (place + 0.5), min(46.0, step * 0.62)
        top, foot = min(y(bar.value), y(0)), max(y(bar.value), y(0))
        body.append(f'<rect class="bar" x="{middle - wide / 2:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{max(foot - top, 0.8):.1f}"/>')
        if bar.half_width:
            upper, lower, cap = y(bar.value + bar.half_width), y(bar.value - bar.half_width), min(5.0, wide / 3)
            body.append(
                f'<path class="error" d="M{middle:.1f} {upper:.1f}V{lower:.1f}M{middle - cap:.1f} {upper:.1f}h{2 * cap:.1f}'
                f'M{middle - cap:.1f} {lower:.1f}h{2 * cap:.1f}"/>'
            )
        label = escape(bar.label if len(bar.label) <= 14 else bar.label[:13] + "…")
        if slanted:
            body.append(f'<text class="tick end" transform="translate({middle + 4:.1f} {floor + 12:.1f}) rotate(-35)">{label}</text>')
        else:
            body.append(f'<text class="tick middle" x="{middle:.1f}" y="{floor + 16}">{label}</text>')
    body.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>')
    return _frame(body, title, height)


def spans(values: Sequence[Bar], title: str) -> Markup:
    """Estimates with their 95 % half-widths, a line each, beside nothing: what crosses the axis may be nothing. At most 60."""
    shown = [bar for bar in values if math.isfinite(bar.value)][:60]
    if not shown:
        return Markup("")
    left, step = 150, 22
    marks = ticks(
        min(0.0, *(bar.value - (bar.half_width or 0) for bar in shown), 0.0),
        max(0.0, *(bar.value + (bar.half_width or 0) for bar in shown), 0.0),
    )
    low, high, floor = marks[0], marks[-1], TOP + step * len(shown)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - RIGHT - left)

    body = [f'<line class="grid" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{floor}"/>' for mark in marks]
    body += [f'<text class="tick middle" x="{x(mark):.1f}" y="{floor + 16}">{_label(mark)}</text>' for mark in marks]
    body.append(f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{TOP}" y2="{floor}"/>')
    for place, bar in enumerate(shown):
        y = TOP + step * (place + 0.5)
        label = escape(bar.label if len(bar.label) <= 20 else bar.label[:19] + "…")
        body.append(f'<text class="tick end" x="{left - 8}" y="{y + 3.5:.1f}">{label}</text>')
        if bar.half_width:
            ends = x(bar.value - bar.half_width), x(bar.value + bar.half_width)
            body.append(
                f'<path class="error" d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}M{ends[0]:.1f} {y - 4:.1f}v8M{ends[1]:.1f} {y - 4:.1f}v8"/>'
            )
        body.append(f'<circle class="bar" cx="{x(bar.value):.1f}" cy="{y:.1f}" r="4"/>')
    return _frame(body, title, int(floor + 24))


def burn(points: Sequence[tuple[str, float]], cap: float, title: str, forecast: Sequence[tuple[int, float]] = (), later: str = "") -> Markup:
    """A budget over days: what was used, step by step, against the cap; dashed, where it is heading.

    `points`: day (ISO) and use at its end, by day, one a day; `forecast`: days after the last point, and use then; `later` labels its end.
    """
    if not points:
        return Markup("")
    points = [(points[0][0], 0.0), *points] if len(points) == 1 else list(points)  # one day: from nothing to what it took
    span = len(points) - 1 + (forecast[-1][0] if forecast else 0)
    marks = ticks(
        0.0, max(cap, *(use for _, use in points), *(use for _, use in forecast)) if forecast else max(cap, *(use for _, use in points), 0.0)
    )
    high = marks[-1]

    def x(day: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (day / span if span else 1.0)

    def y(value: float) -> float:
        return TOP + (high - value) / high * (HEIGHT - BOTTOM - TOP)

    body = _grid(marks, y)
    path = f"M{x(0):.1f} {y(points[0][1]):.1f}" + "".join(f"H{x(place):.1f}V{y(use):.1f}" for place, (_, use) in enumerate(points) if place)
    last = len(points) - 1
    body.append(f'<path class="area" d="{path}V{y(0):.1f}H{x(0):.1f}Z"/><path class="line" d="{path}"/>')
    if forecast:
        way = f"M{x(last):.1f} {y(points[-1][1]):.1f}" + "".join(f"L{x(last + day):.1f} {y(use):.1f}" for day, use in forecast)
        body.append(f'<path class="line ahead" d="{way}"/>')
    body.append(f'<line class="cap" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(cap):.1f}" y2="{y(cap):.1f}"/>')
    body.append(f'<text class="tick" x="{LEFT}" y="{HEIGHT - 8}">{escape(points[0][0])}</text>')
    body.append(f'<text class="tick end" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}">{escape(later or points[-1][0])}</text>')
    if forecast and later:
        body.append(f'<text class="tick middle" x="{x(last):.1f}" y="{HEIGHT - 8}">{escape(points[-1][0])}</text>')
    return _frame(body, title)


def columns(counts: Sequence[tuple[str, int]], title: str) -> Markup:
    """Counts by day, small: the pulse of the house."""
    most = max((count for _, count in counts), default=0)
    if not most:
        return Markup("")
    wide = 100 / len(counts)
    body = "".join(
        f'<rect class="bar" x="{place * wide + wide * 0.12:.2f}" width="{wide * 0.76:.2f}" y="{24 - 22 * count / most:.2f}" '
        f'height="{22 * count / most:.2f}"><title>{escape(day)}: {count}</title></rect>'
        for place, (day, count) in enumerate(counts)
    )
    return Markup(f'<svg class="pulse" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{escape(title)}">{body}</svg>')  # noqa: S704
