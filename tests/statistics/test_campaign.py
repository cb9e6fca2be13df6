"""Answers are as exact as the mechanism's closed form says, measured through the whole engine, and composition costs what zCDP promises.

Whoever bounds contributions well loses nothing but the noise: with bounds that bind nobody, the error of an answer is the noise alone.
"""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy import optimize, stats

from policies.catalogue import Catalogue
from policies.loss import PICO, Loss, pico_rho_for
from sandbox.desk import Desk
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask
from tests.questions import column, snapshot

MOST_ORDERS, REGIONS = 41, 3_000  # of one customer, as in TPC-H at scale factor 1; regions are only there to draw often
Floats = npt.NDArray[np.float64]


def orders(seed: int = 7) -> pa.Table:
    """Orders of customers: two in three have any, some ten on average, one at the most there is; each lives in one region."""
    random = np.random.default_rng(seed)
    customers = 6_000
    counts = np.minimum(random.poisson(15, customers), MOST_ORDERS) * (random.random(customers) < 2 / 3)
    counts[0] = MOST_ORDERS
    customer = np.repeat(np.arange(customers), counts)
    return pa.table({"o_custkey": customer, "o_region": customer % REGIONS})


ORDERS = orders()
SHOP = Catalogue(
    (
        snapshot(
            "orders",
            (column("o_custkey", "integer", uses=("filter", "join")), column("o_region", "integer", domain=tuple(range(REGIONS)))),
            unit="o_custkey",
            space="customer",
            groups=1,
            rows=MOST_ORDERS,
        ),
    )
)
BY_REGION = "SELECT o_region, COUNT(*) AS n FROM orders GROUP BY o_region"


def errors(**privacy: str) -> Floats:
    """Answer minus truth, once per region."""
    answer = Desk(SHOP, {"orders": ORDERS}).answer({"sql": BY_REGION, **privacy})
    assert answer["status"] == "answer", answer
    true = np.bincount(ORDERS.column("o_region").to_numpy(), minlength=REGIONS)
    return np.array([n - true[region] for region, n in answer["rows"]], dtype=float)


@pytest.mark.parametrize(
    ("privacy", "closed"),
    [
        ({"epsilon": "0.8", "delta": "0"}, MOST_ORDERS / 0.8),  # about 51
        ({"epsilon": "0.8", "delta": "1e-6"}, MOST_ORDERS / math.sqrt(math.pi * pico_rho_for(Decimal("0.8"), Decimal("1e-6")) / PICO)),
        ({"rho": "0.5"}, MOST_ORDERS * math.sqrt(2 / math.pi)),
    ],
    ids=["Laplace", "Gaussian", "rho"],
)
def test_the_mean_absolute_error_of_a_count_is_the_closed_form(privacy: dict[str, str], closed: float) -> None:
    found = errors(**privacy)
    assert abs(np.abs(found).mean() / closed - 1) < 0.1
    assert abs(found.mean()) < 6 * found.std() / math.sqrt(REGIONS)  # no bias: nobody's orders were lost


def test_a_bound_below_the_largest_contribution_would_be_seen() -> None:
    answer = Desk(SHOP, {"orders": ORDERS}).answer({"sql": BY_REGION, "epsilon": "0.8", "delta": "0", "rows_per_group": 8})
    true = np.bincount(ORDERS.column("o_region").to_numpy(), minlength=REGIONS)
    found = np.array([n - true[region] for region, n in answer["rows"]], dtype=float)
    assert found.mean() < -6 * found.std() / math.sqrt(REGIONS)


def test_without_keys_it_is_the_same() -> None:
    desk = Desk(SHOP, {"orders": ORDERS})
    line = {"sql": "SELECT COUNT(*) AS n FROM orders", "epsilon": "0.8", "delta": "0"}
    answers = [desk.answer(line) for _ in range(60)]
    found = np.array([answer["rows"][0][0] for answer in answers]) - ORDERS.num_rows
    assert 0.4 < np.abs(found).mean() / (MOST_ORDERS / 0.8) < 2.2  # six standard errors of sixty draws
    (width,) = answers[0]["half_widths"][0]
    assert width == pytest.approx(MOST_ORDERS / 0.8 * math.log(20), abs=1)


# ---- composition ------------------------------------------------------------------------------------------------------------------

SIZES = (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6, 7, 8, 5)
NAMES = tuple(f"c{place}" for place in range(len(SIZES)))
PEOPLE = Catalogue(
    (
        snapshot(
            "people",
            (
                column("id", "integer", uses=("filter", "join")),
                *(column(name, "integer", domain=tuple(range(size))) for name, size in zip(NAMES, SIZES, strict=True)),
            ),
            unit="id",
            groups=1,
            rows=1,
        ),
    )
)


def people(count: int = 4_000) -> pa.Table:
    random = np.random.default_rng(3)
    return pa.table({"id": np.arange(count), **{name: random.integers(0, size, count) for name, size in zip(NAMES, SIZES, strict=True)}})


def test_91_two_way_tables_share_one_epsilon() -> None:
    """All pairs of fourteen columns at (1, 1e-10): a standard deviation of 58.6 each, composed in zCDP."""
    table = people()
    desk, whole = Desk(PEOPLE, {"people": table}), pico_rho_for(Decimal(1), Decimal("1e-10"))
    spent, found = Loss(0), []
    pairs = list(itertools.combinations(NAMES, 2))
    assert len(pairs) == 91
    for a, b in pairs:
        line = {"sql": f"SELECT {a}, {b}, COUNT(*) AS n FROM people GROUP BY {a}, {b}", "rho": str(Decimal(whole // 91) / PICO)}
        plan = compile_job(line["sql"], PEOPLE, Ask.model_validate({"privacy": {"rho": line["rho"]}}))
        assert plan.draws[0].scale == pytest.approx(58.6, rel=1e-3)
        spent = spent + plan.loss
        answer = desk.answer(line)
        size = SIZES[NAMES.index(b)]
        true = np.bincount(table.column(a).to_numpy() * size + table.column(b).to_numpy(), minlength=SIZES[NAMES.index(a)] * size)
        found += [n - true[x * size + y] for x, y, n in answer["rows"]]
    epsilon = spent.epsilon(Decimal("1e-10"))
    assert epsilon is not None
    assert Decimal("0.99999") < epsilon <= 1
    assert math.sqrt(np.mean(np.square(found))) == pytest.approx(58.6, rel=6 / math.sqrt(2 * len(found)))


def exact_gaussian(epsilon: float, delta: float, answers: int) -> float:
    """The least standard deviation at which so many Gaussian answers, each moved by 1, are (epsilon, delta)-DP: by the exact trade-off of
    their composition, which is one Gaussian moved by √answers (Balle & Wang 2018, theorem 8)."""

    def excess(scale: float) -> float:
        mu = math.sqrt(answers) / scale
        spent = stats.norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)
        return float(spent / delta - 1)

    return float(optimize.brentq(excess, 1.0, 10_000.0))


@pytest.mark.parametrize(("epsilon", "delta"), [("1", "1e-6"), ("3", "1e-6"), ("1", "1e-9")])
def test_a_hundred_counts_cost_at_most_8_percent_more_than_exact_accounting(epsilon: str, delta: str) -> None:
    asked: dict[str, Any] = {"privacy": {"epsilon": epsilon, "delta": delta}}
    counts = ", ".join(f"COUNT(*) FILTER (WHERE c12 < {place} AND c13 < 5) AS n{place}" for place in range(1, 101))
    plan = compile_job(f"SELECT {counts} FROM people", PEOPLE, Ask.model_validate(asked))
    scales = {round(draw.scale, 6) for draw in plan.draws}
    assert len(plan.draws) == 100
    assert len(scales) == 1
    exact = exact_gaussian(float(epsilon), float(delta), 100)
    assert exact < scales.pop() <= 1.08 * exact
    if (epsilon, delta) == ("1", "1e-6"):
        assert exact == pytest.approx(42.25, abs=0.01)
