"""One price for many queries: rho divided so that the sum over all queries of squared relative errors to expect is least.

Within a query rho is split so that its summed error is (Σ a)² / rho, a being each total's sensitivity · √groups over its supposed size. The
sum of those over queries under a given sum of rho is least where a query's rho is proportional to its Σ a: as if all totals of all
queries were one query's. In zCDP rho and delta add up, so queries at these shares together cost what was given. Half of delta is shared
evenly by the queries with private keys; the rest states epsilon. Pure DP divides epsilon, by (sensitivity · groups / size) ** (2/3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_DOWN, Context, Decimal
from fractions import Fraction

from policies.loss import MAX_PICO_RHO, PICO, pico_rho_for, split
from sandbox.plan import problems as refusals
from sandbox.plan.accuracy import FINEST, Supposed, relative_moves
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.model import Part, Plan

MOST_QUERIES = 100
_DOWN = Context(prec=30, rounding=ROUND_DOWN)


def provisional(ask: Ask, privacy: Privacy) -> Ask:
    """What a query is compiled with to learn its share: an ample price of the kind that was asked."""
    if privacy.accuracy is not None:
        return ask.model_copy(update={"privacy": privacy})
    ample = Privacy(epsilon=Decimal(10**6), delta=Decimal(0)) if privacy.pure else Privacy(rho=Decimal(10**6), delta=privacy.delta)
    return ask.model_copy(update={"privacy": ample})


def shares(plans: Sequence[Plan], privacy: Privacy) -> list[Privacy]:
    """What each query may spend of the whole, in order. With an accuracy each is priced by itself. Raises `plan_price_too_small`."""
    if privacy.accuracy is not None or not plans:
        return [privacy] * len(plans)
    wants = [sum(_want(part, pure=privacy.pure) for part in plan.parts) for plan in plans]
    weights = tuple(max(1, round(FINEST * want / max(wants))) for want in wants)
    if privacy.pure:
        whole = Fraction(privacy.epsilon if privacy.epsilon is not None else 0) * PICO
        if privacy.rho is not None:  # charged epsilon²/2 for each query
            whole = Fraction(math.isqrt(int(2 * Fraction(privacy.rho) * PICO * PICO) * sum(weights) ** 2 // sum(w * w for w in weights)))
        return [Privacy(epsilon=part, delta=Decimal(0)) for part in _divided(int(whole), weights, privacy.asked)]
    hidden = [plan for plan in plans if not plan.public_keys]
    left = privacy.delta / 2 if hidden else privacy.delta
    pico = (
        min(int(Fraction(privacy.rho) * PICO), MAX_PICO_RHO) if privacy.rho is not None else pico_rho_for(privacy.epsilon or Decimal(0), left)
    )
    delta = _DOWN.divide(privacy.delta, Decimal(max(1, len(hidden))))
    return [
        Privacy(rho=part, delta=privacy.delta if plan.public_keys else delta)
        for part, plan in zip(_divided(pico, weights, privacy.asked), plans, strict=True)
    ]


def _divided(pico: int, weights: tuple[int, ...], asked: str) -> list[Decimal]:
    parts = split(pico, weights)
    if min(parts) <= 0:
        raise refusals.PRICE_TOO_SMALL(asked=asked, parts=len(weights))
    return [Decimal(part).scaleb(-12) for part in parts]


def _want(part: Part, *, pure: bool) -> float:
    supposed = Supposed({total.name: total for total in part.totals}, part.expected_rows, part.rows_per_group)
    moves = [float(relative_moves(total, supposed)) for total in part.totals]
    if pure:
        return math.fsum((move * part.groups_per_unit) ** (2 / 3) for move in moves)
    return math.fsum(moves) * math.sqrt(part.groups_per_unit)
