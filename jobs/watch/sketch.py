"""A question as rules see it: what it measures, of whom – read from the request that the register keeps sealed, and nothing of it passed on.

A SELECT over stored tables is taken apart: its conditions become a population (`policies.disclosure.predicate`), each measure a form in which
constants, labels and order do not count. Anything else is one form as a whole, about everybody it could be about.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlglot import exp

from policies.catalogue import Dataset
from policies.problem import Problem
from sandbox.sql.parse import canonical, parse, table_names

MOST_FORMS = 12
PRICES = frozenset({"ask", "privacy", "price", "accuracy", "delta"})
Data = dict[str, Any] | bool
_COMPARED: Mapping[type[exp.Expr], str] = {exp.LT: "lt", exp.LTE: "le", exp.GT: "gt", exp.GTE: "ge"}
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


@dataclass(frozen=True, slots=True)
class Sketch:
    """`forms`: one for each measure, keyed hashes: they stand in alerts, and a question could be guessed from a plain one."""

    forms: tuple[str, ...]
    where: Data


def sketch(sealed: Mapping[str, Any], datasets: Mapping[str, Dataset], key: bytes) -> Sketch:
    """Of a sealed request. `datasets`: those it reads, by case-folded name; `key` makes forms unguessable."""
    text = sealed.get("sql")
    if not isinstance(text, str):
        rest = {name: value for name, value in sealed.items() if name not in PRICES | {"by", "licence", "scenario", "versions"}}
        return Sketch((_hash(key, json.dumps(rest, sort_keys=True, default=str)),), True)
    try:
        tree = parse(text)
    except Problem:  # another version of the program took it
        return Sketch((_hash(key, text),), True)
    base = [select for select in tree.find_all(exp.Select) if _plain(select)]
    conditions: Data = True
    tables = ",".join(sorted(name.casefold() for name in table_names(tree)))
    if len(base) == 1:
        found = base[0].args.get("where")
        if found is not None:
            conditions = _Reader(base[0], datasets).data(found.this)
            found.pop()
    if base != [tree]:
        return Sketch((_hash(key, f"{tables}\n{_masked(tree)}"),), conditions)
    assert isinstance(tree, exp.Select)
    joins = " ".join(sorted(_masked(join) for join in tree.args.get("joins") or ()))
    grouping = tree.args.get("group")
    keys = sorted({_masked(each) for each in grouping.expressions}) if grouping is not None else []
    measures = sorted({_masked(item) for item in tree.expressions if item.find(exp.AggFunc)} or {_masked(tree)})
    return Sketch(tuple(_hash(key, f"{tables}\n{joins}\n{keys}\n{measure}") for measure in measures[:MOST_FORMS]), conditions)


def _hash(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _plain(select: exp.Select) -> bool:
    """Reads stored tables alone, by name."""
    source = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or ()]
    return source is not None and all(isinstance(each, exp.Table) for each in (source.this, *joined))


def _masked(node: exp.Expr) -> str:
    """In one spelling, without constants and labels."""
    copy = node.copy()
    if isinstance(copy, exp.Alias):
        copy = copy.this
    for literal in list(copy.find_all(exp.Literal)):
        literal.replace(exp.Placeholder())
    if isinstance(copy, exp.Count) and isinstance(copy.this, (exp.Placeholder, exp.Literal)):
        copy = exp.Count(this=exp.Star())
    return canonical(copy).casefold()


class _Reader:
    """Conditions of one SELECT in the planner's form (`sandbox.plan.population`): what is not a stored column and constants is opaque."""

    def __init__(self, select: exp.Select, datasets: Mapping[str, Dataset]) -> None:
        self._tables: dict[str, Dataset] = {}
        self._names: dict[str, str] = {}
        seen: dict[str, int] = {}
        for table in select.find_all(exp.Table):
            dataset = datasets.get(table.name.casefold())
            if dataset is None:
                continue
            name = dataset.name.casefold()
            seen[name] = seen.get(name, 0) + 1
            alias = (table.alias or table.name).casefold()
            self._tables[alias] = dataset
            self._names[alias] = name if seen[name] == 1 else f"{name}#{seen[name]}"

    def data(self, node: exp.Expr) -> Data:
        if isinstance(node, exp.Paren):
            return self.data(node.this)
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, (exp.And, exp.Or)):
            return {"and" if isinstance(node, exp.And) else "or": [self.data(node.left), self.data(node.right)]}
        if isinstance(node, exp.Not):
            return {"not": self.data(node.this)}
        found = self._simple(node)
        return {"opaque": hashlib.sha256(canonical(node).casefold().encode()).hexdigest()[:32]} if found is None else found

    def _simple(self, node: exp.Expr) -> Data | None:
        if isinstance(node, (exp.EQ, exp.NEQ)):
            return self._same(node)
        op = _COMPARED.get(type(node))
        if op is not None:
            return self._ordered(op, node)
        if isinstance(node, exp.Between):
            low, high = self._ordered("ge", node, node.args["low"]), self._ordered("le", node, node.args["high"])
            return None if low is None or high is None else {"and": [low, high]}
        if isinstance(node, exp.In) and not node.args.get("query") and node.expressions:
            column = self._column(node.this)
            values = [_constant(each, column[1]) for each in node.expressions] if column else [None]
            return None if column is None or None in values else {"in": [column[0], values]}
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            column = self._column(node.this)
            return None if column is None else {"null": column[0]}
        return None

    def _same(self, node: exp.Expr) -> Data | None:
        if isinstance(node.args["this"], exp.Literal) and isinstance(node.args["expression"], exp.Literal):
            return (node.args["this"] == node.args["expression"]) == isinstance(node, exp.EQ)  # 1 = 1 is no condition
        for left, right in ((node.args["this"], node.args["expression"]), (node.args["expression"], node.args["this"])):
            column = self._column(left)
            value = _constant(right, column[1]) if column else None
            if column is not None and value is not None:
                same: Data = {"in": [column[0], [value]]}
                return same if isinstance(node, exp.EQ) else {"not": same}
        return None

    def _ordered(self, op: str, node: exp.Expr, bound: exp.Expr | None = None) -> Data | None:
        sides = [(op, node.this, bound if bound is not None else node.args["expression"])]
        if bound is None:
            sides.append((_FLIPPED[op], node.args["expression"], node.this))
        for way, left, right in sides:
            column = self._column(left)
            value = _constant(right, column[1]) if column else None
            if column is not None and value is not None:
                return {way: [column[0], value]}
        return None

    def _column(self, node: exp.Expr) -> tuple[str, str] | None:
        """`dataset.column` and the type; None for anything but one stored column."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column):
            return None
        for alias in self._aliases(node):
            declared = self._tables[alias].get(node.name)
            if declared is not None:
                return f"{self._names[alias]}.{declared.name.casefold()}", declared.type
        return None

    def _aliases(self, node: exp.Column) -> Iterator[str]:
        named = node.table.casefold()
        if named:
            yield from (alias for alias in (named,) if alias in self._tables)
        else:
            yield from self._tables


_KINDS = {"text": "text", "boolean": "truth", "date": "date", "timestamp": "time"}


def _constant(node: exp.Expr, type_: str) -> list[str] | None:
    while isinstance(node, (exp.Paren, exp.Cast)):
        node = node.this
    sign = ""
    if isinstance(node, exp.Neg):
        sign, node = "-", node.this
    if isinstance(node, exp.Boolean):
        return ["truth", str(bool(node.this)).lower()]
    if not isinstance(node, exp.Literal):
        return None
    if not node.is_string:
        return ["number", f"{sign}{node.this}"]
    kind = _KINDS.get(type_, "number")
    if kind == "date":
        try:
            return ["date", date.fromisoformat(node.this[:10]).isoformat()]
        except ValueError:
            return None
    return [kind, node.this]
