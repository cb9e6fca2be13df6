"""SQL from the IR: the one query a shard runs, and the one that turns noisy totals into the answer.

Shard: rows of the relation with their unit, keys and values → values clamped and made fixed point, keys outside their domains dropped →
one partial per (unit, key), brought within its cap → at most L0 keys per unit, in the order of a keyed hash with every key as tie-break →
sums over units. Integers all the way, so the totals do not depend on order, threads or shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from policies.catalogue import KeyValue
from sandbox.plan.ir import Frontier
from sandbox.plan.model import BINNED, VALUED, Total
from sandbox.plan.source_sql import derived_column, from_where
from sandbox.sql.expr import Column, Expr, emit, float_literal, integer_literal, quoted, text_literal
from sandbox.sql.numbers import FLOAT_CLAMP
from sandbox.sql.types import Type

SEED = "CAST($seed AS UBIGINT)"


def shard_sql(frontier: Frontier) -> str:
    rows = frontier.of
    keys = [f"k{place}" for place in range(len(rows.keys))]
    parts = [_cte("rows", _rows(frontier)), _cte("fixed", _fixed(frontier, keys))]
    parts.append(_cte("partial", _partial(frontier, keys), kept=frontier.choose is not None and frontier.seldom))
    last = "partial"
    if frontier.choose is not None:
        parts += _chosen(frontier.choose, keys, seldom=frontier.seldom)
        last = "chosen"
    sums = [f"CAST(COALESCE(sum({total.name}), 0) AS HUGEINT) AS {total.name}" for total in frontier.totals]
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    binned = [total for total in frontier.totals if total.kind in BINNED]
    if not binned:
        return f"WITH {', '.join(parts)} SELECT {', '.join([*keys, *sums])} FROM {last}{group}"
    parts.append(_cte("kept", f"SELECT * FROM {last}", kept=True))
    nothing = {total.name: f"0::HUGEINT AS {total.name}" for total in frontier.totals}
    plain = [nothing[total.name] if total in binned else made for total, made in zip(frontier.totals, sums, strict=True)]
    source = f" FROM kept{group}" if keys or len(binned) < len(plain) else ""  # without either it is one row, whatever was kept
    selects = [f"SELECT {', '.join([*keys, 'NULL::BIGINT AS bin', *plain])}{source}"]
    for total in binned:
        counted = [f"CAST(count(*) AS HUGEINT) AS {total.name}" if other is total else nothing[other.name] for other in frontier.totals]
        selects.append(f"SELECT {', '.join([*keys, 'bin', *counted])} FROM ({_bins(total, keys)}) GROUP BY {', '.join([*keys, 'bin'])}")
    return f"WITH {', '.join(parts)} {' UNION ALL '.join(selects)}"


def _bins(total: Total, keys: Sequence[str]) -> str:
    """One row per bin of each kept partial: all of a unit's, or, of more than `cap`, that many at even ranks."""
    some = f"SELECT {', '.join([*keys, total.name])}, len({total.name}) AS n, least(len({total.name}), {total.cap}) AS m FROM kept"
    spread = f"SELECT *, unnest(range(1, m + 1)) AS i FROM ({some} WHERE {total.name} IS NOT NULL)"
    return f"SELECT {', '.join([*keys, f'{total.name}[(i * n + m - 1) // m] AS bin'])} FROM ({spread})"


def _chosen(most: int, keys: Sequence[str], *, seldom: bool) -> list[str]:
    """At most `most` keys of each unit, the first in the order of a keyed hash.

    Ties of the hash are broken by the keys themselves, which together are unique within a unit: the choice is a function of the unit's rows.
    """
    order = ", ".join([f"hash({', '.join([*keys, 'u', SEED])})", *(f"{key} ASC NULLS LAST" for key in keys)])
    ranked = f"QUALIFY row_number() OVER (PARTITION BY u ORDER BY {order}) <= {most}"
    if not seldom:
        return [_cte("chosen", f"SELECT * FROM partial {ranked}")]
    over = _cte("crowded", f"SELECT u FROM partial GROUP BY u HAVING count(*) > {most}", kept=True)
    within = "SELECT * FROM partial ANTI JOIN crowded USING (u)"
    return [over, _cte("chosen", f"{within} UNION ALL (SELECT * FROM partial SEMI JOIN crowded USING (u) {ranked})")]


def _cte(name: str, body: str, *, kept: bool = False) -> str:
    return f"{name} AS {'MATERIALIZED ' if kept else ''}({body})"


def _rows(frontier: Frontier) -> str:
    rows = frontier.of
    outputs = [f"{emit(rows.owner.unit)} AS u"]
    outputs += [f"{key_sql(key)} AS k{place}" for place, key in enumerate(rows.keys)]
    outputs += [f"{emit(value)} AS v{place}" for place, value in enumerate(rows.values) if value is not None]
    return f"SELECT {', '.join(outputs)} {from_where(rows.of)}"


def key_sql(key: Expr) -> str:
    """A key in its wire type; a stored column is read in it already."""
    return (
        f"TRY_CAST({emit(key)} AS BIGINT)" if key.type.kind == "exact" and (not isinstance(key, Column) or derived_column(key)) else emit(key)
    )


def _fixed(frontier: Frontier, keys: Sequence[str]) -> str:
    values = [
        f"{_worth(f'v{place}', value.type, total)} AS v{place}"
        for place, (value, total) in enumerate(zip(frontier.of.values, frontier.totals, strict=True))
        if value is not None
    ]
    # the seed is a parameter of every shard query, whether or not groups have to be chosen with it
    kept = ["u IS NOT NULL", f"{SEED} IS NOT NULL"]
    kept += [_among(key, domain) for key, domain in zip(keys, frontier.domains, strict=True) if domain is not None]
    written = [shown(key, name, domain) for key, name, domain in zip(frontier.of.keys, keys, frontier.domains, strict=True)]
    return f"SELECT {', '.join(['u', *written, *values])} FROM rows WHERE {' AND '.join(kept)}"


def _among(key: str, domain: tuple[KeyValue | None, ...]) -> str:
    """The key is one of the domain's; NULL is where the domain says so."""
    values = [constant(value) for value in domain if value is not None]
    known = f"{key} IN ({', '.join(values)})"
    return known if len(values) == len(domain) else f"({known} OR {key} IS NULL)"


def shown(key: Expr, name: str, domain: tuple[KeyValue | None, ...] | None) -> str:
    """The key as it may be shown: a private date outside the years 1–9999, which few programs can read, is NULL."""
    if key.type.kind != "date" or domain is not None:
        return name
    return f"CASE WHEN {name} BETWEEN {constant(date.min)} AND {constant(date.max)} THEN {name} END AS {name}"


def _worth(name: str, kind: Type, total: Total) -> str:
    """What one row's value counts for: a number to add, a bin, or that it is there."""
    if total.kind in VALUED:
        return fixed_point(name, kind, total)
    if total.kind == "quantile":
        return nearest(fixed_point(name, kind, total), total)
    if total.kind == "distinct":
        return hashed(name)
    return name


def hashed(name: str) -> str:
    """The keyed hash that stands for one of different values."""
    return f"CASE WHEN {name} IS NOT NULL THEN CAST(hash({name}, {SEED}) >> 1 AS BIGINT) END"


def nearest(fixed: str, total: Total) -> str:
    """The number of the candidate nearest to a value inside the range, the higher one of two."""
    return f"(({fixed} - {integer_literal(total.low - total.step // 2)}) // {integer_literal(total.step)})"


def fixed_point(name: str, kind: Type, total: Total, *, about_centre: bool = True) -> str:
    """One row's value in [low, high], as a 64-bit integer in units of 10**-decimals about the centre (or about 0). NULL and NaN give NULL."""
    low, high = total.low + total.centre, total.high + total.centre
    if kind.kind == "exact":
        ends = integer_literal(low), integer_literal(high)
        inside = f"CAST(CASE WHEN {name} < {ends[0]} THEN {ends[0]} WHEN {name} > {ends[1]} THEN {ends[1]} ELSE {name} END AS BIGINT)"
    else:
        scaled = [float_literal(end / 10**total.decimals) for end in (low, high)]
        clamped = FLOAT_CLAMP.format(name, *scaled)
        inside = f"CAST(round({clamped} * 1e{total.decimals}) AS BIGINT)"
    return f"({inside} - {integer_literal(total.centre)})" if total.centre and about_centre else inside


def _partial(frontier: Frontier, keys: Sequence[str]) -> str:
    totals = [
        f"{_bounded(f'v{place}' if value is not None else None, total, frontier.rows_per_group)} AS {total.name}"
        for place, (value, total) in enumerate(zip(frontier.of.values, frontier.totals, strict=True))
    ]
    by = ", ".join(["u", *keys])
    return f"SELECT {', '.join([by, *totals])} FROM fixed GROUP BY {by}"


def _bounded(value: str | None, total: Total, rows: int) -> str:
    """One unit's part of a total within one key, at most `cap` in absolute value."""
    if total.kind in BINNED:
        different = "DISTINCT " if total.kind == "distinct" else ""
        return f"list_sort(list({different}{value}) FILTER (WHERE {value} IS NOT NULL))"  # sorted: whatever order rows came in
    counted = f"count({value or '*'})"
    if total.kind in ("units", "count"):
        return f"CAST(least({counted}, {total.cap}) AS BIGINT)"
    if total.kind == "sum":
        low, high = integer_literal(min(0, rows * total.low)), integer_literal(max(0, rows * total.high))
        return f"CAST(least(greatest(COALESCE(sum({value}), 0), {low}), {high}) AS BIGINT)"
    weighed = f"CASE WHEN {counted} <= {rows} THEN sum({value}) ELSE sum({value}) * {rows} // {counted} END"
    return f"CAST(COALESCE({weighed}, 0) AS BIGINT)"


def constant(value: KeyValue) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return integer_literal(value)
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    return text_literal(value)


def finish_sql(
    outputs: Sequence[tuple[str, str]], source: str, having: str | None, order: Sequence[str], limit: int | None, offset: int | None
) -> str:
    """A query over noisy tables: outputs as (SQL, label); rows in the asked order, ties and all else by key."""
    columns = ", ".join(f"{sql} AS {quoted(label)}" for sql, label in outputs)
    where = f" WHERE {having}" if having is not None else ""
    return f"SELECT {columns} FROM {source}{where}{ordered(order)}{cut(limit, offset)}"


def ordered(order: Sequence[str]) -> str:
    return f" ORDER BY {', '.join(order)}" if order else ""


def cut(limit: int | None, offset: int | None) -> str:
    return (f" LIMIT {limit}" if limit is not None else "") + (f" OFFSET {offset}" if offset is not None else "")
