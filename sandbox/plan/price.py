"""The price, from the plan alone: what the job asks for, split over its totals, and the noise that this buys.

Each total is a vector over keys; one unit moves at most `groups` of its elements by at most `cap`, so by `cap`·√groups in L2, and a
discrete Gaussian of standard deviation s costs (cap·√groups / s)² / 2 in rho (Canonne, Kamath & Steinke 2020, theorem 4). Choosing among
candidates by Gumbel noise of scale s costs as much, with what one unit moves a candidate's score by in place of `cap`
(docs/proofs/noisy-max.md). With private keys half of the job's delta goes to the threshold on bounded unit counts, the rest to stating
epsilon (docs/proofs/bounding.md).

At delta 0 the job asks for pure DP. A vector then moves by `cap`·groups in L1 and discrete Laplace noise of parameter s costs epsilon
cap·groups / s; a choice, exponential noise of scale s and 2·sensitivity·groups / s. Epsilons add up to the job's. The ledger is charged
epsilon²/2 in rho for each (docs/proofs/pure.md). At equal rho a Gaussian has half the variance, so it is drawn unless delta is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from policies.loss import ATTO, MAX_PICO_RHO, PICO, Loss, pico_rho_for, split
from sandbox.plan import problems as refusals
from sandbox.plan.ask import Privacy
from sandbox.plan.model import Draw, Total

# Noise is scaled up by this much, so that OpenDP's map, which rounds every step up, stays below the price; well inside the 1e-9 of agreement.
MARGIN = 1e-11
LARGEST_SCALE = 2.0**56
MAX_PICO_EPSILON = math.isqrt(2 * MAX_PICO_RHO * PICO)  # whose square over two is the largest rho
_FLOAT_GRAIN = 2.0**-52  # OpenDP's delta map works in doubles near 1, with this much rounding per key


@dataclass(frozen=True, slots=True)
class Pure:
    """The most a job may cost, as pure DP: epsilon in 1e-12."""

    pico_epsilon: int


def asked_loss(privacy: Privacy, *, private_keys: bool, groups: int, weights: Sequence[int], for_accuracy: Callable[[], int]) -> Loss | Pure:
    """The most the job may cost; `for_accuracy` finds the pico-rho (or, pure, the pico-epsilon) of a wanted accuracy. Raises
    `plan_delta_too_small`, `plan_pure_private_keys` and what `for_accuracy` does."""
    if privacy.pure:
        if private_keys:
            raise refusals.PURE_PRIVATE_KEYS()
        return Pure(min(_pure(privacy, weights, for_accuracy), MAX_PICO_EPSILON))
    atto = int(Fraction(privacy.delta) * ATTO / 2) if private_keys else 0
    least = 8 * (groups + 2) * _FLOAT_GRAIN
    if private_keys and atto / ATTO < least:
        raise refusals.DELTA_TOO_SMALL(asked=privacy.delta, limit=f"{Decimal(2 * least):.1E}")
    if privacy.rho is not None:
        pico = min(int(Fraction(privacy.rho) * PICO), MAX_PICO_RHO)
    elif privacy.accuracy is not None:
        pico = for_accuracy()
    else:
        assert privacy.epsilon is not None
        with localcontext() as context:
            context.prec = 80
            left = privacy.delta - Decimal(atto) / ATTO
        pico = pico_rho_for(privacy.epsilon, left)
    return Loss(pico, atto)


def _pure(privacy: Privacy, weights: Sequence[int], for_accuracy: Callable[[], int]) -> int:
    """Pico-epsilon. A rho is what is charged: with epsilon split by weights w, epsilon²·Σw²/(Σw)²/2, each part rounded up."""
    if privacy.epsilon is not None:
        return int(Fraction(privacy.epsilon) * PICO)
    if privacy.rho is None:
        return for_accuracy()
    pico = min(int(Fraction(privacy.rho) * PICO), MAX_PICO_RHO) - len(weights)
    return math.isqrt(max(0, 2 * pico * PICO * sum(weights) ** 2 // sum(weight * weight for weight in weights)))


def price(
    whole: Loss | Pure, asked: str, totals: Sequence[Total], weights: Sequence[int], groups: int, pieces: Sequence[str]
) -> tuple[Draw, ...]:
    """One draw per total, in order; with private keys, which a delta says, the first total must count units, and its draw selects the keys.

    Raises `plan_price_too_small`, `plan_noise_too_large`."""
    if isinstance(whole, Pure):
        return _pure_draws(whole, asked, totals, weights, groups, pieces)
    private_keys = whole.atto_delta > 0
    parts = split(whole.pico_rho, tuple(weights))
    if min(parts) <= 0:
        raise refusals.PRICE_TOO_SMALL(asked=asked, parts=len(totals))
    draws = []
    for place, (total, pico) in enumerate(zip(totals, parts, strict=True)):
        scale = scale_for(total.sensitivity, groups * total.levels, pico)
        if scale > LARGEST_SCALE:
            raise refusals.NOISE_TOO_LARGE(asked=asked, fragment=pieces[place])
        if private_keys and place == 0:
            draws.append(Draw(total.name, scale, Loss(pico, whole.atto_delta), threshold_for(scale, groups, whole.atto_delta)))
        else:
            rank = rank_for(scale, total.candidates) if total.kind == "quantile" and total.extreme and not total.branching else None
            draws.append(Draw(total.name, scale, Loss(pico), rank=rank))
    return tuple(draws)


def _pure_draws(
    whole: Pure, asked: str, totals: Sequence[Total], weights: Sequence[int], groups: int, pieces: Sequence[str]
) -> tuple[Draw, ...]:
    parts = split(whole.pico_epsilon, tuple(weights))
    if min(parts) <= 0:
        raise refusals.PRICE_TOO_SMALL(asked=asked, parts=len(totals))
    draws = []
    for total, pico, piece in zip(totals, parts, pieces, strict=True):
        scale = pure_scale_for(total, groups, pico)
        if scale > LARGEST_SCALE:
            raise refusals.NOISE_TOO_LARGE(asked=asked, fragment=piece)
        rank = rank_for(scale, total.candidates) if total.kind == "quantile" and total.extreme else None
        draws.append(Draw(total.name, scale, Loss(-(-pico * pico // (2 * PICO))), rank=rank, pico_epsilon=pico))
    return tuple(draws)


def pure_scale_for(total: Total, groups: int, pico_epsilon: int) -> float:
    """The parameter of the Laplace noise (for a quantile: exponential noise) of one total at that epsilon, a hair more."""
    moved = total.sensitivity * groups * (2 if total.kind == "quantile" else 1)
    return float(Fraction(moved * PICO, pico_epsilon)) * (1 + MARGIN)


def scale_for(cap: int, groups: int, pico_rho: int) -> float:
    """The standard deviation at which `cap` over `groups` keys costs `pico_rho`, a hair more."""
    return math.sqrt(Fraction(cap * cap * groups * PICO, 2 * pico_rho)) * (1 + MARGIN)


def score_error(scale: float, candidates: int) -> float:
    """How far below the best score the chosen candidate's is at most, in 95 % of cases (McSherry & Talwar 2007, theorem 6)."""
    return scale * math.log(20 * candidates)


def rank_error(total: Total, scale: float) -> int:
    """Within how many rows of the wanted rank a quantile is in 95 % of cases; of a tree, each of its quantiles by itself."""
    if total.tree is not None:
        return math.ceil(max(total.tree.rank_error(part / whole) for part, whole in total.shares.values()) * scale)
    return math.ceil(score_error(scale, total.candidates) / (1 if total.extreme else total.quantile[1]))


def rank_for(scale: float, candidates: int) -> int:
    """How many rows from the end MIN and MAX have to look to find data, not noise."""
    return 1 + math.floor(score_error(scale, candidates))


def threshold_for(scale: float, groups: int, atto_delta: int) -> int:
    """The least threshold at which a unit's own keys, at most `groups` with count 1, are shown with probability at most delta.

    A key is shown when its noisy count exceeds the threshold. The discrete Gaussian's tail is below the continuous one (Canonne et al.,
    proposition 25), which is what OpenDP's map uses; a union bound over keys and its rounding are added.
    """
    delta = atto_delta / ATTO

    def spent(threshold: int) -> float:
        tail = 0.5 * math.erfc((threshold - 1) / (scale * math.sqrt(2)))
        return groups * tail * (1 + 1e-9) + (groups + 2) * _FLOAT_GRAIN

    low, high = 1, 2 + math.ceil(40 * scale)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if spent(middle) <= delta else (middle + 1, high)
    return low + 1
