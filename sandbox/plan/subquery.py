"""Subqueries in conditions and expressions: IN, EXISTS, and single values.

Each becomes a join. A condition at the top of WHERE becomes a semi or anti join. One inside an expression becomes a left join with a
derived table that has at most one row for each unit (or for each public value), whose presence or column is then the operand. What is read
is public, or tied to the row's own unit by equality: so a row's fate depends on its own unit's rows and public ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal as Either

from sqlglot import exp

from policies.problem import Problem
from sandbox.plan import problems as refusals
from sandbox.plan.bind import Rows
from sandbox.plan.block import Item, built, owned, selected
from sandbox.plan.grouped import Grouped, settled
from sandbox.plan.ir import PER_UNIT, UNIT, Block, Derived, Group, Join, Once, Select, equates, owner, unit_items
from sandbox.plan.naming import aggregates
from sandbox.plan.relation import Source, classes, read_from, referred
from sandbox.plan.scope import CTE, Field, Named, Scope, Table
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns, walk
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.numbers import integer
from sandbox.sql.types import BOOLEAN, Type, exact

MATCHED = "({0} IS NOT NULL)"
MEMBER = "CASE WHEN {0} IS NOT NULL THEN TRUE WHEN {1} = 0 THEN FALSE WHEN {2} IS NULL OR {3} > 0 THEN NULL ELSE FALSE END"


def condition(scope: Scope, node: exp.Expr, aliases: Mapping[str, exp.Expr]) -> Expr | None:
    """A top-level condition of WHERE that holds a subquery; None when a join says it all."""
    binder = Rows(scope, "filter", aliases=aliases)
    bare, negated = node.unnest(), False
    while isinstance(bare, exp.Not):
        bare, negated = bare.this.unnest(), not negated
    if isinstance(bare, exp.Exists):
        _, source = _open(bare.this, binder)
        _matched(binder, source, source.correlated, bare, "anti" if negated else "semi")
        return None
    if isinstance(bare, exp.In) and bare.args.get("query") is not None and not negated:
        return _member(binder, bare, top=True)
    return binder.condition(node)


def resolve(binder: Rows, node: exp.Expr) -> Expr:
    """The operand that a subquery inside an expression stands for; the same subquery is read once."""
    scope = binder.scope
    if node not in scope.answers:
        if isinstance(node, exp.Exists):
            _, source = _open(node.this, binder)
            scope.answers[node] = _present(binder, source, node)
        elif isinstance(node, exp.In):
            made = _member(binder, node, top=False)
            assert made is not None
            scope.answers[node] = made
        else:
            scope.answers[node] = _value(binder, node)
    return _read(scope.answers[node], binder)


def _read(expr: Expr, binder: Rows) -> Expr:
    """The operand with its columns read for what they are used for here."""
    if isinstance(expr, Call):
        return replace(expr, args=tuple(_read(arg, binder) for arg in expr.args))
    hidden = [table.alias for table, _ in binder.scope.attached]
    if isinstance(expr, Column) and expr.table in hidden:
        return binder.scope.read(binder.scope.field(expr), binder.use, narrowed=binder.narrowed)
    return expr


def _refuse(binder: Rows, node: exp.Expr) -> Exception:
    return problems.SUBQUERY(fragment=binder.piece(node))


def _query(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Subquery) and node.args.get("with_") is None:
        node = node.this
    return node


def _plain(tree: exp.Expr) -> bool:
    """A SELECT of rows: nothing grouped, cut or ranked."""
    clauses = ("group", "having", "distinct", "qualify", "limit", "offset", "with_")
    if not isinstance(tree, exp.Select) or any(tree.args.get(name) for name in clauses):
        return False
    own = (part for item in tree.expressions for part in item.walk(prune=lambda part: isinstance(part, exp.Query)))
    return not any(isinstance(part, exp.Window) for part in own)


def _open(node: exp.Expr, binder: Rows) -> tuple[Scope, Source]:
    """FROM and WHERE of a subquery whose WHERE may look at the query around it."""
    tree = _query(node)
    if isinstance(tree, exp.Query) and (tree.args.get("limit") or tree.args.get("offset")):
        raise refusals.INNER_LIMIT(fragment=binder.piece(node))
    if not _plain(tree) or any(aggregates(item) for item in tree.expressions):
        raise _refuse(binder, node)
    return _opened(tree, binder)


def _opened(tree: exp.Expr, binder: Rows) -> tuple[Scope, Source]:
    assert isinstance(tree, exp.Select)
    inner = Scope(binder.scope.text, binder.scope.shared, ctes=binder.scope.ctes, uses=binder.scope.uses)
    return inner, read_from(tree, inner, {}, around=binder.scope)


def _ties(binder: Rows, source: Source, terms: Sequence[Expr], node: exp.Expr) -> tuple[Expr | None, list[Expr]]:
    """The equality of the subquery's unit with the row's (None: public rows), and the other conditions. Where conditions equate columns that
    refer to one unique key, equality of the units follows and is asked for besides. Raises `plan_subquery_unit` when nothing ties protected
    rows to the row's unit."""
    mine, theirs = binder.scope.owner, source.scope.owner
    if theirs is None:
        return None, list(terms)
    if mine is not None and mine.space == theirs.space:
        tied = [term for term in terms if equates(term, mine, theirs)]
        implied = None if tied else referred(classes(terms), mine, theirs)
        if tied or implied is not None:
            return tied[0] if implied is None else _equal(*implied), [term for term in terms if term not in tied]
    raise refusals.SUBQUERY_UNIT(fragment=binder.piece(node))


def _matched(binder: Rows, source: Source, terms: Sequence[Expr], node: exp.Expr, kind: Either["semi", "anti"]) -> None:
    """Keeps the rows that have (semi) or lack (anti) a partner in the subquery under the conditions."""
    tie, others = _ties(binder, source, terms, node)
    terms = others if tie is None else [tie, *others]
    scope, inner = binder.scope, source.scope
    alias = scope.shared.alias()
    read = list(dict.fromkeys(column for term in terms for column in columns(term) if inner.mine(column)))
    names = {column: Column(alias, f"c{place}", column.type) for place, column in enumerate(read)}
    block = Select(source.relation(), tuple((f"c{place}", column) for place, column in enumerate(read)))
    moved = [_renamed(term, lambda column: names.get(column, column)) for term in terms]
    on = FUNCTIONS["and"].rule(moved) if len(moved) > 1 else moved[0] if moved else None
    _attach(binder, block, alias, (), kind, on)


def _renamed(expr: Expr, name: Callable[[Column], Column]) -> Expr:
    if isinstance(expr, Column):
        return name(expr)
    return replace(expr, args=tuple(_renamed(arg, name) for arg in expr.args)) if isinstance(expr, Call) else expr


def _attach(binder: Rows, block: Block, alias: str, fields: tuple[Field, ...], kind: Either["left", "semi", "anti"], on: Expr | None) -> None:
    derived = Derived(alias, block)
    first = next((table.relation for table in binder.scope.tables), Once())  # put in place when the relation is
    binder.scope.attached.append(
        (Table(f"({alias})", alias, fields, derived, Named(alias)), Join(first, derived, kind, on, lookup=kind == "left"))
    )


def _marked(binder: Rows, block: Block) -> Expr:
    """Whether the block has a row of this row's unit."""
    scope = binder.scope
    assert scope.owner is not None
    alias = scope.shared.alias()
    unit = Column(alias, UNIT, scope.owner.unit.type)
    _attach(binder, block, alias, (Field("", unit, unit.type, (), None, False),), "left", _equal(scope.owner.unit, unit))
    return Call("matched", (unit,), BOOLEAN, MATCHED)


def _looked_up(
    binder: Rows, source: Source, node: exp.Expr, others: Sequence[Expr], made: Expr, narrow: Type, bases: tuple[tuple[str, str], ...]
) -> Column:
    """An aggregate of the rows that belong to this row: those of its unit, where they are owned, and for which `others` hold, which equate
    something of theirs with something of this row. Grouped by what they equate, there is at most one row for each of these."""
    scope, inner = binder.scope, source.scope
    pairs = []
    for term in others:
        sides = term.args if isinstance(term, Call) and term.op == "eq" else ()
        mine = [all(inner.mine(column) for column in columns(side)) and any(columns(side)) for side in sides]
        outer = [not any(inner.mine(column) for column in columns(side)) for side in sides]
        if len(sides) != 2 or not ((mine[0] and outer[1]) or (mine[1] and outer[0])):
            raise refusals.SUBQUERY_UNIT(fragment=binder.piece(node)) if inner.owner is not None else _refuse(binder, node)
        pairs.append((settled(sides[0]), sides[1]) if mine[0] else (settled(sides[1]), sides[0]))
    alias = scope.shared.alias()
    keys = tuple(key for key, _ in pairs)
    block = Group(source.relation(), keys, (("c0", made), *((f"c{place}", key) for place, key in enumerate(keys, 1))))
    terms = [_equal(outer, Column(alias, f"c{place}", key.type)) for place, (key, outer) in enumerate(pairs, 1)]
    if inner.owner is not None:
        assert scope.owner is not None
        terms.insert(0, _equal(scope.owner.unit, Column(alias, UNIT, scope.owner.unit.type)))
    for key in keys:
        scope.note(inner.bases(key), "join")
    column = Column(alias, "c0", made.type)
    on = None if not terms else FUNCTIONS["and"].rule(terms) if len(terms) > 1 else terms[0]
    _attach(binder, block, alias, (Field("", column, narrow, bases, None, False),), "left", on)
    return column


def _equal(a: Expr, b: Expr) -> Expr:
    return FUNCTIONS["="].rule([a, b])


def _present(binder: Rows, source: Source, node: exp.Expr) -> Expr:
    """EXISTS inside an expression: tied to the unit alone, or public and tied to nothing."""
    _, others = _ties(binder, source, source.correlated, node)
    if source.scope.owner is not None and not others:
        return _marked(binder, Group(source.relation(), (), ()))
    count = Call("agg rows", (), exact(None, None), "count(*)")
    if source.scope.owner is None and not source.correlated:
        return FUNCTIONS[">"].rule([_scalar(binder, Group(source.relation(), (), (("c0", count),)), [(count, ())])[0], integer(0)])
    return Call("matched", (_looked_up(binder, source, node, others, count, count.type, ()),), BOOLEAN, MATCHED)


def _scalar(binder: Rows, block: Group, made: Sequence[tuple[Expr, tuple[tuple[str, str], ...]]]) -> list[Column]:
    """The one row of an aggregate over everything public, joined to every row."""
    alias = binder.scope.shared.alias()
    found = [Column(alias, f"c{place}", expr.type) for place, (expr, _) in enumerate(made)]
    fields = tuple(Field("", column, column.type, bases, None, False) for column, (_, bases) in zip(found, made, strict=True))
    _attach(binder, block, alias, fields, "left", None)
    return found


def _member(binder: Rows, node: exp.In, *, top: bool) -> Expr | None:
    """x IN (SELECT …)."""
    scope = binder.scope
    tree, sought = _query(node.args["query"]), binder.bind(node.this)
    if _plain(tree) and not any(aggregates(item) for item in tree.expressions):
        _, source = _opened(tree, binder)
        if source.correlated:
            return _member_of_own(binder, node, tree, source, sought, top=top)
    table = scope.shared.derive(CTE(tree, scope.ctes), scope, "")
    if len(table.fields) != 1:
        raise problems.TYPES(fragment=binder.piece(node), reason_zh="IN 的子查询须只有一列", reason_en="a subquery of IN has one column")
    (field,) = table.fields
    scope.note(field.bases, "filter")
    assert isinstance(table.relation, Derived)
    whose = owner(table.relation)
    equal = binder.call(node, FUNCTIONS["="], [sought, field.column])
    if whose is not None:
        _own(binder, node)
        implied = None if scope.owner is None or not top else referred(classes([equal]), scope.owner, whose)
        if implied is not None:
            equal = FUNCTIONS["and"].rule([equal, _equal(*implied)])
        elif scope.owner is None or whose.space != scope.owner.space or not equates(equal, scope.owner, whose):
            raise refusals.SUBQUERY_UNIT(fragment=binder.piece(node))
        if not top:
            assert field.column.name in unit_items(table.relation.of)
            return _marked(binder, Group(table.relation, (), ()))
    if top:
        _attach(binder, table.relation.of, table.alias, (), "semi", equal)
        return None
    value = field.column
    distinct = Group(table.relation, (value,), (("c0", value),))
    alias = scope.shared.alias()
    mark = Column(alias, "c0", value.type)
    _attach(
        binder,
        distinct,
        alias,
        (Field("", mark, mark.type, field.bases, None, False),),
        "left",
        binder.call(node, FUNCTIONS["="], [sought, mark]),
    )
    other = scope.shared.derive(CTE(tree, scope.ctes), scope, "")  # the same values again, under an alias of their own
    seen = other.fields[0].column
    count = Call("agg rows", (), exact(None, None), "count(*)")
    missing = Call("agg rows", (seen,), exact(None, None), "count(CASE WHEN {0} IS NULL THEN 1 END)")
    facts = Group(other.relation, (), (("c0", count), ("c1", missing)))
    total, nulls = _scalar(binder, facts, [(count, ()), (missing, field.bases)])
    return Call("member", (mark, total, sought, nulls), BOOLEAN, MEMBER)


def _own(binder: Rows, node: exp.In) -> None:
    """NOT IN over protected rows is refused."""
    above = node.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    if isinstance(above, exp.Not):
        raise refusals.NOT_IN(fragment=binder.piece(above))


def _member_of_own(binder: Rows, node: exp.In, tree: exp.Expr, source: Source, sought: Expr, *, top: bool) -> Expr | None:
    """x IN (SELECT y … WHERE the subquery looks at this row): a match on equality of x and y besides. At the top of WHERE only."""
    assert isinstance(tree, exp.Select)
    if source.scope.owner is not None:
        _own(binder, node)
    if not top or len(tree.expressions) != 1:
        raise _refuse(binder, node)
    item = Rows(source.scope, "filter").bind(tree.expressions[0].unalias())
    equal = binder.call(node, FUNCTIONS["="], [sought, item])
    _matched(binder, source, [equal, *source.correlated], node, "semi")
    return None


def _apart(binder: Rows, node: exp.Expr, tree: exp.Select) -> Expr:
    """A value computed in more steps than one: of released rows alone, which look at no row of the query around."""
    scope = Scope(binder.scope.text, binder.scope.shared, ctes=binder.scope.ctes, uses=dict(binder.scope.uses))
    try:
        made = built(tree, scope)
    except Problem as problem:
        if problem.code != problems.UNKNOWN_COLUMN.code:
            raise
        made = None
    if made is None:
        raise refusals.INNER_LIMIT(fragment=binder.piece(node)) if tree.args.get("limit") or tree.args.get("offset") else _refuse(binder, node)
    binder.scope.uses.update(scope.uses)
    return _single(binder, node, *made)


def _single(binder: Rows, node: exp.Expr, block: Block, items: Sequence[Item]) -> Expr:
    """The one value of a released table."""
    releases = binder.scope.shared.releases
    view = releases.reads(block)
    if owned(block, node, binder.scope) or len(view) != 1 or not isinstance(block, Select) or not releases.views[view[0]].single:
        raise _refuse(binder, node)
    ((name, _),), (item,) = block.items, items
    alias = binder.scope.shared.alias()
    column = Column(alias, name, item.expr.type)
    _attach(binder, releases.beside(block, alias), alias, (Field("", column, item.narrow, (), None, False),), "left", None)
    return column


_STRICT = ("add", "sub", "mul", "div", "intdiv", "mod", "neg", "abs", "round", "floor", "ceil", "trunc", "to_float", "rescale", "cast")
_COUNTS = ("agg rows", "agg values", "agg distinct")


def _of_rows(expr: Expr) -> bool:
    """An aggregate, or arithmetic on such that are NULL when there are no rows: so is the whole then, as when nothing is joined on."""
    if not isinstance(expr, Call):
        return False
    if expr.op in PER_UNIT:
        return True
    inside = [item for item in walk(expr) if isinstance(item, Call) and item.op in PER_UNIT]
    outside = [item for item in _outside(expr) if isinstance(item, Call)]
    return bool(inside) and all(item.op not in _COUNTS for item in inside) and all(item.op in _STRICT for item in outside)


def _outside(expr: Expr) -> Iterator[Expr]:
    """The expression without what is inside aggregates."""
    if isinstance(expr, Call) and expr.op in PER_UNIT:
        return
    yield expr
    for arg in expr.args if isinstance(expr, Call) else ():
        yield from _outside(arg)


def _value(binder: Rows, node: exp.Expr) -> Expr:
    """(SELECT aggregate FROM …): of this row's unit, or of public rows."""
    tree = _query(node)
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        raise _refuse(binder, node)
    if not _plain(tree) or not aggregates(tree.expressions[0]):
        return _apart(binder, node, tree)
    inner, source = _opened(tree, binder)
    if inner.owner is not None and not source.correlated:  # over many units: noised first
        return _single(binder, node, *inner.shared.releases.release(tree, source, {}))
    if inner.owner is None and not source.correlated and inner.shared.releases.reads(source.base):
        return _single(binder, node, *inner.shared.releases.viewed(*selected(tree, source, {})))
    _, others = _ties(binder, source, source.correlated, node)
    item = tree.expressions[0].unalias()
    made = Grouped(inner, [], {}).bind(item)
    bases = inner.bases(made)
    if inner.owner is None and not others:
        return _scalar(binder, Group(source.relation(), (), (("c0", made),)), [(made, bases)])[0]
    if not _of_rows(made):
        raise _refuse(binder, node)
    narrow = Grouped(inner, [], {}, narrowed=True).bind(item).type
    column = _looked_up(binder, source, node, others, made, narrow, bases)
    counts = isinstance(made, Call) and made.op in ("agg rows", "agg values", "agg distinct")
    return FUNCTIONS["coalesce"].rule([column, integer(0)]) if counts else column
