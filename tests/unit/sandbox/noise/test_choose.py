"""Quantiles before and around the draw: what one unit moves, what the map says, what is refused."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loss import PICO, Loss
from policies.problem import Problem
from sandbox.noise.chain import build, check
from sandbox.noise.choose import candidate, scores
from sandbox.noise.rounding import product_above
from sandbox.noise.space import BINS, Bins, Bounded
from sandbox.plan.model import Draw, Key, Part, Total
from sandbox.plan.price import scale_for
from tests.handmade import FEES, Exact, gaussian, part_of, whole

CITY = Key("k0", "text", ("a", "b", "c"))
SHARES = st.sampled_from([(1, 2), (1, 4), (9, 10), (137, 1000), (0, 1), (1, 1)])


def total(share: tuple[int, int], cap: int = 3, top: int = 7) -> Total:
    return Total("t0", "quantile", 0, 10 * top - 3, cap, step=10, quantile=share)


def priced(of: Total, groups: int = 2, pico: int = PICO // 100) -> Part:
    scale = scale_for(of.sensitivity, groups, pico)
    return part_of((CITY,), (of, FEES), (Draw("t0", scale, Loss(pico), rank=5 if of.extreme else None), gaussian(FEES, groups, pico)), groups)


@settings(max_examples=300, deadline=None)
@given(share=SHARES, rank=st.integers(1, 30), counts=st.lists(st.integers(0, 30), min_size=8, max_size=8), added=st.data())
def test_a_unit_moves_every_score_by_at_most_the_sensitivity(
    share: tuple[int, int], rank: int, counts: list[int], added: st.DataObject
) -> None:
    of = total(share)
    assert of.candidates == 8
    rows = added.draw(st.lists(st.integers(0, 7), max_size=of.cap))
    more = np.array(counts) + np.bincount(np.array(rows, dtype=np.int64), minlength=8)
    places, asked = np.arange(8), rank if of.extreme else None
    moved = np.abs(scores(of, asked, places, more) - scores(of, asked, places, np.array(counts)))
    assert moved.max() <= of.sensitivity


@pytest.mark.parametrize("share", [(1, 2), (1, 4), (9, 10), (0, 1), (1, 1)])
def test_the_sensitivity_is_reached(share: tuple[int, int]) -> None:
    of, places = total(share), np.arange(8)
    worst = 0
    for at in range(8):
        for counts in ([20] * 8, [0] * 7 + [20], [20] + [0] * 7):
            more = np.array(counts)
            more[at] += of.cap
            asked = 5 if of.extreme else None
            worst = max(worst, int(np.abs(scores(of, asked, places, more) - scores(of, asked, places, np.array(counts))).max()))
    assert worst == of.sensitivity


@given(share=SHARES, counts=st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_some_candidate_is_right(share: tuple[int, int], counts: list[int]) -> None:
    of = total(share)
    best = scores(of, 1 if of.extreme else None, np.arange(8), np.array(counts)).max()
    assert best == (0 if sum(counts) or not of.extreme else -1)


def test_counts_beyond_any_data_do_not_overflow() -> None:
    of = total((9999, 10000))
    found = scores(of, None, np.arange(8), np.full(8, 2**63 - 1))
    assert found.max() == 0
    assert found.min() < 0


def test_candidates_stay_inside_the_range() -> None:
    of = total((1, 2))
    assert [candidate(of, place) for place in range(of.candidates)] == [0, 10, 20, 30, 40, 50, 60, 67]


@given(SHARES, st.integers(1, 50), st.integers(1, 40), st.integers(1, 10**13))
@settings(max_examples=40, deadline=None)
def test_opendp_agrees_with_the_price(share: tuple[int, int], cap: int, groups: int, pico: int) -> None:
    plan = priced(total(share, cap), groups, max(pico, 10**4))
    check(whole(plan))
    _, losses = build(plan)
    assert losses["t0"][0] == pytest.approx(plan.draws[0].loss.pico_rho / PICO, rel=1e-9)


@pytest.mark.parametrize("change", ["cheaper", "finer", "more rows", "more groups", "another share"])
def test_any_other_price_is_refused(change: str) -> None:
    plan = priced(total((1, 2)))
    first = plan.draws[0]
    other = {
        "cheaper": dataclasses.replace(plan, draws=(dataclasses.replace(first, loss=Loss(first.loss.pico_rho * 999 // 1000)), plan.draws[1])),
        "finer": dataclasses.replace(plan, draws=(dataclasses.replace(first, scale=first.scale * 0.999), plan.draws[1])),
        "more rows": dataclasses.replace(plan, totals=(total((1, 2), 4), FEES)),
        "more groups": dataclasses.replace(plan, groups_per_unit=3),
        "another share": dataclasses.replace(plan, totals=(total((3, 4)), FEES)),
    }[change]
    check(whole(plan))
    with pytest.raises(Problem, match="plan_price_disagrees"):
        check(whole(other))


def test_bins_are_read_as_they_are() -> None:
    column = pa.chunked_array([pa.array([[{"bin": 3, "n": 2}], None], BINS), pa.array([[], [{"bin": 0, "n": 1}, {"bin": 7, "n": 9}]], BINS)])
    bins = Bins.of(column)
    rows = [tuple(part.tolist() for part in bins.row(row)) for row in range(4)]
    assert rows == [([3], [2]), ([], []), ([], []), ([0, 7], [1, 9])]
    with pytest.raises(TypeError):
        Bins.of(pa.chunked_array([pa.array([1, 2])]))


def test_bounded_totals_hold_bins_apart_and_say_nothing() -> None:
    plan = priced(total((1, 2)))
    table = Exact(pa.table({"k0": ["a"], "t0": pa.array([[{"bin": 1, "n": 987654321}]], BINS), "t1": [7]})).table
    bounded = Bounded.of(plan, table)
    assert set(bounded.totals) == {"t1"}
    assert "987654321" not in repr(bounded) + repr(bounded.bins["t0"])


def test_products_are_rounded_up() -> None:
    assert product_above(3, 0.1) >= 3 * 0.1 - 1e-17
    assert product_above(3, 0.1) in (0.30000000000000004, 0.3000000000000001)
    assert product_above(2, math.inf) == math.inf
