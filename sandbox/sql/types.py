"""What is known of an expression's values before any row is read.

Numbers are *exact* (an integer that counts units of 10**-scale, as SQL integers and decimals are) or *float* (DOUBLE). Three things are
tracked, and they are not the same: `reach` is a physical promise about emitted integers, which picks 64 or 128 bits; `low`/`high` are the
bounds that were declared and propagated, which an aggregate will enforce row by row and which may be unknown; `digits` is how many digits
after the point of a float are worth keeping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

Kind = Literal["exact", "float", "text", "date", "timestamp", "boolean", "null"]

BIGINT = 2**63 - 1
STORED = 2**63  # the largest absolute value a stored BIGINT can have
HUGEINT = 2**126  # one bit to spare below what DuckDB's HUGEINT holds
MAX_SCALE = 18
MAX_DIGITS = 9
_VAST = Fraction(10) ** 30  # bounds past this mean nothing

NAMES: dict[Kind, tuple[str, str]] = {
    "exact": ("数值", "number"),
    "float": ("数值", "number"),
    "text": ("文本", "text"),
    "date": ("日期", "date"),
    "timestamp": ("时间", "timestamp"),
    "boolean": ("布尔值", "boolean"),
    "null": ("空值", "NULL"),
}


@dataclass(frozen=True, slots=True)
class Type:
    kind: Kind
    scale: int = 0
    low: Fraction | None = None
    high: Fraction | None = None
    reach: int = 0
    digits: int | None = None

    @property
    def numeric(self) -> bool:
        return self.kind in ("exact", "float")

    @property
    def bounded(self) -> bool:
        return self.low is not None and self.high is not None

    @property
    def wide(self) -> bool:
        """Whether the emitted integer needs HUGEINT."""
        return self.reach > BIGINT


TEXT = Type("text")
DATE = Type("date")
TIMESTAMP = Type("timestamp")
BOOLEAN = Type("boolean")
NULL = Type("null")
FLOAT = Type("float")


def exact(low: Fraction | int | None, high: Fraction | int | None, scale: int = 0, reach: int | None = None) -> Type:
    """An exact type; `reach` defaults to what the bounds imply, or to 64 bits when they are unknown."""
    low = None if low is None else Fraction(low)
    high = None if high is None else Fraction(high)
    if reach is None:
        reach = STORED if low is None or high is None else int(max(abs(low), abs(high)) * 10**scale)
    return Type("exact", scale, low, high, reach)


def floating(low: Fraction | None, high: Fraction | None, digits: int | None = None) -> Type:
    """A float type; bounds too large or too fine to be carried exactly are dropped or widened outwards."""
    return Type("float", 0, _outward(low, -1), _outward(high, 1), 0, None if digits is None else min(digits, MAX_DIGITS))


def _outward(bound: Fraction | None, side: int) -> Fraction | None:
    if bound is None or abs(bound) > _VAST:
        return None
    if bound.denominator.bit_length() > 128:
        grid = 10**24
        return Fraction(bound.numerator * grid // bound.denominator + (1 if side > 0 else 0), grid)
    return bound


def hull(types: Sequence[Type]) -> Type:
    """The type of a value that is one of several numbers of one kind and scale, or dates."""
    lows, highs = [t.low for t in types], [t.high for t in types]
    digits = [t.digits for t in types]
    return replace(
        types[0],
        low=None if None in lows else min(low for low in lows if low is not None),
        high=None if None in highs else max(high for high in highs if high is not None),
        reach=max(t.reach for t in types),
        digits=None if None in digits else max(d for d in digits if d is not None),
    )
