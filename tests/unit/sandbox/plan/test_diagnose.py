"""What bounds may take away: what is said for nothing is true, and the query that asks is one like any other."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sandbox.desk import Desk
from sandbox.noise.chain import check
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask
from sandbox.plan.diagnose import ASK, at_most, binds, diagnosis
from sandbox.plan.explain import explain
from sandbox.plan.model import Plan
from tests.properties.test_neighbours import ENGINE, data, violations
from tests.questions import CATALOGUE, accepted_plans, plan_for, tables, visit, with_part
from tests.spec.cases import Case, cases

ASKED = [case for case in cases() if case.refused is None and diagnosis(accepted_plans()[case.id]) is not None]
NARROW = {"fee": {"low": "0", "high": "100"}}


def asking(plan: Plan) -> Plan:
    sql = diagnosis(plan)
    assert sql is not None
    return compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"epsilon": "1"}, **ASK}))


def test_most_queries_can_be_asked_about() -> None:
    assert len(ASKED) >= 100


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.id)
def test_the_query_that_asks_is_accepted_and_priced(case: Case) -> None:
    made = asking(accepted_plans()[case.id])
    assert made.public_keys
    check(made)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city, SUM(fee) AS s FROM visits WHERE urgent GROUP BY city",
        "SELECT dept, note, AVG(fee) AS a FROM visits GROUP BY ALL",
        "SELECT floor(days / 10) AS d, MEDIAN(fee) AS m FROM visits v JOIN hospitals h USING (hospital) GROUP BY d",
        "SELECT SUM(fee) AS s FROM visits",
    ],
)
def test_a_unit_moves_its_totals_by_one_at_most(sql: str) -> None:
    made = asking(plan_for(sql, ranges=NARROW, groups_per_unit=2, rows_per_group=2))
    assert {total.cap for total in made.only.totals if total.kind == "units"} == {1}
    for seed in range(12):
        assert violations(made, data(seed), (1, 2), seed) == []


def test_it_says_what_was_lost() -> None:
    """At a price past any meaning, against a count by hand."""
    rng = random.Random(3)
    rows = [visit(rng, pid) for pid in range(200) for _ in range(1 + pid % 7)]
    plan = plan_for(
        "SELECT city, SUM(days) AS s FROM visits GROUP BY city", groups_per_unit=1, rows_per_group=2, ranges={"days": {"low": 0, "high": 30}}
    )
    sql = diagnosis(plan)
    (answer,) = Desk(CATALOGUE, tables(rows)).answer({"sql": sql, "epsilon": "100000000", **ASK})["rows"]
    groups: dict[int, dict[str, list[int]]] = {}
    for row in rows:
        groups.setdefault(row[0], {}).setdefault(row[1], []).append(row[6])
    n = len(groups)
    sizes = {pid: [len(days) for days in cities.values()] for pid, cities in groups.items()}
    wanted = [
        n,
        sum(len(cities) > 1 for cities in groups.values()),
        sum(1 - 1 / len(cities) for cities in groups.values()) / n,
        sum(max(of) > 2 for of in sizes.values()),
        sum(sum(max(0, one - 2) for one in of) / sum(of) for of in sizes.values()) / n,
        sum(any(day > 30 for days in cities.values() for day in days) for cities in groups.values()),
        sum(sum(day > 30 for days in cities.values() for day in days) / sum(sizes[pid]) for pid, cities in groups.items()) / n,
    ]
    assert answer == pytest.approx(wanted, abs=1e-3)
    assert 0 < wanted[2] < 1
    assert 0 < wanted[4] < 1
    assert 0 < wanted[6] < 1


BY_CITY, BY_DEPT = "SELECT city, SUM(fee) AS s FROM visits GROUP BY city", "SELECT dept, SUM(fee) AS s FROM visits GROUP BY dept"


@pytest.mark.parametrize(
    ("sql", "more", "wanted"),
    [
        ("SELECT COUNT(DISTINCT pid) AS n FROM visits", {}, (None, None)),
        ("SELECT COUNT(*) AS n FROM visits", {}, (None, "")),
        (BY_CITY, {}, (None, "", None)),
        (BY_CITY, {"groups_per_unit": 1}, ("0.6667", "", None)),
        (BY_DEPT, {"ranges": NARROW}, ("", "", "")),
        (BY_DEPT.replace("fee", "days * 2"), {}, ("", "", None)),
    ],
)
def test_what_is_known_for_nothing(sql: str, more: dict[str, Any], wanted: tuple[str | None, ...]) -> None:
    """None: the bound takes nothing; "": how much is not known; else the largest share."""
    plan = plan_for(sql, **more)
    assert [bound.what for bound in plan.bounds] == ["groups_per_unit", "rows_per_group", "range"][: len(wanted)]
    assert tuple((at_most(bound, plan.only) or "") if binds(bound, plan.only) else None for bound in plan.bounds) == wanted
    said: Any = explain(plan)
    assert [item["binds"] for item in said["bounds"]] == ["never" if one is None else "may" for one in wanted]
    assert (said["diagnosis"] or {}).get("sql") == diagnosis(plan)
    notes = [note for note in said["en"] if note.startswith("Bound “")]
    assert len(notes) == len(plan.bounds)
    assert any("under diagnosis" in note for note in said["en"]) == any(one is not None for one in wanted)


def test_a_bound_that_never_binds_takes_nothing() -> None:
    """Where all bounds are said not to bind, wider ones change no total."""
    plan = plan_for("SELECT city, COUNT(DISTINCT pid) AS n FROM visits GROUP BY city")
    assert not any(binds(bound, plan.only) for bound in plan.bounds)
    rows = tables(data(5))
    wider = with_part(plan, shard_sql=plan.only.shard_sql.replace("<= 3", "<= 300"))
    assert ENGINE.totals(plan, rows) == ENGINE.totals(wider, rows)


def test_several_parts_and_hidden_units_are_not_asked_about() -> None:
    assert diagnosis(plan_for("SELECT city, year, COUNT(*) AS n FROM visits GROUP BY CUBE (city, year)")) is None
    assert diagnosis(plan_for("SELECT drug, COUNT(*) AS n FROM items GROUP BY drug")) is None
    assert (
        explain(plan_for("SELECT n, COUNT(*) AS c FROM (SELECT pid, COUNT(*) AS n FROM visits GROUP BY pid) t GROUP BY n"))["diagnosis"] is None
    )
