"""Expected values as tables of integers, the same on every machine: a library's exp may differ in its last bit from another's."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext
from fractions import Fraction

from sandbox.plan.fit.ask import ModelName
from sandbox.plan.fit.plan import RESIDUAL_BITS

POINTS = 128  # to 1 of the linear predictor: between two, a straight line is off by less than 2**-20
REACH = 16  # past it the curves are flat to 2**-20


def curve_table(model: ModelName, most: Fraction) -> tuple[int, tuple[int, ...]]:
    """The number of the first point and the expected target at it and the following ones, in 2**-20 of `most`, the target's largest value.
    Point i is at i / POINTS of the linear predictor; before the first and after the last the curve is flat."""
    one = Decimal(2**RESIDUAL_BITS)
    with localcontext() as context:
        context.prec = 30  # exp and ln are correctly rounded at that, whatever the machine
        if model == "logistic":
            numbers = range(-REACH * POINTS, REACH * POINTS + 1)
            return numbers[0], tuple(int((one / (1 + (-Decimal(number) / POINTS).exp())).to_integral_value()) for number in numbers)
        top = Decimal(most.numerator) / Decimal(most.denominator)
        last = int((top.ln() * POINTS).to_integral_value(rounding=ROUND_CEILING))
        numbers = range(last - REACH * POINTS, last + 1)
        return numbers[0], tuple(int(min(one, one * (Decimal(number) / POINTS).exp() / top).to_integral_value()) for number in numbers)
