"""What an exact job computes, as data: keys and their public values, totals, columns, and the SQL that adds them up."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from policies.catalogue import KeyValue
from policies.loss import Loss
from sandbox.plan.model import ColumnUse, Scan

MOST_CONTRIBUTIONS = 10  # of single units kept beside each number: what dominance rules may look at


@dataclass(frozen=True, slots=True)
class ExactKey:
    """A key: its public values in the order in which they are shown, and by what name cells of different tables are compared (`column`).
    `total`: some rows of the table are totals over it."""

    name: str  # k0, k1, … in what the shards give
    label: str
    type: Literal["integer", "text", "date", "boolean"]
    domain: tuple[KeyValue | None, ...]
    column: str
    total: bool


@dataclass(frozen=True, slots=True)
class ExactTotal:
    """What one select column adds up, in units of 10**-decimals; `counts`: rows or values, rather than amounts. `place`: v<place> of the rows
    (None: every row counts)."""

    kind: Literal["units", "count", "sum"]
    decimals: int
    of: str
    signed: bool
    real: bool  # stored as a float: rounded to `decimals` row by row
    value: bool  # looks at a value


@dataclass(frozen=True, slots=True)
class ExactColumn:
    """A column as it is asked for: a key by its place, or a measure over a total."""

    label: str
    kind: Literal["key", "count", "sum", "mean"]
    place: int
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class ExactPlan:
    """A job of the kind `exact`, compiled. Public: nothing in it was learnt from a row.

    `sets`: the grouping sets, as places of keys. `rows_sql` gives rows of single units (u, k*, v*); `tables_sql` one row per set and key.
    """

    query: str
    space: str
    scans: tuple[Scan, ...]
    keys: tuple[ExactKey, ...]
    sets: tuple[tuple[int, ...], ...]
    totals: tuple[ExactTotal, ...]
    columns: tuple[ExactColumn, ...]
    rows_sql: str
    tables_sql: str
    distinct_sql: str
    uses: tuple[ColumnUse, ...]
    relation: str  # canonical name of what rows come from, conditions aside
    population: str  # the conditions, as canonical JSON
    licence: str = ""  # answers are of one licence: what people let out for one they did not for another
    mends: str = "[]"  # what is done to the table before it leaves, as canonical JSON (`policies.disclosure.mend`)

    @property
    def delta(self) -> str:
        """At which the loss, there being none, is stated."""
        return "0.000001"

    @property
    def epsilon(self) -> Decimal | None:
        return None

    @property
    def loss(self) -> Loss:
        """Nothing: what an exact table tells is not a privacy loss that could be priced. It is counted instead (docs/how-to/review.md)."""
        return Loss(0)

    @property
    def cells(self) -> int:
        return sum(math.prod(len(self.keys[place].domain) for place in places) for places in self.sets)

    def under(self, licence: str, mends: str = "[]") -> ExactPlan:
        return replace(self, licence=licence, mends=mends)

    @property
    def digest(self) -> str:
        return self._digest(versions=True)

    @property
    def shape(self) -> str:
        """The digest without the data's versions: what a standing approval is for."""
        return self._digest(versions=False)

    def _digest(self, *, versions: bool) -> str:
        data = dataclasses.asdict(self)
        data.pop("query")
        data["kind"] = "exact"
        data["uses"] = sorted(data["uses"], key=str)
        for scan in data["scans"]:
            scan.pop("pseudonym")
            scan.pop("window")  # tables with budgets by period are not counted exactly
            if not versions:
                scan["version"], scan["digest"] = 0, ""
        return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
