"""A synthetic table as a job: what may be asked, and what it is once compiled, from public facts alone.

A table is cut into levels by declared domains and ranges; what is measured are marginals, that is, counts of rows by the levels of a few
columns. One unit has at most `rows_per_unit` rows in the table, so it moves a marginal by at most that much in L1, and in L2
(docs/proofs/synthetic.md).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from policies.catalogue import KeyValue, Model
from policies.catalogue.base import ColumnType, Name
from policies.loss import Loss
from sandbox.plan.ask import Privacy
from sandbox.plan.model import Bound, ColumnUse, Scan
from sandbox.plan.plain import plain

MOST_COLUMNS = 40
MOST_LEVELS = 2_000  # of one column
MOST_TOGETHER = 4  # columns of one marginal
MOST_CELLS = 2**20  # of one marginal
MOST_CELLS_IN_ALL = 2**24  # of all that may be measured
MODEL_CELLS = 2**20  # of the model's own tables together, when all is spent
MOST_ROWS = 1_000_000
USUAL_BINS = 32

Clique = tuple[int, ...]
Edge = Annotated[Decimal, Field(max_digits=30)] | date


class Recipe(Model):
    """What a job of kind `synthetic` asks for.

    `columns` of `dataset`, in the order wanted. A column with a declared domain has its values as levels; one with a declared range is cut into
    `bins` (by column; 32 where not said, and never more than it has values), or at `edges` (the first value of each bin after the first).
    `workload`: the sets of columns whose joint counts should come out well; all pairs where not said. `rows`: how many to make; as many as the
    table is measured to have where not said. `rows_per_unit` narrows what one unit may contribute.
    """

    dataset: Name
    columns: tuple[Name, ...] = Field(min_length=1, max_length=MOST_COLUMNS)
    privacy: Privacy
    bins: dict[Name, Annotated[int, Field(ge=1, le=MOST_LEVELS)]] = Field(default_factory=dict, max_length=MOST_COLUMNS)
    edges: dict[Name, Annotated[tuple[Edge, ...], Field(min_length=1, max_length=MOST_LEVELS - 1)]] = Field(
        default_factory=dict, max_length=MOST_COLUMNS
    )
    workload: tuple[Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_TOGETHER)], ...] = Field(default=(), max_length=1000)
    rows: int | None = Field(default=None, ge=1, le=MOST_ROWS)
    rows_per_unit: int | None = Field(default=None, ge=1, le=1_000_000_000)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column and its levels: `values` of a domain, or bins of whole steps (10**-decimals, days) from `starts[i]` to before
    `starts[i + 1]`, the last start being one past the range. NULL is one more level, last, where the column may be NULL."""

    column: str
    type: ColumnType
    nullable: bool
    decimals: int = 0
    values: tuple[KeyValue, ...] = ()
    starts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.values) == bool(self.starts) or any(a >= b for a, b in pairwise(self.starts)):
            raise ValueError(f"{self.column}: a domain, or bins that rise")

    @property
    def filled(self) -> int:
        """How many levels there are besides NULL."""
        return len(self.values) or len(self.starts) - 1

    @property
    def size(self) -> int:
        return self.filled + self.nullable


@dataclass(frozen=True)
class SyntheticPlan:
    """A job of kind `synthetic`, compiled. `workload` names attributes by place."""

    query: str  # the recipe in canonical form
    scan: Scan
    attributes: tuple[Attribute, ...]
    workload: tuple[Clique, ...]
    rows: int | None
    rows_per_unit: int
    single: bool  # no unit has two rows, which ingest holds
    loss: Loss
    delta: str
    uses: tuple[ColumnUse, ...]
    bounds: tuple[Bound, ...] = ()

    @property
    def space(self) -> str:
        return self.scan.space

    @property
    def scans(self) -> tuple[Scan, ...]:
        return (self.scan,)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        return tuple(attribute.size for attribute in self.attributes)

    @cached_property
    def candidates(self) -> dict[Clique, int]:
        """Every set of columns that may be measured, single ones first, with its weight: how much of the workload it covers, in columns."""
        sets: set[Clique] = {(place,) for place in range(len(self.attributes))}
        for wanted in self.workload:
            sets |= {tuple(place for bit, place in enumerate(wanted) if mask >> bit & 1) for mask in range(1, 1 << len(wanted))}
        ordered = sorted(sets, key=lambda columns: (len(columns), columns))
        return {columns: max(1, sum(len(set(columns) & set(wanted)) for wanted in self.workload)) for columns in ordered}

    def cells(self, columns: Clique) -> int:
        return math.prod(self.sizes[place] for place in columns)

    @property
    def epsilon(self) -> Decimal | None:
        """The price as epsilon at `delta`, rounded up."""
        return self.loss.epsilon(Decimal(self.delta))

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical form without the recipe's own spelling."""
        data = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("query", "bounds")}
        data["scan"].pop("pseudonym")
        if data["scan"]["window"] is None:
            data["scan"].pop("window")
        text = json.dumps(plain({"kind": "synthetic", **data}), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
