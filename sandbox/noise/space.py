"""The two spaces of the proof, and the one step between them.

    DB  ── bounding (sandbox.raw, before) ──▶  BOUNDED  ── stability maps ──▶  OpenDP's own measurements
        d units added or removed              d units' bounded contributions

The bounds, the query and the snapshots are part of the identity of a space, so OpenDP itself refuses to chain a map made for other bounds.
Carriers redact themselves: they hold exact totals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.noise import dp
from sandbox.noise import keys as wire
from sandbox.noise.keys import Index
from sandbox.plan.model import Part, Scan
from sandbox.redacted import Redacted

# User-defined domains and transformations need "honest-but-curious": the proofs of ours are in docs/proofs/. Nothing else is enabled;
# in particular no arithmetic on idealised real numbers.
dp.enable_features("contrib", "honest-but-curious")

Result = TypeVar("Result")
BINS = pa.list_(pa.struct([("bin", pa.int64()), ("n", pa.int64())]))


class Totals(Protocol):
    """What the noise room needs of `sandbox.raw.totals.ExactTotals`: the exact table, k* then t*, each key once."""

    @property
    def table(self) -> pa.Table: ...


class CallbackFailed(Exception):
    """A step of ours failed inside OpenDP. It says nothing: what failed may have held rows."""


def quiet(step: Callable[..., Result]) -> Callable[..., Result]:
    """The step, with every error replaced by one constant error that keeps no cause, no context and no text of the original."""

    def call(*arguments: Any) -> Result:
        try:
            return step(*arguments)
        except Exception:
            failed = CallbackFailed("a step of the noise chain failed")
        raise failed  # outside the handler: inside it, Python would attach the original as context

    return call


@dataclass(frozen=True, slots=True, repr=False)
class Database(Redacted):
    """A member of DB, known only through the one thing ever computed from it: its bounded exact totals for one plan and seed."""

    totals: Totals


@dataclass(frozen=True, slots=True, repr=False)
class Bins(Redacted):
    """Histograms of a quantile, one per row of the exact totals: bins `first[row]` to `first[row + 1]` of `bin` and `n`."""

    first: Index
    bin: Index
    n: Index

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Bins:
        if not pa.types.is_list(column.type) or column.type.value_type != BINS.value_type:
            raise TypeError("bins are lists of (bin, n)")
        whole = column.combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(whole), 0).to_numpy().astype(np.int64)
        values = whole.flatten()
        first = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        return cls(first, *(values.field(name).to_numpy(zero_copy_only=False).astype(np.int64) for name in ("bin", "n")))

    def row(self, row: int) -> tuple[Index, Index]:
        part = slice(int(self.first[row]), int(self.first[row + 1]))
        return self.bin[part], self.n[part]


@dataclass(frozen=True, repr=False)
class Bounded(Redacted):
    """A member of BOUNDED: exact totals per key after clamping and selection."""

    part: Part
    keys: list[pa.ChunkedArray] = field()
    totals: dict[str, Index]
    bins: dict[str, Bins]
    rows: int

    @classmethod
    def of(cls, part: Part, table: pa.Table) -> Bounded:
        """Check the table's schema against the part (public facts both) and take it apart. A NULL total counts as 0, NULL bins as none."""
        if table.column_names != [key.name for key in part.keys] + [total.name for total in part.totals]:
            raise TypeError("the totals' columns are not the part's")
        totals, bins = {}, {}
        for total in part.totals:
            column = table.column(total.name)
            if total.kind == "quantile":
                bins[total.name] = Bins.of(column)
                continue
            if column.type != pa.int64():
                raise TypeError("totals are int64")
            totals[total.name] = pc.fill_null(column, 0).to_numpy().astype(np.int64, copy=False)
        return cls(part, wire.key_columns(part.keys, table), totals, bins, table.num_rows)

    @cached_property
    def written(self) -> list[str]:
        return wire.write(self.part.keys, self.keys, self.rows)

    @cached_property
    def row_of(self) -> dict[str, int]:
        rows = {text: row for row, text in enumerate(self.written)}
        if len(rows) != self.rows:
            raise ValueError("a key occurs twice")  # impossible after the raw room's GROUP BY; released twice it would break the bound
        return rows


Place = Callable[[Bounded], tuple[Index, Index]]  # which rows are answered, and where


def units(d_in: object) -> int:
    if type(d_in) is not int or d_in < 0:
        raise ValueError("a distance counts units")
    return d_in


def database_space(space: str, scans: Sequence[Scan]) -> tuple[Any, Any]:
    """DB: all databases behind these snapshots; distance: how many units of the plan's space were added or removed, with all their rows."""
    read = [[scan.dataset, scan.version, scan.digest, scan.private] for scan in scans]
    return _domain("databases", json.dumps([space, read]), Database), _distance(f"units of {space} added or removed")


def bounded_space(part: Part) -> tuple[Any, Any]:
    """BOUNDED: what `part.shard_sql` yields; distance: units whose bounded contribution was added or removed. The bounds are in the name."""
    bounds = {
        "groups_per_unit": part.groups_per_unit,
        "caps": {total.name: total.cap for total in part.totals},
        "keys": [[key.name, key.type] for key in part.keys],
        "sql": hashlib.sha256(part.shard_sql.encode()).hexdigest(),
    }
    return _domain("bounded totals", json.dumps(bounds, sort_keys=True), Bounded), _distance(f"bounded contributions of units of {part.space}")


@lru_cache(maxsize=256)  # a part is in one space with each of its draws: OpenDP is told of it once, not for each of them
def _domain(name: str, described: str, kind: type) -> Any:
    return dp.user_domain(f"{name} {described}", lambda member: isinstance(member, kind), descriptor=json.loads(described))


@lru_cache(maxsize=256)
def _distance(name: str) -> Any:
    return dp.user_distance(name)


def bounding(part: Part) -> Any:
    """DB → BOUNDED, stability d ↦ d: the raw room's step is a function that treats every unit alone (docs/proofs/bounding.md)."""

    def step(database: Database) -> Bounded:
        return Bounded.of(part, database.totals.table)

    return dp.t.make_user_transformation(*database_space(part.space, part.scans), *bounded_space(part), quiet(step), lambda d_in: d_in)
