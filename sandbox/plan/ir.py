"""The relations of a query as a small algebra: what ownership is decided on and shard SQL is written from.

Scan → Join → Filter → Project → Frontier. Everything left of the frontier is exact and never leaves the wall; the frontier is the one place
where rows of many units meet. A relation is public or owned: each of its rows belongs to exactly one unit, whose id can be computed from
the row (docs/proofs/ownership.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policies.catalogue import KeyValue
from sandbox.plan.model import Total
from sandbox.sql.expr import Column, Expr


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a relation's rows are: the unit space and the expression that gives the unit's id."""

    space: str
    unit: Column


@dataclass(frozen=True, slots=True)
class Scan:
    """A dataset under its emitted alias. `owner` None: public."""

    alias: str
    dataset: str
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Join:
    left: Relation
    right: Scan
    kind: Literal["inner", "left"]
    on: Expr | None  # None: every pair of rows (the equality then stands in WHERE)


@dataclass(frozen=True, slots=True)
class Filter:
    of: Relation
    predicate: Expr


Relation = Scan | Join | Filter


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
    domains: tuple[tuple[KeyValue, ...] | None, ...]
    rows_per_group: int
    choose: int | None
    seldom: bool = False


class Unowned(Exception):
    """The relation's rows do not each belong to one unit; `why` names the rule that failed."""

    def __init__(self, why: Literal["outer", "two"], at: Join) -> None:
        super().__init__(why)
        self.why, self.at = why, at


def owner(relation: Relation) -> Owner | None:
    """Who owns the relation's rows; None when it is public. Raises Unowned when nobody does, or two do.

    scan: as declared. filter: as its input. join with public, or of public with owned: the owned side must be preserved, so that no
    row appears that has no unit. Two owned sides: never here, even on equality of units.
    """
    if isinstance(relation, Scan):
        return relation.owner
    if isinstance(relation, Filter):
        return owner(relation.of)
    left, right = owner(relation.left), owner(relation.right)
    if left is not None and right is not None:
        raise Unowned("two", relation)
    if right is not None and relation.kind == "left":
        raise Unowned("outer", relation)
    return left or right
