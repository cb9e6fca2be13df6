"""A released table as people read it: each value with its 95 % half-width, aligned in text, escaped in HTML."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

from yunei.words import Language, pick

if TYPE_CHECKING:
    from yunei.models import Column


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells as text. `numeric` says which columns are set to the right."""

    headers: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int  # rows left out


def grid(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], total: int) -> Grid:
    """Half-width columns are folded into the values they belong to. `total` is how many rows there are beyond those given."""
    widths = {column.half_width_column for column in columns if column.half_width_column}
    shown = [column for column in columns if column.label not in widths and column.kind != "half_width"]
    cells = []
    for row in rows:
        cells.append(tuple(cell(row[column.label], row.get(column.half_width_column or "")) for column in shown))
    return Grid(tuple(column.label for column in shown), tuple(column.kind == "value" for column in shown), tuple(cells), total - len(rows))


def cell(value: object, half_width: object = None) -> str:
    """A value, and its half-width to two significant digits; the value is shown no finer than that.

    >>> cell(1234), cell(1234, 16.46), cell(3.14159, 0.0234), cell(None), cell(0.5, float("inf"))
    ('1,234', '1,234 ± 17', '3.142 ± 0.024', '–', '0.5 ± ∞')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return printable(str(value))
    if isinstance(half_width, bool) or not isinstance(half_width, int | float | Decimal) or math.isnan(half_width):
        return _number(value)
    if not math.isfinite(half_width):
        return f"{_number(value)} ± ∞"
    places = _places(float(half_width))
    step = 10.0**-places
    rounded = math.ceil(float(half_width) / step - 1e-9) * step  # an error bar is never rounded down
    if isinstance(value, int):
        places = 0 if places <= 0 else places
        return f"{value:,} ± {math.ceil(half_width) if places == 0 else rounded:,.{places}f}"
    return f"{_fixed(value, max(0, places))} ± {rounded:,.{max(0, places)}f}"


def _places(half_width: float) -> int:
    return 0 if half_width <= 0 else max(0, 1 - math.floor(math.log10(half_width)))


def _number(value: int | float | Decimal) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    return f"{value:,.6g}" if math.isfinite(value) else str(value)


def _fixed(value: float | Decimal, places: int) -> str:
    return f"{value:,.{places}f}" if math.isfinite(value) else str(value)


def printable(text: str) -> str:
    """Without control characters: a key value must not steer a terminal. Spaces of every width are let through."""
    return "".join(one if one.isprintable() or unicodedata.category(one) == "Zs" else "\ufffd" for one in text)


def columns_wide(text: str) -> int:
    """Terminal columns: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1 for character in text)


def as_text(table: Grid, notes: Sequence[str], language: Language) -> str:
    widths = [max(columns_wide(text) for text in (header, *(row[at] for row in table.rows))) for at, header in enumerate(table.headers)]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for text, width, numeric in zip(cells, widths, table.numeric, strict=True):
            blank = " " * (width - columns_wide(text))
            padded.append(blank + text if numeric else text + blank)
        return "  ".join(padded).rstrip()

    lines = [line(table.headers), "  ".join("─" * width for width in widths), *(line(row) for row in table.rows)]
    if table.hidden:
        lines.append(more(table.hidden, language))
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def as_html(table: Grid, notes: Sequence[str], language: Language) -> str:
    """A self-contained fragment: every text escaped, no script, no style sheet, no address."""

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="text-align:{"right" if numeric else "left"}">{escape(text)}</{tag}>'
            for text, numeric in zip(texts, table.numeric, strict=True)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    tail = f"<p>{escape(more(table.hidden, language))}</p>" if table.hidden else ""
    said = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<div><table><thead><tr>{cells('th', table.headers)}</tr></thead><tbody>{rows}</tbody></table>{tail}{said}</div>"


def more(hidden: int, language: Language) -> str:
    return pick(language, f"……另有 {hidden} 行", f"… and {hidden} more rows")
