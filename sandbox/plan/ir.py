"""The relations of a query as a small algebra: what ownership is decided on and shard SQL is written from.

Scan, Derived, Join, Filter → Project → Frontier. A derived table holds a block: a selection, a grouping of each unit's own rows, or a union.
Everything left of the frontier is exact and never leaves the wall; the frontier is the one place where rows of many units meet. A relation
is public or owned: each of its rows belongs to exactly one unit, whose id can be computed from the row (docs/proofs/ownership.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from policies.catalogue import KeyValue
from sandbox.plan.model import Total
from sandbox.sql.expr import Call, Column, Expr, walk
from sandbox.sql.types import Type

UNIT = "u"  # the column in which an owned derived table carries its unit; its other columns are c0, c1, …
PER_UNIT = frozenset(
    {"agg rows", "agg values", "agg distinct", "agg total", "agg least", "agg greatest", "agg truth", "agg chosen", "agg middle"}
)  # aggregates of a multiset of rows


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a relation's rows are: the unit space, the column that gives the unit's id, and others that equal it on every row. `by`: columns
    that hold values of a unique key somewhere, by that key's name: where two such are equal the units are meant to be, and may be asked to."""

    space: str
    unit: Column
    same: tuple[Column, ...] = ()
    by: tuple[tuple[Column, str], ...] = ()

    def names(self, expr: Expr) -> bool:
        """Whether the expression is the unit's id, on every row."""
        return isinstance(expr, Column) and any((expr.table, expr.name) == (item.table, item.name) for item in (self.unit, *self.same))


@dataclass(frozen=True, slots=True)
class Scan:
    """A dataset under its emitted alias. `owner` None: public."""

    alias: str
    dataset: str
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Once:
    """One row of no columns: what a SELECT without FROM is over."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The rows of a block under an alias of their own: columns c0, c1, … and, when owned, the unit, asked for or not."""

    alias: str
    of: Block


@dataclass(frozen=True, slots=True)
class Join:
    """`lookup`: the right side has at most one row for each left one, so that a left join changes neither rows nor their number."""

    left: Relation
    right: Scan | Derived
    kind: Literal["inner", "left", "semi", "anti"]
    on: Expr | None  # None: every pair of rows (the equality then stands in WHERE)
    lookup: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    of: Relation
    predicate: Expr


Relation = Scan | Once | Derived | Join | Filter
Items = tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class Select:
    """One row per row of `of`, windows included; `qualify` then keeps some."""

    of: Relation
    items: Items
    qualify: Expr | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One row per combination of the keys; when `of` is owned the unit is a key too, so that each group is of one unit's rows."""

    of: Relation
    keys: tuple[Expr, ...]
    items: Items
    having: Expr | None = None


@dataclass(frozen=True, slots=True)
class Union:
    """All rows of both, columns by position."""

    left: Block
    right: Block


Block = Select | Group | Union


@dataclass(frozen=True, slots=True)
class Project:
    """One row per owned row: its unit, the keys k0…, and for each total the value v0… that it contributes (NULL: nothing)."""

    of: Relation
    owner: Owner
    keys: tuple[Expr, ...]
    values: tuple[Expr | None, ...]  # None: every row counts


@dataclass(frozen=True, slots=True)
class Frontier:
    """Per-unit bounded contribution, then totals over units: the bounding step of docs/proofs/bounding.md.

    `domains` per key: rows outside are dropped before groups are chosen. `choose` None: it is proved that no unit can have more than
    the bound's number of keys, so that none has to be left out. `seldom`: public facts suggest that few units have more, so ranking only
    those is cheaper; what is chosen is the same.
    """

    of: Project
    totals: tuple[Total, ...]
    domains: tuple[tuple[KeyValue | None, ...] | None, ...]
    rows_per_group: int
    choose: int | None
    seldom: bool = False
    single: bool = False  # no unit has more than one row: declared of the one table read, and held at ingest


Why = Literal["outer", "two", "spaces", "union", "window", "aggregate"]


class Unowned(Exception):
    """The relation's rows do not each belong to one unit; `why` names the rule that failed."""

    def __init__(self, why: Why, at: Relation | Block) -> None:
        super().__init__(why)
        self.why, self.at = why, at


def owner(relation: Relation) -> Owner | None:
    """Who owns the relation's rows; None when it is public. Raises Unowned when nobody does, or two do.

    scan: as declared. derived: as its block. filter: as its input. join with public: the owned side must be preserved, so that no row
    appears that has no unit. join of two owned sides: of one space, and equality of their units is a condition at the top level.
    """
    if isinstance(relation, Scan):
        return relation.owner
    if isinstance(relation, Once):
        return None
    if isinstance(relation, Derived):
        inside, named = _owned(relation.of)
        if inside is None:
            return None
        same = tuple(Column(relation.alias, name, expr.type) for name, expr in items_of(relation.of) if name in named)
        by = tuple((Column(relation.alias, name, kind), key) for name, kind, key in referring(relation.of))
        return Owner(inside.space, Column(relation.alias, UNIT, inside.unit.type), same, by)
    if isinstance(relation, Filter):
        _plain(relation.predicate, relation)
        return owner(relation.of)
    if relation.on is not None:
        _plain(relation.on, relation)
    left, right = owner(relation.left), owner(relation.right)
    if left is None or right is None:
        if left is None and right is not None and relation.kind != "inner":
            raise Unowned("outer", relation)
        return left or right
    if left.space != right.space or left.unit.type.kind != right.unit.type.kind:
        raise Unowned("spaces", relation)
    if not any(equates(term, left, right) for term in conjuncts(relation.on)):
        raise Unowned("two", relation)
    if relation.kind == "inner":
        return Owner(left.space, left.unit, (*left.same, right.unit, *right.same), (*left.by, *right.by))
    return left


def block_owner(block: Block) -> Owner | None:
    """As `owner`. selection: its input's, and every window is partitioned by the unit. grouping: its input's, the unit being a key and the
    aggregates functions of the multiset of rows. union: both sides owned in one space, or both public."""
    return _owned(block)[0]


def unit_items(block: Block) -> frozenset[str]:
    """The block's columns that are the unit's id on every row."""
    return _owned(block)[1]


def _owned(block: Block) -> tuple[Owner | None, frozenset[str]]:
    """Both in one walk of the tree: two at every level would be two to the power of the depth."""
    if isinstance(block, Union):
        (left, mine), (right, yours) = _owned(block.left), _owned(block.right)
        if left is None and right is None:
            return None, frozenset()
        if left is None or right is None or left.space != right.space or left.unit.type.kind != right.unit.type.kind:
            raise Unowned("union", block)
        return left, mine & yours
    whose = owner(block.of)
    made = [expr for _, expr in block.items]
    last = block.qualify if isinstance(block, Select) else block.having
    for expr in made if last is None else [*made, last]:
        for item in walk(expr):
            if not isinstance(item, Call):
                continue
            if item.op == "over" and (isinstance(block, Group) or (whose is not None and not (item.args and whose.names(item.args[0])))):
                raise Unowned("window", block)
            if item.op in PER_UNIT and isinstance(block, Select):
                raise Unowned("aggregate", block)
    named = frozenset() if whose is None else frozenset(name for name, expr in block.items if whose.names(expr))
    return whose, named


def referring(block: Block) -> tuple[tuple[str, Type, str], ...]:
    """The block's columns that hold values of a unique key, by the key's name: of a union, those that do on both sides."""
    if isinstance(block, Union):
        theirs = {(name, key) for name, _, key in referring(block.right)}
        return tuple(item for item in referring(block.left) if (item[0], item[2]) in theirs)
    whose = owner(block.of)
    found = () if whose is None else whose.by
    return tuple((name, expr.type, key) for name, expr in block.items for column, key in found if _bare(expr) == (column.table, column.name))


def _bare(expr: Expr) -> tuple[str, str] | None:
    while isinstance(expr, Call) and expr.op == "typed":
        (expr,) = expr.args
    return (expr.table, expr.name) if isinstance(expr, Column) else None


def items_of(block: Block) -> Items:
    return items_of(block.left) if isinstance(block, Union) else block.items


def equates(term: Expr, left: Owner, right: Owner) -> bool:
    """Whether the condition is equality of the two units."""
    if not isinstance(term, Call) or term.op != "eq" or len(term.args) != 2:
        return False
    a, b = term.args
    return (left.names(a) and right.names(b)) or (left.names(b) and right.names(a))


def conjuncts(predicate: Expr | None) -> Iterator[Expr]:
    """The conditions that all must hold."""
    if isinstance(predicate, Call) and predicate.op == "and":
        for arg in predicate.args:
            yield from conjuncts(arg)
    elif predicate is not None:
        yield predicate


def _plain(expr: Expr, at: Relation) -> None:
    """Conditions see one row at a time."""
    for item in walk(expr):
        if isinstance(item, Call) and (item.op == "over" or item.op in PER_UNIT):
            raise Unowned("window" if item.op == "over" else "aggregate", at)


def as_stored(relation: Relation) -> set[str]:
    """Aliases of the scans each of whose columns is as stored in every row: no join has put NULL in its place."""
    if isinstance(relation, Scan):
        return {relation.alias}
    if isinstance(relation, Filter):
        return as_stored(relation.of)
    if isinstance(relation, Join):
        return as_stored(relation.left) | (as_stored(relation.right) if relation.kind == "inner" else set())
    return set()
