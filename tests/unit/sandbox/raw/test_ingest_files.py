"""CSV and Parquet files: fields as declared, lines and fields that will not do located, files that will not do named."""

from __future__ import annotations

import gzip
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from infra.vault import Vault
from policies.catalogue import Catalogue
from sandbox.raw.ingest import ingest
from tests.ingesting import ID, from_csv, parts_of, refusal, stored
from tests.visits import column, dataset, parquet, rows

CSV_COLUMNS = (
    ID,
    column("n", "integer"),
    column("d", "decimal", decimals=2),
    column("f", "number"),
    column("t", "text"),
    column("day", "date"),
    column("at", "timestamp"),
    column("b", "boolean"),
)


def test_csv_fields_are_parsed_as_declared(vault: Vault, tmp_path: Path) -> None:
    text = (
        "\ufeffid,extra,n,d,f,t,day,at,b\r\n"
        '1,zzz,+7,1.005,-1.5e3,"a, ""b""",2025-03-01,2025-03-01 10:20:30.5,true\r\n'
        '2,zzz, -12.0 ,.5,NaN,"",2025/3/1,2025-03-01T10:20,0\r\n'
        "3,zzz,NA,12.,7,NA,20250301,2025/3/1,否\r\n"
        "4,zzz,,,,,,,\r\n"
        '5,zzz,9223372036854775807,-0.004,0,"line\none",NULL,N/A,Y\r\n'
    )
    report = from_csv(vault, tmp_path, text, dataset(CSV_COLUMNS, unit="id"))
    assert stored(vault, report).drop_columns(["id"]).to_pydict() == {
        "n": [7, -12, None, None, 2**63 - 1],
        "d": [Decimal("1.01"), Decimal("0.50"), Decimal("12.00"), None, Decimal("0.00")],
        "f": [-1500.0, None, 7.0, None, 0.0],
        "t": ['a, "b"', "", "NA", None, "line\none"],
        "day": [date(2025, 3, 1), date(2025, 3, 1), date(2025, 3, 1), None, None],
        "at": [datetime(2025, 3, 1, 10, 20, 30, 500_000), datetime(2025, 3, 1, 10, 20), datetime(2025, 3, 1), None, None],  # noqa: DTZ001
        "b": [True, False, False, None, True],
    }
    assert report.ignored_columns == ("extra",)
    assert report.nan_to_null == {}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("n", "1.5"), ("n", "1_000"), ("n", "0x10"), ("n", "9223372036854775808"), ("n", "1e3"), ("n", "１２"),
        ("d", "1e3"), ("d", "1_0"), ("d", "."), ("d", "10000000000000000"),
        ("f", "1,5"), ("f", "1.5x"), ("f", "0x1p3"),
        ("day", "2025-02-30"), ("day", "infinity"), ("day", "2025-03-01 (BC)"), ("day", "03/01/2025"), ("day", "20251301"),
        ("at", "2025-03-01 25:00"), ("at", "2025-03-01 10:00+08"), ("at", "epoch"),
        ("b", "maybe"), ("b", "2"),
    ],
)  # fmt: skip
def test_a_csv_field_that_is_no_such_value_is_located(vault: Vault, tmp_path: Path, name: str, field: str) -> None:
    declared = dataset((ID, next(item for item in CSV_COLUMNS if item.name == name)), unit="id")
    problem = refusal(lambda: from_csv(vault, tmp_path, f'id,{name}\n1,\n2,"{field}"\n', declared))
    assert parts_of(problem) == [("data_type", name, "1", "2")]
    if len(field) > 1:  # a shorter one stands in any text
        assert field not in str(problem.as_data())


def test_csv_lines_with_too_few_or_too_many_fields_are_located(vault: Vault, tmp_path: Path) -> None:
    declared = dataset((ID, column("t", "text")), unit="id")
    problem = refusal(lambda: from_csv(vault, tmp_path, "id,t\n1,a\nSECRET\n3,c,SECRET\n4,d\n", declared))
    assert parts_of(problem) == [("data_fields", "", "2", "2")]
    assert "SECRET" not in str(problem) + str(problem.as_data())


def test_csv_may_be_compressed_or_in_gb18030(vault: Vault, tmp_path: Path) -> None:
    declared = dataset((ID, column("t", "text")), unit="id")
    text = "id,t\n1,太原市晋源区\n"
    packed = from_csv(vault, tmp_path, gzip.compress(text.encode()), declared, "a.csv.gz")
    assert stored(vault, packed).column("t").to_pylist() == ["太原市晋源区"]
    problem = refusal(lambda: from_csv(vault, tmp_path, text.encode("gb18030"), declared.model_copy(update={"name": "b"})))
    assert problem.code == "data_source_unreadable"
    chinese = from_csv(vault, tmp_path, text.encode("gb18030"), declared.model_copy(update={"name": "b"}), csv_encoding="gb18030")
    assert stored(vault, chinese).column("t").to_pylist() == ["太原市晋源区"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("absent.csv", None, "data_source_missing"),
        ("table.xlsx", b"PK", "data_source_kind"),
        ("empty.csv", b"", "data_source_unreadable"),
        ("not.parquet", b"PAR1 no PAR1", "data_source_unreadable"),
        ("half.csv.gz", gzip.compress(b"id,t\n" + os.urandom(99_999).hex().encode())[:20_000], "data_source_unreadable"),
        ("encoding.csv", b"id,t\n1,\xff\xfe\n", "data_source_unreadable"),
        ("missing.csv", b"id,u\n1,a\n", "data_column_missing"),
        ("twice.csv", b"id,t,T\n1,a,b\n", "data_column_twice"),
    ],
)
def test_a_file_that_will_not_do_is_named(vault: Vault, tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    declared = dataset((ID, column("t", "text")), unit="id")
    problem = refusal(lambda: ingest(declared, [path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom))
    assert problem.code == code
    assert problem.fields["file"] == name
    assert list((tmp_path / "vault").iterdir()) == []


def test_a_truncated_parquet_file_is_refused_halfway(vault: Vault, tmp_path: Path) -> None:
    path = parquet(tmp_path / "s.parquet", rows(5000))
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    problem = refusal(lambda: ingest(dataset(), [path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom))
    assert problem.code in ("data_source_unreadable", "data_refused")
    assert list((tmp_path / "vault").iterdir()) == []


def test_progress_of_a_csv_has_no_total(vault: Vault, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    from_csv(vault, tmp_path, "id\n1\n2\n", dataset((ID,), unit="id"), progress=lambda done, total: told.append((done, total)))
    assert told == [(2, None)]
