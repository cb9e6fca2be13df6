"""Plans of several parts: what is computed when, what each part may read, one price over all of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from policies.loss import Loss
from policies.problem import Problem
from sandbox import steps
from sandbox.desk import Desk
from sandbox.dummy import dummy_answer
from sandbox.finish.finish import check as check_finish
from sandbox.noise.chain import check
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Part, Plan
from sandbox.plan.view import View
from sandbox.raw.run import totals_of_tables
from sandbox.raw.totals import ExactTotals
from sandbox.raw.verify import check_plan
from tests.questions import CATALOGUE, Engine, plan_for, scanned, tables, visit

ABOVE = "SELECT city, COUNT(*) AS n FROM visits WHERE fee > (SELECT AVG(fee) FROM visits) GROUP BY city"
SETS = "SELECT city, year, COUNT(*) AS n, SUM(days) AS s FROM visits GROUP BY ROLLUP (city, year)"
LARGE = "SELECT COUNT(*) AS n FROM visits WHERE dept IN (SELECT dept FROM visits GROUP BY dept HAVING COUNT(*) > 20)"
SHARE = "SELECT city, COUNT(*) * 1.0 / (SELECT COUNT(*) FROM visits) AS share FROM visits GROUP BY city"
MEANS = "SELECT AVG(n) AS a, MAX(n) AS m FROM (SELECT city, COUNT(*) AS n FROM visits GROUP BY city) t"


def data(units: int = 300) -> dict[str, pa.Table]:
    rng = random.Random(4)
    return tables([visit(rng, pid) for pid in range(units)])


def test_totals_that_wait_for_nothing_come_before_the_first_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, rows, happened = plan_for(ABOVE), data(), list[str]()

    def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
        happened.append(f"totals {plan.parts.index(part)} reading {sorted(read)}")
        return totals_of_tables(part, {**scanned(part, rows), **read}, 1)

    real = steps.draw
    monkeypatch.setattr(steps, "draw", lambda part, totals: happened.append(f"draw {plan.parts.index(part)}") or real(part, totals))
    ready = steps.at_once(plan, compute)
    assert happened == ["totals 0 reading []"]
    steps.released(plan, ready, compute)
    (name,) = plan.parts[1].reads
    assert happened == ["totals 0 reading []", "draw 0", f"totals 1 reading ['{name}']", "draw 1"]


def test_parts_that_read_nothing_are_all_computed_first() -> None:
    plan, rows = plan_for(SETS), data()
    assert list(steps.at_once(plan, lambda part, read: totals_of_tables(part, scanned(part, rows), 1))) == [0, 1, 2]


def test_a_part_reads_only_what_is_released_before_it() -> None:
    plan = plan_for(ABOVE)
    (view,) = plan.views
    assert view.after == 1
    with pytest.raises(ValueError, match="earlier parts"):
        dataclasses.replace(plan, views=(View(view.name, view.sql, 2, view.columns),))
    with pytest.raises(ValueError, match="earlier parts"):
        dataclasses.replace(plan, views=())


@pytest.mark.parametrize("sql", [ABOVE, SETS, LARGE, SHARE, MEANS])
@pytest.mark.parametrize("privacy", [{"epsilon": "1"}, {"rho": "0.1", "delta": "1e-6"}, {"epsilon": "2", "delta": "1e-9"}])
def test_one_price_is_shared_and_proved(sql: str, privacy: dict[str, str]) -> None:
    plan = compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": privacy}))
    check(plan)
    check_finish(plan)
    check_plan(plan)
    assert plan.loss == sum((part.loss for part in plan.parts), Loss(0, 0))
    if "rho" in privacy:
        assert Decimal(privacy["rho"]) * (1 - Decimal("1e-6")) < plan.loss.rho <= Decimal(privacy["rho"])
    else:
        assert plan.epsilon is not None
        assert Decimal(privacy["epsilon"]) * Decimal("0.999") < plan.epsilon <= Decimal(privacy["epsilon"]) + Decimal("1e-6")
    thresholds = [part for part in plan.parts if not part.public_keys]
    assert plan.loss.delta <= Decimal(privacy.get("delta", "1e-8")) / 2
    assert len({part.loss.atto_delta for part in thresholds}) <= 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_parts_price_is_checked(place: int) -> None:
    plan = plan_for(SETS)
    part = plan.parts[place]
    draw = part.draws[0]
    for changed in (dataclasses.replace(draw, loss=Loss(draw.loss.pico_rho * 999 // 1000)), dataclasses.replace(draw, scale=draw.scale * 0.99)):
        parts = list(plan.parts)
        parts[place] = dataclasses.replace(part, draws=(changed, *part.draws[1:]))
        with pytest.raises(Problem, match="plan_price_disagrees"):
            check(dataclasses.replace(plan, parts=tuple(parts)))


def test_rho_goes_where_relative_errors_are_large() -> None:
    """The grand total needs far less than its cells for the same relative error."""
    finest, by_city, whole = plan_for(SETS).parts
    assert finest.loss.pico_rho > by_city.loss.pico_rho > whole.loss.pico_rho
    assert whole.groups_per_unit == 1


def test_a_query_asked_twice_is_noised_once() -> None:
    sql = "SELECT city, COUNT(*) / (SELECT COUNT(*) FROM visits) AS a, SUM(days) / (SELECT COUNT(*) FROM visits) AS b FROM visits GROUP BY city"
    assert len(plan_for(sql).parts) == 2
    assert len(plan_for(f"WITH a AS ({MEANS}) SELECT x.a, y.m FROM a x JOIN a y ON x.m = y.m").parts) == 1


def test_what_nothing_needs_is_not_noised() -> None:
    plan = plan_for(f"WITH unused AS ({MEANS}) SELECT COUNT(*) AS n FROM visits")
    assert len(plan.parts) == 1


def test_a_share_counts_the_error_of_the_whole() -> None:
    """Fieller over two frontiers: wider than if the denominator were exact, and about right for a known case."""
    rows = data(2000)
    said = Desk(CATALOGUE, rows).answer({"sql": SHARE, "rho": "0.05"})
    assert said["status"] == "answer", said
    plan = compile_job(SHARE, CATALOGUE, Ask.model_validate({"privacy": {"rho": "0.05"}}))
    scales = [part.draws[0].scale for part in plan.parts]
    for (_, share), (_, width) in zip(said["rows"], said["half_widths"], strict=True):
        exact_below = 1.96 * scales[1] / 2000
        both = 1.96 * (scales[1] ** 2 + (share * scales[0]) ** 2) ** 0.5 / 2000
        assert width > exact_below
        assert width == pytest.approx(both, rel=0.25)


def test_exact_totals_of_every_part_are_shown_in_turn() -> None:
    said = Desk(CATALOGUE, data()).answer({"sql": ABOVE, "rho": "1"}, exact=True)
    assert [part["groups_per_unit"] for part in said["parts"]] == [1, 3]
    engine = Engine()
    wanted = engine.query(ABOVE, data()).to_pylist()
    assert {row[0]: row[1] for row in said["parts"][1]["rows"]} == {row["city"]: row["n"] for row in wanted}


@pytest.mark.parametrize("sql", [ABOVE, SETS, LARGE, SHARE, MEANS])
def test_invented_rows_go_through_all_parts(sql: str) -> None:
    plan = compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"epsilon": "10"}}))
    assert dummy_answer(plan, CATALOGUE).table.num_rows > 0


def test_the_digest_tells_parts_apart() -> None:
    plan = plan_for(SETS)
    swapped = dataclasses.replace(plan, parts=(plan.parts[1], plan.parts[0], plan.parts[2]))
    digests = {plan.digest, swapped.digest, plan_for(ABOVE).digest, plan_for(MEANS).digest}
    assert len(digests) == 4
    assert plan_for(SETS).digest == plan.digest


def test_parts_of_two_spaces_are_refused() -> None:
    with pytest.raises(Problem, match="plan_unit_spaces"):
        plan_for("SELECT COUNT(*) AS n, (SELECT COUNT(*) FROM firms) AS f FROM visits")


def no_parts(plan: Plan) -> dict[str, Any]:
    return {"parts": ()}


def test_a_plan_has_a_part() -> None:
    with pytest.raises(ValueError, match="one space"):
        dataclasses.replace(plan_for(SHARE), **no_parts(plan_for(SHARE)))
