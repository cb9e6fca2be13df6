"""Noisy trees: what least squares makes of all levels, how far ranks may be off, and when one tree is better than a choice for each."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loss import PICO, Loss
from policies.problem import Problem
from sandbox.noise.chain import build, check, nodes, vector_map
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask
from sandbox.plan.explain import explain
from sandbox.plan.model import Plan, Total
from sandbox.plan.price import rank_error
from sandbox.plan.tree import BRANCHING, Tree, best, shape
from tests.questions import CATALOGUE, with_part

DECILES = "SELECT city, " + ", ".join(f"QUANTILE_CONT(fee, 0.{n}) AS d{n}" for n in range(1, 10)) + " FROM visits GROUP BY city"


def plan(sql: str = DECILES, **privacy: Any) -> Plan:
    return compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": privacy or {"rho": "0.1"}}))


@given(st.integers(2, 60), st.integers(2, 9), st.data())
@settings(deadline=None, max_examples=60)
def test_every_level_counts_every_row_once(leaves: int, branching: int, data: st.DataObject) -> None:
    tree = Tree(leaves, branching)
    counts = np.array(data.draw(st.lists(st.integers(0, 50), min_size=leaves, max_size=leaves)))
    found = tree.counted(counts)
    assert len(found) == tree.nodes
    sizes = [-(-leaves // width) for width in tree.widths]
    assert len(sizes) == tree.levels
    assert sizes[-1] <= branching
    for level in np.split(found, np.cumsum(sizes)[:-1]):
        assert level.sum() == counts.sum()
    one = np.zeros(leaves, dtype=np.int64)
    one[data.draw(st.integers(0, leaves - 1))] = 1
    assert tree.counted(one).sum() == tree.levels  # so one row moves the nodes by √levels in L2


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_ranks_are_the_least_squares_estimate(leaves: int, branching: int, seed: int) -> None:
    """Exact for consistent nodes; for others, the leaves that come closest to all of them."""
    tree, random = Tree(leaves, branching), np.random.default_rng(seed)
    counts = random.integers(0, 100, leaves)
    assert np.allclose(tree.ranks @ tree.counted(counts), np.cumsum(counts))
    noisy = tree.counted(counts) + random.normal(0, 5, tree.nodes)
    found = np.diff(tree.ranks @ noisy, prepend=0.0)

    def off(x: Any) -> float:
        return float(((np.concatenate([np.add.reduceat(x, np.arange(0, leaves, width)) for width in tree.widths]) - noisy) ** 2).sum())

    assert all(off(found) <= off(found + random.normal(0, 0.1, leaves)) for _ in range(5))


@pytest.mark.parametrize(("leaves", "share"), [(20, 0.5), (101, 0.1), (512, 0.5), (512, 0.9)])
def test_the_rank_error_holds_and_is_not_wasteful(leaves: int, share: float) -> None:
    tree, random = shape(leaves, BRANCHING), np.random.default_rng(1)
    off = random.normal(0, 1, (20_000, tree.nodes)) @ (tree.ranks - share * tree.ranks[-1]).T
    worst = np.quantile(np.abs(off).max(axis=1), 0.95)
    assert worst <= tree.rank_error(share) <= 1.35 * worst
    assert np.allclose(off.std(axis=0), tree.spread(share), rtol=0.05, atol=1e-6)


@given(st.integers(2, 120), st.lists(st.integers(-30, 200), min_size=1, max_size=500), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_larger_shares_never_get_lower_leaves(leaves: int, noise: list[int], seed: int) -> None:
    tree, random = Tree(leaves, 4), np.random.default_rng(seed)
    noisy = random.choice(np.array(noise), (3, tree.nodes))
    answers = np.array(tree.places(noisy, [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]))
    assert (np.diff(answers, axis=0) >= 0).all()
    assert ((answers >= 0) & (answers < leaves)).all()


@given(st.integers(2, 120), st.integers(1, 400), st.integers(0, 2**32), st.sampled_from([0.05, 0.25, 0.5, 0.9]))
@settings(deadline=None, max_examples=80)
def test_an_answer_misses_its_rank_by_no_more_than_the_ranks_are_off(leaves: int, rows: int, seed: int, share: float) -> None:
    """For any noise: the claim of docs/proofs/tree.md, by its definition."""
    tree, random = Tree(leaves, 4), np.random.default_rng(seed)
    counts = np.bincount(random.integers(0, leaves, rows) // random.integers(1, 4), minlength=leaves)
    noise = np.rint(random.normal(0, 0.1 * rows, tree.nodes)).astype(np.int64)
    (answer,) = tree.places((tree.counted(counts) + noise).reshape(1, -1), [share])
    within = np.cumsum(counts)
    off = float(np.abs((tree.ranks - share * tree.ranks[-1]) @ noise).max())
    if (tree.ranks[-1] @ (tree.counted(counts) + noise)) < 0:  # the whole is less than its own noise
        off += abs(float(tree.ranks[-1] @ noise))
    place = int(answer[0])
    below = within[place] - counts[place]
    assert max(below - share * rows, share * rows - within[place], 0) <= off + 1e-6


def test_one_tree_answers_many_quantiles_and_few_stay_apart() -> None:
    (total,) = plan().only.totals
    assert total.branching == BRANCHING
    assert total.shares == {f"t{place}": _share(place + 1) for place in range(9)}
    two = plan("SELECT MEDIAN(fee) AS m, QUANTILE_CONT(fee, 0.9) AS q FROM visits").only.totals
    assert [one.branching for one in two] == [0, 0]
    for sql in (
        DECILES.replace("QUANTILE_CONT(fee, 0.1)", "MIN(fee)"),
        DECILES.replace("QUANTILE_CONT(fee, 0.1)", "QUANTILE_CONT(fee, 0.1) FILTER (WHERE urgent)"),
        DECILES.replace("QUANTILE_CONT(fee, 0.1)", "QUANTILE_CONT(days, 0.1)"),
    ):
        alone, tree = plan(sql).only.totals
        assert (alone.branching, len(tree.shares)) == (0, 8)


def _share(tenths: int) -> tuple[int, int]:
    divisor = math.gcd(tenths, 10)
    return tenths // divisor, 10 // divisor


@pytest.mark.parametrize("leaves", [10, 100, 512])
@pytest.mark.parametrize("shares", [((1, 4), (3, 4)), ((1, 4), (1, 2), (3, 4)), tuple(_share(n) for n in range(1, 10))])
def test_the_better_of_the_two_is_taken(leaves: int, shares: tuple[tuple[int, int], ...]) -> None:
    """At one price for all: rho 1/2 and one row of one unit, so that noise is √levels, or √shares times each score's step."""
    separate = max(max(a, b - a) / b * math.log(20 * leaves) * math.sqrt(len(shares)) for a, b in shares)
    tree = shape(leaves, BRANCHING)
    shared = max(tree.rank_error(a / b) for a, b in shares) * math.sqrt(tree.levels)
    assert bool(best(leaves, shares, 10**6)) == (shared < separate)
    assert best(leaves, shares, tree.nodes - 1) == 0


def test_pure_jobs_choose_each_by_itself() -> None:
    assert all(total.branching == 0 for total in plan(epsilon="1", delta="0").only.totals)


def test_opendps_map_is_the_price_and_any_other_is_refused() -> None:
    made = plan()
    (draw,), (total,) = made.only.draws, made.only.totals
    _, losses = build(made.only)
    assert losses[draw.total][0] <= draw.loss.pico_rho / PICO <= losses[draw.total][0] * (1 + 1e-9) + 1e-12
    assert draw.scale == pytest.approx(total.cap * math.sqrt(made.only.groups_per_unit * total.levels / 0.2), rel=1e-9)
    check(made)
    for changes in ({"scale": draw.scale * 0.999}, {"loss": Loss(draw.loss.pico_rho * 999 // 1000)}):
        with pytest.raises(Problem, match="plan_price_disagrees"):
            check(with_part(made, draws=(dataclasses.replace(draw, **changes),)))  # type: ignore[arg-type]  # fields of Draw by name
    with pytest.raises(Problem, match="plan_price_disagrees"):  # fewer levels sold than drawn
        check(with_part(made, totals=(dataclasses.replace(total, branching=2),)))


def test_the_map_covers_the_farthest_neighbour() -> None:
    """A unit with all its rows at one candidate in every key it may touch."""
    made = plan()
    (total,) = made.only.totals
    assert total.tree is not None
    one = np.zeros(total.candidates, dtype=np.int64)
    one[7] = total.cap
    moved = math.sqrt(made.only.groups_per_unit * float((total.tree.counted(one).astype(float) ** 2).sum()))
    bound = vector_map(made.only.groups_per_unit * total.levels, total.cap)(1)
    assert moved <= bound <= moved * (1 + 1e-12)
    assert nodes(made.only, total, 1, lambda bounded: (np.zeros(0, dtype=np.int64),) * 2).map(1) == bound


def test_explain_says_so() -> None:
    said: Any = explain(plan())
    assert said["totals"][0]["mechanism"] == "noisy tree, discrete Gaussian"
    assert {output["rank_error"] for output in said["outputs"] if output["kind"] == "value"} == {rank_error(*_priced(plan()))}
    assert said["totals"][0]["scale"] == plan().draws[0].scale


def _priced(made: Plan) -> tuple[Total, float]:
    return made.only.totals[0], made.only.draws[0].scale


def test_weights_of_a_tree_are_those_of_its_quantiles() -> None:
    sql = DECILES.replace("city, ", "city, COUNT(*) AS n, ", 1)
    made = compile_job(sql, CATALOGUE, Ask.model_validate({"privacy": {"rho": "0.1"}, "weights": {"n": 9}}))
    count, tree = (draw.loss.pico_rho for draw in made.only.draws)
    assert count == tree


@pytest.mark.parametrize(
    ("selected", "labels"),
    [
        ("QUANTILE_CONT(fee, [0.1, 0.5, 0.9]) AS q", ["q_0.1", "q_0.5", "q_0.9"]),
        ("quantile_disc(days, [0.5])", ["QUANTILE_DISC(days, 0.5)"]),
        ("approx_quantile(days, [0.5, 0.9]) AS x, COUNT(*) AS n", ["x_0.5", "x_0.9", "n"]),
        ("PERCENTILE_CONT([0.1, 0.9]) WITHIN GROUP (ORDER BY fee) AS p", ["p_0.1", "p_0.9"]),
        ("QUANTILE_CONT(fee, [0.1, 0.9]) FILTER (WHERE urgent) AS p", ["p_0.1", "p_0.9"]),
    ],
)
def test_a_list_of_shares_is_a_column_for_each(selected: str, labels: list[str]) -> None:
    assert [output.label for output in plan(f"SELECT {selected} FROM visits").outputs] == labels


def test_a_list_shares_a_tree_as_written_out() -> None:
    shares = ", ".join(f"0.{n}" for n in range(1, 10))
    listed = plan(f"SELECT city, QUANTILE_CONT(fee, [{shares}]) AS d FROM visits GROUP BY city")
    assert listed.only.totals == plan().only.totals
    assert listed.only.draws == plan().only.draws


@pytest.mark.parametrize(
    "selected",
    [
        "QUANTILE_CONT(fee, []) AS q",
        "QUANTILE_CONT(fee, ['a']) AS q",
        "QUANTILE_CONT(fee, [2.0]) AS q",
        "QUANTILE_CONT(fee, [dept]) AS q",
        "QUANTILE_CONT(fee, [0.1, 0.2])[1] AS q",
        "QUANTILE_CONT(fee, [0.5, 0.5]) AS q",
        f"QUANTILE_CONT(fee, [{', '.join(['0.5'] * 1500)}]) AS q",
    ],
)
def test_other_lists_are_refused(selected: str) -> None:
    with pytest.raises(Problem):
        plan(f"SELECT {selected} FROM visits")
