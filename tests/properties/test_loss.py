"""Conversions of privacy loss: never below the true epsilon, and not needlessly above it."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import opendp.prelude as dp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from policies.loss import ATTO, MAX_PICO_RHO, PICO, Loss, pico_rho_for, split, zcdp_epsilon

RHO = st.floats(-9, 3).map(lambda power: 10.0**power)
DELTA = st.floats(-15, -1).map(lambda power: 10.0**power)
EPSILON = st.decimals("0.000001", "100", places=6)
DELTAS = st.integers(1, 10**17).map(lambda atto: Decimal(atto) / ATTO)
PICOS = st.one_of(st.integers(0, 10**6), st.integers(0, 10**14), st.integers(0, MAX_PICO_RHO))


def best_epsilon(rho: Fraction, delta: Fraction) -> Decimal:
    """Corollary 13 with 60 digits: the minimum over alpha by ternary search in its logarithm. No part of the code under test."""
    with localcontext() as context:
        context.prec = 60
        r, log_delta = Decimal(rho.numerator) / rho.denominator, (Decimal(delta.numerator) / delta.denominator).ln()

        def at(power: Decimal) -> Decimal:
            excess = power.exp()
            alpha = 1 + excess
            return alpha * r + (excess / alpha).ln() + (-log_delta - alpha.ln()) / excess

        low, high = Decimal(-25), Decimal(45)
        for _ in range(160):
            third = (high - low) / 3
            if at(low + third) < at(high - third):
                high -= third
            else:
                low += third
        return max(Decimal(0), at(low))


@settings(max_examples=25, deadline=None)
@given(RHO, DELTA)
@example(1e-12, 1e-18)
@example(1e6, 1e-18)
@example(1e-9, 0.4)
@example(0.02, 1e-8)
def test_epsilon_is_the_best_of_the_formula_and_never_below_it(rho: float, delta: float) -> None:
    ours, best = Decimal(zcdp_epsilon(rho, delta)), best_epsilon(Fraction(rho), Fraction(delta))
    assert best <= ours <= best * (1 + Decimal("1e-9")) + Decimal("1e-9")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**6), DELTA)
def test_epsilon_agrees_with_opendp(scale: int, delta: float) -> None:
    dp.enable_features("contrib")
    gaussian = dp.m.make_gaussian(dp.atom_domain(T=int), dp.absolute_distance(T=int), scale=float(scale))
    theirs = dp.c.make_zCDP_to_approxDP(gaussian).map(1).epsilon(delta)
    ours = zcdp_epsilon(gaussian.map(1), delta)
    assert theirs * (1 - 1e-9) <= ours <= theirs * (1 + 1e-6) + 1e-9


@settings(max_examples=200, deadline=None)
@given(st.floats(0.05, 1000), st.floats(-12, -2).map(lambda power: 10.0**power))
def test_epsilon_covers_the_gaussian_it_is_about(scale: float, delta: float) -> None:
    # exact privacy curve of the continuous Gaussian with sensitivity 1 (Balle & Wang 2018, theorem 8), which has rho = 1 / (2 scale²)
    epsilon = zcdp_epsilon(1 / (2 * scale**2), delta)
    spent = norm.cdf(0.5 / scale - epsilon * scale) - math.exp(epsilon + norm.logcdf(-0.5 / scale - epsilon * scale))
    assert spent <= delta


@settings(max_examples=60, deadline=None)
@given(EPSILON, DELTAS)
@example(Decimal("0.1"), Decimal("1e-8"))
@example(Decimal("100"), Decimal("1e-18"))
@example(Decimal("237.8"), Decimal("1e-8"))  # the nearest double is above it, and an epsilon lands on that double
def test_the_rho_for_an_epsilon_is_the_largest(epsilon: Decimal, delta: Decimal) -> None:
    pico = pico_rho_for(epsilon, delta)
    stated = Loss(pico).epsilon(delta)
    assert stated is not None
    assert stated <= epsilon
    # one more is over, unless the two cannot be told apart in double precision: then a relative 1e-9 more is
    more = max(pico + 1, math.ceil(pico * (1 + 1e-9)))
    assert best_epsilon(Fraction(more, PICO) * (1 + Fraction(1, 10**9)), Fraction(delta)) > epsilon * (1 - Decimal("1e-9"))


@settings(max_examples=100, deadline=None)
@given(PICOS, DELTAS, st.integers(0, 10**17))
def test_a_stated_epsilon_is_rounded_up(pico: int, delta: Decimal, spent: int) -> None:
    loss = Loss(pico, spent)
    left = Fraction(delta) - Fraction(spent, ATTO)
    stated = loss.epsilon(delta)
    if left <= 0:
        assert stated is None
    else:
        assert stated is not None
        assert stated >= best_epsilon(Fraction(pico, PICO), left) if pico else stated == 0
        assert stated == stated.quantize(Decimal("0.000001"))


@settings(deadline=None)
@given(PICOS, PICOS, PICOS, st.lists(st.integers(0, ATTO // 3), min_size=3, max_size=3))
def test_adding_is_exact_and_in_any_order(one: int, two: int, three: int, deltas: list[int]) -> None:
    a, b, c = (Loss(pico // 3, delta) for pico, delta in zip((one, two, three), deltas, strict=True))
    assert a + b + c == c + (a + b) == Loss(one // 3 + two // 3 + three // 3, sum(deltas))
    assert (a + b).covers(a)
    assert a.covers(a)
    assert Fraction((a + b).rho) == Fraction(a.rho) + Fraction(b.rho)
    assert Fraction((a + b).delta) == Fraction(a.delta) + Fraction(b.delta)


def test_a_cap_covers_in_both_coordinates() -> None:
    assert Loss(5, 5).covers(Loss(5, 5))
    assert not Loss(5, 5).covers(Loss(6, 0))
    assert not Loss(5, 5).covers(Loss(0, 6))


@settings(deadline=None)
@given(st.fractions(0, 10**6), st.fractions(0, 1))
def test_a_loss_is_made_rounding_up(rho: Fraction, delta: Fraction) -> None:
    loss = Loss.of(rho, delta)
    assert 0 <= loss.pico_rho - rho * PICO < 1
    assert 0 <= loss.atto_delta - delta * ATTO < 1


@pytest.mark.parametrize("bad", [(-1, 0), (0, -1), (1.0, 0), (True, 0), (MAX_PICO_RHO + 1, 0), (0, ATTO + 1), ("1", 0)])
def test_a_loss_that_makes_no_sense_cannot_be_built(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two integers"):
        Loss(*bad)


def test_floats_have_already_been_rounded_by_someone_else() -> None:
    for rho, delta in ((0.1, 0), (0, 0.1)):
        with pytest.raises(TypeError, match="floats"):
            Loss.of(rho, delta)  # type: ignore[arg-type]  # what is being refused


@pytest.mark.parametrize(("rho", "delta"), [(-1.0, 0.1), (1.0, 0.0), (math.nan, 0.1), (1.0, math.nan)])
def test_a_conversion_of_nonsense_is_refused(rho: float, delta: float) -> None:
    with pytest.raises(ValueError, match="rho must be"):
        zcdp_epsilon(rho, delta)


def test_no_loss_and_no_promise_need_no_epsilon() -> None:
    assert zcdp_epsilon(0, 1e-9) == zcdp_epsilon(5, 1.0) == 0.0
    assert Loss(0).epsilon(Decimal("1e-9")) == 0


@pytest.mark.parametrize(("epsilon", "delta"), [("0", "0.1"), ("-1", "0.1"), ("1", "0"), ("1", "1")])
def test_a_budget_of_nonsense_is_refused(epsilon: str, delta: str) -> None:
    with pytest.raises(ValueError, match="epsilon must be"):
        pico_rho_for(Decimal(epsilon), Decimal(delta))


def test_a_budget_past_all_meaning_is_capped() -> None:
    assert pico_rho_for(Decimal(10**10), Decimal("1e-8")) == MAX_PICO_RHO


@settings(deadline=None)
@given(PICOS, st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_a_split_never_exceeds_the_whole(pico: int, weights: list[int]) -> None:
    parts = split(pico, tuple(weights))
    assert pico - len(weights) < sum(parts) <= pico
    for part, weight in zip(parts, weights, strict=True):
        assert 0 <= Fraction(pico * weight, sum(weights)) - part < 1


@pytest.mark.parametrize("weights", [(), (1, 0), (-1, 2)])
def test_weights_are_positive(weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="positive"):
        split(10, weights)
