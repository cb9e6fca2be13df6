"""FROM, JOIN and WHERE into a relation whose every row is owned by one unit, or which is public."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp

from sandbox.plan import problems as refusals
from sandbox.plan.bind import Rows
from sandbox.plan.fanout import MOST_ROWS, TooMany, limits, rows_of
from sandbox.plan.ir import Block, Derived, Filter, Group, Join, Once, Owner, Relation, Scan, Union, Unowned, conjuncts, equates, owner
from sandbox.plan.scope import Scope, Table, scanned_table
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, columns, emit
from sandbox.sql.fragment import fragment
from sandbox.sql.functions import FUNCTIONS
from sandbox.sql.parse import chain

Kind = Literal["inner", "left", "right", "semi", "anti"]
MOST_VALUES = 200  # rows of VALUES


@dataclass(frozen=True, slots=True)
class Source:
    """FROM and WHERE, bound. `where` is the condition on the rows themselves, `correlated` those that tie them to rows of the query around."""

    scope: Scope
    base: Relation
    where: Expr | None
    correlated: tuple[Expr, ...] = ()

    def relation(self) -> Relation:
        """The rows, with every table that subqueries brought in by now. Raises Unowned."""
        made = self.base
        for _, join in self.scope.attached:
            made = Join(made, join.right, join.kind, join.on, join.lookup)
        made = made if self.where is None else Filter(made, self.where)
        if owner(made) != self.scope.owner:
            raise AssertionError("what subqueries bring in changes nobody's rows")
        return made


@dataclass(frozen=True, slots=True)
class _Joined:
    node: exp.Join
    piece: str
    table: Table
    kind: Kind
    on: Expr | None


def read_from(tree: exp.Select, scope: Scope, aliases: Mapping[str, exp.Expr], around: Scope | None = None) -> Source:
    """The relation of FROM and WHERE, and in `scope` its tables and owner. `around`: where the condition of a subquery may look as well.

    Raises `sql_unknown_table`, `sql_join_*`, `plan_*`.
    """
    clause = tree.args.get("from_")
    first = None if clause is None else _table(clause.this, scope)
    joins = [_join(join, scope) for join in tree.args.get("joins") or []]
    where = tree.args.get("where")
    terms = [] if where is None else chain(where.this.unnest()) if isinstance(where.this.unnest(), exp.And) else [where.this]
    later = [term for term in terms if term.find(exp.Query, exp.Exists) is not None]
    scope.outer = around
    try:
        if where is None or not later:
            bound = [] if where is None else [Rows(scope, "filter", aliases=aliases).condition(where.this)]
        else:
            bound = [Rows(scope, "filter", aliases=aliases).condition(term) for term in terms if term not in later]
    finally:
        scope.outer = None
    every = [item for term in bound for item in conjuncts(term)]
    tied = [item for item in every if not all(scope.mine(column) for column in columns(item))]
    base = Once() if first is None else _assembled(first, joins, every, scope)
    scope.owner = owner(base)
    kept = [item for item in every if item not in tied] if tied else bound
    for term in later:
        made = scope.shared.condition(scope, term, aliases)
        kept += [] if made is None else [made]
    kept = sorted((item for term in kept for item in conjuncts(term)), key=emit)  # however they were put: conditions never raise
    predicate = FUNCTIONS["and"].rule(kept) if len(kept) > 1 else kept[0] if kept else None
    return Source(scope, base, predicate, tuple(tied))


def _table(node: exp.Expr, scope: Scope) -> Table:
    if isinstance(node, exp.Subquery):
        name = node.alias or f"({len(scope.tables)})"
        table = scope.shared.derive(node.this, scope, name)
    elif isinstance(node, exp.Table):
        name = node.alias_or_name
        cte = scope.ctes.get(node.name.casefold())
        snapshot = scope.shared.catalogue.get(node.name)
        if cte is not None:
            table = _called(scope.shared.derive(cte, scope, name), cte.names, scope)
        elif snapshot is not None:
            table = scanned_table(name, scope.shared.alias(), snapshot, scope.shared)
        else:
            raise problems.UNKNOWN_TABLE(fragment=fragment(node.this, scope.text))
    elif isinstance(node, exp.Values):
        name = node.alias or f"({len(scope.tables)})"
        table = scope.shared.derive(_listed(node, scope), scope, name)
    else:
        raise problems.TABLE_FUNCTION(fragment=fragment(node, scope.text))
    alias = node.args.get("alias")
    table = _called(table, tuple(column.name for column in alias.args.get("columns") or ()) if alias is not None else (), scope)
    if scope.table(name) is not None:
        raise problems.DUPLICATE_ALIAS(fragment=name)
    scope.tables.append(table)
    return table


def _called(table: Table, names: Sequence[str], scope: Scope) -> Table:
    """The table with other names for its first columns: t(a, b)."""
    if len(names) > len(table.fields):
        zh, en = "列别名多于列", "there are more names than columns"
        raise problems.TYPES(fragment=f"{table.name}({', '.join(names)})", reason_zh=zh, reason_en=en)
    fields = [replace(item, name=name) for item, name in zip(table.fields, names, strict=False)]
    return replace(table, fields=(*fields, *table.fields[len(fields) :])) if names else table


def _listed(node: exp.Values, scope: Scope) -> exp.Expr:
    """VALUES as SELECTs put together, halves first, so that it is not as deep as it is long. Columns are called col0, col1, …, as in DuckDB."""
    rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
    if len(rows) > MOST_VALUES:
        raise problems.TOO_LARGE(limit=MOST_VALUES)
    if len({len(row) for row in rows}) != 1 or any(not _constant(item) for row in rows for item in row):
        zh, en = "VALUES 各行的列数须相同，且只含常量", "rows of VALUES have equally many columns, of constants"
        raise problems.TYPES(fragment=fragment(node, scope.text), reason_zh=zh, reason_en=en)
    made: list[exp.Expr] = [
        exp.Select(expressions=[exp.Alias(this=item, alias=exp.to_identifier(f"col{place}")) for place, item in enumerate(row)]) for row in rows
    ]
    while len(made) > 1:
        pairs = [made[place : place + 2] for place in range(0, len(made), 2)]
        made = [exp.Union(this=pair[0], expression=pair[1], distinct=False) if len(pair) == 2 else pair[0] for pair in pairs]
    return made[0]


def _constant(node: exp.Expr) -> bool:
    bare = node.this if isinstance(node, (exp.Neg, exp.Cast, exp.Paren)) else node
    return isinstance(bare, (exp.Literal, exp.Null, exp.Boolean)) or (bare is not node and _constant(bare))


def _join(join: exp.Join, scope: Scope) -> _Joined:
    piece = fragment(join, scope.text)
    side, kind, method = (str(join.args.get(name) or "").upper() for name in ("side", "kind", "method"))
    if side == "FULL" or (side == "RIGHT" and len(scope.tables) > 1):
        raise refusals.JOIN_SIDE(fragment=f"{side} JOIN {piece}")
    if (
        side not in ("", "LEFT", "RIGHT")
        or kind not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI")
        or method not in ("", "NATURAL")
        or (side and kind in ("SEMI", "ANTI"))
    ):
        raise problems.JOIN_KIND(fragment=" ".join(filter(None, (method, side, kind, "JOIN", piece))))
    before = list(scope.tables)
    table = _table(join.this, scope)
    names = [name.name for name in join.args.get("using") or []]
    if method == "NATURAL":
        names = [item.name for item in table.fields if any(other.get(item.name) for other in before)]
        if not names:
            raise problems.JOIN_CONDITION(fragment=piece)
    on = None if join.args.get("on") is None else Rows(scope, "join").condition(join.args["on"])
    terms = [_using(name, before, table, scope, piece) for name in dict.fromkeys(names)]
    if terms:
        on = FUNCTIONS["and"].rule(terms) if len(terms) > 1 else terms[0]
    if kind in ("SEMI", "ANTI"):
        scope.tables.remove(table)  # its columns end with the condition
        return _Joined(join, piece, table, "semi" if kind == "SEMI" else "anti", on)
    if side == "RIGHT":
        scope.merged.update({name.casefold(): table for name in names})  # of what USING joins, the kept side's
    return _Joined(join, piece, table, {"LEFT": "left", "RIGHT": "right"}.get(side, "inner"), on)  # type: ignore[arg-type]  # a literal


def _using(name: str, before: Sequence[Table], table: Table, scope: Scope, piece: str) -> Expr:
    lefts = [other for other in before if other.get(name) is not None]
    right = table.get(name)
    first = scope.merged.get(name.casefold()) or (lefts[0] if lefts else None)
    left = None if first is None else first.get(name)
    if first is None or left is None or right is None:
        raise problems.UNKNOWN_COLUMN(fragment=name, columns=", ".join(item.name for item in table.fields))
    if len(lefts) > 1 and name.casefold() not in scope.merged:
        raise problems.AMBIGUOUS_COLUMN(fragment=name, example=f"ON {lefts[0].name}.{name} = {table.name}.{name}")
    scope.merged[name.casefold()] = first
    args = [scope.read(left, "join"), scope.read(right, "join")]
    if args[0].type.kind != args[1].type.kind:
        raise problems.TYPES(fragment=piece, reason_zh="两边列的类型不同", reason_en="the two columns are of different types")
    return Rows(scope, "join").call(exp.column(name), FUNCTIONS["="], args)


def _assembled(first: Table, joins: Sequence[_Joined], where: Sequence[Expr], scope: Scope) -> Relation:
    """The joins in order. Two owned sides of an inner join may be tied by any equalities that hold on every row of the answer: those of
    WHERE and of inner joins, put together."""
    everywhere = [*where, *(term for join in joins if join.kind == "inner" for term in conjuncts(join.on))]
    same = classes(everywhere)
    made: Relation = first.relation
    for join in joins:
        on, right = join.on, owner(join.table.relation)
        left = owner(made)
        if left is not None and right is not None and join.kind == "inner" and not any(equates(term, left, right) for term in conjuncts(on)):
            tie = next((pair for pair in _pairs(left, right) if _alike(same, *pair)), None) or referred(same, left, right)
            on = on if tie is None else _besides(on, FUNCTIONS["="].rule(tie))
        elif left is not None and right is not None and not any(equates(term, left, right) for term in conjuncts(on)):
            tie = referred(classes([*conjuncts(on)]), left, right)
            on = on if tie is None else _besides(on, FUNCTIONS["="].rule(tie))
        before, made = made, _joined(made, join, on)
        try:
            owner(made)
        except Unowned as unowned:
            raise _refusal(unowned, join, left) from None
        try:
            rows_of(made, limits(scope.shared.scanned), everywhere)
        except TooMany as many:
            raise refusals.FAN_OUT(fragment=join.piece, rows=f"{many.rows:,}", limit=f"{MOST_ROWS:,}") from None
        alias = join.table.alias
        few = _few(join.table.relation, scope) or _few(before, scope)
        if not _tied(on, alias) and not few and (join.kind != "inner" or not any(_tied(term, alias) for term in where)):
            raise problems.JOIN_CONDITION(fragment=join.piece)
    return made


def _joined(made: Relation, join: _Joined, on: Expr | None) -> Join:
    """`a RIGHT JOIN b` is `b LEFT JOIN a`."""
    if join.kind != "right":
        return Join(made, join.table.relation, join.kind, on)
    if not isinstance(made, (Scan, Derived)):
        raise AssertionError("a RIGHT JOIN is the first one")
    return Join(join.table.relation, made, "left", on)


def _few(relation: Relation, scope: Scope) -> bool:
    """Whether it is a short list written in the query, or the one row of an aggregate over public or released rows: then any condition
    will do."""
    if isinstance(relation, Join):
        return _few(relation.left, scope) and _few(relation.right, scope)
    if not isinstance(relation, Derived):
        return False
    waiting: list[Block] = [relation.of]
    while waiting:
        block = waiting.pop()
        if isinstance(block, Union):
            waiting += [block.left, block.right]
        elif isinstance(block.of, Scan) and scope.shared.releases.single(block.of.alias):
            continue
        elif not _single(block.of) and not (isinstance(block, Group) and not block.keys and owner(block.of) is None):
            return False
    return True


def _single(relation: Relation) -> bool:
    """Whether it is the one row of a SELECT without FROM, with what single-value subqueries add to it."""
    if isinstance(relation, Join):
        return relation.lookup and relation.kind == "left" and _single(relation.left)
    return _single(relation.of) if isinstance(relation, Filter) else isinstance(relation, Once)


def referred(same: Mapping[tuple[str, str], tuple[str, str]], left: Owner, right: Owner) -> tuple[Column, Column] | None:
    """The units of both sides, when columns that refer to one unique key are equal: then the units are, and it may be asked for."""
    if left.space != right.space:
        return None
    found = any(key == other and _alike(same, a, b) for a, key in left.by for b, other in right.by)
    return (left.unit, right.unit) if found else None


def _alike(same: Mapping[tuple[str, str], tuple[str, str]], a: Column, b: Column) -> bool:
    return same.get(_name(a), _name(a)) == same.get(_name(b))


def _besides(on: Expr | None, term: Expr) -> Expr:
    return term if on is None else FUNCTIONS["and"].rule([*conjuncts(on), term])


def _refusal(unowned: Unowned, join: _Joined, left: Owner | None) -> Exception:
    if unowned.why == "outer":
        return refusals.JOIN_SIDE(fragment=join.piece)
    if unowned.why == "spaces":
        return refusals.UNIT_SPACES(fragment=join.piece)
    return refusals.JOIN_UNIT(fragment=join.piece)


def _pairs(left: Owner, right: Owner) -> list[tuple[Column, Column]]:
    return [(a, b) for a in (left.unit, *left.same) for b in (right.unit, *right.same)]


def _name(column: Column) -> tuple[str, str]:
    return column.table, column.name


def classes(terms: Sequence[Expr]) -> dict[tuple[str, str], tuple[str, str]]:
    """For each column under a top-level equality with another one, a representative of the columns it equals."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for term in terms:
        if isinstance(term, Call) and term.op == "eq" and all(isinstance(arg, Column) for arg in term.args):
            a, b = (_name(arg) for arg in term.args if isinstance(arg, Column))
            one, other = found.setdefault(a, a), found.setdefault(b, b)
            found.update({name: one for name, kept in found.items() if kept == other})
    return found


def _tied(predicate: Expr | None, alias: str) -> bool:
    """Whether some equality at the top level has the table alone on one side and other tables alone on the other."""
    for term in conjuncts(predicate):
        if isinstance(term, Call) and term.op == "eq":
            sides = [{column.table for column in columns(arg)} for arg in term.args]
            for one, other in (sides, sides[::-1]):
                if one == {alias} and other and alias not in other:
                    return True
    return False
