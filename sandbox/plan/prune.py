"""What a relation reads: columns nobody asks for are left out of derived tables, and lookups nobody uses out of joins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sandbox.plan.ir import Block, Derived, Filter, Group, Join, Once, Project, Relation, Scan, Union, items_of, owner
from sandbox.sql.expr import Expr, columns

Wanted = frozenset[tuple[str, str]]  # (table, column)


def pruned(project: Project) -> Project:
    """The same rows, units, keys and values from as few columns as they need."""
    exprs = [project.owner.unit, *project.keys, *(value for value in project.values if value is not None)]
    return replace(project, of=_relation(project.of, _named(exprs)))


def read_columns(project: Project) -> dict[str, set[str]]:
    """The stored columns that are read, by scan."""
    return read_of(project.of, [project.owner.unit, *project.keys, *(value for value in project.values if value is not None)])


def read_of(relation: Relation | Block, exprs: Iterable[Expr] = ()) -> dict[str, set[str]]:
    """The same of a relation or a block, with what is computed over it."""
    found: dict[str, set[str]] = {alias: set() for alias in scans_of(relation)}
    exprs = [*exprs, *_exprs(relation)]
    for table, name in _named(exprs):
        if table in found:
            found[table].add(name)
    return found


def _named(exprs: Iterable[Expr]) -> Wanted:
    return frozenset((column.table, column.name) for expr in exprs for column in columns(expr))


def _relation(relation: Relation, wanted: Wanted) -> Relation:
    if isinstance(relation, (Scan, Once)):
        return relation
    if isinstance(relation, Filter):
        return Filter(_relation(relation.of, wanted | _named([relation.predicate])), relation.predicate)
    if isinstance(relation, Derived):
        kept = frozenset(name for table, name in wanted if table == relation.alias)
        return Derived(relation.alias, _block(relation.of, kept))
    if relation.lookup and relation.kind == "left" and all(table != relation.right.alias for table, _ in wanted):
        return _relation(relation.left, wanted)
    wanted |= _named([] if relation.on is None else [relation.on])
    right = _relation(relation.right, wanted)
    assert isinstance(right, (Scan, Derived))
    return replace(relation, left=_relation(relation.left, wanted), right=right)


def _block(block: Block, kept: frozenset[str]) -> Block:
    if isinstance(block, Union):
        return Union(_block(block.left, kept), _block(block.right, kept))
    items = tuple((name, expr) for name, expr in block.items if name in kept)
    if isinstance(block, Group) and not items and not block.keys:
        items = block.items[:1]  # the one row of an aggregate over everything
    exprs = [expr for _, expr in items]
    exprs += [last for last in [getattr(block, "qualify", None), getattr(block, "having", None)] if last is not None]
    exprs += list(getattr(block, "keys", ()))
    whose = owner(block.of)
    exprs += [] if whose is None else [whose.unit]
    return replace(block, of=_relation(block.of, _named(exprs)), items=items)


def scans_of(relation: Relation | Block) -> Iterator[str]:
    if isinstance(relation, Scan):
        yield relation.alias
    elif isinstance(relation, Once):
        return
    elif isinstance(relation, (Join, Union)):
        yield from scans_of(relation.left)
        yield from scans_of(relation.right)
    else:
        yield from scans_of(relation.of)


def _exprs(relation: Relation | Block) -> Iterator[Expr]:
    """Every expression of the relation, its scans' units included."""
    if isinstance(relation, Scan):
        if relation.owner is not None:
            yield relation.owner.unit
        return
    if isinstance(relation, Once):
        return
    if isinstance(relation, (Join, Union)):
        yield from _exprs(relation.left)
        yield from _exprs(relation.right)
    else:
        yield from _exprs(relation.of)
    for name in ("on", "predicate", "qualify", "having"):
        expr = getattr(relation, name, None)
        if expr is not None:
            yield expr
    yield from getattr(relation, "keys", ())
    if not isinstance(relation, (Union, Join, Filter, Derived)):
        yield from (expr for _, expr in items_of(relation))
