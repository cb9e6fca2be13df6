"""Post-processing: the plan's last query over noisy rows, in a database that has seen nothing else.

Whatever happens here is a function of a table that has been paid for, so it costs nothing and may be shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import duckdb
import pyarrow as pa

from policies.problem import declare
from sandbox.finish.consistent import consistent
from sandbox.noisy import NoisyTable
from sandbox.plan.model import Part, Plan, Scan
from sandbox.plan.view import noisy_name
from sandbox.raw.engine import locked_database, select
from sandbox.raw.failure import JOB_FAILED
from sandbox.sql.expr import quoted

ANSWER_UNDEFINED = declare(
    "plan_answer_undefined",
    zh=(
        "答案的最后一步无法执行",
        "对加噪结果的后处理查询不能执行，或给出的列与计划不符。",
        "没有读取任何数据，也没有扣减预算。请简化 HAVING、ORDER BY 或外层表达式；若仍出现，请把作业语句交给系统管理员。",
    ),
    en=(
        "The last step of the answer cannot run",
        "The query over the noisy rows cannot run, or gives columns other than planned.",
        "No data was read and nothing was spent. Simplify HAVING, ORDER BY or the outer expressions; "
        "if it comes back, give the query to the platform's administrator.",
    ),
)

HALF_WIDTH = "__half_width"  # appended to a value's label: the column with its 95 % half-width
MEMORY_BYTES = 512 * 2**20
_KEYS = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}


@dataclass(frozen=True, slots=True)
class ReleasedColumn:
    """A column of the answer: how it came about, the bounds one row was held to, in its own unit, and where its half-width stands."""

    label: str
    kind: Literal["key", "value"]
    mechanism: str
    scale: float | None
    low: float | None
    high: float | None
    half_width_column: str | None


@dataclass(frozen=True, slots=True)
class Released:
    """The answer: outputs in the operator's order, each value followed by its half-width, and what to know of each output. `papers`: what is
    released beside the table, by file name."""

    table: pa.Table
    columns: tuple[ReleasedColumn, ...]
    papers: Mapping[str, bytes] = field(default_factory=dict)


def finish(plan: Plan, drawn: Sequence[NoisyTable], public: Mapping[str, pa.Table] | None = None) -> Released:
    """Run `plan.finish_sql` over the noisy tables of all parts, in order, and name the columns. `public`: the plan's public tables by alias.

    Raises `job_failed`, constant: rows have been read by now."""
    with suppress(Exception):
        return _finish(plan, [table.table for table in drawn], public)
    raise JOB_FAILED()


def view_tables(plan: Plan, drawn: Sequence[NoisyTable], public: Mapping[str, pa.Table] | None = None) -> dict[str, pa.Table]:
    """The views that need no more than the parts drawn so far. Raises `job_failed`."""
    with suppress(Exception):
        return _views(plan, [table.table for table in drawn], public)
    raise JOB_FAILED()


def check(plan: Plan) -> None:
    """Run the same over no rows, before any charge. Raises `plan_answer_undefined` when it fails or gives other columns than planned.

    What ran once is not run again: the question with another constant in its WHERE mostly has the same last query."""
    asked = _asked(plan)
    if asked in _ran:
        return
    with suppress(Exception):
        _finish(plan, [_empty(part) for part in plan.parts], {scan.alias: _unread(scan) for scan in plan.tables})
        if len(_ran) >= _MOST_KEPT:
            _ran.clear()
        _ran.add(asked)
        return
    raise ANSWER_UNDEFINED()


_MOST_KEPT = 10_000
_ran: set[bytes] = set()


def _asked(plan: Plan) -> bytes:
    """Names all of a plan that `check` looks at."""
    shapes = [([(key.name, key.type) for key in part.keys], [total.shares.keys() for total in part.totals]) for part in plan.parts]
    tables = [(scan.alias, scan.columns, scan.types) for scan in plan.tables]
    return hashlib.sha256(repr((plan.finish_sql, plan.views, plan.lattices, plan.outputs, shapes, tables)).encode()).digest()


def _empty(part: Part) -> pa.Table:
    fields = [(key.name, _KEYS[key.type]) for key in part.keys] + [(name, pa.int64()) for total in part.totals for name in total.shares]
    return pa.table({name: pa.array([], kind) for name, kind in fields})


def _unread(scan: Scan) -> pa.Table:
    """No rows of a public table."""
    return _query(
        "SELECT "
        + ", ".join(f"CAST(NULL AS {kind}) AS {quoted(name)}" for name, kind in zip(scan.columns, scan.types, strict=True))
        + " LIMIT 0",
        {},
    )


def warm() -> None:
    """Open the database and load what reading Arrow needs, about a second the first time, before the first job waits for it."""
    _query("SELECT t0 FROM noisy", {"noisy": pa.table({"t0": pa.array([0], pa.int64())})})


def _named(plan: Plan, noisy: Sequence[pa.Table]) -> dict[str, pa.Table]:
    tables = consistent(plan.lattices, noisy)
    return {noisy_name(place): table for place, table in enumerate(tables)}


def _views(plan: Plan, noisy: Sequence[pa.Table], public: Mapping[str, pa.Table] | None) -> dict[str, pa.Table]:
    tables = {**(public or {}), **_named(plan, noisy)}
    made: dict[str, pa.Table] = {}
    for view in plan.views:
        if view.after <= len(noisy):
            made[view.name] = _query(view.sql, {**tables, **made})
    return made


def _finish(plan: Plan, noisy: Sequence[pa.Table], public: Mapping[str, pa.Table] | None) -> Released:
    answer = _query(plan.finish_sql, {**(public or {}), **_named(plan, noisy), **_views(plan, noisy, public)})
    values = [place for place, output in enumerate(plan.outputs) if output.kind == "value"]
    if answer.num_columns != len(plan.outputs) + len(values):
        raise ValueError("the answer's columns are not the plan's")
    half_width_at = dict(zip(values, range(len(plan.outputs), answer.num_columns), strict=True))
    labels = _distinct([output.label for output in plan.outputs])
    arrays: dict[str, pa.ChunkedArray] = {}
    columns = []
    for place, (label, output) in enumerate(zip(labels, plan.outputs, strict=True)):
        arrays[label] = _plain(answer.column(place))
        beside = None
        if place in half_width_at:
            beside = label + HALF_WIDTH
            arrays[beside] = answer.column(half_width_at[place]).cast(pa.float64())
        columns.append(ReleasedColumn(label, output.kind, output.mechanism, output.scale, output.low, output.high, beside))
    return Released(pa.table(arrays), tuple(columns))


def _distinct(labels: list[str]) -> list[str]:
    """Labels made unique, with room for their half-widths: `n, n` becomes `n, n_2`. Case counts as the same, as it does in SQL."""
    taken: set[str] = set()
    result = []
    for label in labels:
        name, number = label, 1
        while {name.casefold(), (name + HALF_WIDTH).casefold()} & taken:
            number += 1
            name = f"{label}_{number}"
        taken |= {name.casefold(), (name + HALF_WIDTH).casefold()}
        result.append(name)
    return result


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fewer types for readers to know: any integer as int64, any float as float64, any text as string."""
    kind = column.type
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    return column


@lru_cache(maxsize=1)
def _database() -> duckdb.DuckDBPyConnection:
    # One thread: the order of rows that the query leaves open is then the same every time.
    return locked_database(MEMORY_BYTES)


def _query(sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    return select(_database(), sql, tables)
