"""Whom a table is about, as data: what its rows come from and the conditions they meet, in names that mean the same in every query.

This is what a table is compared with earlier ones by. Conditions on one stored column and a constant are said as they are; any other one is
opaque: named by a digest of its meaning, so that equal ones are equal and of unlike ones nothing is claimed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction

from sandbox.plan.ir import Derived, Filter, Join, Once, Relation, Scan
from sandbox.plan.prune import scans_of
from sandbox.plan.scope import Scope
from sandbox.plan.source_sql import relation_sql
from sandbox.sql.expr import Call, Column, Expr, Literal, emit

Data = dict[str, object] | bool
_FLIPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _datasets(scope: Scope) -> dict[str, str]:
    """Canonical names of aliases: the dataset's, numbered where one is read twice."""
    found: dict[str, str] = {}
    seen: dict[str, int] = {}
    for alias, snapshot in scope.shared.scanned.items():
        name = snapshot.dataset.name.casefold()
        seen[name] = seen.get(name, 0) + 1
        found[alias] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return found


def _digest(text: str, names: Mapping[str, str]) -> str:
    for alias, name in names.items():
        text = (
            text.replace(f'"{alias}".', f'"{name}".').replace(f'FROM "{alias}"', f'FROM "{name}"').replace(f'JOIN "{alias}"', f'JOIN "{name}"')
        )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def relation_name(relation: Relation, scope: Scope) -> str:
    """What rows come from, conditions on them aside: a dataset's name, or the digest of joins and subqueries after the names in them."""
    while isinstance(relation, Filter):
        relation = relation.of
    names = _datasets(scope)
    if isinstance(relation, Scan):
        return names.get(relation.alias, relation.alias)
    tables = "+".join(sorted(names[alias] for alias in dict.fromkeys(scans_of(relation)) if alias in names))
    return f"{tables}:{_digest(relation_sql(relation), names)}"


def value_name(expr: Expr, scope: Scope) -> str:
    """A stored column as `dataset.column`, anything else by a digest of its meaning."""
    names = _datasets(scope)
    while isinstance(expr, Call) and expr.op == "typed":
        (expr,) = expr.args
    if isinstance(expr, Column) and expr.table in names:
        return f"{names[expr.table]}.{expr.name.casefold()}"
    return f"={_digest(emit(expr), names)}"


def where_data(relation: Relation, scope: Scope) -> str:
    """The conditions on rows, as canonical JSON: true; {"and"|"or": […]}; {"not": …}; {"in": [column, [value…]]}; {"lt"|"le"|"gt"|"ge":
    [column, value]}; {"null": column}; {"opaque": digest}. A value is ["number"|"text"|"date"|"time"|"truth", text]."""
    terms: list[Data] = []
    while isinstance(relation, Filter):
        terms.append(_data(relation.predicate, scope))
        relation = relation.of
    terms += _inside(relation, scope)
    whole: Data = True if not terms else terms[0] if len(terms) == 1 else {"and": terms}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _inside(relation: Relation, scope: Scope) -> list[Data]:
    """A join's or a subquery's own conditions are part of what rows come from (`relation_name`): nothing to say here."""
    assert isinstance(relation, (Scan, Once, Derived, Join))
    return []


def _data(expr: Expr, scope: Scope) -> Data:
    if isinstance(expr, Literal) and isinstance(expr.value, bool):
        return expr.value
    if isinstance(expr, Call):
        if expr.op in ("and", "or"):
            return {expr.op: [_data(arg, scope) for arg in expr.args]}
        if expr.op == "not" and len(expr.args) == 1:
            return {"not": _data(expr.args[0], scope)}
        found = _simple(expr, scope)
        if found is not None:
            return found
    return {"opaque": value_name(expr, scope)}


def _simple(expr: Call, scope: Scope) -> Data | None:
    """A condition on one stored column."""
    args = expr.args
    if expr.op in _FLIPPED and len(args) == 2:
        op, left, right = expr.op, args[0], args[1]
        if _constant(left) is not None:
            op, left, right = _FLIPPED[op], right, left
        name, value = _stored(left, scope), _constant(right)
        if name is None or value is None:
            return None
        if op in ("eq", "ne"):
            same: Data = {"in": [name, [value]]}
            return same if op == "eq" else {"not": same}
        return {op: [name, value]}
    name = _stored(args[0], scope) if args else None
    if name is None:
        return None
    values = [_constant(arg) for arg in args[1:]]
    if expr.op == "isnull" and len(args) == 1:
        return {"null": name}
    if expr.op == "in" and None not in values:
        return {"in": [name, values]}
    if expr.op == "between" and len(values) == 2 and None not in values:
        return {"and": [{"ge": [name, values[0]]}, {"le": [name, values[1]]}]}
    return None


def _stored(expr: Expr, scope: Scope) -> str | None:
    name = value_name(expr, scope)
    return None if name.startswith("=") else name


def _constant(expr: Expr) -> list[str] | None:
    if not isinstance(expr, Literal) or expr.value is None:
        return None
    value = expr.value
    if isinstance(value, bool):
        return ["truth", str(value).lower()]
    if isinstance(value, (int, Fraction)):
        return ["number", str(Fraction(value) / 10**expr.type.scale if expr.type.kind == "exact" else Fraction(value))]
    if isinstance(value, datetime):
        return ["time", value.isoformat()]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    return ["text", value]
