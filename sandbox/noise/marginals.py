"""One charge's look at exact marginals: what is measured and chosen may depend on what was seen before, what it costs in all may not.

    bounding ▸ OpenDP's privacy filter in zCDP, of the loss reserved
        ▸ (a marginal as a vector, L2 ▸ discrete Gaussian)         by how much one unit moves it: `rows_per_unit`
        ▸ (scores of candidates, L∞ ▸ noisy max with Gumbel noise)  their largest weight times `rows_per_unit`, in grains

A filter answers any sequence of measurements, each chosen in view of the answers before it, as long as their losses add up to no more than
was reserved (Whitehouse, Ramdas, Rogers & Wu 2023, for zCDP). Ours to prove are the stability maps (docs/proofs/synthetic.md). What is not
used up stays charged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from policies.loss import PICO
from sandbox.noise import dp
from sandbox.noise.chain import PRICE_DISAGREES, TOLERANCE
from sandbox.noise.rounding import float_above
from sandbox.noise.space import Database, Totals, database_space, quiet, units
from sandbox.plan.price import scale_for
from sandbox.plan.synthetic import Clique, SyntheticPlan
from sandbox.raw.failure import JOB_FAILED
from sandbox.redacted import Redacted

GRAIN = 2**8  # scores are whole numbers: counts in 256ths, so that a guess is rounded by little
_FILTER_SLACK = 1e-9  # OpenDP adds losses as floats, each sum rounded up
_VECTOR = dp.vector_domain(dp.atom_domain(T="i64"))
_SCORES = _VECTOR, dp.linf_distance(T="i64")
_ZCDP = dp.zero_concentrated_divergence()

Index = npt.NDArray[np.int64]
Guess = npt.NDArray[np.float64]


class Marginals(Redacted):
    """A member of the bounded space: each candidate's counts, after bounding."""

    __slots__ = ("_counts",)

    def __init__(self, plan: SyntheticPlan, table: pa.Table) -> None:
        places, cells, counts = (table.column(name).to_numpy() for name in ("marginal", "cell", "n"))
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], np.arange(len(plan.candidates) + 1))
        self._counts: dict[Clique, Index] = {}
        for number, columns in enumerate(plan.candidates):
            rows = order[ends[number] : ends[number + 1]]
            dense = np.zeros(plan.cells(columns), dtype=np.int64)
            dense[cells[rows]] = counts[rows]
            self._counts[columns] = dense

    def of(self, columns: Clique) -> Index:
        return self._counts[columns]


def bounded_space(plan: SyntheticPlan) -> tuple[Any, Any]:
    """All members for this plan's levels and bounds; distance: units whose bounded rows were added or removed."""
    name = f"bounded marginals {plan.digest}"
    domain = dp.user_domain(name, lambda member: isinstance(member, Marginals), descriptor={"rows_per_unit": plan.rows_per_unit})
    return domain, dp.user_distance(f"bounded rows of units of {plan.space}")


def bounding(plan: SyntheticPlan) -> Any:
    """DB → marginals, stability d ↦ d: what stays of a unit is a function of its own rows."""

    def step(database: Database) -> Marginals:
        return Marginals(plan, database.totals.table)

    return dp.t.make_user_transformation(*database_space(plan.space, plan.scans), *bounded_space(plan), quiet(step), lambda d_in: d_in)


def moved(plan: SyntheticPlan) -> Callable[[int], float]:
    """d units move a marginal by at most d·rows_per_unit in L1, so in L2 too: all their rows may lie in one cell."""
    return lambda d_in: float_above(units(d_in) * plan.rows_per_unit)


def marginal(plan: SyntheticPlan, columns: Clique, scale: float) -> Any:
    """One marginal with discrete Gaussian noise: a zCDP measurement."""

    def step(member: Marginals) -> Index:
        return member.of(columns)

    vector = dp.t.make_user_transformation(*bounded_space(plan), _VECTOR, dp.l2_distance(T=float), quiet(step), moved(plan))
    return vector >> dp.m.then_gaussian(scale=scale)


def scores(exact: Index, guess: Guess, level: float, weight: int) -> int:
    """A candidate's: its weight times how far its counts are from the guess in L1, above the level, in grains. Moving one row moves it by at
    most the weight's GRAIN."""
    guessed = np.rint(guess * GRAIN).astype(np.int64)
    return weight * (int(np.abs(exact * GRAIN - guessed).sum()) - round(level * GRAIN))


def selection(
    plan: SyntheticPlan, candidates: Sequence[Clique], weights: Sequence[int], guesses: Sequence[Guess], levels: Sequence[float], scale: float
) -> Any:
    """The place of the candidate whose score plus Gumbel noise is the largest: a zCDP measurement."""

    def step(member: Marginals) -> Index:
        given = zip(candidates, weights, guesses, levels, strict=True)
        return np.array([scores(member.of(columns), guess, level, weight) for columns, weight, guess, level in given], dtype=np.int64)

    each = sensitivity(plan, weights)
    scored = dp.t.make_user_transformation(*bounded_space(plan), *_SCORES, quiet(step), lambda d_in: units(d_in) * each)
    return scored >> dp.m.then_noisy_max(_ZCDP, scale=scale)


def sensitivity(plan: SyntheticPlan, weights: Sequence[int]) -> int:
    """By how much one unit moves any candidate's score."""
    return max(weights) * plan.rows_per_unit * GRAIN


def filtered(plan: SyntheticPlan) -> Any:
    """The whole charge as one measurement over DB: OpenDP's filter of the loss reserved, a hair of float addition included."""
    odometer = dp.c.make_fully_adaptive_composition(*bounded_space(plan), _ZCDP)
    reserved = float(Fraction(plan.loss.pico_rho, PICO))
    return bounding(plan) >> dp.c.make_privacy_filter(odometer, d_in=1, d_out=reserved)


def check(plan: SyntheticPlan) -> None:
    """Raise `plan_price_disagrees` unless OpenDP's map of the whole charge is the price, and its maps of a measurement and of a choice at a
    round's usual cost are what the plan counts for them. Reads no row."""
    try:
        checked(plan)
        pico = plan.loss.pico_rho // 10
        first, weights = next(iter(plan.candidates)), list(plan.candidates.values())
        _agreed(marginal(plan, first, _gaussian_scale(plan, pico)), pico)
        nothing = [np.zeros(plan.cells(columns)) for columns in plan.candidates]
        _agreed(selection(plan, list(plan.candidates), weights, nothing, [0.0] * len(weights), _gumbel_scale(plan, weights, pico)), pico)
    except (dp.OpenDPException, ValueError, OverflowError, TypeError):
        pass
    else:
        return
    raise PRICE_DISAGREES(price_rho=plan.loss.rho, price_delta=plan.loss.delta, map_rho="—", map_delta="—")


def checked(plan: SyntheticPlan) -> Any:
    """The charge as one measurement, its map compared with the price. Raises `plan_price_disagrees`."""
    measurement = filtered(plan)
    proved, price = Fraction(measurement.map(1)), Fraction(plan.loss.pico_rho, PICO)
    if not proved * (1 - TOLERANCE) <= price <= proved * (1 + TOLERANCE) + Fraction(1, PICO) or plan.loss.atto_delta:
        raise PRICE_DISAGREES(price_rho=plan.loss.rho, price_delta=plan.loss.delta, map_rho=repr(float(proved)), map_delta="0")
    return measurement


class Looks(Redacted):
    """What may look at exact marginals, within one charge: `sandbox.synthetic.adapt.Instrument`.

    Every measurement's own map is compared with what is counted for it before it is made. Whatever goes wrong from then on is `job_failed`."""

    def __init__(self, plan: SyntheticPlan, totals: Totals) -> None:
        """Opens the filter over the totals. Raises `plan_price_disagrees` before the totals are touched, `job_failed` after."""
        self._plan = plan
        measurement = checked(plan)
        # So much less than the price may be spent: OpenDP's sum of floats, rounded up at each step, then stays below its own limit.
        self._left = plan.loss.pico_rho - math.ceil(plan.loss.pico_rho * _FILTER_SLACK)
        self._queryable = _constant(lambda: measurement(Database(totals)))

    @property
    def left(self) -> int:
        """Of the loss reserved, in pico-rho."""
        return self._left

    def measure(self, columns: Clique, pico_rho: int) -> tuple[list[int], float]:
        """A marginal with noise for that price, and the noise's standard deviation."""
        counts = list(self._ask(lambda: marginal(self._plan, columns, _gaussian_scale(self._plan, pico_rho)), pico_rho))
        return counts, _gaussian_scale(self._plan, pico_rho)

    def choose(
        self, candidates: Sequence[Clique], weights: Sequence[int], guesses: Sequence[Guess], levels: Sequence[float], pico_rho: int
    ) -> int:
        """The place of a candidate whose weight times (distance in L1 from the guess, less the level) is nearly the largest."""

        def build() -> Any:
            return selection(self._plan, candidates, weights, guesses, levels, _gumbel_scale(self._plan, weights, pico_rho))

        return int(self._ask(build, pico_rho))

    def _ask(self, build: Callable[[], Any], pico_rho: int) -> Any:
        def answered() -> Any:
            if not 0 < pico_rho <= self._left:
                raise ValueError("more than was reserved")
            measurement = build()
            _agreed(measurement, pico_rho)
            self._left -= pico_rho  # before it is made: a measurement that fails is spent
            return self._queryable(measurement)

        return _constant(answered)


def _gaussian_scale(plan: SyntheticPlan, pico_rho: int) -> float:
    return scale_for(plan.rows_per_unit, 1, pico_rho)


def _gumbel_scale(plan: SyntheticPlan, weights: Sequence[int], pico_rho: int) -> float:
    """Choosing by Gumbel noise of scale s costs (sensitivity / s)² / 2, as in sandbox.plan.price."""
    return scale_for(sensitivity(plan, weights), 1, pico_rho)


def _agreed(measurement: Any, pico_rho: int) -> None:
    """Raise ValueError unless OpenDP's map for one unit is what is counted: never above, and below by at most 1e-9."""
    counted, proved = Fraction(pico_rho, PICO), Fraction(measurement.map(1))
    if not proved <= counted <= proved * (1 + TOLERANCE) + Fraction(1, PICO):
        raise ValueError("the price of a look is not what OpenDP proves")


def _constant(compute: Callable[[], Any]) -> Any:
    """What `compute` gives; `job_failed`, without cause or context, for whatever it raises."""
    with suppress(Exception):
        return compute()
    raise JOB_FAILED()
