"""The quality report as one SVG picture: no script, no outside reference, readable in both languages."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from sandbox.synthetic.report import ColumnQuality, Quality

WIDTH = 960
_LEFT, _BAR, _GAP = 280, 14, 6
_PANEL_WIDTH, _PANEL_HEIGHT, _ACROSS = 300, 150, 3
_STYLE = (
    "text{font:12px 'Noto Sans CJK SC','Noto Sans SC',sans-serif;fill:#222}.h{font-size:15px;font-weight:600}.s{font-size:10px;fill:#555}"
    ".a{fill:#2f6f9f}.b{fill:none;stroke:#b5482a;stroke-width:1.5}.m{fill:#c9d8e3}.n{stroke:#b5482a;stroke-width:2}"
)


def picture(quality: Quality) -> str:
    """Distances of all measured marginals, then each column's levels: bars as measured, a line in the synthetic table."""
    bars, height = _distances(quality)
    panels: list[str] = []
    top = height + 40
    for place, column in enumerate(quality.columns):
        x, y = 10 + place % _ACROSS * (_PANEL_WIDTH + 15), top + place // _ACROSS * (_PANEL_HEIGHT + 45)
        panels += _panel(column, x, y)
    height = top + -(-len(quality.columns) // _ACROSS) * (_PANEL_HEIGHT + 45)
    body = "\n".join(
        [*bars, f'<text class="h" x="10" y="{top - 12}">各列分布 · Each column: measured (bars), synthetic (line)</text>', *panels]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>合成数据质量 · Quality of the synthetic table</title><style>{_STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _distances(quality: Quality) -> tuple[list[str], int]:
    worst = max([*(one.distance for one in quality.marginals), *(one.noise for one in quality.marginals), 1e-9])
    scale = (WIDTH - _LEFT - 80) / worst
    lines = [
        '<text class="h" x="10" y="22">与加噪测量的总变差距离 · Total variation from the noisy measurements</text>',
        '<text class="s" x="10" y="40">红线：噪声本身造成的平均距离 · red: what noise alone makes on average</text>',
    ]
    y = 54
    for one in quality.marginals:
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(_short(" × ".join(one.columns), 38))}</text>',
            f'<rect class="a" x="{_LEFT}" y="{y}" width="{one.distance * scale:.1f}" height="{_BAR}"/>',
            f'<path class="n" d="M{_LEFT + one.noise * scale:.1f} {y - 1}v{_BAR + 2}"/>',
            f'<text class="s" x="{_LEFT + max(one.distance, one.noise) * scale + 6:.1f}" y="{y + 11}">{one.distance:.4f}</text>',
        ]
        y += _BAR + _GAP
    return lines, y


def _panel(column: ColumnQuality, x: int, y: int) -> list[str]:
    most = max([*column.measured, *column.synthetic, 1])
    step = _PANEL_WIDTH / len(column.levels)

    def height(count: int) -> float:
        return max(0, count) / most * (_PANEL_HEIGHT - 30)

    floor = y + _PANEL_HEIGHT
    bars = [
        f'<rect class="m" x="{x + place * step:.1f}" y="{floor - height(count):.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{height(count):.1f}"/>'
        for place, count in enumerate(column.measured)
    ]
    line = _steps((x + place * step, x + (place + 1) * step, floor - height(count)) for place, count in enumerate(column.synthetic))
    ends = f"{_short(column.levels[0], 18)} … {_short(column.levels[-1], 18)}"
    return [
        f'<text x="{x}" y="{y + 14}">{escape(_short(column.column, 40))}</text>',
        *bars,
        f'<path class="b" d="{line}"/>',
        f'<text class="s" x="{x}" y="{floor + 14}">{escape(ends)}; ± {column.half_width:.0f}</text>',
    ]


def _steps(spans: Iterable[tuple[float, float, float]]) -> str:
    drawn = "".join(f"L{left:.1f} {top:.1f}H{right:.1f}" for left, right, top in spans)
    return "M" + drawn.removeprefix("L")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
