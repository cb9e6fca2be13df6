"""`yunei try`: lines in, lines out, one process; nothing registered; the same code from plan to noise as a release."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.desk import read_catalogue, try_
from infra.settings import Settings
from jobs import acts
from jobs.register import Register
from policies.catalogue import Snapshot
from policies.problem import Problem
from tests.bench import visits

PEOPLE = 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [(person, person % 11 + 1, 1 + person % 7) for person in range(PEOPLE) for _ in range(1 + person % 3)]
    person, city, days = (list(column) for column in zip(*rows, strict=True))
    n = len(rows)
    table = {"person_id": person, "hospital": [1] * n, "city": city, "dept": [2] * n, "year": [2021] * n, "fee": [12.5] * n, "days": days}
    pq.write_table(pa.table(table), tmp_path / "visits.parquet")
    (tmp_path / "hospitals.csv").write_text("hospital,level\n1,3\n2,1\n")
    catalogue = {"datasets": [json.loads(dataset.model_dump_json()) for dataset in (visits.dataset(1000), visits.hospitals())]}
    (tmp_path / "catalogue.json").write_text(json.dumps(catalogue))
    return tmp_path


def said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *lines: object, **options: Any
) -> list[dict[str, Any]]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    given = {"exact": False, "seed": 0, "home": folder / "home", "encoding": "utf-8", **options}
    try_(catalogue=folder / "catalogue.json", data=folder, **given)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_line_is_answered_or_refused_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    levels = "SELECT h.level, COUNT(*) AS n FROM visits v JOIN hospitals h ON v.hospital = h.hospital GROUP BY h.level"
    count = "SELECT city, COUNT(DISTINCT person_id) AS n FROM visits GROUP BY city"
    answers = said(
        folder, monkeypatch, capsys,
        {"id": "a", "sql": count, "epsilon": 1e9, "delta": 0.5},
        "no json",
        "",
        {"id": "b", "sql": "SELECT person_id FROM visits", "epsilon": 1},
        {"id": "c", "sql": count, "epsilon": -1},
        {"id": "d", "sql": count, "epsilon": 1, "surprise": 2},
        {"id": "e", "sql": "SELECT dept, COUNT(*) AS n FROM visits GROUP BY dept", "rho": 0.5},
        [1, 2],
        {"id": "f", "sql": levels, "rho": 9, "weights": {"n": 2}},
        {"id": "g", "sql": "SELECT MEDIAN(days) AS m, COUNT(*) AS n FROM visits", "rho": 90, "edges": 41},
        {"id": "h", "sql": levels, "accuracy": "± 50"},
    )  # fmt: skip
    assert [(line["id"], line["status"], line.get("code")) for line in answers] == [
        ("a", "answer", None),
        (None, "refused", "request_line_unreadable"),
        ("b", "refused", "sql_not_grouped"),
        ("c", "refused", "request_line_invalid"),
        ("d", "refused", "request_line_invalid"),
        ("e", "answer", None),
        (None, "refused", "request_line_invalid"),
        ("f", "answer", None),
        ("g", "answer", None),
        ("h", "answer", None),
    ]
    first, private = answers[0], answers[5]
    assert (first["columns"], first["keys"], private["keys"]) == (["city", "n"], "public", "private")
    assert [row[0] for row in first["rows"]] == list(range(1, 12))
    assert sum(row[1] for row in first["rows"]) == PEOPLE  # at this epsilon the noise rounds to nothing
    assert all(width[0] is None and width[1] >= 0 for width in first["half_widths"])
    assert first["price"]["epsilon"] == 1e9
    assert 0 < private["price"]["threshold_delta"] < private["price"]["delta"]
    assert [row[0] for row in answers[-3]["rows"]] == [1, 2, 3]
    assert answers[-2]["half_widths"][0][0] is None  # a median has a rank error, not a half-width
    assert max(width[1] for width in answers[-1]["half_widths"]) <= 50
    assert all(line["seconds"] >= 0 for line in answers if line["id"])


def test_exact_totals_come_with_what_one_unit_moves(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"id": 1, "sql": "SELECT city, COUNT(*) AS n, SUM(fee) AS s FROM visits GROUP BY city", "epsilon": 1, "rows_per_group": 2}
    (answer,) = said(folder, monkeypatch, capsys, line, exact=True)
    assert answer["columns"] == ["k0", "t0", "t1"]
    assert [(total["kind"], total["cap"], total["decimals"]) for total in answer["totals"]] == [("count", 2, 0), ("sum", 2 * 5_000_000, 2)]
    kept = sum(min(2, 1 + person % 3) for person in range(PEOPLE))
    assert sum(row[1] for row in answer["rows"]) == kept
    rows = sum(1 + person % 3 for person in range(PEOPLE))
    assert sum(row[2] for row in answer["rows"]) == rows * 1250  # no one comes near the cap on what may be added up


def test_the_bins_of_a_quantile_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(folder, monkeypatch, capsys, {"id": 1, "sql": "SELECT MEDIAN(days) AS m, COUNT(*) AS n FROM visits", "rho": 1}, exact=True)
    (row,) = line["rows"]
    bins, (count,) = (value for value in row if isinstance(value, list)), [value for value in row if isinstance(value, int)]
    assert sum(bin["n"] for bin in next(bins)) == count
    assert next(bins, None) is None


def test_a_part_says_what_it_reads_of_earlier_ones(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT COUNT(*) AS n FROM visits WHERE fee > (SELECT AVG(fee) FROM visits)"
    (line,) = said(folder, monkeypatch, capsys, {"sql": sql, "rho": 1}, exact=True)
    assert [bool(part["reads"]) for part in line["parts"]] == [False, True]


def test_a_column_that_the_catalogue_keeps_from_being_a_key_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    by = "SELECT dept, COUNT(*) AS n FROM visits GROUP BY dept"
    assert said(folder, monkeypatch, capsys, {"sql": by, "rho": 1})[0]["status"] == "answer"
    catalogue = json.loads((folder / "catalogue.json").read_text())
    for column in catalogue["datasets"][0]["columns"]:
        column["uses"] = [use for use in column["uses"] if (column["name"], use) != ("dept", "key")]
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    lines = said(folder, monkeypatch, capsys, {"sql": by, "rho": 1}, {"sql": "SELECT COUNT(*) AS n FROM visits WHERE dept = 2", "rho": 1})
    assert [(line["status"], line.get("code")) for line in lines] == [("refused", "plan_key_undeclared"), ("answer", None)]


def test_registered_data_is_not_tried(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    register = Register.open(Settings(home=folder / "home"))
    acts.register_dataset(register, Snapshot(dataset=visits.hospitals(), version=1, digest="0" * 64))
    register.close()
    with pytest.raises(Problem) as caught:
        said(folder, monkeypatch, capsys, {"sql": "SELECT COUNT(*) FROM visits", "epsilon": 1})
    assert caught.value.code == "data_registered"


def test_a_catalogue_is_one_file_or_a_folder(tmp_path: Path) -> None:
    one = '[[datasets]]\nname = "a"\n'
    (tmp_path / "x.toml").write_text(one)
    with pytest.raises(Problem) as caught:
        list(read_catalogue(tmp_path))
    assert caught.value.code == "data_catalogue_invalid"
    (tmp_path / "x.toml").write_text("not = [toml")
    with pytest.raises(Problem) as broken:
        list(read_catalogue(tmp_path / "x.toml"))
    assert broken.value.code == "data_catalogue_invalid"
    demo = Path(__file__).resolve().parents[3] / "api" / "demo" / "catalogues"
    assert [dataset.name for dataset in read_catalogue(demo)] == ["airlines", "airports", "flights", "nafld1", "nafld2", "nafld3"]


def test_a_dataset_without_a_file_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hospitals.csv").unlink()
    with pytest.raises(Problem) as caught:
        said(folder, monkeypatch, capsys, {"sql": "SELECT COUNT(*) FROM visits", "epsilon": 1})
    assert (caught.value.code, caught.value.fields["dataset"]) == ("data_file_missing", "hospitals")
