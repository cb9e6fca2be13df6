"""Holds a plan to DuckDB's own reading of its SQL, once, before any row is read.

What DuckDB binds is followed by `bound_plan`, which knows nothing of the planner; what comes out has to be what the plan says: the price was
computed from these numbers. A plan that fails is a fault of this program, never of the query or the data: it is refused as a whole.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb

from policies.problem import declare
from sandbox.plan.model import Part, Plan, Scan
from sandbox.raw.bound_plan import rows_of
from sandbox.raw.bound_rows import Declared, Rows
from sandbox.raw.bound_values import Doubt
from sandbox.raw.totals import shard_query

PLAN_DOUBTED = declare(
    "plan_doubted",
    zh=(
        "执行计划未通过复核",
        "数据库对该作业查询的解读与计划不一致，因此没有读取任何数据。",
        "这是程序缺陷，不是查询的问题；请将作业编号报告数据主管部门，或换一种写法。",
    ),
    en=(
        "The plan did not pass its second check",
        "The database reads the job's query differently from the plan, so no row was read.",
        "This is a defect of the software, not of the query: report the job's id to the bureau, or write the query differently.",
    ),
)
Empty = tuple[str, tuple[str, ...], tuple[str, ...]]  # a table without rows: its name, columns and types
_SEED = "CAST($seed AS UBIGINT)"
_LOG = logging.getLogger(__name__)


_MOST_IDLE = 16
_idle: deque[tuple[tuple[Empty, ...], duckdb.DuckDBPyConnection]] = deque()  # with the tables they have, the newest last
_lock = threading.Lock()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """A database of its own, with empty tables only."""
    database = duckdb.connect(":memory:", config={"threads": "1", "python_enable_replacements": "false", "enable_external_access": "false"})
    atexit.register(_close, database)
    return database


def _close(database: duckdb.DuckDBPyConnection) -> None:
    while _idle:
        _idle.pop()[1].close()
    database.close()


@contextmanager
def _having(tables: tuple[Empty, ...]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that has these empty tables and no others, for one at a time; kept for the next query of the same ones."""
    with _lock:
        found = next((place for place, (had, _) in enumerate(_idle) if had == tables), None)
        connection = None if found is None else _idle[found][1]
        if found is not None:
            del _idle[found]
    connection = connection or _database().cursor()
    try:
        if found is None:
            for name, columns, types in tables:
                told = ", ".join(f"{_quoted(column)} {kind}" for column, kind in zip(columns, types, strict=True))
                connection.execute(f"CREATE TEMP TABLE {_quoted(name)} ({told})")
        yield connection
    except BaseException:
        connection.close()
        raise
    with _lock:
        _idle.append((tables, connection))
        left = _idle.popleft()[1] if len(_idle) > _MOST_IDLE else None
    if left is not None:
        left.close()


def check_plan(plan: Plan) -> None:
    """Raises `plan_doubted`. A plan that passed is not looked at again."""
    digest = plan.digest
    if digest in _passed:
        return
    failed = True
    try:
        for part in plan.parts:
            _check(part, plan.read_by(part))
        failed = False
    except Doubt as doubt:
        _LOG.error("plan %s is doubted: %s", digest, doubt)  # public: it comes from the plan, and no row was read
    except (duckdb.Error, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        _LOG.error("plan %s cannot be read: %s", digest, type(error).__name__)
    if failed:
        raise PLAN_DOUBTED()
    _keep(digest)


def check_rows(digest: str, sql: str, scans: tuple[Scan, ...]) -> None:
    """The same for a query that has to give rows of single units, the unit first; `digest` is its plan's. Raises `plan_doubted`."""
    if digest in _passed:
        return
    sound = False
    try:
        rows = bound(sql, scans)
        sound = not rows.released and bool(rows.space) and rows.columns[0].unit
    except (Doubt, duckdb.Error, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        _LOG.error("rows of plan %s cannot be read: %s", digest, type(error).__name__)  # public: no row was read
    if not sound:
        raise PLAN_DOUBTED()
    _keep(digest)


def _keep(digest: str) -> None:
    if len(_passed) >= _MOST_KEPT:
        _passed.clear()
    _passed.add(digest)


_MOST_KEPT = 10_000
_passed: set[str] = set()


def _check(part: Part, scans: tuple[Scan, ...]) -> None:
    spaces = {scan.unit for scan in scans if scan.private}
    if "" in spaces:
        raise Doubt("a private table without a unit")
    _check_totals(part, bound(shard_query(part), scans))
    if part.rows is not None:
        _check_rows(part, scans)


def _check_totals(part: Part, rows: Rows) -> None:
    """The shard query's rows: keys, then totals, that one unit moves no further than the price supposes."""
    names = part.shard_columns
    if not rows.released or len(rows.columns) != len(names) or rows.keys > part.groups_per_unit:
        raise Doubt("totals of another shape")
    if len({scan.space for scan in part.scans if scan.private}) != 1:
        raise Doubt("several unit spaces")
    for name, fact in zip(names, rows.columns, strict=True):
        if name.startswith("k"):
            if not fact.key:
                raise Doubt(f"{name} is no key")
        elif name != "bin" and (fact.moves is None or fact.moves > part.total(name).cap):
            raise Doubt(f"{name} may move by {fact.moves}")


def _check_rows(part: Part, scans: tuple[Scan, ...]) -> None:
    """What is handed to the dense kernel, which bounds each unit itself: rows of one unit each, the unit first."""
    assert part.rows is not None
    if part.rows.sql is not None:
        rows = bound(part.rows.sql, scans)
        if rows.released or not rows.space or not rows.columns[0].unit:
            raise Doubt("rows without their unit")
        return
    private = [scan for scan in part.scans if scan.private]
    columns = dict(part.rows.columns)
    if len(private) != 1 or columns.get("u") != private[0].unit or not set(columns.values()) <= set(private[0].columns):
        raise Doubt("stored columns without their unit")


def bound(sql: str, scans: tuple[Scan, ...]) -> Rows:
    """What DuckDB makes of a query over empty tables of the declared columns and types. Raises Doubt, duckdb.Error."""
    with _having(tuple((scan.alias, scan.columns, scan.types) for scan in scans)) as connection:
        ((serialised,),) = connection.execute("SELECT json_serialize_plan(?)", [sql.replace(_SEED, "CAST(7 AS UBIGINT)")]).fetchall()
    return rows_of(serialised, {scan.alias: Declared(scan.columns, scan.unit, scan.space) for scan in scans})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
