"""Dummy rows obey every declaration (ingest itself is the judge), and a job's dummy answer looks like the real one."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from infra.vault import Vault
from policies.catalogue import Catalogue, Dataset, Snapshot
from sandbox import dummy
from sandbox.dummy import dummy_answer, dummy_tables
from sandbox.plan.model import ColumnUse, Key, Plan, Scan, Total
from sandbox.raw.ingest import ingest
from sandbox.raw.rules import stored_type
from tests import questions, visits
from tests.handmade import gaussian, part_of, thresholded, whole
from tests.questions import with_part
from tests.visits import CITIES, COLUMNS, column

PERSONS = Total("t0", "units", 0, 1, 1)
FEES = Total("t1", "sum", 0, 100_000, 300_000, 2)
CHOSEN = (
    "WITH part AS (SELECT person_id AS u, {key} AS k0, LEAST(GREATEST(COALESCE(SUM(CAST(fee * 100 AS BIGINT)), 0), -300000), 300000)::BIGINT "
    "AS t1 FROM {source} GROUP BY ALL), kept AS (SELECT * FROM part QUALIFY ROW_NUMBER() OVER (PARTITION BY u ORDER BY hash(k0, $seed, u), k0) "
    "<= 2) SELECT k0, COUNT(*) AS t0, SUM(t1) AS t1 FROM kept GROUP BY k0"
)


def snapshot(dataset: Dataset) -> Snapshot:
    return Snapshot(dataset=dataset, version=1, digest="0" * 64)


def plan_for(catalogue: Catalogue, key: Key, scans: dict[str, tuple[str, ...]], sql: str, uses: tuple[ColumnUse, ...] = ()) -> Plan:
    draws = (gaussian(PERSONS, 2, 10**10), gaussian(FEES, 2, 10**10))
    if key.domain is None:
        draws = (thresholded(PERSONS, 2, 10**10, 1e-9), draws[1])
    made = tuple(
        Scan(name, 1, "0" * 64, catalogue[name].dataset.private, alias, columns)
        for (name, columns), alias in zip(scans.items(), "vw", strict=False)
    )
    return whole(part_of((key,), (PERSONS, FEES), draws, 2, scans=made, shard_sql=sql), uses=uses)


VISITS = visits.dataset()
CATALOGUE = Catalogue((snapshot(VISITS),))
ALL = {"visits": tuple(column.name for column in COLUMNS)}


def by_city() -> Plan:
    return plan_for(CATALOGUE, Key("k0", "text", CITIES), ALL, CHOSEN.format(key="city", source="v"))


def test_dummy_rows_pass_ingest_under_their_own_declarations(vault: Vault, tmp_path: Path) -> None:
    strict = visits.dataset(
        [
            *(item.model_copy(update={"nullable": False}) if item.name in ("city", "fee") else item for item in COLUMNS),
            column("grade", "integer", low=Decimal(-3), high=Decimal(-3)),
            column("share", "number", low=Decimal("0.25"), high=Decimal("0.3")),
            column("code", "text", max_length=2),
            column("day", "date", domain=(datetime.date(2020, 2, 29),)),
            column("wide", "integer", low=Decimal(-(2**60)), high=Decimal(2**60)),
            column("open", "decimal", decimals=4),
        ]
    )
    catalogue = Catalogue((snapshot(strict),))
    plan = with_part(by_city(), scans=(Scan("visits", 1, "0" * 64, True, "v", tuple(item.name for item in strict.columns)),))
    table = dummy_tables(plan, catalogue, rows=3_000)["v"]
    assert table.num_rows == 3_000
    assert table.schema.types == [stored_type(item) for item in strict.columns]
    report = ingest(
        strict, [visits.parquet(tmp_path / "dummy.parquet", table)], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom
    )
    assert (report.rows, report.dropped_null_units, sum(report.clamped.values())) == (3_000, 0, 0)
    nulls = {name: table.column(name).null_count for name in table.column_names}
    assert nulls["person_id"] == nulls["city"] == nulls["fee"] == 0
    assert 0 < nulls["note"] < 300


def test_units_have_several_rows_and_columns_vary() -> None:
    table = dummy_tables(by_city(), CATALOGUE)["v"]
    units = pc.count_distinct(table.column("person_id")).as_py()
    assert table.num_rows / 5 < units < table.num_rows / 2
    assert set(table.column("city").to_pylist()) == {*CITIES, None}
    assert pc.count_distinct(table.column("fee")).as_py() > 500


def test_the_same_seed_gives_the_same_rows_and_another_does_not() -> None:
    plan = by_city()
    assert dummy_tables(plan, CATALOGUE, seed=3)["v"].equals(dummy_tables(plan, CATALOGUE, seed=3)["v"])
    assert not dummy_tables(plan, CATALOGUE, seed=3)["v"].equals(dummy_tables(plan, CATALOGUE, seed=4)["v"])


def test_only_scanned_columns_are_made() -> None:
    plan = plan_for(CATALOGUE, Key("k0", "text", CITIES), {"visits": ("person_id", "city", "fee")}, "")
    assert dummy_tables(plan, CATALOGUE)["v"].column_names == ["person_id", "city", "fee"]


def test_an_answer_over_public_keys_has_the_shape_of_the_real_one() -> None:
    released = dummy_answer(by_city(), CATALOGUE)
    assert released.table.column("k0").to_pylist() == list(CITIES)
    assert released.table.column_names == ["k0", "t0", "t0__half_width", "t1", "t1__half_width"]
    assert sum(released.table.column("t0").to_pylist()) > 200


@pytest.mark.parametrize(("name", "kind"), [("note", "text"), ("days", "integer"), ("born", "date")])
def test_an_answer_over_private_keys_shows_some_of_them(name: str, kind: str) -> None:
    sql = CHOSEN.format(key=name, source="v")
    plan = plan_for(CATALOGUE, Key("k0", kind, None), ALL, sql, (ColumnUse("visits", name, "key"),))  # type: ignore[arg-type]  # a key type
    assert 1 <= dummy_answer(plan, CATALOGUE).table.num_rows <= dummy.FEW + 1  # NULL is a key too


def test_a_public_table_joins_on_the_values_others_took_from_it() -> None:
    hospitals = visits.dataset([column("name", "text"), column("level", "integer")], unit=None, name="hospitals")
    taken = visits.dataset([*COLUMNS, column("hospital", "text", domain_from="hospitals.name", domain=("一院", "二院", "三院"))])
    catalogue = Catalogue((snapshot(taken), snapshot(hospitals)))
    sql = CHOSEN.format(key="level", source="v JOIN w ON v.hospital = w.name")
    scans = {"visits": ("person_id", "fee", "hospital"), "hospitals": ("name", "level")}
    plan = plan_for(catalogue, Key("k0", "integer", (1, 2, 3)), scans, sql)
    tables = dummy_tables(plan, catalogue)
    assert set(tables["w"].column("name").to_pylist()) == {"一院", "二院", "三院"}
    assert tables["w"].num_rows == 3
    assert min(dummy_answer(plan, catalogue).table.column("t0").to_pylist()) > 50


def test_references_meet_in_dummy_rows() -> None:
    plan = questions.plan_for("SELECT kind, COUNT(*) AS n FROM items i JOIN bills b ON i.bill = b.bill GROUP BY kind")
    tables = dummy_tables(plan, questions.CATALOGUE)
    items, bills = (next(tables[scan.alias] for scan in plan.scans if scan.dataset == name) for name in ("items", "bills"))
    owners = dict(zip(bills.column("bill").to_pylist(), bills.column("pid").to_pylist(), strict=True))
    assert len(owners) == bills.num_rows
    assert all(
        owners[bill] == person for bill, person in zip(items.column("bill").to_pylist(), items.column("person").to_pylist(), strict=True)
    )
