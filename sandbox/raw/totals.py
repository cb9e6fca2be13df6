"""Exact totals: the one thing that crosses from the rows to the noise.

Each shard yields partial totals as integers of any size; combining is integer addition, so neither the number of shards nor their order
can change a digit. Only the combined totals are cut to 64 bits, which moves no two databases further apart (clamping is 1-Lipschitz).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sandbox.plan.model import INT64_MAX, Part
from sandbox.raw.engine import query
from sandbox.raw.kernel import dense_totals
from sandbox.raw.sparse import sparse_totals
from sandbox.redacted import Redacted

INT64_MIN = -INT64_MAX - 1
FEW_ROWS = 1_000  # are added up sooner than a database is asked
_FOLD_ROWS = 200_000  # partials are folded together when this many rows wait: memory stays flat however many shards there are


class ExactTotals(Redacted):
    """Exact totals of a part, one row per key seen: columns k0… in the keys' types, then t0… int64, rows ordered by key.

    Neither repr, str nor format says anything about them, and they cannot be pickled: they live in the process that draws the noise.
    With public keys, a key that no row has is absent.
    """

    __slots__ = ("_table",)

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def table(self) -> pa.Table:
        """For `sandbox.noise` alone."""
        return self._table


def shard_query(part: Part) -> str:
    """The plan's shard query with every total widened, so that no addition on the way can overflow."""
    totals = {total.name for total in part.totals}
    named = [f"{name}::HUGEINT AS {name}" if name in totals else name for name in part.shard_columns]
    return f"SELECT {', '.join(named)} FROM ({part.shard_sql}) AS shard"


def shard_totals(part: Part, tables: Mapping[str, pa.Table], seed: int) -> pa.Table:
    """Partial totals of one shard over its tables by alias, k* and t*: by a kernel where the plan is made for one, else by its query."""
    if part.rows is None:
        return query(shard_query(part), tables, {"seed": seed})
    kernel = dense_totals if part.rows.dense else sparse_totals
    if part.rows.sql is not None:
        return kernel(part, query(part.rows.sql, tables, {"seed": seed}), seed)
    (scan,) = (scan for scan in part.scans if scan.private)
    stored = tables[scan.alias]
    rows = pa.table({name: stored.column(column) for name, column in part.rows.columns})
    return kernel(part, rows.filter(pc.is_valid(rows.column("u"))) if rows.column("u").null_count else rows, seed)


def combine(part: Part, partials: Iterable[pa.Table]) -> ExactTotals:
    """Add partials up and cut to 64 bits."""
    waiting: list[pa.Table] = []
    for partial in partials:
        waiting.append(partial)
        if len(waiting) > 1 and sum(table.num_rows for table in waiting) > _FOLD_ROWS:
            waiting = [_add(part, waiting, "{0}::HUGEINT")]
    few = sum(table.num_rows for table in waiting) <= FEW_ROWS
    whole = added_here(part, waiting) if few else added_there(part, waiting)
    return ExactTotals(_per_key(part, whole) if "bin" in part.shard_columns else whole)


def _per_key(part: Part, whole: pa.Table) -> pa.Table:
    """One row per key: a quantile's bins as a list of (bin, n), the distinct values counted."""
    keys = [key.name for key in part.keys]
    forms = {
        "quantile": "list({{'bin': bin, 'n': {0}}} ORDER BY bin) FILTER (WHERE bin IS NOT NULL AND {0} > 0)",
        "distinct": "count(*) FILTER (WHERE bin IS NOT NULL AND {0} > 0)",
    }
    made = [
        f"{forms.get(total.kind, 'COALESCE(sum({0}) FILTER (WHERE bin IS NULL), 0)::BIGINT').format(total.name)} AS {total.name}"
        for total in part.totals
    ]
    order = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
    return query(f"SELECT {', '.join(keys + made)} FROM whole{order}", {"whole": whole})


def added_here(part: Part, tables: Sequence[pa.Table]) -> pa.Table:
    """The sum of partials, cut to 64 bits, one row per key in order of keys, NULL last. In Python."""
    keys = _keys(part)
    sums: dict[tuple[Any, ...], list[int]] = {} if keys else {(): [0] * len(part.totals)}
    for table in tables:
        columns = [table.column(name).to_pylist() for name in part.shard_columns]
        for row in zip(*columns, strict=True):
            before = sums.setdefault(row[: len(keys)], [0] * len(part.totals))
            for place, more in enumerate(row[len(keys) :]):
                before[place] += int(more or 0)  # a sum of no rows is NULL and means 0
    ordered = sorted(sums, key=lambda key: [(value is None, value) for value in key])
    kinds = {name: _plain(tables[0].schema.field(name).type) for name in keys}
    made = {name: pa.array([key[place] for key in ordered], kinds[name]) for place, name in enumerate(keys)}
    for place, total in enumerate(part.totals):
        made[total.name] = pa.array([min(max(sums[key][place], INT64_MIN), INT64_MAX) for key in ordered], pa.int64())
    return pa.table(made)


def added_there(part: Part, tables: list[pa.Table]) -> pa.Table:
    """The same by DuckDB."""
    return _add(part, tables, f"LEAST(GREATEST({{0}}, {INT64_MIN}::HUGEINT), {INT64_MAX}::HUGEINT)::BIGINT")


def _plain(kind: pa.DataType) -> pa.DataType:
    """As DuckDB gives it back."""
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _keys(part: Part) -> list[str]:
    totals = {total.name for total in part.totals}
    return [name for name in part.shard_columns if name not in totals]


def _add(part: Part, tables: list[pa.Table], form: str) -> pa.Table:
    keys = _keys(part)
    # A sum of no rows is NULL and means 0; GREATEST would take NULL for the lowest number there is.
    sums = [f"{form.format(f'COALESCE(SUM({total.name}::HUGEINT), 0)')} AS {total.name}" for total in part.totals]
    order = " GROUP BY ALL ORDER BY ALL" if keys else ""
    return query(f"SELECT {', '.join(keys + sums)} FROM partials{order}", {"partials": pa.concat_tables(tables)})
