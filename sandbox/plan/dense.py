"""Which plans the kernels may run, and what rows they ask for: decided from public facts alone.

The dense kernel (`sandbox.raw.kernel`) takes plans whose keys are all public and few, the sparse one (`sandbox.raw.sparse`) all others; both
only totals small enough for their exactness arguments. Rows come straight from the stored columns where the query has no filter, join or
expression, else from one SELECT without grouping.
"""

from __future__ import annotations

import math

from sandbox.plan.emit import fixed_point, hashed, key_sql, shown
from sandbox.plan.ir import Frontier, Scan
from sandbox.plan.model import VALUED, Rows, Total
from sandbox.plan.source_sql import derived_column, from_where
from sandbox.sql.expr import Column, Expr, emit, quoted

MOST_KEYS = 64  # beyond, most cells of the unit × key matrix are empty and the hash plan is the faster one
LARGEST_VALUE = 2**31
LARGEST_CAP = 2**40


def rows_for(frontier: Frontier) -> Rows | None:
    """The rows a kernel needs, or None where the SQL plan has to do."""
    if not all(_small(total) for total in frontier.totals):
        return None
    dense = all(domain is not None for domain in frontier.domains) and all(total.kind != "distinct" for total in frontier.totals)
    dense = dense and math.prod(len(domain or ()) for domain in frontier.domains) <= MOST_KEYS
    rows = frontier.of
    unit = rows.owner.unit
    if unit.type.kind not in ("exact", "text"):
        return None
    named: list[tuple[str, Expr]] = [("u", unit), *((f"k{place}", key) for place, key in enumerate(rows.keys))]
    for place, (value, total) in enumerate(zip(rows.values, frontier.totals, strict=True)):
        if value is not None:
            named.append((f"v{place}", stored(value, total) or value))
    if isinstance(rows.of, Scan) and all(isinstance(expr, Column) for _, expr in named) and unit.type.kind == "exact":
        plain = _plain_columns(frontier)
        if plain is not None:
            return Rows(None, plain, dense, frontier.single)
    return Rows(_select(frontier), (), dense, frontier.single)


def _small(total: Total) -> bool:
    reach = max(abs(total.low), abs(total.high), abs(total.low + total.centre), abs(total.high + total.centre))
    return reach <= LARGEST_VALUE and total.cap <= LARGEST_CAP


def stored(value: Expr, total: Total) -> Column | None:
    """The stored column that carries a total's value as it is: the kernel clamps it, or only looks where it is NULL."""
    if total.kind == "distinct":
        return None
    if total.kind in ("units", "count"):
        present = getattr(value, "op", None) == "present" and len(getattr(value, "args", ())) == 1
        inner = value.args[0] if present else None  # type: ignore[union-attr]  # only a call has an op
        return inner if isinstance(inner, Column) and inner.type.kind not in ("float", "boolean") and not derived_column(inner) else None
    return (
        value
        if isinstance(value, Column) and not derived_column(value) and value.type.kind == "exact" and value.type.scale == total.decimals
        else None
    )


def _plain_columns(frontier: Frontier) -> tuple[tuple[str, str], ...] | None:
    rows = frontier.of
    pairs = [("u", rows.owner.unit.name)]
    for place, key in enumerate(rows.keys):
        if not isinstance(key, Column) or (key.type.kind == "date" and frontier.domains[place] is None):
            return None
        pairs.append((f"k{place}", key.name))
    for place, (value, total) in enumerate(zip(rows.values, frontier.totals, strict=True)):
        if value is not None:
            column = stored(value, total)
            if column is None:
                return None
            pairs.append((f"v{place}", column.name))
    return tuple(pairs)


def _worth(name: str, value: Expr, total: Total) -> str:
    if total.kind in (*VALUED, "quantile"):
        return fixed_point(name, value.type, total, about_centre=False)
    return hashed(name) if total.kind == "distinct" else name


def _select(frontier: Frontier) -> str:
    rows = frontier.of
    unit = rows.owner.unit
    inner = [f"{emit(unit)} AS u", *(f"{key_sql(key)} AS k{place}" for place, key in enumerate(rows.keys))]
    outer = ["u", *(shown(key, f"k{place}", domain) for place, (key, domain) in enumerate(zip(rows.keys, frontier.domains, strict=True)))]
    if unit.type.kind == "text":
        outer.append("hash(u) AS h")
    for place, (value, total) in enumerate(zip(rows.values, frontier.totals, strict=True)):
        if value is None:
            continue
        name = f"v{place}"
        column = stored(value, total)
        if column is not None:
            inner.append(f"{quoted(column.table)}.{quoted(column.name)} AS {name}")
            outer.append(name)
        else:
            inner.append(f"{emit(value)} AS {name}")
            outer.append(f"{_worth(name, value, total)} AS {name}")
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} {from_where(rows.of)}) AS rows WHERE u IS NOT NULL"
