"""Byte ranges and preconditions of RFC 9110 (13, 14), as functions of header texts."""

from __future__ import annotations

import re

LIMIT = 16  # ranges in one request; one who asks for more gets everything
_ONE = re.compile(r"[ \t]*(\d{0,18})-(\d{0,18})[ \t]*")

Parts = list[tuple[int, int]]  # first byte, and the one after the last


def matches(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a list of entity tags names this strong one: If-None-Match compares weakly, If-Match strongly."""
    if header.strip() == "*":
        return True
    tags = (item.strip() for item in header.split(","))
    return etag in ((tag.removeprefix("W/") for tag in tags) if weakly else tags)


def parts_of(header: str, length: int) -> Parts | None:
    """The parts of a `length` bytes long content that a Range header asks for, in its order, those that touch joined. None: the header is
    not to be followed (another unit, malformed, too many): everything is sent. Empty: nothing of it lies inside.

    >>> parts_of("bytes=0-1, -2", 10), parts_of("bytes=4-, 0-3", 10), parts_of("bytes=12-", 10), parts_of("lines=1-2", 10)
    ([(0, 2), (8, 10)], [(0, 10)], [], None)
    """
    unit, _, ranges = header.partition("=")
    asked = ranges.split(",")
    if unit.strip().lower() != "bytes" or len(asked) > LIMIT:
        return None
    found: Parts = []
    for item in asked:
        match = _ONE.fullmatch(item)
        if match is None or match.groups() == ("", ""):
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = max(0, length - int(last)) if not first else int(first)
        stop = length if not first or not last else min(length, int(last) + 1)
        if start < stop:
            found.append((start, stop))
    return _joined(found)


def _joined(parts: Parts) -> Parts:
    """Parts that overlap or touch become one, at the place of the first: nobody is sent the same bytes twice."""
    joined: Parts = []
    for start, stop in parts:
        for at, (other, end) in enumerate(joined):
            if start <= end and other <= stop:
                joined[at] = (min(start, other), max(stop, end))
                break
        else:
            joined.append((start, stop))
    return joined if joined == parts or len(joined) == len(parts) else _joined(joined)
