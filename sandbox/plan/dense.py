"""Which plans the dense kernel (`sandbox.raw.kernel`) may run, and what rows it asks for: decided from public facts alone.

It takes plans whose keys are all public and few, and whose totals are small enough for its exactness argument. Rows come straight from
the stored columns where the query has no filter, join or expression, else from one SELECT without grouping.
"""

from __future__ import annotations

import math

from sandbox.plan.emit import fixed_point, key_sql
from sandbox.plan.ir import Frontier, Scan
from sandbox.plan.model import VALUED, Rows, Total
from sandbox.plan.source_sql import derived_column, from_where
from sandbox.sql.expr import Column, Expr, emit, quoted

MOST_KEYS = 64  # beyond, most cells of the unit × key matrix are empty and the hash plan is the faster one
LARGEST_VALUE = 2**31
LARGEST_CAP = 2**40


def rows_for(frontier: Frontier) -> Rows | None:
    """The rows the kernel needs, or None where the SQL plan has to do."""
    if any(domain is None for domain in frontier.domains) or math.prod(len(domain or ()) for domain in frontier.domains) > MOST_KEYS:
        return None
    if not all(_small(total) and total.kind != "distinct" for total in frontier.totals):
        return None
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
            return Rows(None, plain)
    return Rows(_select(frontier), ())


def _small(total: Total) -> bool:
    reach = max(abs(total.low), abs(total.high), abs(total.low + total.centre), abs(total.high + total.centre))
    return reach <= LARGEST_VALUE and total.cap <= LARGEST_CAP


def stored(value: Expr, total: Total) -> Column | None:
    """The stored column that carries a total's value as it is: the kernel clamps it, or only looks where it is NULL."""
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
        if not isinstance(key, Column):
            return None
        pairs.append((f"k{place}", key.name))
    for place, (value, total) in enumerate(zip(rows.values, frontier.totals, strict=True)):
        if value is not None:
            column = stored(value, total)
            if column is None:
                return None
            pairs.append((f"v{place}", column.name))
    return tuple(pairs)


def _select(frontier: Frontier) -> str:
    rows = frontier.of
    unit = rows.owner.unit
    inner = [f"{emit(unit)} AS u", *(f"{key_sql(key)} AS k{place}" for place, key in enumerate(rows.keys))]
    outer = ["u", *(f"k{place}" for place in range(len(rows.keys)))]
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
            outer.append(
                f"{fixed_point(name, value.type, total, about_centre=False)} AS {name}" if total.kind in (*VALUED, "quantile") else name
            )
    return f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} {from_where(rows.of)}) AS rows WHERE u IS NOT NULL"
