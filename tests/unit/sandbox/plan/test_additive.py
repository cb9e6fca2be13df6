"""Which questions add up over time, how a time is put into them, and what is said of the error of a sum."""

from __future__ import annotations

import math
from datetime import date
from itertools import product

import pytest

from policies.catalogue import Block, Catalogue, Dataset, Snapshot
from policies.problem import Problem
from sandbox.plan.additive import Added, Additive, additive, half_width, within
from sandbox.plan.ask import Ask
from sandbox.plan.compile import compile_job
from sandbox.plan.spread import discrete_half_width
from sandbox.raw.run import check_plan
from tests import visits

PLACES = visits.dataset((visits.column("city", "text"), visits.column("province", "text")), unit=None, name="places")
CATALOGUE = Catalogue(tuple(Snapshot(dataset=one, version=1, digest="0" * 64) for one in (visits.dataset(rows=2_000), PLACES)))
ASK = Ask.model_validate({"privacy": {"epsilon": "1"}})


def taken(sql: str, ask: Ask = ASK) -> Additive:
    return additive(sql, "visits", CATALOGUE, ask)


@pytest.mark.parametrize(
    ("sql", "keys", "labels"),
    [
        ("SELECT COUNT(*) FROM visits", (), ["COUNT(*)"]),
        ("SELECT city, COUNT(*) AS n, SUM(fee) f FROM visits GROUP BY city", ("city",), ["n", "f"]),
        ("SELECT v.city AS c, COUNT(note) FROM Visits v GROUP BY c", ("c",), ["COUNT(note)"]),
        ("SELECT SUM(days) FILTER (WHERE urgent), city FROM visits GROUP BY 2", ("city",), ["SUM(days) FILTER (WHERE urgent)"]),
        (
            "SELECT city, urgent, COUNT_IF(days > 3) FROM visits WHERE days > 3 OR urgent GROUP BY ALL",
            ("city", "urgent"),
            ["COUNT_IF(days > 3)"],
        ),
        ("SELECT COUNT(*) AS n FROM visits JOIN places USING (city)", (), ["n"]),
    ],
)
def test_counts_and_sums_by_public_keys_add_up(sql: str, keys: tuple[str, ...], labels: list[str]) -> None:
    found = taken(sql)
    assert (found.keys, [added.label for added in found.added]) == (keys, labels)
    plan = compile_job(within(found.sql, "visits", "born", "date", date(1960, 1, 1), date(1960, 4, 1)), CATALOGUE, ASK)
    check_plan(plan)
    assert [output.label for output in plan.outputs] == [output.label for output in found.plan.outputs]
    assert plan.loss == found.plan.loss
    assert [output.scale for output in plan.outputs if output.kind == "value"] == [added.scale for added in found.added]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT AVG(fee) FROM visits",
        "SELECT COUNT(DISTINCT person_id) FROM visits",
        "SELECT COUNT(DISTINCT days) FROM visits",
        "SELECT COUNT(DISTINCT days) FILTER (WHERE urgent) FROM visits",
        "SELECT MEDIAN(days) FROM visits",
        "SELECT MAX(days) FROM visits",
        "SELECT COUNT(*) + 1 FROM visits",
        "SELECT SUM(days) / COUNT(*) FROM visits",
        "SELECT ROUND(SUM(fee)) FROM visits",
        "SELECT note, COUNT(*) FROM visits GROUP BY note",
        "SELECT COUNT(*) FROM visits GROUP BY city",
        "SELECT city, city AS again, COUNT(*) FROM visits GROUP BY city",
        "SELECT 1 AS x, COUNT(*) FROM visits",
        "SELECT city, COUNT(*) FROM visits GROUP BY city HAVING COUNT(*) > 5",
        "SELECT city, COUNT(*) FROM visits GROUP BY city ORDER BY 2",
        "SELECT city, COUNT(*) FROM visits GROUP BY city LIMIT 1",
        "SELECT DISTINCT city, COUNT(*) FROM visits GROUP BY city",
        "SELECT city, urgent, COUNT(*) FROM visits GROUP BY ROLLUP (city, urgent)",
        "WITH v AS (SELECT city FROM visits) SELECT COUNT(*) FROM v",
        "SELECT COUNT(*) FROM (SELECT city FROM visits) AS v",
        "SELECT COUNT(*) FROM visits WHERE city IN (SELECT city FROM places)",
        "SELECT COUNT(*) FROM visits AS a JOIN visits AS b ON a.person_id = b.person_id",
        "SELECT COUNT(*) FROM visits UNION ALL SELECT COUNT(*) FROM visits",
    ],
)
def test_others_are_refused(sql: str) -> None:
    compile_job(sql, CATALOGUE, ASK)  # a question by itself, though
    with pytest.raises(Problem) as caught:
        taken(sql)
    assert caught.value.code == "plan_not_additive"
    assert len(caught.value.words("zh").detail) > 4


STAY = (
    visits.column("person", "integer", uses=("join",)),
    visits.column("city", "text", domain=visits.CITIES),
    visits.column("day", "date", nullable=False, low=date(2026, 1, 1), high=date(2026, 12, 31)),
)
OWNED = visits.dataset(STAY, unit="person", rows=100, name="stays", pseudonym=True)
BY_MONTH = Dataset.model_validate({**dict(OWNED), "block": Block(column="day", period="month")})


def other(*entries: Dataset) -> Catalogue:
    return Catalogue(tuple(Snapshot(dataset=one, version=1, digest="0" * 64) for one in entries))


@pytest.mark.parametrize("condition", ["day < DATE '2026-02-01'", "month(s.DAY) = 2", "city = '太原' OR day IS NULL"])
def test_the_column_of_periods_is_not_named(condition: str) -> None:
    """By no condition: which times are added up is said by whoever adds them up."""
    assert additive("SELECT city, COUNT(*) AS n FROM stays GROUP BY city", "stays", other(BY_MONTH), ASK)
    assert additive(f"SELECT COUNT(*) AS n FROM stays s WHERE {condition}", "stays", other(OWNED), ASK)  # where it is a column like others
    with pytest.raises(Problem, match="plan_not_additive"):
        additive(f"SELECT COUNT(*) AS n FROM stays s WHERE {condition}", "stays", other(BY_MONTH), ASK)


def test_one_table_is_protected() -> None:
    """Two would each have to be cut at the same times."""
    catalogue = other(OWNED, visits.dataset(STAY, unit="person", rows=100, name="others", pseudonym=True))
    sql = "SELECT COUNT(*) AS n FROM stays s JOIN others o ON s.person = o.person"
    compile_job(sql, catalogue, ASK)
    with pytest.raises(Problem, match="plan_not_additive"):
        additive(sql, "stays", catalogue, ASK)


def test_a_condition_is_put_beside_what_was_asked() -> None:
    found = taken("SELECT COUNT(*) AS n FROM visits v WHERE urgent OR days > 3")
    asked = within(found.sql, "visits", "seen", "timestamp", date(2026, 1, 1), date(2026, 4, 1))
    wanted = (
        'SELECT COUNT(*) AS n FROM visits AS v WHERE (urgent OR days > 3) AND "v"."seen" >= CAST(\'2026-01-01 00:00:00\' AS TIMESTAMP) '
        'AND "v"."seen" < CAST(\'2026-04-01 00:00:00\' AS TIMESTAMP)'
    )
    assert asked == wanted


def test_the_unit_is_that_of_what_is_added() -> None:
    found = taken("SELECT COUNT(*) AS n, SUM(fee) AS fee, SUM(days) AS days FROM visits")
    assert [(added.label, added.unit) for added in found.added] == [("n", 1.0), ("fee", 0.01), ("days", 1.0)]
    assert found.added[0] == Added("n", 1.0, found.plan.outputs[0].scale or 0.0)
    assert not found.pure
    assert taken("SELECT COUNT(*) FROM visits", Ask.model_validate({"privacy": {"epsilon": "1", "delta": "0"}})).pure


def discrete(scale: float) -> dict[int, float]:
    reach = int(12 * scale) + 2
    weights = {k: math.exp(-(k * k) / (2 * scale * scale)) for k in range(-reach, reach + 1)}
    return {k: weight / math.fsum(weights.values()) for k, weight in weights.items()}


def laplace(scale: float) -> dict[int, float]:
    reach = int(40 * scale) + 2
    weights = {k: math.exp(-abs(k) / scale) for k in range(-reach, reach + 1)}
    return {k: weight / math.fsum(weights.values()) for k, weight in weights.items()}


@pytest.mark.parametrize("scales", [(0.3, 0.35, 0.35), (0.6, 0.6), (1.0, 1.0, 1.0, 1.0), (2.5, 7.0), (9.0, 9.0, 4.0)])
@pytest.mark.parametrize("pure", [False, True])
def test_a_half_width_covers_the_sum_of_the_noise(scales: tuple[float, ...], pure: bool) -> None:
    """Against the exact law of the sum, by convolution; and it is no more than a tenth and two units above what would do."""
    whole = {0: 1.0}
    for scale in scales:
        mixed: dict[int, float] = {}
        for (a, p), (b, q) in product(whole.items(), (laplace if pure else discrete)(scale).items()):
            mixed[a + b] = mixed.get(a + b, 0.0) + p * q
        whole = mixed
    width = half_width(scales, 1.0, pure=pure)
    assert math.fsum(p for k, p in whole.items() if abs(k) <= width) >= 0.95
    needed = next(w for w in range(10**4) if math.fsum(p for k, p in whole.items() if abs(k) <= w) >= 0.95)
    assert width <= needed * 1.1 + 2


def test_half_widths_grow_by_the_root() -> None:
    assert half_width([50.0] * 4, 1.0, pure=False) == pytest.approx(2 * half_width([50.0], 1.0, pure=False), abs=2)
    assert half_width([50.0], 1.0, pure=False) == pytest.approx(discrete_half_width(50.0), abs=1)
    assert half_width([0.5, 0.5], 0.01, pure=False) == pytest.approx(half_width([50.0, 50.0], 1.0, pure=False) / 100)
