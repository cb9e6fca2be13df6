"""A report says whom its losses are about, in every file: the unit, or with budgets by period a unit and a period."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pypdf
import pytest

from jobs import acts
from jobs.register import Register
from jobs.reports import Report
from jobs.reports.files import document, written
from policies.problem import Language
from tests.periods import allow, by_month
from tests.reports import facts, made, rows, table
from tests.small_register import a_licence, a_register, a_snapshot, title

TITLE = "Privacy unit (whom privacy loss is about)"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """Visits by month under one licence, hospitals whole under another, and a dataset that nobody was granted."""
    with a_register(tmp_path_factory.mktemp("units")) as register:
        allow(register)
        acts.register_dataset(register, by_month())
        for name in ("hospitals", "schools"):
            acts.register_dataset(register, a_snapshot(name))
        for number, name in enumerate(("visits", "hospitals"), 1):
            acts.issue_key(register, f"op-{number}", "operator", title=title(f"op-{number}"))
            acts.grant_licence(register, a_licence(f"L-{number}", operator=f"op-{number}", datasets=(name,)))
        yield register


def test_each_unit_is_told_with_the_data_it_is_of(house: Register) -> None:
    all_of_them, month, whole = (made(house, "disclosure", "2026", subject) for subject in (None, "op-1", "op-2"))
    by_period = {"unit": {"zh": "person（中）—月", "en": "person and month"}, "space": "person/month", "period": {"zh": "月", "en": "month"}}
    plain = {"unit": {"zh": "person（中）", "en": "person"}, "space": "person", "period": {"zh": "不分期", "en": "none"}}
    named = {name: {"datasets": {"zh": name, "en": name}} for name in ("visits", "hospitals")}
    first, second = plain | named["hospitals"], by_period | named["visits"]
    for report, told in ((all_of_them, [first, second]), (month, [second]), (whole, [first])):
        assert [{name: _plain(cell) for name, cell in row.items()} for row in rows(report, "units")] == told
    assert _plain(facts(month, "use")[TITLE]) == {
        "zh": "person（中）—月（仅限一期之内）：visits",
        "en": "person and month (within one period only): visits",
    }
    assert _plain(facts(whole, "use")[TITLE]) == {"zh": "person（中）：hospitals", "en": "person: hospitals"}
    assert TITLE in facts(made(house, "usage", "2026-11"), "use")
    assert [row["space"] for row in rows(made(house, "filing", None, "L-1"), "units")] == ["person/month"]


def _plain(cell: object) -> object:
    return cell.model_dump() if hasattr(cell, "model_dump") else cell


@pytest.mark.parametrize(("language", "unit"), [("zh", "person（中）—月"), ("en", "person and month")])
def test_every_file_says_it(house: Register, language: Language, unit: str) -> None:
    report = made(house, "disclosure", "2026", "op-1")
    note = table(report, "units").note
    assert note is not None
    said = note.zh if language == "zh" else note.en
    page = written(report, "html", language).body.decode()
    assert unit in page
    assert said in page
    assert unit in str(json.loads(document(report)))
    assert unit in _sheets(report, language)["about.csv"]
    assert unit in next(text for name, text in _sheets(report, language).items() if name.endswith("-units.csv"))
    pdf = "".join(each.extract_text() for each in pypdf.PdfReader(io.BytesIO(written(report, "pdf", language).body)).pages)
    squeezed = re.sub(r"[\s\0]", "", pdf)
    assert unit.replace(" ", "") in squeezed
    assert re.sub(r"\s", "", said)[:40] in squeezed


def _sheets(report: Report, language: Language) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(written(report, "csv", language).body)) as archive:
        return {
            name: "\n".join(" ".join(row) for row in csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))))
            for name in archive.namelist()
        }


def test_where_nothing_is_protected_no_unit_is_named(tmp_path: Path) -> None:
    with a_register(tmp_path) as register:
        acts.issue_key(register, "op-1", "operator", title=title("op-1"))
        assert _plain(facts(made(register, "usage", "2026-11"), "use")[TITLE]) == {"zh": "没有受保护的数据集", "en": "no protected data"}
