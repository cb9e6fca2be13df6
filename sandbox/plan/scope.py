"""What names mean: the tables of FROM, their columns with types and bounds, and every use of a base column on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from sqlglot import exp

from policies import catalogue
from policies.catalogue import NUMERIC, Snapshot, Use
from sandbox.plan.ask import Range
from sandbox.plan.model import ColumnUse
from sandbox.sql import problems
from sandbox.sql.casts import scaled_reading
from sandbox.sql.expr import Column, Expr
from sandbox.sql.fragment import fragment
from sandbox.sql.types import BOOLEAN, DATE, STORED, TEXT, TIMESTAMP, Type, exact, floating


def column_type(column: catalogue.Column) -> Type:
    low, high = column.low, column.high
    if column.type == "integer":
        return exact(_fraction(low), _fraction(high), 0, STORED)
    if column.type == "decimal":
        return exact(_fraction(low), _fraction(high), column.decimals, STORED)
    if column.type == "number":
        return floating(_fraction(low), _fraction(high), column.decimals)
    if column.type == "date":
        return replace(DATE, low=_fraction(low), high=_fraction(high))
    return {"text": TEXT, "timestamp": TIMESTAMP, "boolean": BOOLEAN}[column.type]


def _fraction(bound: object) -> Fraction | None:
    return None if bound is None else Fraction(bound.toordinal()) if isinstance(bound, date) else Fraction(str(bound))


def reading(column: catalogue.Column) -> str:
    """The form that reads a stored value as its declared type, whatever it is stored as; NULL for what does not fit."""
    if column.type == "decimal" and column.decimals:
        ends = [abs(Fraction(str(end))) for end in (column.low, column.high) if end is not None]
        most = max(ends) if ends else None
        return scaled_reading(column.decimals, None if most is None else most * 10**column.decimals)
    name = {"integer": "BIGINT", "decimal": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "date": "DATE"}
    return f"TRY_CAST({{0}} AS {name.get(column.type, column.type.upper())})"


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset in FROM: `name` as the query calls it, `alias` as the emitted SQL does."""

    name: str
    alias: str
    snapshot: Snapshot

    @property
    def dataset(self) -> catalogue.Dataset:
        return self.snapshot.dataset

    def column(self, column: catalogue.Column) -> Column:
        return Column(self.alias, column.name, column_type(column), reading(column))


@dataclass
class Scope:
    """The tables in sight, in order. `merged`: columns joined with USING, named without a table, to the table that stands for both."""

    text: str
    ranges: Mapping[tuple[str, str], Range]  # (dataset, column) casefolded, narrowed by the job
    tables: list[Table] = field(default_factory=list)
    merged: dict[str, Table] = field(default_factory=dict)
    uses: dict[ColumnUse, None] = field(default_factory=dict)  # ordered

    def table(self, name: str) -> Table | None:
        return next((table for table in self.tables if table.name.casefold() == name.casefold()), None)

    def by_alias(self, alias: str) -> Table:
        return next(table for table in self.tables if table.alias == alias)

    def find(self, node: exp.Column) -> tuple[Table, catalogue.Column] | None:
        """The table and column a name means, or None. Raises `sql_ambiguous_column`, `sql_unknown_column` (a table named that is not there)."""
        name, qualifier = node.name, node.table
        if qualifier:
            table = self.table(qualifier)
            column = table.dataset.get(name) if table else None
            if table is None or column is None:
                raise self.unknown(node)
            return table, column
        if name.casefold() in self.merged:
            table = self.merged[name.casefold()]
            column = table.dataset.get(name)
            assert column is not None
            return table, column
        found = [(table, column) for table in self.tables if (column := table.dataset.get(name)) is not None]
        if len(found) > 1:
            raise problems.AMBIGUOUS_COLUMN(fragment=fragment(node, self.text), example=f"{found[0][0].name}.{name}")
        return found[0] if found else None

    def unknown(self, node: exp.Expr) -> Exception:
        several = len(self.tables) > 1
        names = [f"{table.name}.{column.name}" if several else column.name for table in self.tables for column in table.dataset.columns]
        shown = ", ".join(names[:30]) + (" …" if len(names) > 30 else "")
        return problems.UNKNOWN_COLUMN(fragment=fragment(node, self.text), columns=shown)

    def read(self, table: Table, column: catalogue.Column, use: Use, *, narrowed: bool = False) -> Column:
        """The column as an expression, its use noted; `narrowed` with the job's range in place of the declared one."""
        self.uses.setdefault(ColumnUse(table.dataset.name, column.name, use))
        made = table.column(column)
        asked = self.ranges.get((table.dataset.name.casefold(), column.name.casefold())) if narrowed else None
        if asked is None or column.type not in NUMERIC:
            return made
        return replace(made, type=replace(made.type, low=Fraction(asked.low), high=Fraction(asked.high)))

    def is_unit(self, expr: Expr) -> bool:
        """Whether the expression is the unit column of its table."""
        if not isinstance(expr, Column) or not expr.table:
            return False
        unit = self.by_alias(expr.table).dataset.unit
        return unit is not None and unit.column.casefold() == expr.name.casefold()
