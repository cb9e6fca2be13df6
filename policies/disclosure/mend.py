"""Mends: what may be done to a table so that it can leave. Data, chosen by the author or proposed by pre-flight, applied by `apply.apply`.

Order does not matter to the caller: merges and drops change the table, rounding changes what is shown of it, suppression comes last and
covers everything that is shown. A recount is done by the raw side; here it is only named.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from policies.model import Model

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Round(Model):
    """Counts (or the measures named) become multiples of `base`: each to the nearest, halves up; `controlled`: so that parts still add up to
    their wholes, each within less than a base of the truth, where such a rounding is found."""

    kind: Literal["round"] = "round"
    base: int = Field(default=5, ge=2, le=1_000)
    measures: tuple[Text, ...] | None = None
    controlled: bool = False


class Midpoint(Model):
    """Counts become the middle of their run of `base`: 0 stays 0, 1–6 become 3, 7–12 become 9 (OpenSAFELY's midpoint-6)."""

    kind: Literal["midpoint"] = "midpoint"
    base: int = Field(default=6, ge=2, le=1_000)
    measures: tuple[Text, ...] | None = None


class Suppress(Model):
    """What the pack's rules find sensitive is left out, and so much more that it cannot be had from the margins. `cells`: further cells to
    leave out, by levels; `keep`: cells that are to be shown if at all possible; `weight`: what is lost with a cell (None: as the pack says).
    """

    kind: Literal["suppress"] = "suppress"
    cells: tuple[tuple[str, ...], ...] = ()
    keep: tuple[tuple[str, ...], ...] = ()
    weight: Literal["cells", "units", "value"] | None = None


class Merge(Model):
    """Levels of one dimension that have the same parent become one, named `into`."""

    kind: Literal["merge"] = "merge"
    dimension: Text
    levels: tuple[Text, ...] = Field(min_length=2, max_length=10_000)
    into: Text


class Drop(Model):
    """Leaves out measures; levels of a dimension with all that is below them; or a whole dimension, of which its one root level remains."""

    kind: Literal["drop"] = "drop"
    measures: tuple[Text, ...] = ()
    dimension: Text | None = None
    levels: tuple[Text, ...] = ()


class Recount(Model):
    """The raw side leaves out the rows of units that made the cells sensitive and counts the whole table again; margins then agree by
    themselves. `rule`: whose findings; `cells`: by levels. A table with this mend cannot be applied here: it comes back as a new table."""

    kind: Literal["recount"] = "recount"
    rule: Text
    cells: tuple[tuple[str, ...], ...] = Field(min_length=1)


Mend = Annotated[Round | Midpoint | Suppress | Merge | Drop | Recount, Field(discriminator="kind")]
MENDS: TypeAdapter[tuple[Mend, ...]] = TypeAdapter(tuple[Mend, ...])  # from and to JSON
