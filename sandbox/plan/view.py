"""What is made of noisy tables before the last query reads them: views, and totals of grouping sets that add up."""

from __future__ import annotations

from dataclasses import dataclass


def noisy_name(place: int) -> str:
    """What views and the last query call the noisy table of the part at that place."""
    return f"noisy{place or ''}"


@dataclass(frozen=True, slots=True)
class View:
    """A table computed from the noisy tables of the first `after` parts, earlier views and public tables: public from then on. `columns`
    are its names and DuckDB types."""

    name: str
    sql: str
    after: int
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lattice:
    """Grouping sets whose totals are made to add up. Set i is part `parts[i]` and has the keys numbered `sets[i]`, whose domains have `sizes`;
    each of `totals` names one total in every set, each of `variances` says how exactly it was drawn there."""

    parts: tuple[int, ...]
    sets: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    totals: tuple[tuple[str, ...], ...]
    variances: tuple[tuple[float, ...], ...]
