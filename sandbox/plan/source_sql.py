"""SQL of relations and blocks: what stands between FROM and the frontier. Names are ours; the operator's never reach the shard."""

from __future__ import annotations

from sandbox.plan.ir import UNIT, Block, Filter, Items, Join, Once, Relation, Scan, Select, Union, owner
from sandbox.sql.expr import Column, Expr, emit, quoted

_JOINS = {"inner": "JOIN", "left": "LEFT JOIN", "semi": "SEMI JOIN", "anti": "ANTI JOIN"}


def from_where(relation: Relation) -> str:
    """FROM and WHERE of a query over the relation."""
    predicates: list[str] = []
    while isinstance(relation, Filter):
        predicates.insert(0, emit(relation.predicate))
        relation = relation.of
    return f"FROM {relation_sql(relation)}" + (f" WHERE {' AND '.join(predicates)}" if predicates else "")


def relation_sql(relation: Relation) -> str:
    if isinstance(relation, Scan):
        return quoted(relation.alias)
    if isinstance(relation, Once):
        return "(SELECT 1)"
    if isinstance(relation, Join):
        left, right = relation_sql(relation.left), relation_sql(relation.right)
        if relation.on is None and relation.kind == "inner":
            return f"{left} CROSS JOIN {right}"
        return f"{left} {_JOINS[relation.kind]} {right} ON {'TRUE' if relation.on is None else emit(relation.on)}"
    assert not isinstance(relation, Filter)  # filters stand above all joins of their block
    return f"({block_sql(relation.of)}) AS {quoted(relation.alias)}"


def block_sql(block: Block) -> str:
    if isinstance(block, Union):
        return f"{block_sql(block.left)} UNION ALL {block_sql(block.right)}"
    whose = owner(block.of)
    unit = [] if whose is None else [emit(whose.unit)]
    items = [f"{sql} AS {UNIT}" for sql in unit] + _items(block.items)
    query = f"SELECT {', '.join(items) or '1 AS c'} {from_where(block.of)}"
    if isinstance(block, Select):
        return query if block.qualify is None else f"{query} QUALIFY {emit(block.qualify)}"
    keys = [*unit, *map(emit, block.keys)]
    query += f" GROUP BY {', '.join(keys)}" if keys else ""
    return query if block.having is None else f"{query} HAVING {emit(block.having)}"


def _items(items: Items) -> list[str]:
    return [f"{stored(expr)} AS {name}" for name, expr in items]


def stored(expr: Expr) -> str:
    """The expression as a derived table keeps it: integers in 64 or 128 bits as their type promises, so that nothing outside can overflow."""
    if expr.type.kind != "exact":
        return emit(expr)
    return f"TRY_CAST({emit(expr)} AS {'HUGEINT' if expr.type.wide else 'BIGINT'})"


def derived_column(column: Column) -> bool:
    """Whether the column is a derived table's, computed in the query, rather than a scan's stored one."""
    return column.form == "{0}" and column.table != ""
