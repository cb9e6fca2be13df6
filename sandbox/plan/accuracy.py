"""From public facts to a price: how rho is split over totals, and how much of it a wanted accuracy takes.

The public facts are the catalogue's approximate number of rows and the declared ranges: a group is supposed to hold `Plan.expected_rows` rows
with values about the middle of their range. Nothing here looks at data, so a wanted accuracy is met where the supposition holds; what was
really met stands beside each answer as its half-width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from policies.loss import MAX_PICO_RHO, split
from sandbox.plan import problems as refusals
from sandbox.plan.model import Total
from sandbox.plan.price import MAX_PICO_EPSILON, pure_scale_for, scale_for
from sandbox.plan.spread import Noise, Spread
from sandbox.plan.width import Form, Linear, Moved, Ratio, Unsaid, expected_width, variance

FINEST = 10**6  # weights are whole numbers up to this


@dataclass(frozen=True, slots=True)
class Supposed:
    """What a group is supposed to hold: `rows` rows, a unit having the most it may."""

    totals: Mapping[str, Total]
    rows: int
    rows_per_group: int

    def size(self, total: Total) -> Fraction:
        """A total's supposed absolute value, in its own units; never 0."""
        if total.kind == "units":
            return max(Fraction(1), Fraction(self.rows, self.rows_per_group))
        if total.kind == "quantile":  # its scores: ranks, times the denominator
            return Fraction(self.rows * total.quantile[1])
        return self.rows * middle(total)

    def value(self, form: Form) -> float | None:
        """An output's supposed absolute value; None where nothing can be supposed."""
        if isinstance(form, Unsaid):
            return None
        if isinstance(form, Moved):
            return self.value(form.of) if form.gain is None else None
        if isinstance(form, Spread):
            return form.half / math.sqrt(3) if form.root else form.half**2 / 3
        if isinstance(form, Ratio):
            if form.span is not None:  # an average
                ((name, unit),) = form.over.terms.items()
                return float(middle(self.totals[name]) * unit)
            over, under = self._linear(form.over), self._linear(form.under)
            return over / under if over and under else None
        return self._linear(form)

    def _linear(self, form: Linear) -> float | None:
        if form.constant is None:
            return None
        return float(abs(sum((c * self.size(self.totals[name]) for name, c in form.terms.items()), form.constant))) or None

    def width(self, form: Form, noise: Noise) -> float | None:
        """An output's supposed half-width."""
        if isinstance(form, Moved) and form.gain is None:
            inner = self.width(form.of, noise)
            return None if inner is None else inner + float(form.slack)
        if isinstance(form, Ratio) and form.span is None:
            ratio, under = self.value(form), self._linear(form.under)
            if ratio is None or under is None:
                return None
            v1, v2, cov = (variance(*pair, noise) for pair in ((form.over, form.over), (form.under, form.under), (form.over, form.under)))
            return noise.z * math.sqrt(max(v1 + ratio**2 * v2 + 2 * ratio * abs(cov), 0)) / under
        return expected_width(form, noise, self.rows)


def middle(total: Total) -> Fraction:
    """What a row's value is supposed to be, in absolute value: the middle of its range, but at least a quarter of its length."""
    if total.kind in ("units", "count", "distinct"):
        return Fraction(1)
    return max(abs(Fraction(total.low + total.high, 2) + total.centre), Fraction(total.high - total.low, 4))


def relative_moves(total: Total, supposed: Supposed) -> Fraction:
    """How far a unit moves a total within one key, relative to its supposed size; of a tree, the sum over its quantiles."""
    return sum((one.sensitivity / supposed.size(one) for one in total.apart), Fraction(0))


def best_weights(totals: Sequence[Total], supposed: Supposed, *, pure: bool = False) -> tuple[int, ...]:
    """Weights that minimise the sum of squared relative errors.

    Total i, of supposed size e, gets noise of variance proportional to (sensitivity / e)² / rho_i relative to itself; the sum of these under a
    given sum of rho_i is least where rho_i is proportional to sensitivity / e (Cauchy-Schwarz). Pure DP splits epsilon, the variance going
    with (sensitivity / e)² / epsilon_i²: least where epsilon_i is proportional to (sensitivity / e) ** (2/3) (Hölder).
    """
    shares = [relative_moves(total, supposed) for total in totals]
    most = max(shares)
    return tuple(max(1, round(FINEST * float(share / most) ** (2 / 3) if pure else FINEST * share / most)) for share in shares)


def rho_for(
    wanted: Fraction,
    relative: bool,
    outputs: Sequence[tuple[str, Form]],
    totals: Sequence[Total],
    weights: Sequence[int],
    groups: int,
    supposed: Supposed,
    asked: str,
    *,
    pure: bool = False,
) -> int:
    """The least pico-rho (pure: pico-epsilon) at which every output's supposed half-width is within `wanted` (where `relative`, a share of
    its supposed value).

    Raises `plan_accuracy_unknown` for an output of which nothing can be supposed, `plan_accuracy_unreachable` where no price is enough.
    """
    goals = []
    for label, form in outputs:
        value = supposed.value(form) if relative else 1.0
        if value is None or supposed.width(form, Noise({total.name: 1.0 for total in totals})) is None:
            raise refusals.ACCURACY_UNKNOWN(asked=asked, label=label)
        goals.append((label, form, float(wanted) * value))

    def missed(pico: int) -> str | None:
        """The first output that this much rho leaves too far off."""
        parts = split(pico, tuple(weights))
        if min(parts) <= 0:
            return goals[0][0]
        scales = {
            total.name: pure_scale_for(total, groups, part) if pure else scale_for(total.sensitivity, groups * total.levels, part)
            for total, part in zip(totals, parts, strict=True)
        }
        return next((label for label, form, goal in goals if (supposed.width(form, Noise(scales, pure)) or 0.0) > goal), None)

    most = MAX_PICO_EPSILON if pure else MAX_PICO_RHO
    first = missed(most)
    if first is not None:
        raise refusals.ACCURACY_UNREACHABLE(asked=asked, label=first)
    return least(lambda pico: missed(pico) is None, most)


def least(enough: Callable[[int], bool], high: int) -> int:
    """The least whole number up to `high` that is enough, given that `high` is."""
    low = 1
    while low < high:
        between = (low + high) // 2
        low, high = (low, between) if enough(between) else (between + 1, high)
    return high
