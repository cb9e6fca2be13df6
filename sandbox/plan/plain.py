"""Plans as JSON-ready data, whose spelling digests are made of."""

from __future__ import annotations

import dataclasses
from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in dataclasses.fields(kind))


def plain(value: object) -> object:
    """JSON-ready data: dataclasses as objects, tuples as lists, floats in hex so that nothing is rounded."""
    if value is None or isinstance(value, str | bool):
        return value
    if dataclasses.is_dataclass(value):
        kind: type[Any] = type(value)
        return {name: plain(getattr(value, name)) for name in _names(kind)}  # type: ignore[arg-type]  # a class is hashable
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, int) and abs(value) > 2**53:
        return {"integer": str(value)}
    return value
