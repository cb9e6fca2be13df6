"""Typed expressions: what the operator's expressions are turned into, and the only thing DuckDB's SQL is written from.

A tree is a column, a literal, or a call. A call carries the form it is written in, a constant of this code with places for its arguments:
nothing an operator typed is ever part of a form. Equal trees mean equal expressions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from sandbox.sql import problems
from sandbox.sql.types import Type

EMITTED_LIMIT = 200_000  # characters of one expression; forms that repeat an argument could otherwise grow without end


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a scan (`table` is its alias in the emitted SQL), or a column of the noisy table (`table` empty).

    `form` brings the stored value to the type, whatever it is stored as; the reading never fails and gives NULL for what does not fit.
    """

    table: str
    name: str
    type: Type
    form: str = "{0}"
    label: str = field(default="", compare=False, repr=False)  # what the query calls a derived table's column

    @property
    def shown(self) -> str:
        return self.label or self.name


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: a scaled integer for exact, Fraction for float (finite), str, date, datetime, bool, or None."""

    value: int | Fraction | str | date | datetime | bool | None
    type: Type


@dataclass(frozen=True, slots=True)
class Call:
    op: str
    args: tuple[Expr, ...]
    type: Type
    form: str = field(repr=False)


Expr = Column | Literal | Call


def emit(expr: Expr) -> str:
    """The expression as DuckDB SQL, fully parenthesised. Raises `sql_too_large`."""
    if isinstance(expr, Column):
        name = quoted(expr.name)
        return expr.form.format(f"{quoted(expr.table)}.{name}" if expr.table else name)
    if isinstance(expr, Literal):
        return literal(expr)
    args = [emit(arg) for arg in expr.args]
    text = expr.form.format(*args, args=", ".join(args))
    if len(text) > EMITTED_LIMIT:
        raise problems.TOO_LARGE(limit=EMITTED_LIMIT)
    return text


def walk(expr: Expr) -> Iterator[Expr]:
    yield expr
    if isinstance(expr, Call):
        for arg in expr.args:
            yield from walk(arg)


def columns(expr: Expr) -> Iterator[Column]:
    return (item for item in walk(expr) if isinstance(item, Column))


def is_null(expr: Expr) -> bool:
    return isinstance(expr, Literal) and expr.value is None


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text_literal(value: str) -> str:
    """A string as DuckDB reads it back unchanged: only the quote needs doubling. Control characters were refused with the query."""
    return "'" + value.replace("'", "''") + "'"


def literal(expr: Literal) -> str:
    value, kind = expr.value, expr.type.kind
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, datetime):
        return f"CAST('{value.isoformat(sep=' ')}' AS TIMESTAMP)"
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    if kind == "float":
        return float_literal(float(value))
    return integer_literal(int(value), wide=expr.type.wide)


def integer_literal(value: int, *, wide: bool = False) -> str:
    """Always typed: a bare numeral would be a 32-bit integer, whose arithmetic overflows."""
    numeral = str(value) if value >= 0 else f"({value})"
    return f"{numeral}::{'HUGEINT' if wide or abs(value) > 2**63 - 1 else 'BIGINT'}"


def float_literal(value: float) -> str:
    """The DOUBLE itself: `repr` round-trips and DuckDB reads a numeral with an exponent as DOUBLE."""
    numeral = repr(float(value))
    numeral = numeral if "e" in numeral else numeral + "e0"
    return numeral if value >= 0 else f"({numeral})"
