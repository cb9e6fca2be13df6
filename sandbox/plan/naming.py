"""What positions, aliases and stars of a select list stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from sandbox.plan.bind import AGGREGATES
from sandbox.plan.scope import Field, Scope
from sandbox.sql import problems
from sandbox.sql.fragment import fragment

_ANY = (*AGGREGATES, exp.Min, exp.Max)


def aliases_of(tree: exp.Select) -> Mapping[str, exp.Expr]:
    return {item.alias.casefold(): item.this for item in reversed(tree.expressions) if isinstance(item, exp.Alias)}


def position(node: exp.Expr, tree: exp.Select, scope: Scope) -> exp.Expr:
    """What an ordinal or an alias stands for. A column of that name comes before an alias, as in DuckDB."""
    if isinstance(node, exp.Literal) and not node.is_string:
        place = int(node.this) if str(node.this).isdigit() else 0
        if not 1 <= place <= len(tree.expressions):
            raise problems.ORDINAL(fragment=fragment(node, scope.text), count=len(tree.expressions))
        node = tree.expressions[place - 1].unalias().unnest()
    elif isinstance(node, exp.Column) and not node.table and scope.find(node) is None:
        named = [item.this for item in tree.expressions if isinstance(item, exp.Alias) and item.alias.casefold() == node.name.casefold()]
        node = named[0].unnest() if named else node
    return node


def aggregates(node: exp.Expr) -> bool:
    """Whether the node aggregates the rows of its own query: windows and subqueries aside."""
    inside = node.walk(prune=lambda item: isinstance(item, (exp.Query, exp.Window)))
    return any(isinstance(item, _ANY) for item in inside)


def listed(tree: exp.Select, scope: Scope) -> Iterator[tuple[str, exp.Expr | Field]]:
    """The columns of a select list by name, stars spelled out; a column joined with USING comes once. Raises `sql_unknown_column`."""
    for item in tree.expressions:
        node = item.unalias()
        every = isinstance(node, exp.Star)
        if not every and not (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            name = item.alias if isinstance(item, exp.Alias) else node.name if isinstance(node, exp.Column) else fragment(node, scope.text)
            yield name, node
            continue
        if not every and scope.table(node.table) is None:
            raise scope.unknown(node)
        for table in scope.tables:
            if every or table.name.casefold() == node.table.casefold():
                for shown in table.fields:
                    if not every or scope.merged.get(shown.name.casefold(), table) is table:
                        yield shown.name, shown
