"""What is asked twice is drawn once: one noisy count behind COUNT, AVG, variances and ratios of the same values, one sum behind a sum."""

from __future__ import annotations

import random

import pytest

from policies.catalogue import Catalogue
from sandbox.desk import Desk
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask
from sandbox.plan.model import Plan
from tests.questions import column, hospitals, plan_for, snapshot, tables, visit

CERTAIN = Catalogue(
    (
        snapshot(
            "stays",
            (
                column("pid", "integer", uses=("filter", "join")),
                column("days", "integer", 0, 365, nullable=False),
                column("score", "number", 0, 10, decimals=1, nullable=False),
                column("hospital", "integer"),
            ),
            unit="pid",
        ),
        snapshot("hospitals", (column("hospital", "integer"), column("beds", "integer", 1, 5000, nullable=False))),
    )
)


def kinds(plan: Plan) -> list[str]:
    return sorted(total.kind for total in plan.only.totals)


def of(sql: str, catalogue: Catalogue = CERTAIN) -> Plan:
    return compile_job(sql, catalogue, Ask.model_validate({"privacy": {"rho": "0.1"}}))


TWICE: dict[str, list[str]] = {
    "COUNT(fee) AS n, AVG(fee) AS a": ["average", "count"],
    "COUNT(fee) AS n, AVG(fee) AS a, VAR_POP(fee) AS v, STDDEV(fee) AS s, VAR_SAMP(fee) AS w": ["average", "count", "squares"],
    "AVG(fee) AS a, SUM(fee) / COUNT(fee) AS r": ["average", "count", "sum"],
    "COUNT(*) AS n, SUM(fee) / COUNT(*) AS r, SUM(fee) AS s, COUNT(*) * 2 AS d": ["count", "sum"],
    "COUNT(*) FILTER (WHERE urgent) AS a, COUNT_IF(urgent) AS b": ["count"],
    "AVG(fee) FILTER (WHERE urgent) AS a, COUNT(fee) FILTER (WHERE urgent) AS b": ["average", "count"],
    "COUNT(DISTINCT pid) AS p, COUNT(DISTINCT pid) * 2 AS q": ["units"],
    "MEDIAN(fee) AS m, QUANTILE_CONT(fee, 0.5) AS q, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY fee) AS p": ["quantile"],
    "COUNT(DISTINCT note) AS d, COUNT(DISTINCT note) + 1 AS e": ["distinct"],
}


@pytest.mark.parametrize("selected", TWICE)
def test_what_is_asked_twice_is_drawn_once(selected: str) -> None:
    assert kinds(plan_for(f"SELECT {selected} FROM visits")) == TWICE[selected]
    by_note = plan_for(f"SELECT note, {selected} FROM visits GROUP BY note")
    assert kinds(by_note) == sorted({*TWICE[selected], "units"})  # the threshold's count of units is shared too


def test_having_and_order_share_with_what_is_selected() -> None:
    plan = plan_for("SELECT city, COUNT(fee) AS n FROM visits GROUP BY city HAVING AVG(fee) > 3 ORDER BY AVG(fee), COUNT(fee)")
    assert kinds(plan) == ["average", "count"]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT COUNT(*) AS n, AVG(days) AS a, STDDEV(days) AS s, COUNT(days) AS d FROM stays", ["average", "count", "squares"]),
        ("SELECT COUNT(*) AS n, AVG(s.days) AS a FROM stays s LEFT JOIN hospitals h ON h.hospital = s.hospital", ["average", "count"]),
        ("SELECT COUNT(*) AS n, COUNT(h.beds) AS b FROM stays s JOIN hospitals h ON h.hospital = s.hospital", ["count"]),
        # a left join may leave its right side empty, a float may be NaN, and an expression of values may have none
        ("SELECT COUNT(*) AS n, COUNT(h.beds) AS b FROM stays s LEFT JOIN hospitals h ON h.hospital = s.hospital", ["count", "count"]),
        ("SELECT COUNT(*) AS n, AVG(score) AS a FROM stays", ["average", "count", "count"]),
        ("SELECT COUNT(*) AS n, COUNT(nullif(days, 3)) AS a FROM stays", ["count", "count"]),
    ],
)
def test_values_that_every_row_has_are_as_many_as_rows(sql: str, wanted: list[str]) -> None:
    assert kinds(of(sql)) == wanted


def test_sharing_leaves_less_noise_than_asking_apart() -> None:
    together = of("SELECT COUNT(*) AS n, AVG(days) AS a FROM stays")
    apart = of("SELECT COUNT(*) AS n, COUNT(nullif(days, 400)) AS d, AVG(nullif(days, 400)) AS a FROM stays")
    assert max(draw.scale for draw in together.draws) < max(draw.scale for draw in apart.draws)


def test_shared_answers_agree_with_each_other() -> None:
    """COUNT and the count behind AVG are one number: sum / count of the answer is its average."""
    rng = random.Random(1)
    rows = [visit(rng, pid) for pid in range(400)]
    visits = tables(rows)["visits"]
    stays = visits.select(["pid", "days"]).append_column("score", visits.column("days").cast("double"))
    named = {"stays": stays.append_column("hospital", visits.column("hospital")), "hospitals": hospitals().select(["hospital", "beds"])}
    desk = Desk(CERTAIN, named)
    (row,) = desk.answer({"sql": "SELECT COUNT(*) AS n, COUNT(days) AS d, COUNT(*) - COUNT(days) AS z FROM stays", "rho": "0.01"})["rows"]
    assert row[0] == row[1]
    assert row[2] == 0
