"""What the second check knows of the rows of an operator in DuckDB's plan."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.raw.bound_values import Fact


@dataclass(frozen=True, slots=True)
class Declared:
    """A table the query may read: `unit` empty for a public one, else the column that says whose each row is."""

    columns: tuple[str, ...]
    unit: str = ""
    space: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an operator. `space` empty: public. `released`: totals over units. Owned rows: within a unit at most `combos` combinations of
    the columns `per`, and at most `fan` rows in each (None: nothing known); `rough`: sums of values without ends were taken per unit.

    `crowd`: the units that have more than so many rows in a common table; `side`: rows of units (not) among those; `table`: it is that
    common table, unchanged.
    """

    columns: tuple[Fact, ...]
    space: str = ""
    released: bool = False
    per: frozenset[int] | None = None
    combos: int | None = None
    fan: int = 1
    rough: bool = False
    crowd: tuple[int, int] | None = None
    side: tuple[bool, tuple[int, int]] | None = None
    table: int | None = None
    keys: int = 0  # of released rows: how many keys one unit touches

    def units(self) -> frozenset[int]:
        return frozenset(place for place, fact in enumerate(self.columns) if fact.unit)
