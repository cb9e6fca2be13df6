"""Price by accuracy and the split of rho: what is asked is met where public facts hold, at the least price; the price is an exact sum."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from pydantic import ValidationError

from policies.loss import PICO
from sandbox.noise.chain import check
from sandbox.plan import compile_job
from sandbox.plan.accuracy import Supposed, best_weights, least
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.explain import explain
from sandbox.plan.model import Plan, Total
from tests.questions import CATALOGUE, Engine, plan_for

ROWS = 3333  # of about 10,000 visits in three cities
QUERY = "SELECT city, COUNT(*) AS n, SUM(fee) AS s, AVG(fee) AS a, STDDEV(days) AS d, SUM(fee) / COUNT(*) AS r FROM visits GROUP BY city"


def by(accuracy: str, sql: str = QUERY, **more: object) -> Plan:
    return compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"accuracy": accuracy}, **more}))


def at(sql: str, rho: str, **more: object) -> Plan:
    return compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"rho": rho}, **more}))


def cheaper(plan: Plan, sql: str) -> Plan:
    rho = plan.loss.rho * Decimal("0.999")
    return compile_job(sql, CATALOGUE, Ask(privacy=Privacy(rho=rho)))


@pytest.mark.parametrize("accuracy", ["50", "± 3", "0.4", "+/-1000"])
def test_an_absolute_accuracy_is_met_and_no_dearer_than_needed(accuracy: str) -> None:
    sql = "SELECT city, COUNT(*) AS n, COUNT(DISTINCT pid) AS p FROM visits GROUP BY city"
    plan = by(accuracy, sql)
    wanted = float(accuracy.replace("± ", "").replace("+/-", ""))
    widths = [output.half_width for output in plan.outputs if output.kind == "value"]
    assert all(width is not None and width <= wanted for width in widths)
    assert any(output.half_width is not None and output.half_width > wanted for output in cheaper(plan, sql).outputs)
    check(plan)


@pytest.mark.parametrize("share", ["2%", "10 %", "0.5%"])
def test_a_relative_accuracy_is_of_what_the_catalogue_lets_one_expect(share: str) -> None:
    plan = by(share)
    part = float(share.rstrip("% ")) / 100
    assert plan.only.expected_rows == ROWS
    values = {"n": ROWS, "s": ROWS * 25_000, "a": 25_000, "d": 182.5 / math.sqrt(3)}  # fee 0..50000, days 0..365
    ratios = []
    for output in plan.outputs:
        if output.label in values:
            assert output.expected_half_width is not None
            ratios.append(output.expected_half_width / (part * values[output.label]))
    assert 0.5 < max(ratios) <= 1 + 1e-9
    check(plan)
    supposed = Supposed({total.name: total for total in plan.only.totals}, ROWS, plan.only.rows_per_group)
    row = Engine().finish(
        plan, {("太原",): tuple(round(supposed.size(total)) if total.centre == 0 else 0 for total in plan.only.totals)}, empty=False
    )[0]
    assert row["n__half_width"] <= part * ROWS
    assert row["r__half_width"] <= part * 25_000 * 1.05


def test_more_accuracy_costs_more_by_its_square() -> None:
    losses = [by(accuracy, "SELECT SUM(fee) AS s FROM visits").loss.pico_rho for accuracy in ("200000", "100000")]
    assert losses[1] / losses[0] == pytest.approx(4, rel=1e-4)


def test_it_is_said_that_public_facts_were_supposed() -> None:
    told = explain(by("2%"))
    assert told["accuracy"] == "2%"
    assert any("public facts" in line and str(ROWS) in line for line in told["en"])  # type: ignore[attr-defined]  # a list of sentences
    assert explain(plan_for(QUERY))["accuracy"] is None


@pytest.mark.parametrize("text", ["", "0", "0%", "-5", "5 %%", "nan", "1e3", "fifty"])
def test_only_an_accuracy_is_one(text: str) -> None:
    with pytest.raises(ValidationError):
        Privacy(accuracy=text)


def test_one_of_three_is_asked() -> None:
    with pytest.raises(ValidationError):
        Privacy(accuracy="5", epsilon=Decimal(1))
    with pytest.raises(ValidationError):
        Privacy()
    assert Privacy.model_validate({"accuracy": 50}).wanted == (Fraction(50), False)
    assert Privacy(accuracy="± 2 %").wanted == (Fraction(1, 50), True)


def error(totals: list[Total], parts: tuple[int, ...], supposed: Supposed) -> float:
    """The summed squared relative error, up to a constant factor."""
    return sum(float((total.cap / supposed.size(total)) ** 2 / part) for total, part in zip(totals, parts, strict=True))


def test_the_split_has_the_least_relative_error() -> None:
    plan = plan_for("SELECT COUNT(*), SUM(fee), SUM(score), AVG(days), COUNT(DISTINCT pid) FROM visits")
    totals = list(plan.only.totals)
    supposed = Supposed({total.name: total for total in totals}, plan.only.expected_rows, plan.only.rows_per_group)
    parts = tuple(draw.loss.pico_rho for draw in plan.draws)
    here = error(totals, parts, supposed)
    assert len(set(parts)) > 1
    assert here < error(totals, (sum(parts) // len(parts),) * len(parts), supposed)
    for giver, taker in itertools.permutations(range(len(parts)), 2):
        moved = list(parts)
        moved[giver], moved[taker] = parts[giver] - parts[giver] // 20, parts[taker] + parts[giver] // 20
        assert error(totals, tuple(moved), supposed) > here
    assert best_weights(totals[:1], supposed) == (10**6,)


@pytest.mark.parametrize("rho", ["1", "0.1", "0.333333333333", "0.000000123457"])
def test_the_price_is_the_exact_sum_of_the_draws(rho: str) -> None:
    plan = at(QUERY, rho)
    asked = int(Decimal(rho) * PICO)
    assert sum(draw.loss.pico_rho for draw in plan.draws) == plan.loss.pico_rho <= asked
    assert asked - plan.loss.pico_rho < len(plan.draws)


def test_weights_split_rho_as_they_say() -> None:
    sql = "SELECT city, COUNT(*) AS n, SUM(fee) AS S FROM visits GROUP BY city"
    plan = at(sql, "0.4", weights={"s": 3})
    assert [draw.loss.pico_rho for draw in plan.draws] == [PICO // 10, 3 * PICO // 10]
    private = at(sql.replace("city", "note"), "0.5", weights={"s": 3})
    assert [draw.loss.pico_rho for draw in private.draws] == [PICO // 10, PICO // 10, 3 * PICO // 10]


def test_least() -> None:
    assert [least(lambda x, goal=goal: x >= goal, 100) for goal in (1, 2, 37, 100)] == [1, 2, 37, 100]  # type: ignore[misc]  # a bound default
