"""The last query sees noisy rows and nothing else, and its answer is named as planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from policies.problem import Problem
from sandbox.finish import finish as room
from sandbox.finish.finish import Released, check, finish
from sandbox.noisy import NoisyTable
from sandbox.plan.model import Output, Part, Plan, Scan
from sandbox.plan.view import View
from tests.handmade import private_part, public_part, whole


def noisy(**columns: list[object]) -> NoisyTable:
    return NoisyTable(pa.table(columns))


def run(sql: str, outputs: list[tuple[str, str]], table: NoisyTable) -> Released:
    made = tuple(Output(label, kind, "", None, None, None) for label, kind in outputs)  # type: ignore[arg-type]  # "key" or "value"
    return finish(whole(private_part(), finish_sql=sql, outputs=made), [table])


TWO = noisy(k0=["b", "a"], t0=[10, -3], t1=[40, 7])


def test_values_stand_beside_their_half_widths_and_say_how_they_came_about() -> None:
    plan = whole(private_part())
    released = finish(plan, [TWO])
    assert released.table.column_names == ["k0", "t0", "t0__half_width", "t1", "t1__half_width"]
    assert released.table.column("t0").to_pylist() == [10, -3]
    assert released.table.column("t1__half_width").to_pylist() == [1.96 * plan.draws[1].scale] * 2
    assert [column.half_width_column for column in released.columns] == [None, "t0__half_width", "t1__half_width"]
    assert [(column.label, column.kind, column.low, column.high) for column in released.columns] == [
        ("k0", "key", None, None),
        ("t0", "value", 0.0, 1.0),
        ("t1", "value", 0.0, 1000.0),
    ]


def test_having_order_and_arithmetic_run_on_noisy_rows() -> None:
    released = run(
        "SELECT k0, t1 / NULLIF(t0, 0) AS x, 0.5 FROM noisy WHERE t0 > -5 ORDER BY t0 LIMIT 1", [("区", "key"), ("均值", "value")], TWO
    )
    assert released.table.to_pylist() == [{"区": "a", "均值": pytest.approx(-7 / 3), "均值__half_width": 0.5}]


def test_labels_never_collide() -> None:
    sql = "SELECT t0, t0, t0, 1, 2, 3 FROM noisy LIMIT 1"
    released = run(sql, [("n", "value"), ("N", "value"), ("n__half_width", "value")], TWO)
    names = released.table.column_names
    assert len({name.casefold() for name in names}) == 6
    assert names[:4] == ["n", "n__half_width", "N_2", "N_2__half_width"]


def test_types_are_few() -> None:
    sql = "SELECT k0, t0::TINYINT, t0::REAL, t0::HUGEINT, NULL::DATE, t0 > 0, 1, 1, 1, 1, 1 FROM noisy"
    released = run(sql, [("k", "key"), *[(f"v{i}", "value") for i in range(5)]], TWO)
    types = [released.table.schema.field(name).type for name in ("k", "v0", "v1", "v2", "v3", "v4", "v0__half_width")]
    assert types == [pa.string(), pa.int64(), pa.float64(), pa.decimal128(38, 0), pa.date32(), pa.bool_(), pa.float64()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",  # too few columns
        "SELECT k0, t0, t1, 1, 1, 1 FROM noisy",  # too many
        "SELECT k0, missing, t1, 1, 1 FROM noisy",
        "not SQL",
        "SELECT k0, t0, t1, 1, 1 FROM noisy; SELECT 1",
        "SELECT k0, t0, t1, 1, 1 FROM read_csv('/etc/hostname')",
        "SELECT k0, t0, t1, 1, 1 FROM elsewhere",
        "COPY noisy TO '/tmp/out.csv'",
        "SELECT error('never'), t0, t1, 1, 1 FROM noisy",
    ],
)
def test_what_cannot_run_is_found_before_any_charge(sql: str) -> None:
    elsewhere = TWO.table  # a Python variable is not a table
    assert elsewhere.num_rows == 2
    plan = whole(private_part(), finish_sql=sql)
    if "error(" not in sql:  # fails on rows only
        with pytest.raises(Problem) as caught:
            check(plan)
        assert caught.value.code == "plan_answer_undefined"
    with pytest.raises(Problem) as after:
        finish(plan, [TWO])
    assert after.value.code == "job_failed"
    assert after.value.__context__ is None
    assert after.value.fields == {}


@pytest.mark.parametrize("make", [public_part, private_part])
def test_a_sound_plan_passes_the_check(make: Callable[[], Part]) -> None:
    check(whole(make()))


LOOKS = "SELECT k0, t0, t1, half, half FROM noisy, seen WHERE length(k0) > 0"
SEEN = View("seen", "SELECT 1.5 AS half FROM public_table", 0, (("half", "DOUBLE"),))
READ = Scan("public", 1, "0" * 64, False, "public_table", ("a",), ("BIGINT",))


def test_a_last_query_that_ran_is_not_run_again_and_another_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the check looks at makes another query of it: after a plan that passed, one that cannot run is still found."""
    ran: list[Plan] = []
    real = room._finish
    monkeypatch.setattr(room, "_finish", lambda plan, *given: ran.append(plan) or real(plan, *given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(room, "_ran", set())
    part = private_part()
    plan = whole(part, finish_sql=LOOKS, views=(SEEN,), tables=(READ,))
    check(plan)
    check(whole(replace(part, shard_sql="SELECT 1 AS other"), query="SELECT another", finish_sql=LOOKS, views=(SEEN,), tables=(READ,)))
    assert ran == [plan]
    key, (first, second) = part.keys[0], part.totals
    renamed = replace(part, totals=(first, replace(second, name="t2")), draws=(part.draws[0], replace(part.draws[1], total="t2")))
    for broken in (
        replace(plan, finish_sql=LOOKS.replace("t1", "t9")),
        replace(plan, outputs=plan.outputs[:-1]),
        replace(plan, parts=(renamed,)),
        replace(plan, parts=(replace(part, keys=(replace(key, name="k1"),)),)),
        replace(plan, parts=(replace(part, keys=(replace(key, type="integer", domain=None),)),)),
        replace(plan, views=(replace(SEEN, sql="SELECT b AS half FROM public_table"),)),
        replace(plan, views=(replace(SEEN, after=2),)),
        replace(plan, tables=(replace(READ, alias="elsewhere"),)),
        replace(plan, tables=(replace(READ, types=("NO TYPE",)),)),
    ):
        for _ in range(2):  # what failed is not taken for what ran
            with pytest.raises(Problem) as caught:
                check(broken)
            assert caught.value.code == "plan_answer_undefined"


def test_nothing_stays_behind_for_the_next_answer() -> None:
    finish(whole(private_part()), [TWO])
    connection = room._database().cursor()
    assert connection.sql("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
    with pytest.raises(Exception, match=r"noisy"):
        connection.sql("SELECT * FROM noisy")
    with pytest.raises(Exception, match=r"(?i)locked"):
        connection.sql("SET enable_external_access = true")
    connection.close()
