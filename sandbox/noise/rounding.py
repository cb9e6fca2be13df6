"""Integers to floats, never downwards: a stability map may overstate a distance, it may not understate one."""

from __future__ import annotations

import math
from fractions import Fraction


def float_above(value: int) -> float:
    """The smallest float that is at least `value` (`value` ≥ 0).

    >>> float_above(2**53 + 1) == 2**53 + 2
    True
    """
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)


def root_above(value: int) -> float:
    """The smallest float whose square, computed exactly, is at least `value` (`value` ≥ 0).

    >>> root_above(9)
    3.0
    """
    root = float_above(math.isqrt(value))
    while Fraction(root) ** 2 < value:  # isqrt is within one of the root: first come close, then step by single floats
        better = math.sqrt(value)
        root = better if better > root else math.nextafter(root, math.inf)
    while root > 0 and Fraction(math.nextafter(root, 0.0)) ** 2 >= value:
        root = math.nextafter(root, 0.0)
    return root


def product_above(count: int, value: float) -> float:
    """The smallest float that is at least count · value, computed exactly (`count`, `value` ≥ 0).

    >>> product_above(3, 0.5)
    1.5
    """
    if value == math.inf:
        return math.inf
    exact = count * Fraction(value)
    nearest = float(exact)
    return nearest if Fraction(nearest) >= exact else math.nextafter(nearest, math.inf)
