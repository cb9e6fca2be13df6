"""VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP: functions of three noisy totals, and how far they may be off.

With r the mean distance from a fixed point inside the range and q the mean squared distance from it, the variance is q - r², whatever the
point. All three of r·n, q·n and n are noisy; the middle of the range keeps the first two small (docs/proofs/spread.md has the half-width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandbox.plan.model import Total
from sandbox.sql.expr import float_literal

Z = 1.9599639845400545  # two-sided 95 %


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

    def width_sql(self, variances: tuple[float, float, float]) -> str:
        v1, v2, v0 = self._noise(variances)
        n, (r, q), span = self._n, self._means(), float_literal(self.span)
        share = f"({float_literal(Z * math.sqrt(v0))} / {n})"
        known = f"(1e0 - {share})"
        bend = f"(2e0 * {r} * {r} - {q})"
        straight = f"sqrt({float_literal(v2)} + {float_literal(4 * v1)} * {r} * {r} + {float_literal(v0)} * {bend} * {bend})"
        curved = f"({float_literal(v1)} + {float_literal(v0)} * {r} * {r})"
        width = f"({float_literal(Z)} * {straight} / {n} / {known} + {float_literal(Z * Z)} * {curved} / ({n} * {n} * {known} * {known}))"
        if self.sample:
            over = f"({n} / ({n} - 1e0))"
            width = f"({width} * {over} + {self._variance()} * {share} * {over} / ({n} * {known} - 1e0))"
        if self.root:
            v = self._variance()
            width = f"greatest(sqrt({v}) - sqrt(greatest({v} - {width}, 0e0)), sqrt({v} + {width}) - sqrt({v}))"
        least = 2 if self.sample else 1
        return f"CASE WHEN {n} >= {least} THEN CASE WHEN {share} < 0.5e0 AND {n} >= 4 THEN least({width}, {span}) ELSE {span} END END"

    def expected_width(self, variances: tuple[float, float, float], rows: float) -> float:
        """The same over that many rows whose values lie evenly over the range: r is 0 and q a third of half²."""
        v1, v2, v0 = self._noise(variances)
        share = Z * math.sqrt(v0) / rows
        if share >= 0.5:
            return self.span
        bend, value = self.half**2 / 6, self.half**2 / 3
        width = Z * math.sqrt(v2 + v0 * bend**2) / rows / (1 - share) + Z * Z * v1 / (rows * (1 - share)) ** 2
        if self.root:
            width = max(math.sqrt(value) - math.sqrt(max(value - width, 0)), math.sqrt(value + width) - math.sqrt(value))
        return min(width, self.span)
