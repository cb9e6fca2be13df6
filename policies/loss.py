"""Privacy loss in exact integers, every rounding against the spender.

Inside the project a loss is approximate zCDP (Bun & Steinke 2016, def. 8.1): rho counted in pico-rho (1e-12) and delta in atto-delta
(1e-18). Composition is integer addition, so a sum never depends on order. (epsilon, delta) exists only at the edge: it is how people ask
and read. Conversions follow Canonne, Kamath & Steinke, "The Discrete Gaussian for Differential Privacy" (2020), corollary 13: every
order alpha > 1 gives a valid epsilon, so stopping the search early is safe, never wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from functools import lru_cache

PICO = 10**12
ATTO = 10**18
MAX_PICO_RHO = 10**9 * PICO  # far past any meaning as privacy; the ledger's own caps are lower, so that sums fit BIGINT
_SLACK = 1 + 1e-12  # covers the rounding of the few float operations in a conversion
_NEAR = 1e-9  # so near the best order, epsilon is beyond the least by about its square: less than the last digit of a float

Number = int | Decimal | Fraction


@dataclass(frozen=True, slots=True)
class Loss:
    """An approximate-zCDP loss. Unbuildable when negative or not an integer.

    >>> Loss(1, 0) + Loss(2, 5)
    Loss(pico_rho=3, atto_delta=5)
    """

    pico_rho: int
    atto_delta: int = 0

    def __post_init__(self) -> None:
        for value, top in ((self.pico_rho, MAX_PICO_RHO), (self.atto_delta, ATTO)):
            if type(value) is not int or not 0 <= value <= top:
                raise ValueError(f"a loss is two integers in range, not {self.pico_rho!r}, {self.atto_delta!r}")

    @classmethod
    def of(cls, rho: Number, delta: Number = 0) -> Loss:
        """From exact numbers, rounded up. Floats are refused: they have already been rounded by someone else.

        >>> Loss.of(Decimal("0.0000000000001"))
        Loss(pico_rho=1, atto_delta=0)
        """
        if isinstance(rho, float) or isinstance(delta, float):
            raise TypeError("a loss is made from exact numbers, not floats")
        return cls(math.ceil(Fraction(rho) * PICO), math.ceil(Fraction(delta) * ATTO))

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.pico_rho + other.pico_rho, self.atto_delta + other.atto_delta)

    def covers(self, other: Loss) -> bool:
        """Whether this, as a cap, has room for `other`: both coordinates."""
        return other.pico_rho <= self.pico_rho and other.atto_delta <= self.atto_delta

    @property
    def rho(self) -> Decimal:
        return Decimal(self.pico_rho) / PICO

    @property
    def delta(self) -> Decimal:
        return Decimal(self.atto_delta) / ATTO

    def epsilon(self, delta: Number) -> Decimal | None:
        """The epsilon at total `delta`, rounded up to 1e-6; None when `delta` leaves nothing beyond what thresholds already spent.

        >>> Loss.of(Decimal("0.01")).epsilon(Decimal("1e-6"))
        Decimal('0.621693')
        """
        left = Fraction(delta) - Fraction(self.atto_delta, ATTO)
        if left <= 0:
            return None
        return _epsilon(self.pico_rho, float(left) / _SLACK)


@lru_cache(maxsize=2**14)  # a page of the console says it of every account; what it says of most is what it said before
def _epsilon(pico_rho: int, room: float) -> Decimal:
    return Decimal(zcdp_epsilon(pico_rho / PICO * _SLACK, room)).quantize(Decimal("0.000001"), ROUND_CEILING)


def zcdp_epsilon(rho: float, delta: float) -> float:
    """The smallest epsilon found such that rho-zCDP implies (epsilon, delta)-DP: never too small, whatever alpha the search stops at."""
    if not rho >= 0 or not delta > 0:
        raise ValueError("rho must be at least 0 and delta above 0")
    if rho == 0 or delta >= 1:
        return 0.0
    log_delta = math.log(delta)

    def at(log_order: float) -> float:
        """Epsilon at alpha = 1 + exp(log_order), raised by more than its own rounding: the terms may cancel, so that is absolute."""
        excess = math.exp(log_order)  # alpha - 1
        terms = ((1 + excess) * rho, -math.log1p(1 / excess), -log_delta / excess, -math.log1p(excess) / excess)
        return math.fsum(terms) + 4e-15 * (terms[0] - terms[1] + terms[2] - terms[3])

    low, high = math.log(1e-9), math.log(1e18)  # unimodal in alpha: golden-section search
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = at(a), at(b)
    while high - low > _NEAR:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = at(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = at(b)
    return max(0.0, min(at_a, at_b)) * _SLACK


@lru_cache(maxsize=4096)
def pico_rho_for(epsilon: Decimal, delta: Decimal) -> int:
    """The largest pico-rho whose epsilon at `delta` does not exceed `epsilon` (0 when even one is too much). Capped at MAX_PICO_RHO.

    >>> pico_rho_for(Decimal(1), Decimal("1e-6"))
    24355970359
    """
    if not epsilon > 0 or not 0 < delta < 1:
        raise ValueError("epsilon must be above 0 and delta between 0 and 1")
    target, room = math.nextafter(float(epsilon), 0), float(delta) / _SLACK
    low, high = 0, MAX_PICO_RHO
    while low < high:
        middle = (low + high + 1) // 2
        if zcdp_epsilon(middle / PICO * _SLACK, room) <= target:
            low = middle
        else:
            high = middle - 1
    return low


def split(pico_rho: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Divide a budget in whole pico-rho by integer weights; the parts sum to at most `pico_rho` and each is rounded down.

    >>> split(10, (1, 1, 1))
    (3, 3, 3)
    """
    whole = sum(weights)
    if not weights or min(weights) <= 0:
        raise ValueError("weights must be positive")
    return tuple(pico_rho * weight // whole for weight in weights)
