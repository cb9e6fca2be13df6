"""Units found by reference, unique columns, and the most rows of a unit: held at ingest, and the same at the desk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Bounds, Catalogue, Column, Dataset, Snapshot, Unit, Via
from policies.problem import Problem
from sandbox.desk import Desk
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.raw.ingest import IngestReport, ingest
from sandbox.raw.run import exact_totals, shard_tasks
from tests.visits import WORDS, column, dataset

Choice = Literal["refuse", "drop"]
BILLS = (column("bill", "integer", unique=True, uses=("filter", "join")), column("pid", "integer", uses=("filter", "join", "distinct")))
ITEMS = (column("bill", "integer", uses=("filter", "join")), column("drug", "text", domain=("a", "b")))
PARTS = (column("item", "integer", uses=("filter", "join")), column("size", "integer", low=Decimal(0), high=Decimal(9)))


def bills(*, rows: int = 8, columns: tuple[Column, ...] = BILLS) -> Dataset:
    return dataset(columns, unit="pid", rows=rows, name="bills")


def items(on_null: Choice = "refuse", on_missing: Choice = "refuse", *, unit: str = "owner", columns: tuple[Column, ...] = ITEMS) -> Dataset:
    via = Via(column="bill", references="bills.bill", on_missing=on_missing)
    made = dataset(columns, unit=None, rows=4, name="items")
    return Dataset.model_validate(
        dict(made)
        | {
            "unit": Unit(column=unit, space="person", title=WORDS, on_null=on_null, via=via),
            "bounds": Bounds(groups_per_unit=2, rows_per_group=3),
        }
    )


def bill_rows(count: int = 60) -> pa.Table:
    return pa.table(
        {"bill": pa.array([1000 + i for i in range(count)], pa.int64()), "pid": pa.array([i * 7 % 20 for i in range(count)], pa.int64())}
    )


def item_rows(count: int = 200, bills: int = 60) -> pa.Table:
    return pa.table(
        {"bill": pa.array([1000 + i * 13 % bills for i in range(count)], pa.int64()), "drug": [("a", "b")[i % 2] for i in range(count)]}
    )


def put(vault: Vault, tmp_path: Path, table: pa.Table, declared: Dataset, *known: Snapshot) -> IngestReport:
    path = tmp_path / f"{declared.name}.parquet"
    pq.write_table(table, path)
    return ingest(declared, [path], vault, version=1, catalogue_public=Catalogue(known), random=os.urandom, shard_rows=1)


def stored(vault: Vault, name: str) -> list[pa.Table]:
    return [part.read() for part in vault.open(name, 1).parts]


def refused(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def parts(problem: Problem) -> list[tuple[str, dict[str, str]]]:
    assert problem.code == "data_refused"
    return [(part.code, {name: str(value) for name, value in part.fields.items()}) for part in problem.parts]


def test_each_row_gets_the_unit_of_the_row_it_refers_to_and_lies_in_its_shard(vault: Vault, tmp_path: Path) -> None:
    parent = put(vault, tmp_path, bill_rows(), bills()).snapshot
    report = put(vault, tmp_path, item_rows(), items(), parent)
    of = dict(zip(*(bill_rows().column(name).to_pylist() for name in ("bill", "pid")), strict=True))
    tables = stored(vault, "items")
    assert len(tables) > 1
    owned = [set(table.column("pid").to_pylist()) for table in stored(vault, "bills")]
    for place, table in enumerate(tables):
        assert table.column_names == ["bill", "drug", "owner"]
        rows = table.to_pylist()
        assert all(row["owner"] == of[row["bill"]] for row in rows)
        assert [row["owner"] for row in rows] == sorted(row["owner"] for row in rows)
        assert {row["owner"] for row in rows} <= set.union(*owned[place :: len(tables)])
    assert sum(table.num_rows for table in tables) == report.rows == 200
    assert report.snapshot.dataset.unit is not None
    assert report.snapshot.dataset.unit.type == "integer"
    assert Dataset.model_validate_json(report.snapshot.dataset.model_dump_json()) == report.snapshot.dataset


def test_a_path_goes_on_from_table_to_table_and_joins_are_local(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    parent = put(vault, tmp_path, bill_rows(), bills()).snapshot
    named = (column("item", "text", unique=True, uses=("filter", "join")), *ITEMS)
    with_names = item_rows().append_column("item", pa.array([f"i{n}" for n in range(200)]))
    child = put(vault, tmp_path, with_names, items(columns=named), parent).snapshot
    leaf = Dataset.model_validate(
        dict(dataset((column("item", "text", uses=("filter", "join")), PARTS[1]), unit=None, rows=2, name="parts"))
        | {
            "unit": Unit(column="whose", space="person", title=WORDS, via=Via(column="item", references="items.item")),
            "bounds": Bounds(groups_per_unit=2, rows_per_group=3),
        }
    )
    sizes = pa.table({"item": [f"i{n % 200}" for n in range(300)], "size": pa.array([n % 10 for n in range(300)], pa.int64())})
    grandchild = put(vault, tmp_path, sizes, leaf, parent, child).snapshot
    catalogue = Catalogue((parent, child, grandchild))
    sql = "SELECT drug, COUNT(*) AS n, COUNT(DISTINCT pid) AS p FROM parts JOIN items USING (item) JOIN bills USING (bill) GROUP BY drug"
    plan = compile_job(sql, catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
    assert len(shard_tasks(plan.parts[0], vault, 5, 10**6)) == 2
    rows = exact_totals(plan.parts[0], vault, inline_workers, 5).table.to_pylist()
    of = dict(zip(*(bill_rows().column(name).to_pylist() for name in ("bill", "pid")), strict=True))
    found: dict[str, Counter[int]] = {"a": Counter(), "b": Counter()}
    listed = with_names.to_pylist()
    for row in sizes.to_pylist():
        item = listed[int(row["item"][1:])]
        found[item["drug"]][of[item["bill"]]] += 1
    assert {row["k0"]: (row["t0"], row["t1"]) for row in rows} == {
        drug: (sum(min(count, 3) for count in counts.values()), len(counts)) for drug, counts in found.items()
    }


def test_rows_that_refer_to_nothing_are_refused_or_dropped_and_counted(vault: Vault, tmp_path: Path) -> None:
    parent = put(vault, tmp_path, bill_rows(), bills()).snapshot
    table = pa.table({"bill": pa.array([1000, None, 1001, 7, 8, None], pa.int64()), "drug": ["a"] * 6})
    problem = refused(lambda: put(vault, tmp_path, table, items(), parent))
    assert [(code, fields["count"], fields["row"]) for code, fields in parts(problem)] == [
        ("data_unit_null", "2", "2"),
        ("data_unit_missing", "2", "4"),
    ]
    assert "7" not in str(problem)
    assert vault.versions("items") == ()
    report = put(vault, tmp_path, table, items("drop", "drop"), parent)
    assert (report.rows, report.dropped_null_units, report.dropped_missing_units) == (2, 2, 2)


def test_a_declared_unit_column_is_filled_in_and_need_not_be_in_the_files(vault: Vault, tmp_path: Path) -> None:
    parent = put(vault, tmp_path, bill_rows(), bills()).snapshot
    shown = items(unit="pid", columns=(BILLS[1], *ITEMS))
    put(vault, tmp_path, item_rows(), shown, parent)
    assert stored(vault, "items")[0].column_names == ["pid", "bill", "drug"]


@pytest.mark.parametrize(
    "known",
    [
        (),
        (dataset((column("bill", "integer", unique=True),), unit=None, name="bills"),),  # public
        (bills(columns=(column("bill", "integer"), BILLS[1])),),  # not unique
        (bills(columns=(column("bill", "text", unique=True), BILLS[1])),),  # of another type
    ],
)
def test_what_is_referred_to_has_to_be_there(vault: Vault, tmp_path: Path, known: tuple[Dataset, ...]) -> None:
    snapshots = [Snapshot(dataset=one, version=1, digest="0" * 64) for one in known]
    problem = refused(lambda: put(vault, tmp_path, item_rows(), items(), *snapshots))
    assert problem.code == "data_unit_reference"


@pytest.mark.parametrize("kind", ["integer", "text"])
def test_unique_means_no_value_twice(vault: Vault, tmp_path: Path, kind: str) -> None:
    declared = bills(columns=(column("bill", kind, unique=True), BILLS[1]))
    values: list[Any] = [1, 2, None, 2, None, 3, 3, 3]
    table = pa.table({"bill": values if kind == "integer" else [value and str(value) for value in values], "pid": range(8)})
    problem = refused(lambda: put(vault, tmp_path, table, declared))
    assert [(code, fields["column"], fields["count"]) for code, fields in parts(problem)] == [("data_not_unique", "bill", "3")]
    put(vault, tmp_path, table.slice(0, 3), declared)


def crowded(over: str) -> Dataset:
    made = dataset((BILLS[1], ITEMS[1]), unit="pid", rows=4, name="crowds")
    return Dataset.model_validate(dict(made) | {"bounds": Bounds(groups_per_unit=2, rows_per_group=3, rows_per_unit=2, over_rows=over)})  # type: ignore[arg-type]


def test_units_have_no_more_rows_than_declared(vault: Vault, tmp_path: Path) -> None:
    table = pa.table({"pid": pa.array([1, 2, 1, 3, 1, 2, 3, 3, 1], pa.int64()), "drug": ["a", "a", "b", "b", "b", "a", "a", "b", "a"]})
    problem = refused(lambda: put(vault, tmp_path, table, crowded("refuse")))
    assert [code for code, _ in parts(problem)] == ["data_rows_per_unit"]
    assert vault.versions("crowds") == ()
    report = put(vault, tmp_path, table, crowded("cut"))
    assert (report.rows, report.cut_rows) == (6, 3)
    kept = [tuple(row.values()) for part in stored(vault, "crowds") for row in part.to_pylist()]
    assert sorted(kept) == [(1, "a"), (1, "b"), (2, "a"), (2, "a"), (3, "a"), (3, "b")]  # the first of each, as they came


def test_the_desk_holds_the_same(tmp_path: Path) -> None:
    pq.write_table(bill_rows(), tmp_path / "bills.parquet")
    pq.write_table(item_rows(), tmp_path / "items.parquet")
    desk = Desk.open([items(), bills()], tmp_path)  # in whatever order they come
    sql = "SELECT drug, COUNT(*) AS n FROM items JOIN bills USING (bill) GROUP BY drug"
    said = desk.answer({"sql": sql, "epsilon": 1}, exact=True)
    assert said["status"] == "answer", said
    pq.write_table(item_rows(bills=61), tmp_path / "items.parquet")
    problem = refused(lambda: Desk.open([items(), bills()], tmp_path))
    assert [code for code, _ in parts(problem)] == ["data_unit_missing"]
    pq.write_table(pa.concat_tables([bill_rows(), bill_rows(1)]), tmp_path / "bills.parquet")
    assert [code for code, _ in parts(refused(lambda: Desk.open([bills()], tmp_path)))] == ["data_not_unique"]


def test_a_unit_named_in_another_case_is_the_unit(vault: Vault, tmp_path: Path) -> None:
    declared = dataset((BILLS[1], ITEMS[1]), unit="PID", rows=4, name="crowds")
    table = pa.table({"pid": pa.array([1, None], pa.int64()), "drug": ["a", "b"]})
    assert [code for code, _ in parts(refused(lambda: put(vault, tmp_path, table, declared)))] == ["data_unit_null"]
