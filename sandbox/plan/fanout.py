"""How many rows one unit can have in a relation, from public facts: what a join of protected tables can come to at worst.

Known where datasets declare `rows_per_unit`, which ingest holds. A join with public tables counts as one row for each: whatever public tables
multiply by is the same for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.catalogue import Snapshot
from sandbox.plan.ir import Block, Derived, Filter, Group, Join, Once, Relation, Scan, Select, Union, Unowned, conjuncts, owner
from sandbox.sql.expr import Call, Column, Expr, columns

MOST_ROWS = 10_000_000  # of one unit in one join


@dataclass(frozen=True, slots=True)
class Rows:
    """At most `most` rows of one unit (None: not known), and the columns of which each single one tells rows apart. `owned` False: public."""

    most: int | None
    unique: frozenset[tuple[str, str]] = frozenset()
    owned: bool = True


PUBLIC = Rows(None, owned=False)


class TooMany(Exception):
    """A join that can have `rows` rows of one unit."""

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


def limits(scanned: Mapping[str, Snapshot]) -> dict[str, Rows]:
    """What the catalogue says of each private scan, by alias."""
    found = {}
    for alias, snapshot in scanned.items():
        dataset = snapshot.dataset
        if dataset.bounds is not None:
            unique = frozenset((alias, column.name) for column in dataset.columns if column.unique)
            found[alias] = Rows(dataset.bounds.rows_per_unit, unique)
    return found


def rows_of(relation: Relation, tables: Mapping[str, Rows], where: Sequence[Expr] = ()) -> Rows:
    """Of a relation over scans whose limits are `tables`, by alias; public ones are not there. `where`: what holds on every row of it besides.
    Raises TooMany."""
    if isinstance(relation, Scan):
        return tables.get(relation.alias, PUBLIC)
    if isinstance(relation, Once):
        return PUBLIC
    if isinstance(relation, Derived):
        inside = _of_block(relation.of, tables)
        if not inside.owned:
            return PUBLIC
        kept = frozenset((relation.alias, name) for name, expr in _items(relation.of) if _plain(expr) in inside.unique)
        return Rows(inside.most, kept | ({(relation.alias, "u")} if _one_each(relation.of) else frozenset()))
    if isinstance(relation, Filter):
        return rows_of(relation.of, tables, [*where, *conjuncts(relation.predicate)])
    left, right = rows_of(relation.left, tables, where), rows_of(relation.right, tables)
    if relation.lookup or relation.kind in ("semi", "anti") or not right.owned:
        return left
    if not left.owned:
        return right
    return _joined(relation, left, right, [*conjuncts(relation.on), *(where if relation.kind == "inner" else ())])


def _joined(join: Join, left: Rows, right: Rows, terms: Sequence[Expr]) -> Rows:
    lefts, rights = _aliases(join.left), _aliases(join.right)
    one_right, one_left = _meets(terms, right, lefts), _meets(terms, left, rights)
    unique = (left.unique if one_right else frozenset()) | (right.unique if one_left and join.kind == "inner" else frozenset())
    if one_right:
        return Rows(left.most, unique)
    if one_left:
        alone = 0 if join.kind == "inner" else left.most  # rows of the left side without a partner
        return Rows(None if right.most is None or alone is None else right.most + alone, unique)
    if left.most is None or right.most is None:
        return Rows(None, unique)
    most = left.most * right.most
    if most > MOST_ROWS:
        raise TooMany(most)
    return Rows(most, unique)


def _meets(terms: Sequence[Expr], side: Rows, other: frozenset[str]) -> bool:
    """Whether a column that tells the side's rows apart is equated with something of the other side."""
    for term in terms:
        if isinstance(term, Call) and term.op == "eq":
            for one, another in (term.args, term.args[::-1]):
                tables = {column.table for column in columns(another)}
                if _plain(one) in side.unique and tables and tables <= other:
                    return True
    return False


def _aliases(relation: Relation) -> frozenset[str]:
    if isinstance(relation, (Scan, Derived)):
        return frozenset({relation.alias})
    if isinstance(relation, Once):
        return frozenset()
    return _aliases(relation.of) if isinstance(relation, Filter) else _aliases(relation.left) | _aliases(relation.right)


def _of_block(block: Block, tables: Mapping[str, Rows]) -> Rows:
    if isinstance(block, Union):
        left, right = _of_block(block.left, tables), _of_block(block.right, tables)
        return Rows(None if left.most is None or right.most is None else left.most + right.most)
    inside = rows_of(block.of, tables)
    if isinstance(block, Select) or not inside.owned:
        return inside
    return Rows(1 if _one_each(block) else inside.most)


def _one_each(block: Block) -> bool:
    """One row for each unit."""
    if not isinstance(block, Group):
        return False
    try:
        whose = owner(block.of)
    except Unowned:
        return False
    return whose is not None and all(whose.names(key) for key in block.keys)


def _items(block: Block) -> tuple[tuple[str, object], ...]:
    return () if isinstance(block, Union) else block.items


def _plain(expr: object) -> tuple[str, str] | None:
    return (expr.table, expr.name) if isinstance(expr, Column) else None
