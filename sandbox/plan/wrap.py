"""Windows, QUALIFY and DISTINCT around a frontier: what the query aggregates is noised as a subquery, and the rest is computed from its rows.

SELECT city, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS r FROM visits GROUP BY city
SELECT c0 AS city, c1 AS n, rank() OVER (ORDER BY c1 DESC) AS r FROM (SELECT city AS c0, count(*) AS c1 FROM visits GROUP BY city)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from sandbox.plan.bind import AGGREGATES
from sandbox.plan.naming import aliases_of
from sandbox.plan.scope import Scope
from sandbox.plan.sets import keys_in
from sandbox.sql import problems
from sandbox.sql.fragment import fragment

NAME = "__group_"
_OUTSIDE = ("distinct", "qualify", "order", "limit", "offset", "with_")


def around(tree: exp.Select) -> bool:
    """Whether the query asks for something that is computed from its groups, not from its rows."""
    if tree.args.get("distinct") is not None or tree.args.get("qualify") is not None:
        return True
    order = tree.args.get("order")
    return any(map(_windows, [*tree.expressions, *([] if order is None else [order])]))


def outermost(tree: exp.Select, text: str) -> Exception:
    """Why such a query over single rows is refused: `sql_select_distinct`, `sql_window`."""
    if tree.args.get("distinct") is not None:
        return problems.DISTINCT_ROWS(fragment=fragment(tree, text))
    window = tree.args.get("qualify") or next(tree.find_all(exp.Window))
    return problems.WINDOW(fragment=fragment(window, text))


def wrapped(tree: exp.Select, scope: Scope) -> exp.Select:
    """The same query with its aggregation as a subquery. What is neither grouped nor aggregated is left for that one to refuse.
    `scope`: that of its rows, whose columns come before aliases."""
    text, aliases = scope.text, {name: node for name, node in aliases_of(tree).items() if scope.find(exp.column(name)) is None}
    group = tree.args.get("group")
    nodes = [] if group is None else list(group.expressions)
    items = [(_label(item, text), item.unalias()) for item in tree.expressions]
    if group is not None and group.args.get("all"):
        nodes = [node for _, node in items if not _windows(node) and not any(isinstance(part, AGGREGATES) for part in node.walk())]
    keys = [_meant(node, items, aliases) for node in keys_in(nodes)]
    group = None if group is None else exp.Group(expressions=[_regrouped(node, items, aliases) for node in nodes])
    if group is None and tree.args.get("distinct") is not None and not any(isinstance(p, AGGREGATES) for _, n in items for p in n.walk()):
        keys = [node for _, node in items]
        group = exp.Group(expressions=[node.copy() for node in keys])
    inner = _Inner(keys, aliases)
    shown = [exp.alias_(inner.over(node), label, quoted=True) for label, node in items]
    outer = exp.Select(**{name: tree.args.get(name) for name in ("limit", "offset", "with_")})
    if tree.args.get("distinct") is not None:
        outer.set("distinct", inner.inside(tree.args["distinct"]))
    outer.set("expressions", shown)
    qualify, order = tree.args.get("qualify"), tree.args.get("order")
    if qualify is not None:
        outer.set("qualify", exp.Qualify(this=inner.over(qualify.this)))
    if order is not None:
        outer.set("order", exp.Order(expressions=[_ordered(item, inner, aliases) for item in order.expressions]))
    below = exp.Select(**{name: value for name, value in tree.args.items() if name not in (*_OUTSIDE, "expressions", "group")})
    for name in ("where", "having"):
        if below.args.get(name) is not None:
            below.set(name, _spelled(below.args[name], keys, aliases))
    below.set("group", group)
    below.set("expressions", [exp.alias_(node, f"{NAME}{place}") for place, node in enumerate(inner.nodes)])
    outer.set("from_", exp.From(this=exp.Subquery(this=below, alias=exp.TableAlias(this=exp.to_identifier("groups")))))
    return outer


@dataclass
class _Inner:
    """The columns that the subquery has to give, each once."""

    keys: list[exp.Expr]
    aliases: Mapping[str, exp.Expr]
    nodes: list[exp.Expr] = field(default_factory=list)

    def over(self, node: exp.Expr) -> exp.Expr:
        """The node with keys, aggregates and columns replaced by columns of the subquery; a window's own function stays."""
        if isinstance(node, exp.Column) and not node.table and node not in self.keys and node.name.casefold() in self.aliases:
            return self.over(self.aliases[node.name.casefold()])
        if node in self.keys or isinstance(node, (exp.Column, exp.Grouping, exp.GroupingId)):
            return self._column(node)
        if isinstance(node, exp.Window):
            made = node.copy()
            made.set("this", self.inside(node.this))
            made.set("partition_by", [self.over(item) for item in node.args.get("partition_by") or []])
            if node.args.get("order") is not None:
                made.set("order", self.inside(node.args["order"]))
            return made
        if isinstance(node, AGGREGATES):
            return self._column(node)
        return self.inside(node)

    def inside(self, node: exp.Expr) -> exp.Expr:
        made = node.copy()
        for name, value in node.args.items():
            if isinstance(value, exp.Expr) and not isinstance(value, (exp.Identifier, exp.DataType)):
                made.set(name, self.over(value))
            elif isinstance(value, list):
                made.set(name, [self.over(item) if isinstance(item, exp.Expr) else item for item in value])
        return made

    def _column(self, node: exp.Expr) -> exp.Expr:
        if node not in self.nodes:
            self.nodes.append(node.copy())
        return exp.column(f"{NAME}{self.nodes.index(node)}", table="groups")


def _regrouped(node: exp.Expr, items: list[tuple[str, exp.Expr]], aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """The node with what positions and aliases stand for."""
    if isinstance(node, (exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple)):
        return type(node)(expressions=[_regrouped(item, items, aliases) for item in node.expressions])
    return _meant(node.unnest(), items, aliases).copy()


def _spelled(node: exp.Expr, keys: list[exp.Expr], aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """The condition with aliases spelled out: the subquery has others."""

    def spelled(part: exp.Expr) -> exp.Expr:
        if isinstance(part, exp.Column) and not part.table and part not in keys and part.name.casefold() in aliases:
            return exp.Paren(this=aliases[part.name.casefold()].copy())
        return part

    return node.copy().transform(spelled)


def _meant(node: exp.Expr, items: list[tuple[str, exp.Expr]], aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """What a position or an alias in GROUP BY stands for."""
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit() and 1 <= int(node.this) <= len(items):
        return items[int(node.this) - 1][1]
    if isinstance(node, exp.Column) and not node.table and not any(node == item for _, item in items):
        return aliases.get(node.name.casefold(), node)
    return node


def _ordered(item: exp.Expr, inner: _Inner, aliases: Mapping[str, exp.Expr]) -> exp.Expr:
    """Positions and names of the select list are left as they are."""
    node = item.this
    named = isinstance(node, exp.Column) and not node.table and node.name.casefold() in aliases
    return item.copy() if isinstance(node, (exp.Literal, exp.Var)) or named else inner.inside(item)


def _label(item: exp.Expr, text: str) -> str:
    node = item.unalias()
    return item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else fragment(node, text)


def _windows(node: exp.Expr) -> bool:
    return any(isinstance(part, exp.Window) for part in node.walk(prune=lambda part: isinstance(part, exp.Query)))
