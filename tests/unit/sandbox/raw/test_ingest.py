"""Ingest keeps every declaration, says where it is broken without quoting anything, and writes all or nothing."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from policies.catalogue import Catalogue, Column, Dataset
from sandbox.raw import domains as domains_module
from sandbox.raw import shards as shards_module
from sandbox.raw.ingest import ingest
from tests.ingesting import ID, one, parts_of, refusal, stored
from tests.visits import CITIES, COLUMNS, column, dataset, ingested, parquet, rows


def test_everything_is_stored_under_its_declared_type(vault: Vault, tmp_path: Path) -> None:
    report = ingested(vault, tmp_path)
    table = stored(vault, report)
    assert [str(field.type) for field in table.schema] == [
        "int64", "string", "decimal64(18, 2)", "double", "int64", "date32[day]", "timestamp[us]", "bool", "string",
    ]  # fmt: skip
    order = [("person_id", "ascending"), ("seen", "ascending")]
    assert table.sort_by(order).to_pylist() == rows().sort_by(order).to_pylist()
    assert (report.rows, report.shards, report.dropped_null_units, report.clamped, report.nan_to_null) == (200, 1, 0, {}, {})


@pytest.mark.parametrize("shards", [1, 8, 64])
def test_a_unit_lies_in_one_shard_in_order(vault: Vault, tmp_path: Path, shards: int) -> None:
    report = ingested(vault, tmp_path, rows(2000, 300), dataset(rows=shards), shard_rows=1)
    assert report.shards == shards
    homes: dict[int, int] = {}
    used = set()
    for part in vault.open("visits", 1).parts:
        units = part.read(["person_id"]).column(0).to_pylist()
        assert units == sorted(units)
        for unit in units:
            assert homes.setdefault(unit, part.index) == part.index
            used.add(part.index)
    assert len(homes) == 300
    assert len(used) > shards * 0.8


def test_the_number_of_shards_does_not_depend_on_the_rows(vault: Vault, tmp_path: Path) -> None:
    few = ingested(vault, tmp_path, rows(3), dataset(rows=16), shard_rows=1)
    none = ingested(vault, tmp_path, rows(3).slice(0, 0), dataset(rows=16), version=2, shard_rows=1)
    assert few.shards == none.shards == 16
    assert none.rows == 0


def test_rows_of_a_unit_keep_the_order_they_came_in(vault: Vault, tmp_path: Path) -> None:
    table = pa.table({"id": [2, 1, 2, 1, 2], "n": [1, 2, 3, 4, 5]})
    report = ingested(vault, tmp_path, table, dataset((ID, column("n", "integer")), unit="id"))
    assert stored(vault, report).to_pydict() == {"id": [1, 1, 2, 2, 2], "n": [2, 4, 1, 3, 5]}


def test_memory_may_be_tight(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that wait in encrypted scratch files come out as those that waited in memory."""
    plain = ingested(vault, tmp_path, rows(2000, 300), dataset(rows=8), shard_rows=1)
    monkeypatch.setattr(shards_module, "WAITING_BYTES", 1000)
    monkeypatch.setattr("sandbox.raw.sources.BATCH_ROWS", 64)
    tight = ingested(vault, tmp_path, rows(2000, 300), dataset(rows=8), version=2, shard_rows=1)
    assert tight.snapshot.digest == plain.snapshot.digest
    assert sorted(path.name for path in (tmp_path / "vault" / "visits").iterdir()) == ["dataset.key", "v1", "v2"]


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        (column("x", "integer"), pa.array([1.0, float("nan"), -3.0]), [1, None, -3]),
        (column("x", "integer"), pa.array([Decimal("7.00"), None, None], pa.decimal128(20, 2)), [7, None, None]),
        (column("x", "integer"), pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
        (column("x", "decimal", decimals=2), pa.array([0.125, -0.125]), [Decimal("0.13"), Decimal("-0.13")]),
        (column("x", "decimal", decimals=2), pa.array([Decimal("2.675"), Decimal("-2.675")]), [Decimal("2.68"), Decimal("-2.68")]),
        (column("x", "decimal", decimals=1), pa.array([3], pa.int8()), [Decimal("3.0")]),
        (column("x", "number"), pa.array([1, 2], pa.int32()), [1.0, 2.0]),
        (column("x", "number"), pa.array([1.5, float("nan")], pa.float32()), [1.5, None]),
        (column("x", "text"), pa.array(["a", "a", None]).dictionary_encode(), ["a", "a", None]),
        (column("x", "text"), pa.array(["太原", ""], pa.large_string()), ["太原", ""]),
        (column("x", "date"), pa.array([datetime(2025, 3, 1, tzinfo=UTC)], pa.timestamp("ns", "UTC")), [date(2025, 3, 1)]),
        (column("x", "timestamp"), pa.array([date(2025, 3, 1)], pa.date64()), [datetime(2025, 3, 1)]),  # noqa: DTZ001  # stored without zone
        (column("x", "boolean"), pa.array([True, None]), [True, None]),
        (column("x", "number"), pa.nulls(2), [None, None]),
    ],
)
def test_parquet_types_are_converted_without_loss(
    vault: Vault, tmp_path: Path, declared: Column, values: pa.Array, expected: list[Any]
) -> None:
    assert one(vault, tmp_path, declared, values)[0] == expected


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        (column("x", "integer"), pa.array(["1"])),
        (column("x", "decimal", decimals=2), pa.array(["1"])),
        (column("x", "number"), pa.array([True])),
        (column("x", "text"), pa.array([1])),
        (column("x", "date"), pa.array([20250301])),
        (column("x", "timestamp"), pa.array(["2025-03-01"])),
        (column("x", "boolean"), pa.array([0, 1])[:1]),
        (column("x", "text"), pa.array([["a"]])),
        (column("x", "text"), pa.array([b"a"])),
    ],
)
def test_a_column_of_another_type_is_refused_before_any_row(vault: Vault, tmp_path: Path, declared: Column, values: pa.Array) -> None:
    problem = refusal(lambda: one(vault, tmp_path, declared, values))
    assert problem.code == "data_column_type"
    assert problem.fields["column"] == "x"
    assert list((tmp_path / "vault").iterdir()) == []


@pytest.mark.parametrize(
    ("declared", "values", "code"),
    [
        (column("x", "integer"), [1.0, 2.5], "data_type"),
        (column("x", "integer"), [1.0, 2.0**60], "data_type"),
        (column("x", "integer"), pa.array([1, 2**63], pa.uint64()), "data_type"),
        (column("x", "integer"), pa.array([Decimal("1.0"), Decimal("1.5")]), "data_type"),
        (column("x", "decimal", decimals=9), [1, 10**9], "data_type"),
        (column("x", "number"), [1.0, float("inf")], "data_not_finite"),
        (column("x", "number"), [1.0, float("-inf")], "data_not_finite"),
        (column("x", "number", nullable=False), [1.0, float("nan")], "data_null"),
        (column("x", "text", nullable=False), ["a", None], "data_null"),
        (column("x", "text", max_length=2), ["太原", "太原市"], "data_length"),
        (column("x", "text", domain=("a",)), ["a", "A"], "data_domain"),
        (column("x", "boolean", domain=(True,)), [True, False], "data_domain"),
        (column("x", "integer", low=Decimal(0), high=Decimal(5)), [5, 6], "data_range"),
        (column("x", "decimal", decimals=1, low=Decimal(-1), high=Decimal(1)), [1, -2], "data_range"),
        (column("x", "number", low=Decimal("-0.1"), high=Decimal("0.1")), [0.1, 0.10000000000000002], "data_range"),
        (column("x", "date", low=date(2025, 1, 1), high=date(2025, 1, 2)), [date(2025, 1, 2), date(2025, 1, 3)], "data_range"),
        (column("x", "timestamp", low=date(2025, 1, 1), high=date(2025, 1, 2)), [date(2025, 1, 2), date(2025, 1, 3)], "data_range"),
        (column("x", "date"), [datetime(2025, 1, 1), datetime(2025, 1, 1, 1)], "data_type"),  # noqa: DTZ001  # as files have them
    ],
)
def test_a_value_against_its_declaration_is_located(vault: Vault, tmp_path: Path, declared: Column, values: Any, code: str) -> None:
    values = values if isinstance(values, pa.Array) else pa.array(values)
    problem = refusal(lambda: one(vault, tmp_path, declared, values))
    assert parts_of(problem) == [(code, "x", "1", "2")]
    assert list((tmp_path / "vault").iterdir()) == []


def test_a_value_on_the_edge_is_within(vault: Vault, tmp_path: Path) -> None:
    edges = {
        "integer": (Decimal(-3), Decimal(3), [-3, 3]),
        "number": (Decimal("-0.1"), Decimal("0.3"), [-0.1, 0.3]),
        "date": (date(2025, 1, 1), date(2025, 1, 2), [date(2025, 1, 1), date(2025, 1, 2)]),
        "timestamp": (date(2025, 1, 1), date(2025, 1, 2), [datetime(2025, 1, 1), datetime(2025, 1, 2, 23, 59, 59)]),  # noqa: DTZ001
    }
    for version, (kind, (low, high, values)) in enumerate(edges.items(), 1):
        table = pa.table({"id": [1, 2], "x": values})
        declared = dataset((ID, column("x", kind, low=low, high=high)), unit="id")
        assert stored(vault, ingested(vault, tmp_path, table, declared, version=version)).column("x").to_pylist() == values


@pytest.mark.parametrize(
    ("declared", "values", "expected", "count"),
    [
        (column("x", "integer", low=Decimal(1), high=Decimal(5), out_of_range="clamp"), [-9, 3, 99, None], [1, 3, 5, None], 2),
        (
            column("x", "decimal", decimals=1, low=Decimal("0.25"), high=Decimal(1), out_of_range="clamp"),
            [0.0, 1.0, 1.1],
            [Decimal("0.3"), Decimal("1.0"), Decimal("1.0")],
            2,
        ),
        (
            column("x", "number", low=Decimal(0), high=Decimal(1), out_of_range="clamp"),
            [float("inf"), float("-inf"), float("nan"), 0.5],
            [1.0, 0.0, None, 0.5],
            2,
        ),
        (
            column("x", "date", low=date(2025, 1, 1), high=date(2025, 1, 2), out_of_range="clamp"),
            [date(1, 1, 1), date(9999, 12, 31)],
            [date(2025, 1, 1), date(2025, 1, 2)],
            2,
        ),
        (column("x", "text", max_length=2, out_of_range="clamp"), ["太原市", "ab", None], ["太原", "ab", None], 1),
        (column("x", "text", domain=("a", "b"), out_of_range="clamp"), ["a", "c", None], ["a", None, None], 1),
    ],
)
def test_clamping_mends_and_counts(vault: Vault, tmp_path: Path, declared: Column, values: list[Any], expected: list[Any], count: int) -> None:
    found, report = one(vault, tmp_path, declared, values)
    assert found == expected
    assert report.clamped == {"x": count}


def test_nan_becomes_null_and_is_counted(vault: Vault, tmp_path: Path) -> None:
    found, report = one(vault, tmp_path, column("x", "number"), [1.0, float("nan"), None])
    assert found == [1.0, None, None]
    assert report.nan_to_null == {"x": 1}


def test_what_cannot_be_null_is_not_mended_into_null(vault: Vault, tmp_path: Path) -> None:
    declared = column("x", "text", domain=("a",), nullable=False, out_of_range="clamp")
    assert parts_of(refusal(lambda: one(vault, tmp_path, declared, ["a", "b"]))) == [("data_domain", "x", "1", "2")]


def test_rows_without_a_unit_are_refused_or_dropped_and_counted(vault: Vault, tmp_path: Path) -> None:
    table = pa.table({"id": [None, 1, None, 2], "x": [None, "a", "b", "c"]}, schema=pa.schema([("id", pa.int64()), ("x", pa.string())]))
    columns = (ID, column("x", "text", nullable=False))
    refused = refusal(lambda: ingested(vault, tmp_path, table, dataset(columns, unit="id")))
    assert ("data_unit_null", "id", "2", "1") in parts_of(refused)
    # A dropped row breaks no other rule: it is not kept.
    report = ingested(vault, tmp_path, table, dataset(columns, unit="id", on_null="drop"))
    assert (report.rows, report.dropped_null_units) == (2, 2)
    assert stored(vault, report).column("x").to_pylist() == ["a", "c"]


def test_a_blank_unit_is_no_unit(vault: Vault, tmp_path: Path) -> None:
    columns = (column("pid", "text", uses=("filter",)),)
    table = pa.table({"pid": ["A1", "", " \t\u3000", "a1"]})
    assert parts_of(refusal(lambda: ingested(vault, tmp_path, table, dataset(columns, unit="pid")))) == [("data_unit_null", "pid", "2", "2")]
    report = ingested(vault, tmp_path, table, dataset(columns, unit="pid", on_null="drop"))
    assert report.dropped_null_units == 2
    assert stored(vault, report).column("pid").to_pylist() == ["A1", "a1"]


def test_units_are_never_mended_into_each_other(vault: Vault, tmp_path: Path) -> None:
    columns = (column("pid", "text", uses=("filter",), max_length=2, out_of_range="clamp"),)
    table = pa.table({"pid": ["ab", "abc"]})
    assert parts_of(refusal(lambda: ingested(vault, tmp_path, table, dataset(columns, unit="pid")))) == [("data_length", "pid", "1", "2")]
    columns = (column("id", "integer", uses=("filter",), low=Decimal(0), high=Decimal(9), out_of_range="clamp"),)
    table = pa.table({"id": [9, 10]})
    assert parts_of(refusal(lambda: ingested(vault, tmp_path, table, dataset(columns, unit="id")))) == [("data_range", "id", "1", "2")]


def test_every_broken_rule_is_listed_with_count_and_first_row(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.raw.sources.BATCH_ROWS", 16)
    good = rows(100)
    fees = good.column("fee").to_pylist()
    notes = good.column("note").to_pylist()
    cities = good.column("city").to_pylist()
    for row in (40, 41, 90):
        fees[row] = Decimal("5000.00")
    notes[70] = "SECRET-NOTE-THAT-IS-TOO-LONG"
    cities[99] = "SECRET-CITY"
    table = good.set_column(2, "fee", pa.array(fees)).set_column(8, "note", [notes]).set_column(1, "city", [cities])
    problem = refusal(lambda: ingested(vault, tmp_path, table))
    assert parts_of(problem) == [("data_range", "fee", "3", "41"), ("data_length", "note", "1", "71"), ("data_domain", "city", "1", "100")]
    shown = str(problem) + str(problem.as_data())
    assert "SECRET" not in shown
    assert "5000" not in shown
    assert list((tmp_path / "vault").iterdir()) == []


def test_rows_are_counted_within_their_file(vault: Vault, tmp_path: Path) -> None:
    first = parquet(tmp_path / "a.parquet", pa.table({"id": [1, 2, 3], "x": [1, 2, 3]}))
    second = parquet(tmp_path / "b.parquet", pa.table({"id": [4, 5], "x": [4, 77]}))
    declared = dataset((ID, column("x", "integer", low=Decimal(0), high=Decimal(9))), unit="id")
    problem = refusal(lambda: ingest(declared, [first, second], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom))
    assert parts_of(problem) == [("data_range", "x", "1", "2")]
    assert problem.parts[0].fields["file"] == "b.parquet"


def test_a_version_is_ingested_once(vault: Vault, tmp_path: Path) -> None:
    report = ingested(vault, tmp_path)
    assert refusal(lambda: ingested(vault, tmp_path, rows(10))).code == "data_version_exists"
    assert stored(vault, report).num_rows == 200


def test_a_full_disk_leaves_nothing(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    problem = refusal(lambda: ingested(vault, tmp_path))
    assert (problem.code, problem.fields["reason"]) == ("data_storage_failed", "No space left on device")
    assert not [path for path in (tmp_path / "vault").rglob("*.parquet")]
    assert vault.versions("visits") == ()


def test_progress_counts_rows_up_to_the_total(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.raw.sources.BATCH_ROWS", 64)
    told: list[tuple[int, int | None]] = []
    path = parquet(tmp_path / "s.parquet", rows(200))
    ingest(
        dataset(), [path, path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[0] == (64, 400)
    assert told[-1] == (400, 400)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


PUBLIC = dataset((column("city", "text"), column("level", "integer")), unit=None, name="cities", rows=1)


def test_keys_are_taken_from_a_public_table(vault: Vault, tmp_path: Path) -> None:
    levels = pa.table({"city": [*CITIES, None, CITIES[0]], "level": [1, 2, 3, 4, None]})
    public = ingested(vault, tmp_path, levels, PUBLIC)
    assert stored(vault, public).num_rows == 5
    columns = tuple(column("city", "text", domain_from="Cities.CITY") if item.name == "city" else item for item in COLUMNS)
    source = parquet(tmp_path / "s.parquet", rows())
    report = ingest(dataset(columns), [source], vault, version=1, catalogue_public=Catalogue((public.snapshot,)), random=os.urandom)
    resolved = report.snapshot.dataset.get("city")
    assert resolved is not None
    assert resolved.domain == tuple(sorted(CITIES))
    assert resolved.domain_from == "Cities.CITY"
    bad = rows().set_column(1, "city", [["elsewhere"] * 200])
    problem = refusal(
        lambda: ingest(
            dataset(columns), [parquet(source, bad)], vault, version=2, catalogue_public=Catalogue((public.snapshot,)), random=os.urandom
        )
    )
    assert parts_of(problem) == [("data_domain", "city", "200", "1")]


@pytest.mark.parametrize("source", ["nowhere.city", "cities.nothing", "cities.level", "visits.city"])
def test_keys_come_from_no_other_place(vault: Vault, tmp_path: Path, source: str) -> None:
    public = ingested(vault, tmp_path, pa.table({"city": ["a"], "level": [1]}), PUBLIC)
    private = ingested(vault, tmp_path)
    declared = dataset((ID, column("c", "text", domain_from=source)), unit="id", name="third")
    path = parquet(tmp_path / "s.parquet", pa.table({"id": [1], "c": ["a"]}))
    catalogue = Catalogue((public.snapshot, private.snapshot))
    problem = refusal(lambda: ingest(declared, [path], vault, version=1, catalogue_public=catalogue, random=os.urandom))
    assert problem.code == "data_domain_source"
    assert problem.fields == {"column": "c", "source": source, "limit": "100000"}


def test_a_public_table_is_stored_as_it_is(vault: Vault, tmp_path: Path) -> None:
    table = pa.table({"city": [f"c{n}" for n in range(1000)], "level": list(range(1000))})
    report = ingested(vault, tmp_path, table, PUBLIC.model_copy(update={"approximate_rows": 4}), shard_rows=1)
    assert report.shards == 4
    assert stored(vault, report).sort_by("level").equals(table)


def test_ingest_reports_what_was_not_declared(vault: Vault, tmp_path: Path) -> None:
    table = rows().append_column("phone", pa.array(["SECRET"] * 200))
    report = ingested(vault, tmp_path, table)
    assert report.ignored_columns == ("phone",)
    assert "phone" not in stored(vault, report).schema.names


def test_units_spread_evenly(vault: Vault, tmp_path: Path) -> None:
    """Sequential ids, as registers number people, and text ids: no shard far from its share (5 sigma)."""
    from sandbox.raw.partition import shard_of

    for units in (pa.chunked_array([np.arange(64_000)]), pa.chunked_array([[f"1401{n:08}" for n in range(64_000)]])):
        counts = np.bincount(shard_of(units, bytes(range(32)), 64), minlength=64)
        assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_a_public_table_publishes_its_keys_and_a_private_one_never_does(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = (column("city", "text"), column("level", "integer"), column("note", "text", uses=("filter",)))
    table = pa.table({"city": ["b", "a", None, "b"], "level": [3, 1, 2, 3], "note": ["x", "y", "z", "x"]})

    def domains(declared: Dataset, version: int) -> list[tuple[object, ...] | None]:
        path = tmp_path / f"{declared.name}-{version}.parquet"
        pq.write_table(table, path)
        report = ingest(declared, [path], vault, version=version, catalogue_public=Catalogue(()), random=os.urandom)
        return [item.domain for item in report.snapshot.dataset.columns]

    assert domains(dataset(levels, unit=None, name="cities"), 1) == [("a", "b"), (1, 2, 3), None]
    monkeypatch.setattr(domains_module, "MAX_PUBLISHED", 2)
    assert domains(dataset(levels, unit=None, name="cities"), 2) == [("a", "b"), None, None]
    ids = (column("level", "integer", uses=("filter",)), column("city", "text"))
    assert domains(dataset(ids, unit="level", name="private"), 1) == [None, None]
