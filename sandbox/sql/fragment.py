"""The piece of the operator's own text that a syntax node came from, to be quoted in a refusal."""

from __future__ import annotations

import re

from sqlglot import exp

LIMIT = 120
_CALLED = re.compile(r"\w+\s*\(\s*(?:(?:distinct|all)\s+)?$", re.IGNORECASE)


def fragment(node: exp.Expr, text: str) -> str:
    """What the operator wrote for `node`, on one line, at most 120 characters; sqlglot's rendering when positions are unknown.

    sqlglot marks names, numbers and function names with their place; the piece spans those of the node and its descendants, widened
    until its parentheses balance.
    """
    places = [(place.meta["start"], place.meta["end"] + 1) for place in node.walk() if "start" in place.meta and "end" in place.meta]
    if places:
        start, end = min(place[0] for place in places), max(place[1] for place in places)
        called = isinstance(node, (exp.Func, exp.Filter))
        if "start" not in node.meta and isinstance(node, (exp.AggFunc, exp.Cast)) and (before := _CALLED.search(text, 0, start)):
            start = before.start()  # sqlglot marks the names of some functions only
        if 0 <= start < end <= len(text):
            return shorten(text[start : _balanced(text, start, end, called)])
    return shorten(node.sql(dialect="duckdb", comments=False))


def shorten(piece: str) -> str:
    line = " ".join(piece.split())
    return line if len(line) <= LIMIT else line[: LIMIT - 1] + "…"


def _balanced(text: str, start: int, end: int, called: bool) -> int:
    """The end widened to the right until every parenthesis opened in the piece is closed; a function takes its own along."""
    after = len(text) - len(text[end:].lstrip())
    if called and "(" not in text[start:end] and text[after : after + 1] == "(":
        end = after + 1
    depth = _depth(text[start:end])
    while depth > 0 and end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return end


def _depth(piece: str) -> int:
    return piece.count("(") - piece.count(")")
