"""What names mean: the tables of FROM, stored or derived, their columns with types and bounds, and every use of a stored column on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

from sqlglot import exp

from policies import catalogue
from policies.catalogue import NUMERIC, Catalogue, Dataset, KeyValue, Snapshot, Use
from sandbox.plan.ask import Range
from sandbox.plan.ir import Derived, Join, Owner, Scan
from sandbox.plan.model import ColumnUse
from sandbox.sql import problems
from sandbox.sql.casts import scaled_reading
from sandbox.sql.expr import Call, Column, Expr, columns
from sandbox.sql.fragment import fragment
from sandbox.sql.types import BOOLEAN, DATE, STORED, TEXT, TIMESTAMP, Type, exact, floating

if TYPE_CHECKING:
    from sandbox.plan.bind import Rows
    from sandbox.plan.released import Releases

MOST_TABLES = 100  # of one query, each use of a CTE counted


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


def stored_as(column: catalogue.Column) -> str:
    """How DuckDB names the type a column is stored in."""
    if column.type == "decimal":
        return f"DECIMAL(18, {column.decimals})"
    return {"integer": "BIGINT", "number": "DOUBLE", "text": "VARCHAR"}.get(column.type, column.type.upper())


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
class Field:
    """A column that a table shows. `narrow` is its type when the job's ranges hold, `bases` the stored columns it is computed from."""

    name: str
    column: Column
    narrow: Type
    bases: tuple[tuple[str, str], ...]  # (dataset, column)
    domain: tuple[KeyValue | None, ...] | None
    identifying: bool  # computed from a unit column


@dataclass(frozen=True, slots=True)
class Named:
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table in FROM: `name` as the query calls it, `alias` as the emitted SQL does; its columns' ranges are kept under `dataset`."""

    name: str
    alias: str
    fields: tuple[Field, ...]
    relation: Scan | Derived
    dataset: Named

    def get(self, name: str) -> Field | None:
        """The first column of that name, as in DuckDB, where later ones of a derived table get other names."""
        folded = name.casefold()
        return next((item for item in self.fields if item.name.casefold() == folded), None)


@dataclass(frozen=True, slots=True)
class CTE:
    query: exp.Expr
    ctes: Mapping[str, CTE]  # in sight of it
    names: tuple[str, ...] = ()  # WITH t(a, b): what its first columns are called


@dataclass
class Shared:
    """What all parts of one query have in common. `ranges`: narrowed by the job, (dataset or derived alias, column) casefolded;
    `loose`: ranges for no stored column, by the name asked, until a derived column takes them; `scanned`: the snapshot behind each alias."""

    catalogue: Catalogue
    ranges: dict[tuple[str, str], Range]
    loose: dict[str, Range]
    derive: Callable[[exp.Expr | CTE, Scope, str], Table]  # a derived table of a query or a CTE
    resolve: Callable[[Rows, exp.Expr], Expr]  # the meaning of a subquery inside an expression
    condition: Callable[[Scope, exp.Expr, Mapping[str, exp.Expr]], Expr | None]  # of a condition of WHERE that holds a subquery
    taken: set[str] = field(default_factory=set)
    narrowed: set[tuple[str, str]] = field(default_factory=set)  # derived columns to which a range of the job applies
    scanned: dict[str, Snapshot] = field(default_factory=dict)
    aliases: int = 0
    views: set[str] = field(default_factory=set)  # aliases of tables that earlier parts release
    releases: Releases = field(init=False)  # what has to be noised first

    def alias(self) -> str:
        self.aliases += 1
        if self.aliases > MOST_TABLES:
            raise problems.TOO_LARGE(limit=MOST_TABLES)
        return f"s{self.aliases - 1}"

    @property
    def private(self) -> list[Dataset]:
        return [snapshot.dataset for snapshot in self.scanned.values() if snapshot.dataset.private]


@dataclass
class Scope:
    """The tables in sight, in order. `merged`: columns joined with USING, named without a table, to the table that stands for both;
    `outer`: the scope around a subquery, where its condition may look; `attached`: tables joined on for subqueries in expressions."""

    text: str
    shared: Shared
    ctes: Mapping[str, CTE] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    merged: dict[str, Table] = field(default_factory=dict)
    uses: dict[ColumnUse, None] = field(default_factory=dict)  # ordered
    owner: Owner | None = None  # of the rows, once FROM and WHERE are known
    outer: Scope | None = None
    attached: list[tuple[Table, Join]] = field(default_factory=list)
    answers: dict[exp.Expr, Expr] = field(default_factory=dict)  # what each subquery became

    @property
    def ranges(self) -> Set[tuple[str, str]]:
        """The columns, by dataset or alias, that the job narrows."""
        return self.shared.ranges.keys() | self.shared.narrowed

    def table(self, name: str) -> Table | None:
        return next((table for table in self.tables if table.name.casefold() == name.casefold()), None)

    def by_alias(self, alias: str) -> Table:
        return next(table for table in self._all() if table.alias == alias)

    def _all(self) -> Iterator[Table]:
        yield from self.tables
        yield from (table for table, _ in self.attached)
        if self.outer is not None:
            yield from self.outer._all()

    def field(self, column: Column) -> Field:
        return next(item for item in self.by_alias(column.table).fields if item.column.name == column.name)

    def mine(self, column: Column) -> bool:
        """Whether the column is of a table of this scope rather than of the one around it."""
        return any(table.alias == column.table for table in self.tables) or any(table.alias == column.table for table, _ in self.attached)

    def find(self, node: exp.Column) -> tuple[Table, Field] | None:
        """The table and column a name means, or None. Raises `sql_ambiguous_column`, `sql_unknown_column` (a table named that is not there)."""
        name, qualifier = node.name, node.table
        if qualifier:
            table = self.table(qualifier)
            if table is None and self.outer is not None:
                return self.outer.find(node)
            column = table.get(name) if table else None
            if table is None or column is None:
                raise self.unknown(node)
            return table, column
        if name.casefold() in self.merged:
            table = self.merged[name.casefold()]
            column = table.get(name)
            assert column is not None
            return table, column
        found = [(table, column) for table in self.tables if (column := table.get(name)) is not None]
        if len(found) > 1:
            raise problems.AMBIGUOUS_COLUMN(fragment=fragment(node, self.text), example=f"{found[0][0].name}.{name}")
        if not found and self.outer is not None:
            return self.outer.find(node)
        return found[0] if found else None

    def unknown(self, node: exp.Expr) -> Exception:
        several = len(self.tables) > 1
        names = [f"{table.name}.{column.name}" if several else column.name for table in self.tables for column in table.fields]
        shown = ", ".join(names[:30]) + (" …" if len(names) > 30 else "")
        return problems.UNKNOWN_COLUMN(fragment=fragment(node, self.text), columns=shown)

    def read(self, item: Field, use: Use | None, *, narrowed: bool = False) -> Column:
        """The column as an expression, its use noted (None: nothing is done with it yet); `narrowed` with the job's ranges."""
        self.note(item.bases, use)
        kind = replace(item.column.type, low=item.narrow.low, high=item.narrow.high)
        return replace(item.column, type=kind) if narrowed else item.column

    def note(self, bases: tuple[tuple[str, str], ...], use: Use | None) -> None:
        if use is not None:
            for dataset, column in bases:
                self.uses.setdefault(ColumnUse(dataset, column, use))

    def bases(self, expr: Expr) -> tuple[tuple[str, str], ...]:
        """The stored columns an expression is computed from."""
        return tuple(dict.fromkeys(base for column in columns(expr) for base in self.field(column).bases))

    def is_unit(self, expr: Expr) -> bool:
        """Whether the expression is the unit's id on every row."""
        return self.owner is not None and self.owner.names(expr)

    def tells_unit(self, expr: Expr) -> bool:
        """Whether rows with equal values of the expression are of one unit: it is the unit, or refers to a unique key. Where rows are put
        together by it the unit is a key as well, so that this decides what a query means, not what it may do."""
        column = expr.args[0] if isinstance(expr, Call) and expr.op == "settled" else expr
        referring = () if self.owner is None else self.owner.by
        return self.is_unit(expr) or (
            isinstance(column, Column) and any((column.table, column.name) == (by.table, by.name) for by, _ in referring)
        )


def scanned_table(name: str, alias: str, snapshot: Snapshot, shared: Shared) -> Table:
    """A dataset of the catalogue in FROM."""
    dataset = snapshot.dataset
    shared.scanned[alias] = snapshot
    unit = dataset.unit_column
    fields = []
    for column in dataset.columns:
        made = Column(alias, column.name, column_type(column), reading(column))
        asked = shared.ranges.get((dataset.name.casefold(), column.name.casefold())) if column.type in NUMERIC else None
        narrow = made.type if asked is None else replace(made.type, low=Fraction(asked.low), high=Fraction(asked.high))
        fields.append(Field(column.name, made, narrow, ((dataset.name, column.name),), column.domain, column == unit))
    whose = None
    if unit is not None and dataset.space is not None:
        whose = Owner(dataset.space, Column(alias, unit.name, column_type(unit), reading(unit)), by=_referring(alias, dataset))
    return Table(name, alias, tuple(fields), Scan(alias, dataset.name, whose), Named(dataset.name))


def _referring(alias: str, dataset: Dataset) -> tuple[tuple[Column, str], ...]:
    """The columns whose value says whose a row is, with the unique column whose values they are: its own unique ones, and the one it refers by.
    Ingest saw to it; that two rows with equal values are of one unit is still asked of DuckDB wherever it matters."""
    named = [(column, f"{dataset.name}.{column.name}".casefold()) for column in dataset.columns if column.unique]
    via = None if dataset.unit is None else dataset.unit.via
    reference = None if via is None else dataset.get(via.column)
    if via is not None and reference is not None:
        named.append((reference, via.references.casefold()))
    return tuple((Column(alias, column.name, column_type(column), reading(column)), key) for column, key in named)
