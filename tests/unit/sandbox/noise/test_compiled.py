"""Plans as the compiler makes them: OpenDP agrees with every price, and the last query runs, whatever is asked for."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.catalogue import Catalogue, Snapshot
from policies.loss import Loss
from policies.problem import Problem
from sandbox.dummy import dummy_answer
from sandbox.finish.finish import check as check_finish
from sandbox.noise.chain import build, check
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.compile import compile_job
from tests import visits
from tests.questions import with_part
from tests.visits import COLUMNS

CATALOGUE = Catalogue((Snapshot(dataset=visits.dataset(COLUMNS), version=1, digest="0" * 64),))
AGGREGATES = (
    "COUNT(*)",
    "COUNT(DISTINCT person_id)",
    "COUNT(fee)",
    "SUM(fee)",
    "SUM(days)",
    "AVG(fee)",
    "AVG(score)",
    "SUM(fee) / COUNT(*)",
    "VAR_POP(fee)",
    "STDDEV(score)",
    "MEDIAN(fee)",
    "QUANTILE_CONT(score, 0.137)",
    "MIN(days)",
    "MAX(fee)",
    "COUNT(DISTINCT note)",
)
KEYS = ("city", "urgent", "note", "born", "days", "year(born)")

AMOUNTS = st.integers(-3, 2).flatmap(lambda power: st.integers(1, 99).map(lambda digits: Decimal(digits).scaleb(power - 1)))
DELTAS = st.sampled_from([Decimal("1e-5"), Decimal("1e-8"), Decimal("1e-11"), Decimal(0)])
ASKS = st.builds(
    lambda name, amount, delta, groups, rows: Ask(
        privacy=Privacy.model_validate({name: amount, "delta": delta}), groups_per_unit=groups, rows_per_group=rows
    ),
    st.sampled_from(["epsilon", "rho"]),
    AMOUNTS,
    DELTAS,
    st.integers(1, 2),
    st.integers(1, 3),
)


@given(
    st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=4, unique=True), st.lists(st.sampled_from(KEYS), max_size=2, unique=True), ASKS
)
@settings(deadline=None, max_examples=80)
def test_opendp_agrees_with_the_compilers_price(aggregates: list[str], keys: list[str], ask: Ask) -> None:
    named = [f"{aggregate} AS a{place}" for place, aggregate in enumerate(aggregates)]
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    try:
        plan = compile_job(f"SELECT {', '.join([*keys, *named])} FROM visits{group}", CATALOGUE, ask)
    except Problem as problem:
        refusals = {"plan_price_too_small", "plan_noise_too_large", "plan_delta_too_small", "plan_pure_private_keys"}
        assert problem.code in refusals  # noqa: PT017  # the rest must compile
        return
    check(plan)
    check_finish(plan)
    _, losses = build(plan.only)
    for draw in plan.draws:
        assert losses[draw.total][0] == pytest.approx(float(draw.loss.rho), rel=1e-9)
    cheaper = dataclasses.replace(plan.draws[0], loss=Loss(plan.draws[0].loss.pico_rho * 999 // 1000, plan.draws[0].loss.atto_delta))
    if cheaper.loss.pico_rho:
        with pytest.raises(Problem, match="plan_price_disagrees"):
            check(with_part(plan, draws=(cheaper, *plan.draws[1:])))


def test_a_compiled_job_runs_to_an_answer_on_dummy_rows() -> None:
    sql = "SELECT city, COUNT(*) AS n, AVG(fee) AS fee FROM visits GROUP BY city HAVING COUNT(*) > 100 ORDER BY n DESC"
    released = dummy_answer(compile_job(sql, CATALOGUE, Ask(privacy=Privacy(epsilon=Decimal(5)))), CATALOGUE)
    assert released.table.column_names == ["city", "n", "n__half_width", "fee", "fee__half_width"]
    counts = released.table.column("n").to_pylist()
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 100
    assert all(400 < mean < 600 for mean in released.table.column("fee").to_pylist())
