"""A safeguard, and what it looks like without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    rule: str
    file: str
    old: str
    new: str
    test: str  # path::name
    quick: bool = False  # in the default suite
