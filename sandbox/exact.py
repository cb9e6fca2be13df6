"""An exact table, or what a mend left of it, as the rows and columns that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa

from policies.catalogue import KeyValue
from policies.disclosure.table import Amount, ExactTable, Measure, ReleasedTable, Shown
from sandbox.finish.finish import Released, ReleasedColumn
from sandbox.plan.exact_model import ExactKey, ExactPlan
from sandbox.raw.exact import code_of

STATUS = "__status"
_TYPES = {"integer": pa.int64(), "text": pa.string(), "date": pa.date32(), "boolean": pa.bool_()}


def approved_table(plan: ExactPlan, released: ReleasedTable) -> Released:
    """What leaves: keys in their types (NULL for a total), numbers, and beside each what was done to it: "" (as counted), "suppressed" or
    "rounded to n". Dimensions and measures that a mend took away are not there; levels that a mend made are shown as text."""
    return _table(plan, released, [(cell.levels, cell.shown) for cell in released.cells])


def released_table(plan: ExactPlan, table: ExactTable) -> Released:
    """The same of a table as it is: for invented rows."""
    rows = [
        (table.codes(number), tuple(_as_counted(measure, amount) for measure, amount in zip(table.measures, cell.amounts, strict=True)))
        for number, cell in enumerate(table.cells)
    ]
    whole = ReleasedTable(table.basis, table.dimensions, table.measures, ())
    return _table(plan, whole, rows)


def _as_counted(measure: Measure, amount: Amount) -> Shown:
    if measure.kind != "mean":
        return Shown(_decimal(amount.total, measure.decimals))
    return Shown(_decimal(Fraction(amount.total) / amount.values, measure.decimals) if amount.values else None)


def _decimal(value: Fraction | int, decimals: int) -> Decimal:
    return (Decimal(Fraction(value).numerator) / Decimal(Fraction(value).denominator)).quantize(Decimal(1).scaleb(-decimals))


def _table(plan: ExactPlan, whole: ReleasedTable, rows: Sequence[tuple[tuple[str, ...], tuple[Shown, ...]]]) -> Released:
    dimensions = {dimension.name: place for place, dimension in enumerate(whole.dimensions)}
    measures = {measure.name: place for place, measure in enumerate(whole.measures)}
    arrays: dict[str, pa.Array] = {}
    columns = []
    for column in plan.columns:
        if column.kind == "key":
            key = next(key for key in plan.keys if key.label == column.label)
            if key.label in dimensions:
                arrays[key.label] = _key(key, [levels[dimensions[key.label]] for levels, _ in rows])
                columns.append(ReleasedColumn(key.label, "key", "", None, None, None, None))
        elif column.label in measures:
            shown = [given[measures[column.label]] for _, given in rows]
            whole_numbers = column.decimals == 0
            values = [None if one.value is None else int(one.value) if whole_numbers else float(one.value) for one in shown]
            arrays[column.label] = pa.array(values, pa.int64() if whole_numbers else pa.float64())
            arrays[column.label + STATUS] = pa.array([_status(one) for one in shown], pa.string())
            columns.append(ReleasedColumn(column.label, "value", "exact", None, None, None, None))
            columns.append(ReleasedColumn(column.label + STATUS, "key", "", None, None, None, None))
    return Released(pa.table(arrays), tuple(columns))


def _status(shown: Shown) -> str:
    return "suppressed" if shown.value is None else f"rounded to {shown.base}" if shown.base else ""


def _key(key: ExactKey, codes: Sequence[str]) -> pa.Array:
    """Values in their type where every level is one of the key's own; else, after a merge, their text."""
    known: dict[str, KeyValue | None] = {code_of(key, value): value for value in key.domain}
    totals = {code for code in codes if code not in known}
    if len(totals) <= (1 if key.total else 0):
        return pa.array([known.get(code) for code in codes], _TYPES[key.type])
    return pa.array(list(codes), pa.string())
