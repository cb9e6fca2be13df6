"""Expected values as tables of integers, the same on every machine: a library's exp may differ in its last bit from another's."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache

from sandbox.plan.fit.ask import ModelName
from sandbox.plan.fit.plan import RESIDUAL_BITS, FitPlan

POINTS = 128  # to 1 of the linear predictor: between two, a straight line is off by less than 2**-20
REACH = 16  # past it the curves are flat to 2**-20


def curve_table(plan: FitPlan) -> tuple[int, tuple[int, ...]]:
    """The number of the first point and the expected target at it and the following ones, in 2**-20 of the target's largest value. Point i is
    at i / POINTS of the linear predictor; before the first and after the last the curve is flat."""
    assert plan.target is not None
    return _table(plan.model, str(plan.target.ends[1].numerator), str(plan.target.ends[1].denominator))


@lru_cache(maxsize=64)
def _table(model: ModelName, numerator: str, denominator: str) -> tuple[int, tuple[int, ...]]:
    one = Decimal(2**RESIDUAL_BITS)
    with localcontext() as context:
        context.prec = 30  # exp is correctly rounded at that, whatever the machine
        if model == "logistic":
            numbers = range(-REACH * POINTS, REACH * POINTS + 1)
            return numbers[0], tuple(int((one / (1 + (-Decimal(number) / POINTS).exp())).to_integral_value()) for number in numbers)
        most = Decimal(numerator) / Decimal(denominator)
        last = int((most.ln() * POINTS).to_integral_value(rounding="ROUND_CEILING"))
        numbers = range(last - REACH * POINTS, last + 1)
        return numbers[0], tuple(int(min(one, one * (Decimal(number) / POINTS).exp() / most).to_integral_value()) for number in numbers)
