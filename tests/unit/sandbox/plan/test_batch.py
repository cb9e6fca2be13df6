"""One loss over many queries: shares add up to it, fall where errors are large, and are the best there are."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from policies.loss import Loss
from sandbox.noise.chain import check
from sandbox.plan.accuracy import Supposed, relative_moves
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.batch import provisional, shares
from sandbox.plan.compile import compile_job
from sandbox.plan.model import Plan
from tests.questions import CATALOGUE

QUERIES = (
    "SELECT COUNT(*) AS n FROM visits",
    "SELECT city, year, COUNT(*) AS n, AVG(fee) AS a FROM visits GROUP BY city, year",
    "SELECT dept, COUNT(*) AS n FROM visits GROUP BY dept",
    "SELECT city, COUNT(*) AS n FROM visits WHERE fee > (SELECT AVG(fee) FROM visits) GROUP BY city",
)


def compiled(sql: str, privacy: Privacy) -> Plan:
    return compile_job(sql, CATALOGUE, Ask(privacy=privacy))


def divided(privacy: Privacy, queries: tuple[str, ...] = QUERIES) -> list[Plan]:
    given = shares([compile_job(sql, CATALOGUE, provisional(Ask(privacy=privacy), privacy)) for sql in queries], privacy)
    return [compiled(sql, share) for sql, share in zip(queries, given, strict=True)]


def error(plans: list[Plan]) -> float:
    """The summed squared relative errors to expect, up to a constant."""
    found = 0.0
    for part in (part for plan in plans for part in plan.parts):
        supposed = Supposed({total.name: total for total in part.totals}, part.expected_rows, part.rows_per_group)
        for total, draw in zip(part.totals, part.draws, strict=True):
            variance = 2 * draw.scale**2 if draw.pure else draw.scale**2
            found += variance * (float(relative_moves(total, supposed)) / total.sensitivity) ** 2
    return found


@pytest.mark.parametrize("privacy", [{"rho": "0.2", "delta": "1e-6"}, {"epsilon": "1.5"}, {"epsilon": "0.5", "delta": "1e-9"}])
def test_together_they_cost_what_was_given(privacy: dict[str, Any]) -> None:
    asked = Privacy.model_validate(privacy)
    plans = divided(asked)
    whole = sum((plan.loss for plan in plans), Loss(0, 0))
    for plan in plans:
        check(plan)
    assert whole.delta <= asked.delta / 2
    if asked.rho is not None:
        assert asked.rho * Decimal("0.99999") < whole.rho <= asked.rho
    else:
        epsilon = whole.epsilon(asked.delta)
        assert asked.epsilon is not None
        assert epsilon is not None
        assert asked.epsilon * Decimal("0.999") < epsilon <= asked.epsilon + Decimal("1e-6")


def test_pure_dp_is_divided_as_epsilon() -> None:
    plans = divided(Privacy(epsilon=Decimal(2), delta=Decimal(0)), QUERIES[:2])
    total = sum((plan.epsilon or Decimal(0) for plan in plans), Decimal(0))
    assert Decimal("1.9999") < total <= Decimal("2.00001")
    assert all(plan.draws[0].pure for plan in plans)


def test_no_other_division_has_smaller_errors() -> None:
    privacy = Privacy(rho=Decimal("0.5"))
    best = error(divided(privacy))
    queries = [compiled(sql, Privacy(rho=Decimal(1))) for sql in QUERIES]
    given = [float(share.rho or 0) for share in shares(queries, privacy)]
    assert math.isclose(sum(given), 0.5, rel_tol=1e-6)
    for one in range(len(given)):
        for other in range(len(given)):
            if one != other:
                moved = list(given)
                step = 0.05 * min(given)
                moved[one], moved[other] = moved[one] + step, moved[other] - step
                plans = [compiled(sql, Privacy(rho=Decimal(f"{rho:.12f}"))) for sql, rho in zip(QUERIES, moved, strict=True)]
                assert error(plans) > best * (1 - 1e-9)
    even = [compiled(sql, Privacy(rho=Decimal("0.125"))) for sql in QUERIES]
    assert error(even) > 1.05 * best


def test_an_accuracy_is_priced_for_each() -> None:
    privacy = Privacy(accuracy="20")
    assert shares([compiled(QUERIES[0], privacy)] * 2, privacy) == [privacy, privacy]


def test_one_query_gets_everything() -> None:
    (plan,) = divided(Privacy(epsilon=Decimal(1)), QUERIES[:1])
    assert plan.loss == compiled(QUERIES[0], Privacy(epsilon=Decimal(1))).loss
