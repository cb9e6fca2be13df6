"""Rules of text functions. Patterns, positions and lengths are constants, and what makes texts longer is cut at LONGEST characters: no value
can make one raise, and no nesting can make one grow without bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sandbox.sql.casts import to_text
from sandbox.sql.expr import Call, Expr, Literal
from sandbox.sql.numbers import Misfit, constant_integer, integer, truth, want
from sandbox.sql.types import TEXT, exact

LONGEST = 10_000


def capped(form: str) -> str:
    return f"left({form}, {LONGEST})"


def constant_text(arg: Expr) -> Literal:
    if isinstance(arg, Literal) and isinstance(arg.value, str) and len(arg.value) <= 200:
        return arg
    raise Misfit("此处须为不超过 200 字的文本常量", "a constant text of at most 200 characters is wanted here")


def plain(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), *args)
        return Call(op, tuple(args), TEXT, f"{op}({{0}})")

    return rule


def length(args: Sequence[Expr]) -> Expr:
    want(("text",), *args)
    return Call("length", tuple(args), exact(0, None), "CAST(length({0}) AS BIGINT)")


def substring(args: Sequence[Expr]) -> Expr:
    want(("text",), args[0])
    start = constant_integer(args[1], -LONGEST, LONGEST)
    count = constant_integer(args[2], 0, LONGEST) if len(args) > 2 else LONGEST
    return Call("substring", (args[0], integer(start), integer(count)), TEXT, "substring({0}, {1}, {2})")


def end(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        return Call(op, (args[0], integer(constant_integer(args[1], 0, LONGEST))), TEXT, f"{op}({{0}}, {{1}})")

    return rule


def test(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        return truth(op, f"{op}({{0}}, {{1}})", args[0], constant_text(args[1]))

    return rule


def like(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        return truth(op, f"({{0}} {op.upper()} {{1}})", args[0], constant_text(args[1]))

    return rule


def replace(args: Sequence[Expr]) -> Expr:
    want(("text",), args[0])
    return Call("replace", (args[0], constant_text(args[1]), constant_text(args[2])), TEXT, capped("replace({0}, {1}, {2})"))


def split_part(args: Sequence[Expr]) -> Expr:
    want(("text",), args[0])
    place = integer(constant_integer(args[2], 1, LONGEST))
    # split_part is a macro in DuckDB; this is what it stands for
    form = "CASE WHEN {0} IS NOT NULL THEN coalesce(list_extract(string_split({0}, {1}), {2}), '') END"
    return Call("split_part", (args[0], constant_text(args[1]), place), TEXT, form)


def join(args: Sequence[Expr]) -> Expr:
    """`a || b`: NULL when either is."""
    return Call("join", tuple(to_text(arg) for arg in args), TEXT, capped("({0} || {1})"))


def concat(args: Sequence[Expr]) -> Expr:
    """concat(a, …): NULLs are skipped."""
    return Call("concat", tuple(to_text(arg) for arg in args), TEXT, capped("concat({args})"))


def concat_apart(args: Sequence[Expr]) -> Expr:
    """concat_ws(separator, a, …): NULLs are skipped."""
    return Call("concat_ws", (constant_text(args[0]), *(to_text(arg) for arg in args[1:])), TEXT, capped("concat_ws({args})"))


def place(args: Sequence[Expr]) -> Expr:
    """Where a constant text first occurs, from 1; 0 when it does not."""
    want(("text",), args[0])
    return Call("place", (args[0], constant_text(args[1])), exact(0, None), "CAST(strpos({0}, {1}) AS BIGINT)")


def code(args: Sequence[Expr]) -> Expr:
    """The first character's number."""
    want(("text",), args[0])
    return Call("code", (args[0],), exact(0, 0x10FFFF), "CAST(ascii({0}) AS BIGINT)")


def pad(op: str) -> Callable[[Sequence[Expr]], Expr]:
    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        size, fill = integer(constant_integer(args[1], 0, LONGEST)), constant_text(args[2])
        if not fill.value:
            raise Misfit("填充文本不能为空", "the text to pad with must not be empty")
        return Call(op, (args[0], size, fill), TEXT, f"{op}({{0}}, CAST({{1}} AS INTEGER), {{2}})")

    return rule


def repeat(args: Sequence[Expr]) -> Expr:
    want(("text",), args[0])
    return Call("repeat", (args[0], integer(constant_integer(args[1], 0, 20))), TEXT, capped("repeat({0}, {1})"))


def translate(args: Sequence[Expr]) -> Expr:
    want(("text",), args[0])
    return Call("translate", (args[0], constant_text(args[1]), constant_text(args[2])), TEXT, "translate({0}, {1}, {2})")


def trim(op: str) -> Callable[[Sequence[Expr]], Expr]:
    """Without spaces at the ends, or without those of some characters."""

    def rule(args: Sequence[Expr]) -> Expr:
        want(("text",), args[0])
        if len(args) == 1:
            return Call(op, (args[0],), TEXT, f"{op}({{0}})")
        return Call(op, (args[0], constant_text(args[1])), TEXT, f"{op}({{0}}, {{1}})")

    return rule


def element(args: Sequence[Expr]) -> Expr:
    """s[i] and s[i:j]: characters i to j, from 1."""
    want(("text",), args[0])
    first = constant_integer(args[1], 1, LONGEST)
    last = constant_integer(args[2], first, LONGEST) if len(args) > 2 else first
    return substring([args[0], integer(first), integer(last - first + 1)])
