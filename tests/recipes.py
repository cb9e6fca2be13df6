"""Recipes and plans of synthetic tables over `tests.visits`, and rows to count."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from policies.catalogue import Bounds, Catalogue, Dataset, Snapshot
from sandbox.plan.synthesise import compile_synthetic
from sandbox.plan.synthetic import Recipe, SyntheticPlan
from sandbox.raw.rules import stored_type
from tests import visits

COLUMNS = ("city", "fee", "score", "days", "born", "urgent")
PRICE = {"epsilon": "1", "delta": "0.00000001"}


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({"dataset": "visits", "columns": COLUMNS, "privacy": PRICE, "bins": {"days": 8, "born": 5}, **changes})


def catalogue(declared: Dataset | None = None) -> Catalogue:
    return Catalogue((Snapshot(dataset=declared or visits.dataset(), version=1, digest="0" * 64),))


def plan(declared: Dataset | None = None, **changes: Any) -> SyntheticPlan:
    return compile_synthetic(recipe(**changes), catalogue(declared))


def in_columns(columns: Mapping[str, npt.NDArray[np.int64]], sizes: Mapping[str, int], **changes: Any) -> tuple[SyntheticPlan, pa.Table]:
    """A plan over integer columns with domains 0 … size - 1, one row a unit, and the rows."""
    declared = visits.dataset(
        [
            visits.column("person_id", "integer", uses=("filter",), nullable=False),
            *(visits.column(name, "integer", domain=tuple(range(size)), nullable=False) for name, size in sizes.items()),
        ]
    ).model_copy(update={"bounds": Bounds(groups_per_unit=1, rows_per_group=1, rows_per_unit=1)})
    rows = len(next(iter(columns.values())))
    table = pa.table({**columns, "person_id": np.arange(rows)})
    return plan(declared, **{"columns": tuple(sizes), "bins": {}, **changes}), table


def stored(table: pa.Table, declared: Dataset | None = None) -> pa.Table:
    """The rows of `tests.visits` in their stored types."""
    dataset = declared or visits.dataset()
    return pa.table({column.name: table.column(column.name).cast(stored_type(column)) for column in dataset.columns})


CENT = Decimal("0.01")
