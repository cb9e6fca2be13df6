"""A report's files: the same bytes whenever, wherever and however often they are made, and fit to be read by people and programs."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pypdf
import rfc8785

from jobs import acts
from jobs.acts.periods import close_period
from jobs.register import Register
from jobs.reports import Report
from jobs.reports.files import document, files, written
from policies.catalogue import Title
from policies.period import Period
from tests.reports import NASTY, made, rows

AGAIN = """
import json, sys
from pathlib import Path
from infra.settings import Settings
from jobs.register import Register
from jobs.reports import Asked, make
from jobs.reports.files import files
register = Register.open(Settings(home=Path(sys.argv[1]), log_origin="log.example/register"))
told = {file.name: file.sha256 for file in files(make(register, Asked.of("usage", "2026-11", "op-1"), int(sys.argv[2])))}
register.close()
print(json.dumps(told))
"""


def test_the_bytes_are_the_same_later_elsewhere_and_in_another_process(own: Register) -> None:
    report = made(own, "usage", "2026-11", "op-1")
    told = {file.name: file.sha256 for file in files(report)}
    assert len(told) == 7
    acts.set_freeze(own, "everything", "", reason="其后", by="li")  # what came since is not in it
    close_period(own, Period.parse("2026-12"), by="li")
    acts.revoke_licence(own, "L-1", reason="其后", by="li")
    own.publish()
    environment = {**os.environ, "TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7"}
    environment = {name: value for name, value in environment.items() if not name.startswith("YUNEI_")}
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", AGAIN, str(own.settings.home), str(report.size)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout.strip().splitlines()[-1]) == told


def test_the_document_is_canonical_whatever_was_written_into_it(own: Register) -> None:
    for report in (made(own, "usage", "2026-11", None), made(own, "filing", None, "L-1")):
        hidden = '\u0000\u0007\u001f\u007f\u2028\ufeff\U0001f4a9\\/"\b\f'  # what the standard spells in a way of its own
        named = report.model_copy(update={"subject_title": Title(zh=hidden, en=NASTY)})
        assert document(named) == rfc8785.dumps(named.model_dump(mode="json"))


def pdf_of(report: Report, language: Any) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(written(report, "pdf", language).body))


def text_of(reader: pypdf.PdfReader) -> str:
    """Without blanks, and the zero bytes that pypdf reads out of two-byte codes."""
    return "".join("".join(page.extract_text().replace("\0", "").split()) for page in reader.pages)


def test_a_pdf_has_words_numbers_fonts_bookmarks_and_metadata(house: Register) -> None:
    report = made(house, "revenue", "2026")
    reader = pdf_of(report, "zh")
    text = text_of(reader)
    for said in ("授权运营收益分配报告", "对账单", "省财政", "谁投入、谁贡献、谁受益", "630.00", report.root, f"{report.size}"):
        assert "".join(said.split()) in text
    assert "Report on revenue" not in text
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert descriptor["/FontFile3"].get_object().get_data()  # embedded
        assert "/ToUnicode" in font  # and can be copied out
    outline = [each.title for each in _flat(reader.outline)]
    assert outline[:2] == ["费用与收益分配", "对账单"]
    assert reader.metadata is not None
    assert reader.metadata.title == "授权运营收益分配报告 2026"
    assert reader.metadata.creation_date_raw == "D:20261231160001Z"
    english = text_of(pdf_of(report, "en"))
    assert "Reportonrevenueanditsshares" in english
    assert "treasury" in english


def _flat(outline: Any) -> Iterator[Any]:
    for each in outline:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def test_what_people_wrote_is_text_everywhere(house: Register) -> None:
    report = made(house, "incident", "2026-Q4")
    page = written(report, "html", "zh").body.decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert 'src="' not in page
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing from anywhere
    assert NASTY.replace(" ", "") in text_of(pdf_of(report, "zh"))


def sheets(report: Report, language: Any) -> dict[str, list[list[str]]]:
    found = {}
    with zipfile.ZipFile(io.BytesIO(written(report, "csv", language).body)) as archive:
        for name in archive.namelist():
            body = archive.read(name)
            assert body.startswith(b"\xef\xbb\xbf")  # or Excel reads Chinese as something else
            found[name] = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
    return found


def test_spreadsheets_hold_every_table_with_plain_numbers(house: Register) -> None:
    report = made(house, "revenue", "2026")
    found = sheets(report, "en")
    assert list(found) == ["about.csv", "01-statements.csv", "02-bodies.csv", "03-shares.csv", "04-items.csv"]
    head, *body = found["01-statements.csv"]
    assert head[7:] == ["Posted (CNY)", "Brought in (CNY)", "Payable (CNY)", "Carried on (CNY)"]
    fen = [[int(Decimal(cell) * 100) for cell in row[7:]] for row in body]
    assert fen == [[int(row[name]) for name in ("posted", "brought", "payable", "carried")] for row in rows(report, "statements")]
    assert sheets(report, "zh")["02-bodies.csv"][0][:2] == ["分配方", "类别"]
    measures = sheets(made(house, "incident", "2027"), "zh")["02-measures.csv"]
    assert measures[1][3] == "'=1+1 明年"  # no formula


def test_json_is_canonical_and_reads_back(house: Register) -> None:
    report = made(house, "disclosure", "2026")
    body = document(report)
    assert json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body
    assert Report.model_validate_json(body) == report
