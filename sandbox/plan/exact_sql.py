"""SQL of an exact table: rows of single units, then one row per grouping set and key, with what the largest units contribute.

Integers all the way: a value is in units of 10**-decimals before it is added, so a total is the same in any order and over any shards. What
does not fit 64 bits, and NaN, is left out and counted (`lost`): nothing fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies.catalogue import KeyValue
from sandbox.plan.emit import SEED, constant, key_sql
from sandbox.plan.exact_model import ExactTotal
from sandbox.plan.ir import Project
from sandbox.plan.source_sql import from_where
from sandbox.sql.expr import emit


def rows_sql(project: Project, domains: Sequence[Sequence[KeyValue | None]], totals: Sequence[ExactTotal]) -> str:
    """u, k*, v*: one row per row whose keys are all in their domains; totals too are over those rows alone, so that parts add up to them."""
    shown = [f"{emit(project.owner.unit)} AS u"]
    shown += [f"{key_sql(key)} AS k{place}" for place, key in enumerate(project.keys)]
    shown += [f"{emit(value)} AS v{place}" for place, value in enumerate(project.values) if value is not None]
    kept = ["u IS NOT NULL", *(_among(f"k{place}", domain) for place, domain in enumerate(domains))]
    values = [f"{_fixed(f'v{place}', total)} AS v{place}" for place, total in enumerate(totals) if total.value]
    lost = [f"(v{place} IS NOT NULL AND {_fixed(f'v{place}', total)} IS NULL)" for place, total in enumerate(totals) if _may_lose(total)]
    given = ["u", *(f"k{place}" for place in range(len(domains))), *values, f"({' OR '.join(lost) or 'FALSE'}) AS lost"]
    return f"SELECT {', '.join(given)} FROM (SELECT {', '.join(shown)} {from_where(project.of)}) AS stored WHERE {' AND '.join(kept)}"


def _among(key: str, domain: Sequence[KeyValue | None]) -> str:
    values = ", ".join(constant(value) for value in domain if value is not None)
    known = f"{key} IN ({values})" if values else "FALSE"
    return f"({known} OR {key} IS NULL)" if None in domain else known


def _may_lose(total: ExactTotal) -> bool:
    return total.kind == "sum"


def _fixed(name: str, total: ExactTotal) -> str:
    """A number in units of 10**-decimals; of what is only counted, that it is there."""
    if total.kind != "sum":
        return name
    return f"TRY_CAST(round({name} * 1e{total.decimals}) AS BIGINT)" if total.real else f"TRY_CAST({name} AS BIGINT)"


def tables_sql(keys: Sequence[str], sets: Sequence[Sequence[int]], totals: Sequence[ExactTotal], most: int) -> str:
    """Over `rows`: g, k*, units, then for each total its sum s, values c, absolute sum a and largest contributions l. A unit is an ordinal
    here: a hash keyed with the seed."""
    return " UNION ALL ".join(_set(number, keys, places, totals, most) for number, places in enumerate(sets))


def _set(number: int, keys: Sequence[str], places: Sequence[int], totals: Sequence[ExactTotal], most: int) -> str:
    mine = [keys[place] for place in places]
    by = ", ".join(["u", *mine])
    parts = []
    for place, total in enumerate(totals):
        counted = f"count(v{place})" if total.value else "count(*)"
        own = {"units": f"least({counted}, 1)", "count": counted}.get(total.kind, f"COALESCE(sum(v{place}), 0)")
        parts += [f"CAST({own} AS HUGEINT) AS s{place}", f"CAST({counted} AS HUGEINT) AS c{place}"]
    units = f"SELECT {', '.join([by, *parts])} FROM rows GROUP BY {by}"
    shown = [f"{number} AS g", *(key if key in mine else f"NULL AS {key}" for key in keys), "CAST(count(*) AS BIGINT) AS units"]
    for place, _ in enumerate(totals):
        largest = f"max({{'m': abs(s{place}), 'h': hash(u, {SEED})}}, {most})"
        shown += [
            f"CAST(sum({sql}) AS VARCHAR) AS {name}{place}" for name, sql in (("s", f"s{place}"), ("c", f"c{place}"), ("a", f"abs(s{place})"))
        ]
        shown.append(f"list_transform({largest}, LAMBDA x: [CAST(x.m AS VARCHAR), CAST(x.h AS VARCHAR)]) AS l{place}")
    group = f" GROUP BY {', '.join(mine)}" if mine else ""
    return f"SELECT {', '.join(shown)} FROM ({units}) AS units_{number}{group}"


def distinct_sql(keys: Sequence[str], totals: Sequence[ExactTotal]) -> str:
    """Over `rows`: units, units counted once in each of the finest cells they are in, rows of which a value was left out."""
    by = ", ".join(["u", *keys])
    return (
        f"SELECT count(DISTINCT u) AS units, count(*) AS placed, CAST(COALESCE(sum(lost), 0) AS BIGINT) AS lost "
        f"FROM (SELECT {by}, count(*) FILTER (WHERE lost) AS lost FROM rows GROUP BY {by}) AS placed_units"
    )
