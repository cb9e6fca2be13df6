"""FROM, JOIN and WHERE into a relation whose every row is owned by one unit, and what WHERE says about public keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from sqlglot import exp

from policies.catalogue import Catalogue, KeyValue
from sandbox.plan import problems as refusals
from sandbox.plan.ask import Range
from sandbox.plan.bind import Rows
from sandbox.plan.ir import Filter, Join, Owner, Relation, Scan, Unowned, owner
from sandbox.plan.scope import Scope, Table
from sandbox.sql import problems
from sandbox.sql.expr import Call, Column, Expr, Literal, columns
from sandbox.sql.fragment import fragment
from sandbox.sql.functions import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Source:
    relation: Relation
    owner: Owner
    private: Table
    where: Expr | None


def read_from(tree: exp.Select, catalogue: Catalogue, scope: Scope, aliases: Mapping[str, exp.Expr]) -> Source:
    """The owned relation of FROM and WHERE. Raises `sql_unknown_table`, `sql_join_*`, `plan_*`."""
    clause = tree.args.get("from_")
    if clause is None:
        raise refusals.NO_PRIVATE_TABLE()
    relation: Relation = _scan(clause.this, catalogue, scope)
    loose: list[tuple[exp.Join, str]] = []
    for join in tree.args.get("joins") or []:
        relation = _join(relation, join, catalogue, scope, loose)
    where = tree.args.get("where")
    predicate = None if where is None else Rows(scope, "filter", aliases=aliases).condition(where.this)
    for join, alias in loose:
        if not _tied(predicate, alias):
            raise problems.JOIN_CONDITION(fragment=fragment(join, scope.text))
    whose = owner(relation)
    if whose is None:
        raise refusals.NO_PRIVATE_TABLE()
    private = next(table for table in scope.tables if table.dataset.private)
    return Source(relation if predicate is None else Filter(relation, predicate), whose, private, predicate)


def _scan(node: exp.Expr, catalogue: Catalogue, scope: Scope) -> Scan:
    if not isinstance(node, exp.Table):
        raise problems.TABLE_FUNCTION(fragment=fragment(node, scope.text))
    snapshot = catalogue.get(node.name)
    if snapshot is None:
        raise problems.UNKNOWN_TABLE(fragment=fragment(node.this, scope.text))
    name = node.alias_or_name
    if scope.table(name) is not None:
        raise problems.DUPLICATE_ALIAS(fragment=name)
    table = Table(name, f"s{len(scope.tables)}", snapshot)
    scope.tables.append(table)
    unit = table.dataset.unit
    if unit is None:
        return Scan(table.alias, table.dataset.name, None)
    column = table.dataset.get(unit.column)
    assert column is not None
    return Scan(table.alias, table.dataset.name, Owner(unit.space, table.column(column)))


def _join(left: Relation, join: exp.Join, catalogue: Catalogue, scope: Scope, loose: list[tuple[exp.Join, str]]) -> Join:
    piece = fragment(join, scope.text)
    side, kind, method = (str(join.args.get(name) or "").upper() for name in ("side", "kind", "method"))
    before = list(scope.tables)
    right = _scan(join.this, catalogue, scope)
    if side in ("RIGHT", "FULL"):
        raise refusals.JOIN_SIDE(fragment=f"{side} JOIN {piece}")
    if side not in ("", "LEFT") or kind not in ("", "INNER", "OUTER", "CROSS") or method not in ("", "NATURAL"):
        raise problems.JOIN_KIND(fragment=" ".join(filter(None, (method, side, kind, "JOIN", piece))))
    names = [name.name for name in join.args.get("using") or []]
    table = scope.tables[-1]
    if method == "NATURAL":
        names = [column.name for column in table.dataset.columns if any(other.dataset.get(column.name) for other in before)]
    on = None if join.args.get("on") is None else Rows(scope, "join").condition(join.args["on"])
    terms = [_using(name, before, table, scope, piece) for name in dict.fromkeys(names)]
    if terms:
        on = FUNCTIONS["and"].rule(terms) if len(terms) > 1 else terms[0]
    if not _tied(on, right.alias):
        if side == "LEFT" or method == "NATURAL":
            raise problems.JOIN_CONDITION(fragment=piece)
        loose.append((join, right.alias))
    made = Join(left, right, "left" if side == "LEFT" else "inner", on)
    try:
        owner(made)
    except Unowned as unowned:
        raise (refusals.TWO_PRIVATE_TABLES if unowned.why == "two" else refusals.JOIN_SIDE)(fragment=piece) from None
    return made


def _using(name: str, before: Sequence[Table], table: Table, scope: Scope, piece: str) -> Expr:
    lefts = [other for other in before if other.dataset.get(name) is not None]
    right = table.dataset.get(name)
    first = scope.merged.get(name.casefold()) or (lefts[0] if lefts else None)
    if first is None or right is None:
        raise problems.UNKNOWN_COLUMN(fragment=name, columns=", ".join(column.name for column in table.dataset.columns))
    if len(lefts) > 1 and name.casefold() not in scope.merged:
        raise problems.AMBIGUOUS_COLUMN(fragment=name, example=f"ON {lefts[0].name}.{name} = {table.name}.{name}")
    scope.merged[name.casefold()] = first
    column = first.dataset.get(name)
    assert column is not None
    args = [scope.read(first, column, "join"), scope.read(table, right, "join")]
    binder = Rows(scope, "join")
    return binder.call(exp.column(name), FUNCTIONS["="], args) if args[0].type.kind == args[1].type.kind else _unlike(piece)


def _unlike(piece: str) -> Expr:
    raise problems.TYPES(fragment=piece, reason_zh="两边列的类型不同", reason_en="the two columns are of different types")


def conjuncts(predicate: Expr | None) -> Iterator[Expr]:
    if isinstance(predicate, Call) and predicate.op == "and":
        for arg in predicate.args:
            yield from conjuncts(arg)
    elif predicate is not None:
        yield predicate


def _tied(predicate: Expr | None, alias: str) -> bool:
    """Whether some equality at the top level has the table alone on one side and other tables alone on the other."""
    for term in conjuncts(predicate):
        if isinstance(term, Call) and term.op == "eq":
            sides = [{column.table for column in columns(arg)} for arg in term.args]
            for one, other in (sides, sides[::-1]):
                if one == {alias} and other and alias not in other:
                    return True
    return False


class _Unsure(Exception):
    pass


def allowed(domain: Sequence[KeyValue], key: Column, where: Expr | None) -> tuple[KeyValue, ...]:
    """The public keys that WHERE leaves possible: those for which no top-level condition on the key alone is known to fail."""
    terms = [term for term in conjuncts(where) if set(columns(term)) == {key}]
    return tuple(value for value in domain if all(_may(term, value) for term in terms))


def _may(term: Expr, value: KeyValue) -> bool:
    try:
        return _value(term, value) is True
    except _Unsure:
        return True


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def _value(expr: Expr, key: KeyValue) -> object:
    """What the expression gives when its only column has this value; None is SQL's NULL. Covers comparisons with constants and logic."""
    if isinstance(expr, Column):
        return key
    if isinstance(expr, Literal):
        if isinstance(expr.value, Fraction):
            raise _Unsure
        return expr.value
    args = [_value(arg, key) for arg in expr.args]
    if expr.op in ("and", "or"):
        decisive = expr.op == "or"
        return decisive if decisive in args else None if None in args else not decisive
    if expr.op == "not":
        return None if args[0] is None else not args[0]
    if expr.op == "isnull":
        return args[0] is None
    if expr.op == "in":
        return True if args[0] in [arg for arg in args[1:] if arg is not None] else None if None in args else False
    if expr.op == "between":
        return _value(
            FUNCTIONS["and"].rule([Literal(_compare("ge", args[0], args[1]), expr.type), Literal(_compare("le", args[0], args[2]), expr.type)]),
            key,
        )
    if expr.op in _COMPARISONS:
        return _compare(expr.op, args[0], args[1])
    raise _Unsure


def _compare(op: str, a: object, b: object) -> bool | None:
    if a is None or b is None:
        return None
    for kind in (bool, int, str, date):
        if type(a) is kind and type(b) is kind:
            return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]  # type: ignore[operator]  # same type
    raise _Unsure


def job_ranges(ranges: Mapping[str, Range], tables: Sequence[Table]) -> dict[tuple[str, str], Range]:
    """The job's ranges by dataset and column. Raises `plan_range_unknown`, `plan_range_widened`."""
    found: dict[tuple[str, str], Range] = {}
    for name, asked in ranges.items():
        place, _, last = name.rpartition(".")
        hits = [(table, column) for table in tables if (column := table.dataset.get(last)) and (not place or _called(table, place))]
        hits = [(table, column) for table, column in hits if column.type in ("integer", "decimal", "number")]
        if not hits:
            raise refusals.RANGE_UNKNOWN(name=name)
        for table, column in hits:
            if isinstance(column.low, date) or isinstance(column.high, date):
                raise refusals.RANGE_UNKNOWN(name=name)
            if column.low is not None and column.high is not None and not column.low <= asked.low <= asked.high <= column.high:
                raise refusals.RANGE_WIDENED(column=name, asked=f"{asked.low} – {asked.high}", limit=f"{column.low} – {column.high}")
            found[table.dataset.name.casefold(), column.name.casefold()] = asked
    return found


def _called(table: Table, place: str) -> bool:
    return place.casefold() in (table.name.casefold(), table.dataset.name.casefold())
