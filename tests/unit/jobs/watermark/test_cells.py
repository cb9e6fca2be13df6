"""What is moved and by how much: never a key, never more than a fifth of the half-width, the same in any order and in any batches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.watermark.cells import amplitudes, marked_columns, row_names
from jobs.watermark.code import Code
from jobs.watermark.embed import marking
from jobs.watermark.match import matched, rounding_of, significant, texts
from jobs.watermark.trace import accuse, evidence
from tests.marks import COLUMNS, MARKED, NAMES, SECRET, copy, some, table


def column(type: str, **more: Any) -> dict[str, Any]:
    return {"name": "v", "type": type, "kind": "value", "half_width_column": "h", **more}


def sizes(values: pa.Array, half: list[float | None], **more: Any) -> list[float]:
    (marked,) = marked_columns([column(str(values.type), **more)])
    batch = pa.RecordBatch.from_arrays([values, pa.array(half, pa.float64())], names=["v", "h"])
    return amplitudes(marked, batch).tolist()


def test_only_noisy_numbers_are_moved() -> None:
    assert [one.name for one in MARKED] == ["n", "fee"]
    assert marked_columns([column("string"), column("date32[day]"), column("bool"), column("int64", kind="key")]) == ()
    synthetic = {"name": "v", "kind": "value", "mechanism": "synthetic"}
    assert marked_columns([{**synthetic, "type": "int64"}]) == ()  # of a domain: no bins
    assert len(marked_columns([{**synthetic, "type": "decimal128(18, 2)", "scale": "4.5", "low": "0", "high": "9"}])) == 1


def test_by_a_tenth_and_whole_numbers_by_whole_numbers() -> None:
    assert sizes(pa.array([1.0, 2.0]), [20.0, 3.0]) == pytest.approx([2.0, 0.3])
    assert sizes(pa.array([1, 2, 3, 4]), [100.0, 16.0, 5.0, 4.9]) == [10, 2, 1, 0]
    for half in np.linspace(5, 500, 60):
        assert 1 <= sizes(pa.array([1]), [float(half)])[0] <= half / 5
    assert sizes(pa.array([Decimal("1.50")], pa.decimal128(18, 2)), [2.0]) == pytest.approx([0.2])
    assert sizes(pa.array([Decimal("1.50")], pa.decimal128(18, 2)), [0.04]) == [0.0]


def test_nothing_moves_where_nothing_is_known() -> None:
    values = pa.array([None, float("nan"), float("inf"), 1.0, 1.0, 2.0**60])
    assert sizes(values, [20.0, 20.0, 20.0, None, float("nan"), 20.0]) == [0.0] * 6


def test_synthetic_values_stay_in_their_range() -> None:
    more = {"mechanism": "synthetic", "half_width_column": None, "scale": "10", "low": "0", "high": "100"}
    assert sizes(pa.array([0, 1, 2, 50, 98, 99]), [1.0] * 6, **more) == [0, 0, 2, 2, 2, 0]


def test_keys_and_half_widths_stay_and_values_move_by_their_amplitude() -> None:
    released = table(3000)
    made = copy(released, "someone")
    assert made.schema.equals(released.schema)
    for name in ("district", "age", "n__half_width", "fee__half_width"):
        assert made.column(name).equals(released.column(name))
    assert set(np.abs(made.column("n").to_numpy() - released.column("n").to_numpy())) == {2}
    assert np.abs(made.column("fee").to_numpy() - released.column("fee").to_numpy()) == pytest.approx(np.full(3000, 12.0))
    assert not made.equals(copy(released, "someone else"))


def test_neither_batches_nor_order_change_a_copy() -> None:
    released = table(2000)
    whole = copy(released, "someone")
    change = marking(MARKED, Code(SECRET), NAMES, "someone")
    parts = pa.Table.from_batches([change(batch) for batch in released.to_batches(max_chunksize=77)])
    assert parts.combine_chunks().equals(whole.combine_chunks())
    shuffled = pa.array(np.random.default_rng(0).permutation(2000))
    assert copy(released.take(shuffled).combine_chunks(), "someone").equals(whole.take(shuffled).combine_chunks())


def test_every_type_is_moved_in_its_own() -> None:
    columns = [column("decimal128(18, 2)"), {"name": "h", "type": "double"}]
    values = [Decimal("-0.05"), Decimal("123456789012.34"), None]
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.decimal128(18, 2)), pa.array([3.0] * 3)], names=["v", "h"])
    made = marking(marked_columns(columns), Code(SECRET), NAMES, "someone")(batch)
    assert made.schema.equals(batch.schema)
    moved = made.column(0).to_pylist()
    assert moved[2] is None
    assert [abs(new - old) for new, old in zip(moved[:2], values[:2], strict=True)] == [Decimal("0.30")] * 2  # type: ignore[operator]


def test_rows_are_called_by_what_they_say() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["x", "x", "y", None, ""], "b": [1.0, 1.0, 1.0, None, 0.0]})
    names = row_names(batch, NAMES)
    assert names[0] == names[1]
    assert len(set(names.tolist())) == 4
    assert set(names.tolist()).isdisjoint(row_names(batch, b"o" * 32)[:3].tolist())


def test_rounding_is_found_out() -> None:
    chance = np.random.default_rng(0)
    values = chance.normal(5000, 3000, 500)
    assert rounding_of(significant(values, 3)).digits == 3
    assert rounding_of(np.round(values, 1)).places == 1
    assert rounding_of(np.round(values, -2)).places == -2
    assert rounding_of(values) == rounding_of(np.full(3, np.nan)) == type(rounding_of(values))(None, None)
    assert significant(np.array([12345.0, -0.0012345, 0.0, 999.9]), 3) == pytest.approx([12300, -0.00123, 0, 1000])


def test_text_is_the_same_from_any_file() -> None:
    assert texts(pa.array([1, None])).to_pylist() == texts(pa.array([1.0, None])).to_pylist() == texts(pa.array(["1", ""])).to_pylist()
    assert texts(pa.array(["2020-01-02T00:00:00", " A "])).to_pylist() == ["2020-01-02", "a"]
    assert texts(pa.array([True])).to_pylist() == texts(pa.array(["TRUE"])).to_pylist()
    assert texts(pa.array(["x"]).dictionary_encode()).to_pylist() == ["x"]


def test_a_row_that_fits_several_or_none_says_nothing() -> None:
    released = pa.table({"k": ["a", "a", "b"], "v": [1.0, 1.05, 9.0], "h": [1.0] * 3})
    columns = marked_columns([{"name": "k", "type": "string", "kind": "key"}, column("double")])
    (marked,) = columns
    reach = [amplitudes(marked, released.select(["k", "v", "h"]).to_batches()[0])]
    found = pa.table({"k": ["a", "b", "b", "c"], "v": [1.02, 9.1, 7.0, 9.0]})
    mine, theirs = matched(released, found, ["k"], columns, reach)
    assert list(zip(mine.tolist(), theirs.tolist(), strict=True)) == [(2, 1)]
    mine, theirs = matched(released, pa.table({"k": ["b", "a"]}), ["k"], [], [])
    assert list(zip(mine.tolist(), theirs.tolist(), strict=True)) == [(2, 0)]


def test_a_file_of_another_table_names_nobody() -> None:
    released = table(2000)
    for found in (pa.table({"colour": ["red"]}), pa.table({"n": pa.array([None], pa.int64())}), table(0), some(table(2000, seed=9), 500)):
        traced = accuse(evidence(released, found, MARKED, NAMES), Code(SECRET), ["a", "b"])
        assert traced.accused == ()
    assert COLUMNS[0]["kind"] == "key"
