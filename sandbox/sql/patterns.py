"""Rules of regular expressions. The pattern is a constant that RE2 accepts, as DuckDB's own engine is RE2: it never backtracks, so every text
is matched in time linear in its length, and once a pattern compiles no value can make it raise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.sql.expr import Call, Expr, Literal
from sandbox.sql.numbers import Misfit, constant_integer, integer, truth, want
from sandbox.sql.text import capped, constant_text
from sandbox.sql.types import TEXT

_REFERENCE = re.compile(r"\\[0-9]")
_OPENING = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)|\(\?P?<[^=!]", re.DOTALL)


def pattern(arg: Expr) -> Literal:
    """The pattern, compiled once here. Raises Misfit."""
    made = constant_text(arg)
    text = str(made.value)
    if "\\C" in text:  # a byte: half a character is no text
        raise Misfit("不支持 \\C", "\\C is not supported")
    try:
        pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid:
        raise Misfit(
            "正则表达式无效（RE2 语法，不支持前后查找与反向引用）",
            "the pattern is not one of RE2, which has no lookaround and no backreferences",
        ) from None
    return made


def matches(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        return truth(op, f"{op}({{0}}, {{1}})", args[0], pattern(args[1]))

    return rule


def extract(args: Sequence[Expr]) -> Expr:
    """regexp_extract(s, pattern, group): empty text where nothing matches, as in DuckDB."""
    want(("text",), args[0])
    made = pattern(args[1])
    group = constant_integer(args[2], 0, 9) if len(args) > 2 else 0
    groups = sum(found[0].startswith("(") for found in _OPENING.finditer(str(made.value)))
    if group > groups:
        raise Misfit(f"模式只有 {groups} 个分组", f"the pattern has {groups} groups")
    return Call("extract", (args[0], made, integer(group)), TEXT, "regexp_extract({0}, {1}, CAST({2} AS INTEGER))")


def replace(args: Sequence[Expr]) -> Expr:
    """regexp_replace(s, pattern, text, 'g'): the first match, or all."""
    want(("text",), args[0])
    made, new = pattern(args[1]), constant_text(args[2])
    if _REFERENCE.search(str(new.value)):
        raise Misfit("替换文本中不能引用分组", "the replacement cannot refer to groups")
    options = "" if len(args) < 4 else str(constant_text(args[3]).value)
    if options not in ("", "g"):
        raise Misfit("选项只有 'g'", "the only option is 'g'")
    form = "regexp_replace({0}, {1}, {2}, 'g')" if options else "regexp_replace({0}, {1}, {2})"
    return Call("regexp_replace", (args[0], made, new), TEXT, capped(form))
