"""What is declared of a whole dataset rather than of a cell: unique columns, and the most rows of a unit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from policies.catalogue import Dataset
from sandbox.raw.faults import Faults
from sandbox.raw.rules import Tally


class Unique:
    """Collects the values of columns declared unique; all are held in memory until `check`."""

    def __init__(self, dataset: Dataset) -> None:
        self._values: dict[str, list[pa.ChunkedArray]] = {column.name: [] for column in dataset.columns if column.unique}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._values)

    def add(self, table: pa.Table) -> None:
        for name, values in self._values.items():
            values.append(table.column(name))

    def check(self, faults: Faults) -> None:
        for name, parts in self._values.items():
            chunks = [chunk for part in parts for chunk in part.chunks]
            if chunks:
                values = pa.chunked_array(chunks).drop_null()
                if repeated := len(values) - pc.count_distinct(values).as_py():
                    faults.add(name, "unique", repeated, "", 0)


class Crowds:
    """Holds units to `rows_per_unit`."""

    def __init__(self, dataset: Dataset) -> None:
        bounds = dataset.bounds
        self._most = None if bounds is None else bounds.rows_per_unit
        self._cut = bounds is not None and bounds.over_rows == "cut"
        unit = dataset.unit_column
        self._unit = "" if unit is None else unit.name

    def held(self, rows: pa.Table, faults: Faults, tally: Tally, before: pa.ChunkedArray | None = None) -> pa.Table:
        """All rows of some units, sorted by unit, the rows of each in the order they came: those beyond the limit cut, or a fault.
        `before`: the units of rows that are there already and stay; they count, and come first.

        Which rows are left is a function of the unit's own rows, so deleting another unit changes nothing here.
        """
        if self._most is None or rows.num_rows + (0 if before is None else len(before)) <= self._most:
            return rows
        units = rows.column(self._unit).combine_chunks()
        starts = _starts(units)
        sizes = np.diff(np.append(starts, rows.num_rows))
        already = np.zeros(len(starts), np.int64)
        if before is not None:
            counted = before.value_counts()
            there = counted.field("counts").to_numpy()
            if crowded := int((there > self._most).sum()):  # declared lower than it was: what is there cannot be cut
                faults.add("", "crowded", crowded, "", 0, str(self._most))
                return rows
            found = pc.index_in(units.take(pa.array(starts)), value_set=counted.field("values")).fill_null(-1).to_numpy(zero_copy_only=False)
            already = np.append(there, 0)[found]
        over = sizes + already > self._most
        if not over.any():
            return rows
        if not self._cut:
            faults.add("", "crowded", int(over.sum()), "", 0, str(self._most))
            return rows
        within = np.arange(rows.num_rows) - np.repeat(starts, sizes)
        kept = np.flatnonzero(within + np.repeat(already, sizes) < self._most)
        tally.cut_rows += rows.num_rows - len(kept)
        return rows.take(pa.array(kept))


def _starts(units: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where each run of equal units begins."""
    if not len(units):
        return np.zeros(0, np.int64)
    changed = pc.not_equal(units.slice(1), units.slice(0, len(units) - 1)).to_numpy(zero_copy_only=False)
    return np.concatenate(([0], np.flatnonzero(changed) + 1)).astype(np.int64)
