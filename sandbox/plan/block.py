"""Derived tables and CTEs: a query inside the query, as a block of the algebra whose rows still belong to one unit each.

The unit travels with every row whether or not it is selected. What names and types the outside sees, from which stored columns each is
computed, and which public keys it can have, is kept in the table's fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from policies.catalogue import KeyValue
from sandbox.plan import problems as refusals
from sandbox.plan.domains import domain_of, joint_domain
from sandbox.plan.grouped import Grouped, settled
from sandbox.plan.ir import Block, Derived, Group, Select, Union, Unowned, block_owner, items_of, referring, unit_items
from sandbox.plan.naming import aggregates, aliases_of, listed, position
from sandbox.plan.outer import GroupKey
from sandbox.plan.ranges import derived_range
from sandbox.plan.relation import Source, read_from
from sandbox.plan.scope import CTE, Field, Named, Scope, Table
from sandbox.plan.sets import several
from sandbox.plan.window import Windowed, with_ties
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, Literal
from sandbox.sql.fragment import fragment
from sandbox.sql.logic import meet
from sandbox.sql.numbers import Misfit, merged
from sandbox.sql.types import Type, hull


@dataclass(frozen=True, slots=True)
class Item:
    """A column of a block, bound; as `Field`."""

    name: str
    expr: Expr
    narrow: Type
    bases: tuple[tuple[str, str], ...]
    domain: tuple[KeyValue | None, ...] | None
    identifying: bool


def derive(query: exp.Expr | CTE, scope: Scope, name: str) -> Table:
    """The table a query in FROM, or a CTE's name, stands for. Raises `sql_*`, `plan_*`."""
    query, ctes = (query.query, query.ctes) if isinstance(query, CTE) else (query, scope.ctes)
    block, items = built(query, Scope(scope.text, scope.shared, ctes=ctes, uses=scope.uses))
    owned(block, query, scope)
    block, items = scope.shared.releases.viewed(block, items)
    alias = scope.shared.alias()
    fields = []
    for (column, expr), item in zip(items_of(block), items, strict=True):
        if expr.type.kind == "null":
            raise _untyped(fragment(query, scope.text))
        made = Column(alias, column, expr.type, label=item.name)
        narrow = derived_range(scope.shared, name, item.name, item.narrow)
        if narrow != item.narrow or any((dataset.casefold(), base.casefold()) in scope.shared.ranges for dataset, base in item.bases):
            scope.shared.narrowed.add((alias, column))
        fields.append(Field(item.name, made, narrow, item.bases, item.domain, item.identifying))
    return Table(name, alias, tuple(fields), Derived(alias, scope.shared.releases.beside(block, alias)), Named(alias))


def owned(block: Block, query: exp.Expr, scope: Scope) -> bool:
    """Whether the block's rows belong to one unit each; False when they are public. Raises `plan_union_owned`, `plan_window_unit`."""
    try:
        return block_owner(block) is not None
    except Unowned as unowned:
        kind = refusals.UNION_OWNED if unowned.why == "union" else refusals.WINDOW_UNIT
        raise kind(fragment=fragment(query, scope.text)) from None


def with_ctes(tree: exp.Expr, scope: Scope) -> Mapping[str, CTE]:
    """The CTEs in sight of a query: those around it and its own, each seeing the ones before it."""
    ctes = dict(scope.ctes)
    clause = tree.args.get("with_")
    for item in clause.expressions if clause is not None else ():
        names = tuple(column.name for column in item.args["alias"].args.get("columns") or ())
        ctes[item.alias.casefold()] = CTE(item.this, dict(ctes), names)
    return ctes


def built(query: exp.Expr, scope: Scope) -> tuple[Block, list[Item]]:
    """A query as a block, with its columns. One that aggregates across units is noised first; its rows are then public."""
    while isinstance(query, exp.Subquery):
        query = query.this
    scope.ctes = with_ctes(query, scope)
    if not isinstance(query, exp.Select) and _cut(query):
        raise refusals.INNER_LIMIT(fragment=fragment(query, scope.text))
    if isinstance(query, exp.Union):
        return _each_once(query, scope) if query.args.get("distinct") else _union(query, scope)
    if isinstance(query, exp.SetOperation):
        raise problems.SET_OPERATION(fragment=fragment(query, scope.text))
    if not isinstance(query, exp.Select):
        raise problems.SUBQUERY(fragment=fragment(query, scope.text))
    return _select(query, scope)


def _union(query: exp.Expr, scope: Scope) -> tuple[Block, list[Item]]:
    """UNION ALL: columns by position, brought to common types."""
    sides = [built(query.args[side], Scope(scope.text, scope.shared, ctes=scope.ctes, uses=scope.uses)) for side in ("this", "expression")]
    (left, mine), (right, yours) = sides
    piece = fragment(query, scope.text)
    if len(mine) != len(yours):
        raise problems.TYPES(fragment=piece, reason_zh="两边的列数不同", reason_en="the two sides have different numbers of columns")
    made = [_met(a, b, piece) for a, b in zip(mine, yours, strict=True)]
    left, right = _retyped(left, [a for a, _, _ in made]), _retyped(right, [b for _, b, _ in made])
    return Union(left, right), [item for _, _, item in made]


def _each_once(query: exp.Expr, scope: Scope) -> tuple[Block, list[Item]]:
    """UNION: each row once. Of protected rows the unit is among the columns, so that equal rows are one unit's."""
    block, items = _union(query, scope)
    names = [name for name, _ in items_of(block)]
    try:
        whose = block_owner(block)
    except Unowned:
        raise refusals.UNION_OWNED(fragment=fragment(query, scope.text)) from None
    telling = {*unit_items(block), *(name for name, _, _ in referring(block))}
    if whose is not None and not telling & set(names):
        raise refusals.UNION_DISTINCT(fragment=fragment(query, scope.text))
    alias = scope.shared.alias()
    keys = tuple(settled(Column(alias, name, item.expr.type)) for name, item in zip(names, items, strict=True))
    for item in items:
        scope.note(item.bases, "distinct")
    made = [replace(item, expr=key) for item, key in zip(items, keys, strict=True)]
    return Group(Derived(alias, block), keys, _numbered(made)), made


def _met(a: Item, b: Item, piece: str) -> tuple[Expr, Expr, Item]:
    try:
        x, y = meet([a.expr, b.expr])
    except Misfit as misfit:
        raise problems.TYPES(fragment=piece, reason_zh=misfit.zh, reason_en=misfit.en) from None
    kind = merged([x, y])
    ends = hull([replace(kind, low=item.narrow.low, high=item.narrow.high) for item in (a, b) if item.narrow.kind != "null"] or [kind])
    domain = joint_domain(a.domain, b.domain)
    bases = tuple(dict.fromkeys([*a.bases, *b.bases]))
    if kind.kind == "null":
        raise _untyped(piece)
    x, y = _typed(x, kind), _typed(y, kind)
    return x, y, Item(a.name, x, ends, bases, domain, a.identifying or b.identifying)


def _untyped(piece: str) -> Exception:
    return problems.TYPES(fragment=piece, reason_zh="NULL 没有类型，请写 CAST(NULL AS …)", reason_en="NULL has no type: write CAST(NULL AS …)")


def _typed(expr: Expr, kind: Type) -> Expr:
    """The same value known only by the type of the whole column, which is wide when either side is; a constant is none any more."""
    return expr if expr.type == kind and not isinstance(expr, Literal) else Call("typed", (expr,), kind, "{0}")


def _retyped(block: Block, exprs: Sequence[Expr]) -> Block:
    """The block with other expressions for its columns. Those of a union's own sides were brought to one type before: they are named anew."""
    if isinstance(block, Union):
        return Union(_within(block.left, items_of(block), exprs), _within(block.right, items_of(block), exprs))
    return replace(block, items=tuple((name, expr) for (name, _), expr in zip(block.items, exprs, strict=True)))


def _within(block: Block, shown: Sequence[tuple[str, Expr]], exprs: Sequence[Expr]) -> Block:
    """One side of a union inside a union: what was done to the union's column is done to the side's own."""
    if isinstance(block, Union):
        return Union(_within(block.left, shown, exprs), _within(block.right, shown, exprs))
    made = []
    for (name, mine), (_, seen), wanted in zip(block.items, shown, exprs, strict=True):
        made.append((name, mine if wanted == seen else _put(wanted, seen, mine)))
    return replace(block, items=tuple(made))


def _put(expr: Expr, old: Expr, new: Expr) -> Expr:
    if expr == old:
        return new
    return replace(expr, args=tuple(_put(arg, old, new) for arg in expr.args)) if isinstance(expr, Call) else expr


def _cut(query: exp.Expr) -> bool:
    return any(query.args.get(name) is not None for name in ("limit", "offset"))


def _select(tree: exp.Select, scope: Scope) -> tuple[Block, list[Item]]:
    aliases = aliases_of(tree)
    return selected(tree, read_from(tree, scope, aliases), aliases)


def selected(tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr]) -> tuple[Block, list[Item]]:
    """A SELECT over rows already bound. LIMIT is for released rows alone. Raises `plan_inner_limit`."""
    scope = source.scope
    if not _cut(tree):
        return rows_of(tree, source, aliases)
    if scope.owner is None:
        wider, hidden = with_order(tree, scope)
        return scope.shared.releases.limited(tree, *rows_of(wider, source, aliases), hidden, scope)
    block, items = rows_of(tree, source, aliases)
    if owned(block, tree, scope):
        raise refusals.INNER_LIMIT(fragment=fragment(tree, scope.text))
    return block, items


def ordered_by(tree: exp.Expr) -> list[exp.Expr]:
    clause = tree.args.get("order")
    return [] if clause is None else list(clause.expressions)


def shown_place(node: exp.Expr, tree: exp.Select) -> int | None:
    """The place in the select list of what ORDER BY names: a position, an alias, or the very expression. None: it is not there, or stars
    stand in the way. A position may be out of range."""
    if isinstance(node, exp.Literal) and not node.is_string:
        return int(node.this) - 1 if str(node.this).isdigit() else -1
    if any(isinstance(item.unalias(), exp.Star) or (isinstance(item, exp.Column) and item.is_star) for item in tree.expressions):
        return None
    named = isinstance(node, exp.Column) and not node.table
    for place, item in enumerate(tree.expressions):
        if named and isinstance(item, exp.Alias) and item.alias.casefold() == node.name.casefold():
            return place
    return next((place for place, item in enumerate(tree.expressions) if item.unalias() == node), None)


def with_order(tree: exp.Select, scope: Scope) -> tuple[exp.Select, int]:
    """The query with what ORDER BY computes among its columns, at the end, and how many there are. What is shown is among them already."""
    extra = [item.this for item in ordered_by(tree) if not isinstance(item.this, exp.Var) and shown_place(item.this, tree) is None]
    if not extra:
        return tree, 0
    if tree.args.get("distinct") is not None:
        raise problems.DISTINCT_ROWS(fragment=fragment(tree, scope.text))
    wider = exp.Select(**tree.args)
    wider.set("expressions", [*tree.expressions, *extra])
    return wider, len(extra)


def rows_of(tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr]) -> tuple[Block, list[Item]]:
    """The same without ORDER BY and LIMIT."""
    scope = source.scope
    if (tree.args.get("distinct") or exp.Distinct()).args.get("on") is not None:
        tree = _first_of_each(tree, scope)
    having, group = tree.args.get("having"), tree.args.get("group")
    summed = any(aggregates(item) for item in tree.expressions)
    if group is not None or having is not None or summed:
        if tree.args.get("distinct") is not None or tree.args.get("qualify") is not None:
            raise problems.NOT_SUPPORTED(fragment=fragment(tree, scope.text), element="DISTINCT" if tree.args.get("distinct") else "QUALIFY")
        return _group(tree, source, aliases)
    items = [_item(name, node, source, aliases) for name, node in listed(tree, scope)]
    qualify = tree.args.get("qualify")
    if tree.args.get("distinct") is not None:
        return _distinct(tree, source, items)
    kept = [] if qualify is None else [Windowed(scope, "filter", aliases=aliases).condition(qualify.this)]
    exprs = with_ties((*(item.expr for item in items), *kept))
    items = [replace(item, expr=expr) for item, expr in zip(items, exprs, strict=False)]
    last = exprs[-1] if kept else None
    return Select(source.relation(), _numbered(items), last), items


def _first_of_each(tree: exp.Select, scope: Scope) -> exp.Select:
    """DISTINCT ON (k) … ORDER BY x, as QUALIFY row_number() OVER (PARTITION BY k ORDER BY x) = 1."""
    by = tree.args["distinct"].args["on"].expressions
    if any(tree.args.get(name) is not None for name in ("group", "having")) or any(isinstance(item, exp.Literal) for item in by):
        raise problems.NOT_SUPPORTED(fragment=fragment(tree, scope.text), element="DISTINCT ON")
    order = tree.args.get("order") or exp.Order(expressions=[exp.Ordered(this=by[0].copy())])
    rank = exp.Window(this=exp.RowNumber(), partition_by=[item.copy() for item in by], order=order.copy(), over="OVER")
    first: exp.Expr = exp.EQ(this=rank, expression=exp.Literal.number(1))
    kept = tree.args.get("qualify")
    if kept is not None:
        raise problems.NOT_SUPPORTED(fragment=fragment(tree, scope.text), element="QUALIFY")
    return exp.Select(**{**tree.args, "distinct": None, "order": None, "qualify": exp.Qualify(this=first)})


def _distinct(tree: exp.Select, source: Source, items: Sequence[Item]) -> tuple[Block, list[Item]]:
    """SELECT DISTINCT with the unit among its columns: the combinations that each unit has."""
    scope = source.scope
    piece = fragment(tree, scope.text)
    if tree.args.get("qualify") is not None or any(map(_windows, tree.expressions)):
        raise problems.NOT_SUPPORTED(fragment=piece, element="DISTINCT")
    if scope.owner is not None and not any(scope.tells_unit(item.expr) for item in items):
        every = exp.Select(**{**tree.args, "distinct": None})
        every.set("group", exp.Group(expressions=[item.unalias().copy() for item in tree.expressions]))
        return scope.shared.releases.release(every, source, aliases_of(tree))
    made = [replace(item, expr=settled(item.expr)) for item in items]
    for item in made:
        if not scope.is_unit(item.expr):
            scope.note(item.bases, "distinct")
    return Group(source.relation(), tuple(item.expr for item in made if not isinstance(item.expr, Literal)), _numbered(made)), made


def _windows(node: exp.Expr) -> bool:
    """Whether the node has a window of its own query."""
    return any(isinstance(part, exp.Window) for part in node.walk(prune=lambda part: isinstance(part, exp.Query)))


def _group(tree: exp.Select, source: Source, aliases: Mapping[str, exp.Expr]) -> tuple[Block, list[Item]]:
    """GROUP BY with the unit among the keys: one row per unit and combination; over public rows, any GROUP BY."""
    scope, having, group = source.scope, tree.args.get("having"), tree.args.get("group")
    before = dict(scope.uses)
    if several(group):
        if scope.owner is None:
            raise problems.NOT_SUPPORTED(fragment=fragment(group, scope.text), element="ROLLUP")
        return scope.shared.releases.release(tree, source, aliases)
    nodes: list[exp.Expr] = [] if group is None else list(group.expressions)
    if group is not None and group.args.get("all"):
        nodes = [item.unalias() for item in tree.expressions if not aggregates(item)]
    keys: list[GroupKey] = []
    for node in nodes:
        node = position(node.unnest(), tree, scope)
        expr = Windowed(scope, None, aliases=aliases).plain(node)
        if not scope.is_unit(expr):
            scope.note(scope.bases(expr), "distinct")
        keys.append(GroupKey(settled(expr), node))
    if scope.owner is not None and not any(scope.tells_unit(key.expr) for key in keys):
        scope.uses.clear()  # what the keys are used for is for the frontier to say
        scope.uses.update(before)
        return scope.shared.releases.release(tree, source, aliases)
    items = []
    for name, shown in listed(tree, scope):
        if isinstance(shown, Field):
            raise problems.NOT_GROUPED(fragment="*")
        wide, narrow = (Grouped(scope, keys, aliases, narrowed=flag).bind(shown) for flag in (False, True))
        items.append(_facts(name, wide, narrow.type, source))
    kept = None if having is None else Grouped(scope, keys, aliases).condition(having.this)
    return Group(source.relation(), tuple(key.expr for key in keys if not isinstance(key.expr, Literal)), _numbered(items), kept), items


def _item(name: str, node: exp.Expr | Field, source: Source, aliases: Mapping[str, exp.Expr]) -> Item:
    if isinstance(node, Field):
        return _facts(name, node.column, node.narrow, source)
    wide, narrow = (Windowed(source.scope, None, narrowed=flag, aliases=aliases).bind(node) for flag in (False, True))
    return _facts(name, wide, narrow.type, source)


def _facts(name: str, expr: Expr, narrow: Type, source: Source) -> Item:
    scope = source.scope
    domain: tuple[KeyValue | None, ...] | None = None
    if isinstance(expr, Literal) and expr.type.kind in ("text", "exact", "boolean") and not expr.type.scale:
        domain = None if expr.value is None else (expr.value,)  # type: ignore[assignment]  # text, integers and truth values are key values
    elif not _identifying(expr, scope):
        domain = domain_of(expr, lambda column: scope.field(column).domain, source.where)
    return Item(name, expr, replace(expr.type, low=narrow.low, high=narrow.high), _bases(expr, scope), domain, _identifying(expr, scope))


def _identifying(expr: Expr, scope: Scope) -> bool:
    """Whether it is computed from a unit column; that a row has one says nothing about who it is."""
    if isinstance(expr, Column):
        return scope.field(expr).identifying
    if not isinstance(expr, Call) or expr.op in ("isnull", "agg rows", "agg values", "agg distinct"):
        return False
    return any(_identifying(arg, scope) for arg in _within_unit(expr, scope))


def _within_unit(expr: Call, scope: Scope) -> tuple[Expr, ...]:
    """What a call is computed from; that a window is of one unit's rows is no use made of the unit's id."""
    return tuple(arg for arg in expr.args if expr.op != "over" or not scope.is_unit(arg))


def _bases(expr: Expr, scope: Scope) -> tuple[tuple[str, str], ...]:
    if not isinstance(expr, Call):
        return scope.bases(expr)
    return tuple(dict.fromkeys(base for arg in _within_unit(expr, scope) for base in _bases(arg, scope)))


def _numbered(items: Sequence[Item]) -> tuple[tuple[str, Expr], ...]:
    return tuple((f"c{place}", item.expr) for place, item in enumerate(items))
