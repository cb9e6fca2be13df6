"""A profile says of raw files what they hold, and drafts an entry that ingest takes."""

from __future__ import annotations

import os
import random
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.vault import Vault
from policies.catalogue import Catalogue, Dataset
from policies.problem import Problem
from sandbox.raw.ingest import ingest
from sandbox.raw.profile import Profile, Spread, draft, outwards, profile, round_up
from tests.visits import parquet

ROWS = 300


def table() -> pa.Table:
    rng = random.Random(1)
    return pa.table(
        {
            "pid": [f"P{i % 50}" for i in range(ROWS)],
            "age": pa.array([None if i % 10 == 0 else rng.randrange(3, 88) for i in range(ROWS)], pa.int64()),
            "fee": [round(rng.uniform(0, 900), 2) for _ in range(ROWS)],
            "city": [("太原", "大同", 'o"B')[i % 3] for i in range(ROWS)],
            "day": [date(2024, 1, 1 + i % 28) for i in range(ROWS)],
            "sure": [i % 2 == 0 for i in range(ROWS)],
            "note": [f"n{rng.random()}" for _ in range(ROWS)],
        }
    )


def columns(found: Profile) -> dict[str, tuple[Any, ...]]:
    return {one.name: (one.type, one.nulls, one.values is None or len(one.values), one.key) for one in found.columns}


def filled(text: str) -> Dataset:
    """The draft with what only a person knows filled in."""
    return Dataset.model_validate(tomllib.loads(text.replace('zh = "", en = ""', 'zh = "x", en = "x"').replace('_no = ""', '_no = "1"')))


def test_parquet_says_its_types(tmp_path: Path) -> None:
    found = profile([parquet(tmp_path / "a.parquet", table()), parquet(tmp_path / "b.parquet", table())], "pid")
    assert found.rows == 2 * ROWS
    assert {name: said[:2] for name, said in columns(found).items()} == {
        "pid": ("text", 0), "age": ("integer", 60), "fee": ("number", 0), "city": ("text", 0), "day": ("date", 0), "sure": ("boolean", 0),
        "note": ("text", 0),
    }  # fmt: skip
    assert [one.name for one in found.columns if one.key] == ["pid", "age", "city", "day", "sure"]
    assert found.units == 50
    assert found.rows_per_unit == Spread(12, 12, 12, 12)
    assert found.keys_per_unit["city"] == Spread(3, 3, 3, 3)
    ages = [age for age in table().column("age").to_pylist() if age is not None]
    (age,) = (one for one in found.columns if one.name == "age")
    assert age.ends["integer"] == (str(min(ages)), str(max(ages)))


def test_csv_is_read_as_ingest_would(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,c,d,e,f\n1,1.50,2024-01-02,是,x,NA\n 2 ,-3,2024/1/3,否,,\n,7.125,2024-01-02,yes,3,null\n", encoding="utf-8")
    found = {one.name: one for one in profile([path], None).columns}
    assert {name: one.type for name, one in found.items()} == {
        "a": "integer", "b": "decimal", "c": "date", "d": "boolean", "e": "text", "f": "integer",
    }  # fmt: skip
    assert [one.nulls for one in found.values()] == [1, 0, 0, 0, 1, 3]
    assert found["b"].decimals == 3
    assert (found["a"].ends["integer"], found["c"].ends["date"]) == (("1", "2"), ("2024-01-02", "2024-01-03"))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_draft_is_a_catalogue_file_that_fits_the_files(vault: Vault, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    parquet(path, table()) if form == "parquet" else csv.write_csv(table(), path)
    text = draft(profile([path], "pid"), "visits", date(2026, 1, 1))
    declared = filled(text)
    assert declared.unit is not None
    assert declared.unit.pseudonym
    assert declared.share.attribute == "none"  # until somebody decides otherwise
    city = declared.get("city")
    assert city is not None
    assert city.domain == ('o"B', "大同", "太原")
    report = ingest(declared, [path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom)
    assert (report.rows, report.cut_rows, report.clamped) == (ROWS, 0, {})


def test_a_unit_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        profile([parquet(tmp_path / "a.parquet", table())], "who")
    assert caught.value.code == "data_profile_unit"


def test_nothing_of_it_is_in_a_repr(tmp_path: Path) -> None:
    rows = table()
    found = profile([parquet(tmp_path / "a.parquet", rows)], "pid")
    said = f"{found!r} {found.columns!r} {found.columns[0]}"
    values = {str(value) for column in rows.columns for value in column.to_pylist()}
    told = {value for value in values if len(value) >= 6 or not value.isascii()}  # shorter ones may stand in an address
    assert len(told) > 400
    assert not [value for value in told if value in said]


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_a_draft_range_holds_what_was_found(low: int, wide: int) -> None:
    least, most = map(int, outwards(str(low), str(low + wide), 0))
    assert least <= low
    assert low + wide <= most
    assert least <= most


def test_rounding_goes_up() -> None:
    assert [round_up(n) for n in (0, 1, 3, 7, 11, 51, 200, 201)] == [1, 1, 5, 10, 20, 100, 200, 500]
