"""VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP: functions of three noisy totals, and how far they may be off.

With r the mean distance from a fixed point inside the range and q the mean squared distance from it, the variance is q - r², whatever the
point. All three of r·n, q·n and n are noisy; the middle of the range keeps the first two small (docs/proofs/spread.md has the half-width).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sandbox.plan.model import Draw, Total
from sandbox.sql.expr import float_literal

Z = 1.9599639845400545  # two-sided 95 % of a Gaussian, in standard deviations
# The same of a Laplace, ln 20 / √2. A sum of independent ones is nearer to a Gaussian and needs less: 2.06 for two equal ones.
Z_LAPLACE = math.log(20) / math.sqrt(2)
_ROUNDING = 0.25  # added to a variance: an integer-valued error is within 1/2 of a continuous one


@dataclass(frozen=True)
class Noise:
    """The noise of a plan's totals: Gaussians of these standard deviations or, `pure`, Laplaces of these parameters; all independent."""

    scales: Mapping[str, float]
    pure: bool = False

    @classmethod
    def of(cls, draws: Iterable[Draw], totals: Iterable[Total]) -> Noise:
        """By column of the noisy table: all quantiles of a tree have its scale."""
        drawn = {draw.total: draw for draw in draws}
        scales = {name: drawn[total.name].scale for total in totals for name in total.shares}
        return cls(scales, bool(drawn) and all(draw.pure for draw in drawn.values()))

    @property
    def z(self) -> float:
        """The 95 % half-width of a sum of several, in its standard deviations."""
        return Z_LAPLACE if self.pure else Z

    def variance(self, name: str) -> float:
        return self.scales[name] ** 2 * (2 if self.pure else 1) + _ROUNDING

    def half_width(self, name: str) -> int:
        """Of one total alone: the least w with P(|X| ≤ w) ≥ 95 %."""
        return laplace_half_width(self.scales[name]) if self.pure else discrete_half_width(self.scales[name])


@lru_cache(maxsize=4096)  # a plan asks several times, and so do those that follow with the same price
def discrete_half_width(scale: float) -> int:
    """The least w with P(|X| ≤ w) ≥ 95 % for the discrete Gaussian of that scale (a bound on it when the scale is large)."""
    if scale > 200:
        return math.ceil(Z * scale)
    weights = [math.exp(-(k * k) / (2 * scale * scale)) for k in range(int(12 * scale) + 3)]
    whole, inside = 2 * math.fsum(weights) - 1, 1.0
    for width in range(len(weights)):
        inside += 2 * weights[width] if width else 0.0
        if inside >= 0.95 * whole:
            return width
    raise AssertionError("the tail beyond twelve scales is below 5 %")


def laplace_half_width(scale: float) -> int:
    """The same for the discrete Laplace, P(k) ∝ exp(-|k| / scale): P(|X| > w) is 2 q**(w + 1) / (1 + q) with q = exp(-1 / scale)."""
    return max(0, math.ceil(scale * (math.log(40) - math.log1p(math.exp(-1 / scale))) - 1 - 1e-9))


@dataclass(frozen=True)
class Spread:
    """A variance or its root. `about`, `squares`, `count` name totals; the units turn the first two into the output's unit; `half` is the
    largest distance from the middle a row can have."""

    about: str
    squares: str
    count: str
    about_unit: float
    squares_unit: float
    half: float
    sample: bool
    root: bool

    @classmethod
    def of(cls, about: Total, squares: Total, count: str, *, sample: bool, root: bool) -> Spread:
        half = max(abs(about.low), abs(about.high)) / 10**about.decimals
        return cls(about.name, squares.name, count, 1 / 10**about.decimals, half * half / 10**squares.decimals, half, sample, root)

    @property
    def span(self) -> float:
        """The whole range: a population's variance is at most half², a sample's of two values twice that."""
        most = self.half**2 * (2 if self.sample else 1)
        return math.sqrt(most) if self.root else most

    def value_sql(self) -> str:
        """The value; NULL where the noisy count is too small to divide by."""
        value = f"sqrt({self._variance()})" if self.root else self._variance()
        return f"CASE WHEN {self._n} >= {2 if self.sample else 1} THEN {value} END"

    @property
    def _n(self) -> str:
        return f"noisy.{self.count}::DOUBLE"

    def _means(self) -> tuple[str, str]:
        """r, and q less half²/2, about which squares are summed."""
        return tuple(  # type: ignore[return-value]  # two of two
            f"(noisy.{name}::DOUBLE / {self._n} * {float_literal(unit)})"
            for name, unit in ((self.about, self.about_unit), (self.squares, self.squares_unit))
        )

    def _variance(self) -> str:
        r, q = self._means()
        most = float_literal(self.half**2)
        inside = f"least(greatest({float_literal(self.half**2 / 2)} + {q} - {r} * {r}, 0e0), {most})"
        return f"({inside} * {self._n} / ({self._n} - 1e0))" if self.sample else inside

    def _noise(self, variances: tuple[float, float, float]) -> tuple[float, float, float]:
        """Variances of the noise of about, squares and count, the first two in the output's unit."""
        v_about, v_squares, v_count = variances
        return v_about * self.about_unit**2, v_squares * self.squares_unit**2, v_count

    def width_sql(self, variances: tuple[float, float, float], z: float) -> str:
        v1, v2, v0 = self._noise(variances)
        n, (r, q), span = self._n, self._means(), float_literal(self.span)
        share = f"({float_literal(z * math.sqrt(v0))} / {n})"
        known = f"(1e0 - {share})"
        bend = f"(2e0 * {r} * {r} - {q})"
        straight = f"sqrt({float_literal(v2)} + {float_literal(4 * v1)} * {r} * {r} + {float_literal(v0)} * {bend} * {bend})"
        curved = f"({float_literal(v1)} + {float_literal(v0)} * {r} * {r})"
        width = f"({float_literal(z)} * {straight} / {n} / {known} + {float_literal(z * z)} * {curved} / ({n} * {n} * {known} * {known}))"
        if self.sample:
            over = f"({n} / ({n} - 1e0))"
            width = f"({width} * {over} + {self._variance()} * {share} * {over} / ({n} * {known} - 1e0))"
        if self.root:
            v = self._variance()
            width = f"greatest(sqrt({v}) - sqrt(greatest({v} - {width}, 0e0)), sqrt({v} + {width}) - sqrt({v}))"
        least = 2 if self.sample else 1
        return f"CASE WHEN {n} >= {least} THEN CASE WHEN {share} < 0.5e0 AND {n} >= 4 THEN least({width}, {span}) ELSE {span} END END"

    def expected_width(self, variances: tuple[float, float, float], z: float, rows: float) -> float:
        """The same over that many rows whose values lie evenly over the range: r is 0 and q a third of half²."""
        v1, v2, v0 = self._noise(variances)
        share = z * math.sqrt(v0) / rows
        if share >= 0.5:
            return self.span
        bend, value = self.half**2 / 6, self.half**2 / 3
        width = z * math.sqrt(v2 + v0 * bend**2) / rows / (1 - share) + z * z * v1 / (rows * (1 - share)) ** 2
        if self.root:
            width = max(math.sqrt(value) - math.sqrt(max(value - width, 0)), math.sqrt(value + width) - math.sqrt(value))
        return min(width, self.span)
