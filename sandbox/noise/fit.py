"""A step of a model as one OpenDP measurement, its privacy read off OpenDP's own map, and the draw.

    DB ▸ bounding ▸ composition of (vector ▸ discrete Gaussian), all in zCDP; steps compose adaptively.

What is ours to prove is that one unit moves a step's vector by at most the draw's cap in L2, whatever the public parameters are
(docs/proofs/model-steps.md). Everything after it is OpenDP's.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.loss import Loss
from sandbox.noise import dp
from sandbox.noise.chain import agree, disagreement, in_full
from sandbox.noise.keys import Index
from sandbox.noise.rounding import root_above
from sandbox.noise.space import Database, Totals, database_space, quiet, units
from sandbox.plan.fit.plan import DrawName, FitPlan, Step
from sandbox.raw.failure import JOB_FAILED
from sandbox.redacted import Redacted

_VECTOR = dp.vector_domain(dp.atom_domain(T="i64"))
_L2 = dp.l2_distance(T=float)
_ZCDP = dp.approximate(dp.zero_concentrated_divergence())
Drawn = dict[DrawName, list[int]]  # a step's noisy vectors: paid for, may be printed


@dataclass(frozen=True, slots=True, repr=False)
class Summed(Redacted):
    """A member of SUMMED: a step's exact vectors after each unit's contribution was clipped."""

    vectors: dict[DrawName, list[int]]

    @classmethod
    def of(cls, step: Step, totals: Totals) -> Summed:
        values = totals.table.column("value").to_pylist()
        if len(values) != step.size:
            raise TypeError("the vector is not the step's")
        return cls(step.split(values))


def summed_space(plan: FitPlan, place: int) -> tuple[Any, Any]:
    """SUMMED: what the raw room gives for a step; distance: units whose clipped contribution was added or removed. Caps are in the name."""
    step = plan.steps[place]
    what = {
        "model": plan.model,
        "step": place,
        "rows": hashlib.sha256(plan.rows_sql.encode()).hexdigest(),
        "caps": {draw.name: [draw.size, draw.cap] for draw in step.draws},
    }
    domain = dp.user_domain(f"step of a model {json.dumps(what, sort_keys=True)}", lambda member: isinstance(member, Summed), descriptor=what)
    return domain, dp.user_distance(f"clipped contributions of units of {plan.space}")


def bounding(plan: FitPlan, place: int) -> Any:
    """DB → SUMMED, stability d ↦ d: the raw room's step treats every unit alone."""
    step = plan.steps[place]

    def summed(database: Database) -> Summed:
        return Summed.of(step, database.totals)

    return dp.t.make_user_transformation(
        *database_space(plan.space, plan.scans), *summed_space(plan, place), quiet(summed), lambda d_in: units(d_in)
    )


def vector(plan: FitPlan, place: int, name: DrawName) -> Any:
    """SUMMED → (vector of int64, L2): d units move it by at most d·cap."""
    cap = plan.steps[place].draw(name).cap

    def chosen(summed: Summed) -> Index:
        return np.array(summed.vectors[name], dtype=np.int64)

    return dp.t.make_user_transformation(
        *summed_space(plan, place), _VECTOR, _L2, quiet(chosen), lambda d_in: root_above((units(d_in) * cap) ** 2)
    )


def checked_step(plan: FitPlan, place: int) -> Any:
    """The measurement of a step over DB, after OpenDP's map for one unit has agreed with the price of every draw and of the step. Raises
    `plan_price_disagrees`."""
    step = plan.steps[place]
    price = Loss(0)
    for draw in step.draws:
        price = price + draw.loss
    made: list[Any] = []
    with suppress(dp.OpenDPException, ValueError, OverflowError, TypeError):
        made = [vector(plan, place, draw.name) >> dp.m.then_gaussian(scale=draw.scale) for draw in step.draws]
    if len(made) != len(step.draws):
        raise disagreement(price, "—", "—")
    for draw, one in zip(step.draws, made, strict=True):
        agree(draw.loss, (one.map(1), 0.0), grains=1)
    whole = bounding(plan, place) >> dp.c.make_composition(made)
    agree(price, (whole.map(1), 0.0), grains=len(made))
    return whole


def check_fit(plan: FitPlan) -> None:
    """Raise `plan_price_disagrees` unless the price is what OpenDP proves, draw by draw, step by step and in total. Reads no row.

    What a later step measures depends on what earlier ones released, through its parameters; its loss does not."""
    losses = [(checked_step(plan, place).map(1), 0.0) for place in range(len(plan.steps))]
    try:
        together = dp.c.make_adaptive_composition(*database_space(plan.space, plan.scans), _ZCDP, d_in=1, d_mids=losses)
        whole = together.map(1)
    except (dp.OpenDPException, ValueError, OverflowError, TypeError):
        whole = (float("inf"), 1.0)
    agree(plan.loss, in_full(whole), grains=sum(len(step.draws) for step in plan.steps))


def draw_step(plan: FitPlan, place: int, totals: Totals) -> Drawn:
    """Draw a step's noise, once, with the measurement whose map has just been compared with the price. Whatever goes wrong after that is
    `job_failed`, constant, without cause or context."""
    measurement = checked_step(plan, place)
    with suppress(Exception):
        found = measurement(Database(totals))
        return {draw.name: list(values) for draw, values in zip(plan.steps[place].draws, found, strict=True)}
    raise JOB_FAILED()  # outside any handler: no traceback keeps what was in hand


def unnoised_step(plan: FitPlan, place: int, totals: Totals) -> Drawn:
    """What would be drawn if nothing were added: for tests on files one already holds, alone."""
    return Summed.of(plan.steps[place], totals).vectors
