"""The draw: exact totals in, a table that may be shown out. One call is one release of noise; nothing here draws twice."""

from __future__ import annotations

from contextlib import suppress

from sandbox.noise import keys as wire
from sandbox.noise.chain import checked
from sandbox.noise.space import Database, Totals
from sandbox.noisy import NoisyTable
from sandbox.plan.model import Plan
from sandbox.raw.failure import JOB_FAILED


def draw(plan: Plan, totals: Totals) -> NoisyTable:
    """Draw the noise that the plan prices, once.

    The measurement invoked is the object whose map has just been compared with the price (`plan_price_disagrees` otherwise, before the
    totals are touched). Whatever goes wrong after that is `job_failed`, constant, without cause or context.
    """
    chain = checked(plan)
    with suppress(Exception):
        answer = chain.measurement(Database(totals))
        if chain.first is None:
            drawn = {draw.total: list(column) for draw, column in zip(plan.draws, answer, strict=True)}
            return NoisyTable.of(plan, wire.product(plan.keys), drawn)
        chosen = answer(chain.first)
        released, keys = wire.read_sorted(plan.keys, list(chosen))
        drawn = {plan.draws[0].total: [chosen[text] for text in released]}
        for later in plan.draws[1:]:
            drawn[later.total] = list(answer(chain.rest(later, released)))
        return NoisyTable.of(plan, keys, drawn)
    raise JOB_FAILED()  # outside any handler: no traceback keeps what was in hand
