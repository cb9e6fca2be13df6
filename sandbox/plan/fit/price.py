"""The price of a model: its steps, how long a unit's contribution to each can be, and the share of rho that each draw gets.

A step is a discrete Gaussian on a vector that one unit moves by at most `cap` in L2, so it costs (cap / scale)² / 2 in rho; steps compose
adaptively (docs/proofs/model-steps.md). Shares follow what each draw is for:

- linear: everything on the moments of (1, features, target): one release answers the coefficients and their classical errors. For so
  few parameters it is well ahead of noisy gradients (Wang 2018, "Revisiting differentially private linear regression", section 5; measured
  in tests/bench/models.py).
- logistic, Poisson: Newton steps with noisy gradient and noisy Hessian (Avella-Medina, Bradshaw & Loh 2021, "Differentially private inference
  via noisy optimization", section 4). A Newton step forgets the error of the step before, so that the last gradient decides how exact the
  answer is: each step has GROWTH times the rho of the one before.
- k-means: equal shares for each round of counts and sums, the count weighted against the sums for the least error of centres (Su, Cao, Li,
  Bertino & Jin 2016, "Differentially private k-means clustering", section 4), then one count of final sizes and spreads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from policies.loss import MAX_PICO_RHO, PICO, Loss, pico_rho_for, split
from sandbox.plan import problems as refusals
from sandbox.plan.ask import Privacy
from sandbox.plan.fit.ask import Errors, FitAsk
from sandbox.plan.fit.plan import CURVED_BITS, FEATURE_BITS, RESIDUAL_BITS, SIZE_BITS, DrawName, Step, VectorDraw
from sandbox.plan.price import LARGEST_SCALE, scale_for

GROWTH = 1.6  # of rho from one Newton step to the next
HESSIAN = 25  # percent of a Newton step's rho
MEAT = 20  # percent of all for the spread of gradients, where robust errors are wanted
SIZES = 10  # percent of all for final sizes and spreads of clusters
MOST_BITS = 40  # of a cap: block sums of 2**16 units then fit 64 bits
_MEAT_BITS = 19  # of a gradient in the spread of gradients
_CENTRE = 0.225  # of centres' distance from the middle, in half ranges (Su et al., section 4.3)


def pairs(size: int) -> int:
    """Entries of a symmetric matrix."""
    return size * (size + 1) // 2


def count_weight(features: int) -> int:
    """How much a row counts beside its sums in a round of k-means, in features' units: noise then hurts centres least."""
    return int(2**FEATURE_BITS * math.sqrt(_CENTRE * math.sqrt(features)))


def _longest(name: DrawName, features: int, parameters: int) -> int:
    """The most that one row adds to a vector, in L2, rounded up: see docs/proofs/model-steps.md."""
    one = 2**FEATURE_BITS
    squares: int = {
        "moments": one**4 * pairs(features + 2),
        "gradient": (2**RESIDUAL_BITS * one) ** 2 * parameters,
        "hessian": 2 ** (2 * (2 * CURVED_BITS[0] + CURVED_BITS[1])) * pairs(parameters),
        "clusters": count_weight(features) ** 2 + one**2 * features,
        "sizes": 2 * (2**SIZE_BITS) ** 2,
    }[name]
    made: int = math.isqrt(squares - 1) + 1
    return made


def _weight(ask: FitAsk, name: DrawName) -> Fraction:
    """The most that a row's residual or curvature can be, in their units."""
    if name == "gradient" and ask.model == "linear":
        return Fraction(2)
    return Fraction(1, 4) if name == "hessian" and ask.model == "logistic" else Fraction(1)


def _draw(ask: FitAsk, name: DrawName, size: int, features: int, parameters: int, rows: int, pico: int, cut: Fraction) -> VectorDraw:
    if name == "meat":  # products of gradients that were cut to their own cap
        longest, _ = gradient_cap(ask, features, parameters, rows, cut)
        shift = max(0, longest.bit_length() - _MEAT_BITS)
        cap = -(-(longest**2) // 4**shift)  # what is squared has been clipped: this needs no margin
    else:
        longest = math.ceil(_longest(name, features, parameters) * _weight(ask, name))
        shift = max(0, (longest * rows).bit_length() - MOST_BITS)
        cap = with_margin(-(-math.ceil(longest * rows * cut) // 2**shift))
    scale = scale_for(cap, 1, pico)
    if scale > LARGEST_SCALE:
        raise refusals.NOISE_TOO_LARGE(asked=ask.privacy.asked, fragment=name)
    return VectorDraw(name, size, cap, shift, longest, scale, Loss(pico))


def with_margin(longest: int) -> int:
    """A cap such that a vector no longer than `longest` is surely seen to be within it: lengths are computed in doubles."""
    return longest + (longest >> 29) + 2


def gradient_cap(ask: FitAsk, features: int, parameters: int, rows: int, cut: Fraction) -> tuple[int, int]:
    """Cap and shift of one unit's gradient."""
    made = _draw(ask, "gradient", parameters, features, parameters, rows, PICO, cut)
    return made.cap, made.shift


def cut_of(ask: FitAsk, features: int, parameters: int, rows: int) -> Fraction:
    """The job's clip as a share of the longest contribution that ranges allow; at most 1."""
    if ask.clip is None:
        return Fraction(1)
    longest = {
        "linear": math.sqrt(pairs(features + 2)),
        "kmeans": math.sqrt(features + (count_weight(features) / 2**FEATURE_BITS) ** 2),
    }.get(ask.model, math.sqrt(parameters))
    return min(Fraction(1), Fraction(ask.clip) / Fraction(longest * rows))


def steps_of(ask: FitAsk, features: int, parameters: int, rows: int, errors: Errors, supposed: int) -> tuple[Step, ...]:
    """The steps, priced. Raises `plan_price_too_small`, `plan_noise_too_large`."""
    cut = cut_of(ask, features, parameters, rows)
    shares = _shares(ask, errors)
    names = [name for of_step in shares for name, _ in of_step]
    weights = tuple(weight for of_step in shares for _, weight in of_step)

    def made(pico: int) -> tuple[Step, ...]:
        parts = iter(split(pico, weights))
        steps = []
        for of_step in shares:
            draws = []
            for name, _ in of_step:
                part = next(parts)
                if part <= 0:
                    raise refusals.PRICE_TOO_SMALL(asked=ask.privacy.asked, parts=len(names))
                draws.append(_draw(ask, name, _size(ask, name, features, parameters), features, parameters, rows, part, cut))
            steps.append(Step(tuple(draws)))
        return tuple(steps)

    return made(_rho(ask.privacy, lambda: _for_accuracy(ask, made(PICO), supposed)))


def _size(ask: FitAsk, name: DrawName, features: int, parameters: int) -> int:
    clusters = ask.clusters or 0
    return {
        "moments": pairs(features + 2),
        "gradient": parameters,
        "hessian": pairs(parameters),
        "meat": pairs(parameters),
        "clusters": clusters * (features + 1),
        "sizes": clusters * 2,
    }[name]


def _shares(ask: FitAsk, errors: Errors) -> list[list[tuple[DrawName, int]]]:
    """Whole-numbered weights of every draw of every step."""
    if ask.model == "linear":
        first: list[list[tuple[DrawName, int]]] = [[("moments", 100 - MEAT if errors == "robust" else 100)]]
        return [*first, [("meat", MEAT)]] if errors == "robust" else first
    if ask.model == "kmeans":
        return [*[[("clusters", 100 - SIZES)] for _ in range(ask.steps)], [("sizes", SIZES * ask.steps)]]  # type: ignore[list-item]
    grown = [max(1, round(10**6 * GROWTH ** (step + 1 - ask.steps))) for step in range(ask.steps)]
    made: list[list[tuple[DrawName, int]]] = [[("gradient", one * (100 - HESSIAN)), ("hessian", one * HESSIAN)] for one in grown]
    return [*made, [("meat", sum(grown) * 100 * MEAT // (100 - MEAT))]] if errors == "robust" else made


def _rho(privacy: Privacy, for_accuracy: Callable[[], int]) -> int:
    if privacy.rho is not None:
        return min(int(Fraction(privacy.rho) * PICO), MAX_PICO_RHO)
    if privacy.accuracy is not None:
        return for_accuracy()
    assert privacy.epsilon is not None
    return pico_rho_for(privacy.epsilon, privacy.delta)


def _for_accuracy(ask: FitAsk, at_one: Sequence[Step], supposed: int) -> int:
    """The pico-rho at which the half-width expected of noise is the one asked: it falls with the root of rho."""
    wanted, _ = ask.privacy.wanted
    at = Fraction(expected_half_width(ask.model, ask.clusters or 1, at_one, supposed)).limit_denominator(10**12)
    pico = math.ceil((at / wanted) ** 2 * PICO)
    if pico > MAX_PICO_RHO:
        raise refusals.ACCURACY_UNKNOWN(asked=ask.privacy.asked, label=ask.model)
    return max(1, pico)


def standard_unit(draw: VectorDraw, gradient_shift: int) -> float:
    """What an integer of a draw is, in standardised values (of logistic and Poisson, residuals in parts of the target's largest value)."""
    bits = {
        "moments": 2 * FEATURE_BITS,
        "gradient": FEATURE_BITS + RESIDUAL_BITS,
        "hessian": 2 * CURVED_BITS[0] + CURVED_BITS[1],
        "meat": 2 * (FEATURE_BITS + RESIDUAL_BITS),
        "clusters": FEATURE_BITS,
        "sizes": SIZE_BITS,
    }[draw.name]
    return 2.0 ** ((2 * (draw.shift + gradient_shift) if draw.name == "meat" else draw.shift) - bits)


def expected_half_width(model: str, clusters: int, steps: Sequence[Step], rows: int) -> float:
    """The 95 % half-width that noise alone gives a parameter over standardised features, were there `rows` rows of features spread evenly over
    their ranges (variance 1/3), outcomes even (logistic) or a quarter of their largest value (Poisson), clusters of one size."""
    if model == "linear":
        draw = steps[0].draw("moments")
        one = draw.scale * standard_unit(draw, 0) * 3 / rows
    elif model == "kmeans":
        draw = steps[0].draw("clusters")
        one = draw.scale * standard_unit(draw, 0) * clusters / rows
    else:
        draw = [step.draw("gradient") for step in steps if "gradient" in step.names][-1]
        one = draw.scale * standard_unit(draw, 0) * 12 / rows
    return 1.96 * one
