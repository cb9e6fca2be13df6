"""Lists in parts: a page shows so many rows of each, however long it is, and leads to the others; a search finds in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

PART = 25  # rows of each list on a page
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """`rows` of a list of `of` rows; `before` and `after`: addresses of the parts beside this one, None at an end."""

    rows: Sequence[Row]
    of: int
    before: str | None
    after: str | None


def part(request: Request, name: str, rows: Sequence[Row]) -> Part:
    """The part of list `name` that the address asks for; the nearest there is, if it is no number or too large. What else the address asks for
    stays as it is."""
    asked = request.query_params
    last = max(0, (len(rows) - 1) // PART)
    text = asked.get(name, "")
    at = min(last, int(text)) if text.isdecimal() and len(text) < 9 else 0

    def beside(number: int) -> str | None:
        others = {each: value for each, value in asked.items() if each != name and value}
        return f"{request.url.path}?{urlencode({**others, name: number})}" if 0 <= number <= last else None

    return Part(rows[at * PART : (at + 1) * PART], len(rows), beside(at - 1), beside(at + 1))


def sought(request: Request) -> str:
    """What the address's `text` asks for, as it is compared."""
    return request.query_params.get("text", "").strip().casefold()


def matches(text: str, *said: str | Mapping[str, str] | Iterable[str]) -> bool:
    """Whether what is `sought` stands in one of these: an id, a title in both languages, several ids.

    >>> matches("卫生", "L-1", {"zh": "卫生规划", "en": "health"}), matches("l-2", "L-1", ["a", "b"]), matches("")
    (True, False, True)
    """
    words = (each.values() if isinstance(each, Mapping) else (each,) if isinstance(each, str) else each for each in said)
    return not text or any(text in word.casefold() for several in words for word in several)
