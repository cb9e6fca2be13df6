"""Whose rows these are, where the dataset says so by a reference: the unit of the row referred to is written beside each row.

The referenced dataset was ingested before and its key is unique, so every value has one unit. The whole key column is held in memory, as sorted
integers or as a dictionary of texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from policies.catalogue import Catalogue, Dataset, Snapshot, Unit, Via
from policies.problem import declare
from sandbox.raw.faults import Faults
from sandbox.raw.rules import Tally
from sandbox.raw.sources import Batch

Read = Callable[[Snapshot, str], pa.ChunkedArray]  # a stored column of a dataset

REFERENCE = declare(
    "data_unit_reference",
    zh=(
        "隐私单元的引用不可用",
        "数据集 {dataset} 经 {references} 认定隐私单元，但它不是已登记的、同一单元空间 {space} 的受保护数据集中声明为 unique 且类型相同的列。",
        "请先登记被引用的数据集，并为该列声明 unique = true。",
    ),
    en=(
        "The reference to the unit cannot be used",
        "Dataset {dataset} finds its unit through {references}, which is no column, declared unique and of the same type, of a registered "
        "protected dataset of unit space {space}.",
        "Register the dataset referred to first, and declare unique = true on that column.",
    ),
)


def as_read(dataset: Dataset) -> Dataset:
    """What is asked of the files of a dataset: its columns, but not the unit where that is found elsewhere."""
    if dataset.unit is None or dataset.unit.via is None:
        return dataset
    unit = dataset.unit_column
    return dataset.model_copy(update={"columns": tuple(column for column in dataset.columns if column != unit), "unit": None})


def with_unit_type(dataset: Dataset, catalogue: Catalogue) -> Dataset:
    """The dataset with the type of its unit column, and whether that is under other names, as the table referred to has it. Raises
    `data_unit_reference`."""
    if dataset.unit is None or dataset.unit.via is None:
        return dataset
    snapshot, kind = _referred(dataset, dataset.unit, dataset.unit.via, catalogue)
    coded = snapshot.dataset.unit is not None and snapshot.dataset.unit.pseudonym
    return dataset.model_copy(update={"unit": dataset.unit.model_copy(update={"type": kind, "pseudonym": coded})})


def _referred(dataset: Dataset, unit: Unit, via: Via, catalogue: Catalogue) -> tuple[Snapshot, str]:
    """The snapshot referred to, and its unit's type."""
    snapshot = catalogue.get(via.table)
    key = snapshot.dataset.get(via.key) if snapshot else None
    mine, theirs = dataset.get(via.column), snapshot.dataset.unit_column if snapshot else None
    declared = dataset.get(unit.column)
    if (
        snapshot is None
        or key is None
        or not key.unique
        or mine is None
        or key.type != mine.type
        or theirs is None
        or snapshot.dataset.unit is None
        or snapshot.dataset.space != unit.space
        or (declared is not None and declared.type != theirs.type)
    ):
        raise REFERENCE(dataset=dataset.name, references=via.references, space=unit.space)
    return snapshot, theirs.type


@dataclass(frozen=True, slots=True)
class Owners:
    """The unit of every key of the table referred to."""

    dataset: Dataset  # with its unit's type known
    find: Callable[[pa.ChunkedArray], npt.NDArray[np.int64]]  # the place of each value among the keys; -1: none
    units: pa.Array

    @classmethod
    def of(cls, dataset: Dataset, catalogue: Catalogue, read: Read) -> Owners | None:
        """None where the files say the unit themselves. Raises `data_unit_reference`, and what `read` does."""
        if dataset.unit is None or dataset.unit.via is None:
            return None
        snapshot, _ = _referred(dataset, dataset.unit, dataset.unit.via, catalogue)
        unit = snapshot.dataset.unit_column
        key = snapshot.dataset.get(dataset.unit.via.key)
        assert unit is not None
        assert key is not None
        keys, units = read(snapshot, key.name).combine_chunks(), read(snapshot, unit.name).combine_chunks()
        there = pc.and_(pc.is_valid(keys), pc.is_valid(units))
        keys, units = keys.filter(there), units.filter(there)
        return cls(dataset, _among_integers(keys) if pa.types.is_integer(keys.type) else _among_texts(keys), units)

    def attach(self, table: pa.Table, batch: Batch, faults: Faults, tally: Tally) -> pa.Table:
        """The rows with their unit, in stored order. Rows that refer to nothing, or to no row there, are dropped and counted, or are faults."""
        unit, via = self.dataset.unit, self.dataset.unit.via if self.dataset.unit else None
        assert unit is not None
        assert via is not None
        reference = table.column(_name(self.dataset, via.column))
        empty = pc.is_null(reference).combine_chunks()
        places = self.find(reference.filter(pc.invert(empty)))
        whole = np.full(table.num_rows, -1, np.int64)
        whole[np.flatnonzero(~empty.to_numpy(zero_copy_only=False))] = places
        missing = (whole < 0) & ~empty.to_numpy(zero_copy_only=False)
        for rows, rule, drop in ((empty.to_numpy(zero_copy_only=False), "unit", unit.on_null), (missing, "reference", via.on_missing)):
            count = int(rows.sum())
            if count and drop == "drop":
                tally.dropped_null_units += count if rule == "unit" else 0
                tally.dropped_missing_units += count if rule == "reference" else 0
            elif count:
                faults.add(via.column, rule, count, batch.file, batch.first_row + int(np.argmax(rows)), via.references)
        kept = np.flatnonzero(whole >= 0)
        rows_kept, owner = table.take(pa.array(kept)), self.units.take(pa.array(whole[kept]))
        named = {column.name: rows_kept.column(column.name) for column in self.dataset.columns if column.name in rows_kept.column_names}
        return pa.table({column.name: named.get(column.name, pa.chunked_array([owner])) for column in self.dataset.stored})


def _name(dataset: Dataset, called: str) -> str:
    """The column as the declaration spells it."""
    return next(column.name for column in dataset.columns if column.name.casefold() == called.casefold())


def _among_integers(keys: pa.Array) -> Callable[[pa.ChunkedArray], npt.NDArray[np.int64]]:
    values = keys.to_numpy(zero_copy_only=False)
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def find(wanted: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        sought = wanted.to_numpy()
        if not len(ordered):
            return np.full(len(sought), -1, np.int64)
        places = np.minimum(np.searchsorted(ordered, sought), len(ordered) - 1)
        return np.where(ordered[places] == sought, order[places], -1).astype(np.int64)

    return find


def _among_texts(keys: pa.Array) -> Callable[[pa.ChunkedArray], npt.NDArray[np.int64]]:
    places = {value: place for place, value in enumerate(keys.to_pylist())}
    return lambda wanted: np.array([places.get(value, -1) for value in wanted.to_pylist()], np.int64)
