"""Reports: what is in them, that their money is the statements', that they come out the same whenever, wherever and however often."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pypdf
import pytest

from jobs import acts, statements
from jobs.acts.periods import close_period
from jobs.audit import audit
from jobs.events import ReportFile, ReportIssued
from jobs.register import Register
from jobs.reports import KINDS, Asked, Report, make
from jobs.reports.files import FORMS, File, document, files, written
from jobs.reports.issue import fetched, issue, listed, names, statement
from jobs.reports.model import Table
from policies.catalogue import Title
from policies.period import Period
from policies.problem import Problem
from tests.money import charging, deliver, licensed, publish, tariff, travel
from tests.small_register import title
from yunei import YuneiProblem
from yunei.auditing import audit_folder
from yunei.reportproof import verify_report
from yunei.transparency import Key

NASTY = '<script>alert("冻结")</script>'
NEW_YEAR = datetime(2026, 12, 31, 16, tzinfo=UTC)  # midnight in China


def furnish(register: Register) -> None:
    """Two months of work under two licences, a period closed, a freeze, a revoked key."""
    acts.issue_key(register, "op-2", "operator", title=title("op-2"))
    acts.grant_licence(register, charging(tariff(), id="L-2", operator="op-2"))
    for number in range(4):
        publish(register, f"a{number}", rows=500)
    publish(register, "free", scenario="public-good", rows=5000)
    publish(register, "both", scenario="industry", datasets=("visits", "hospitals"))
    deliver(register, "r-both")
    travel(register, datetime(2026, 12, 3, tzinfo=UTC))
    publish(register, "later", rows=1500)
    acts.set_freeze(register, "operator", "op-1", reason=NASTY, by="li")
    close_period(register, Period.parse("2026-11"), by="li")
    travel(register, NEW_YEAR)
    acts.set_freeze(register, "licence", "L-2", reason="=1+1 明年", by="li")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    with licensed(tmp_path_factory.mktemp("reports"), tariff()) as register:
        furnish(register)
        yield register


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Register]:
    """A register to write to."""
    with licensed(tmp_path, tariff()) as register:
        furnish(register)
        yield register


def made(register: Register, kind: str, period: str | None = None, subject: str | None = None) -> Report:
    return make(register, Asked.of(kind, period, subject))


def table(report: Report, name: str) -> Table:
    return next(each for section in report.sections for each in section.tables if each.name == name)


def rows(report: Report, name: str) -> list[dict[str, Any]]:
    found = table(report, name)
    return [dict(zip([column.name for column in found.columns], row, strict=True)) for row in found.rows]


def facts(report: Report, section: str) -> dict[str, Any]:
    return {fact.title.en: fact.value for each in report.sections if each.name == section for fact in each.facts}


STRUCTURE = {
    "disclosure": {
        "overview": [], "licences": ["licences", "licence_acts"], "data": ["datasets"],
        "use": ["jobs_by_kind", "releases_by_licence", "refusals"], "products": ["products"], "privacy": ["accounts"],
        "fees": ["statements", "bodies"], "oversight": ["reviews", "acts"], "alerts": ["alerts"],
    },
    "usage": {"use": ["jobs_by_kind", "releases_by_licence", "refusals"], "products": ["products"], "fees": ["statements", "bodies"]},
    "revenue": {"fees": ["statements", "bodies", "shares", "items"]},
    "filing": {"parties": [], "agreement": ["terms"], "life": ["versions", "consents", "acts"]},
    "incident": {"overview": [], "alerts": ["alerts"], "measures": ["measures"], "failures": ["failures", "cells"]},
}  # fmt: skip
EACH = (
    ("disclosure", "2026", None),
    ("usage", "2026-11", "op-1"),
    ("revenue", "2026", None),
    ("filing", None, "L-1"),
    ("incident", "2026-Q4", None),
)


def test_there_are_five_kinds_and_each_says_what_it_serves() -> None:
    assert set(KINDS) == set(STRUCTURE) == {kind for kind, _, _ in EACH}


@pytest.mark.parametrize(("kind", "period", "subject"), EACH)
def test_a_report_has_its_sections_and_tables_in_both_languages(house: Register, kind: str, period: str | None, subject: str | None) -> None:
    report = made(house, kind, period, subject)
    assert {section.name: [each.name for each in section.tables] for section in report.sections} == STRUCTURE[kind]
    assert report.basis
    assert (report.size, report.origin) == (house.size, "log.example/register")
    texts = [value for value in _titles(report.model_dump()) if isinstance(value, str)]
    assert texts
    assert all(text.strip() for text in texts)


def _titles(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if value.keys() == {"zh", "en"}:
            yield from value.values()
        else:
            for each in value.values():
                yield from _titles(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _titles(each)


def test_the_root_is_that_of_the_checkpoint(house: Register) -> None:
    house.publish()
    _, size, root, *_ = house.checkpoint().split("\n")
    report = made(house, "incident", "2026")
    assert report.size == int(size)
    assert report.root == base64.b64decode(root).hex()


def test_money_is_what_the_statements_say(house: Register) -> None:
    report = made(house, "revenue", "2026")
    wanted = statements.statements_of(house, Period.parse("2026"), house.clock())
    got = rows(report, "statements")
    assert len(got) == len(wanted) == 4
    for row, said in zip(got, wanted, strict=True):
        assert (row["licence"], row["period"], row["state"].en == "closed") == (said.licence, str(said.period), said.closed_at is not None)
        amounts = [int(row[name]) for name in ("posted", "brought", "payable", "carried")]
        assert amounts == [said.posted, said.brought, said.payable, said.carried]
        assert (int(row["fees"]), int(row["allowed"])) == (said.fees, said.allowed)
    shares = {
        (row["licence"], row["period"], row["body"].zh): (row["posted"], row["payable"], row["carried"]) for row in rows(report, "shares")
    }
    assert shares == {
        (said.licence, str(said.period), body.title.zh): (str(body.posted), str(body.payable), str(body.carried))
        for said in wanted
        for body in said.bodies
    }
    bodies = [(row["body"].zh, int(row["posted"]), int(row["payable"]), int(row["carried"])) for row in rows(report, "bodies")]
    assert bodies == [(each.title.zh, each.posted, each.payable, each.carried) for each in statements.revenue_of(wanted)]
    assert facts(report, "fees")["Payable in all"] == str(sum(said.payable for said in wanted)) == "63000"
    items = {(row["licence"], row["period"], row["item"].en): (row["charged"], row["free"], row["fen"]) for row in rows(report, "items")}
    assert items == {
        (said.licence, str(said.period), item.item): (str(item.quantity), str(item.free), str(item.fen))
        for said in wanted
        for item in said.items
    }


def test_use_is_counted_by_the_entries(house: Register) -> None:
    """Counted again from the events themselves, by their times."""
    november = [
        recorded.event
        for recorded in house.events(limit=1000, kinds=("release_published",))
        if "2026-10-31T16" <= recorded.at < "2026-11-30T16"
    ]
    told = facts(made(house, "usage", "2026-11"), "use")
    assert told["Releases published"] == str(len(november)) == "6"
    assert told["Rows released"] == str(sum(getattr(event, "rows") for event in november)) == "7003"  # noqa: B009
    assert told["Privacy loss ρ"] == str(6 * 10**9)
    figure = next(figure for section in made(house, "disclosure", "2026").sections for figure in section.figures)
    assert dict(zip(figure.labels, figure.values, strict=True)) == {
        **{f"2026-{month:02d}": 0 for month in range(1, 13)},
        "2026-11": 6,
        "2026-12": 1,
    }


def test_an_operators_report_is_of_that_operator_alone(house: Register) -> None:
    report = made(house, "disclosure", "2026", "op-2")
    assert [row["licence"] for row in rows(report, "licences")] == ["L-2"]
    assert facts(report, "use")["Releases published"] == "0"
    assert rows(report, "acts") == []  # the freeze of the other one is none of theirs
    for said in ("op-1", "L-1", "r-both"):
        assert said not in document(report).decode()
    first = made(house, "disclosure", "2026", "op-1")
    assert [row["reason"] for row in rows(first, "acts")] == [NASTY]
    assert "op-2" not in document(first).decode()


def test_what_came_after_the_period_is_not_in_it(house: Register) -> None:
    year = made(house, "disclosure", "2026")
    assert year.complete
    assert [row["reason"] for row in rows(year, "acts")] == [NASTY]
    assert facts(year, "overview")["Licences in force"] == "2"  # at its end; a moment later both had expired
    assert not made(house, "incident", "2027").complete
    assert [row["reason"] for row in rows(made(house, "incident", "2027"), "measures")] == ["=1+1 明年"]


def test_a_filing_says_what_the_agreement_settles(house: Register) -> None:
    report = made(house, "filing", None, "L-1")
    terms = "\n".join(row["content"].zh for row in rows(report, "terms"))
    for said in ("visits", "city-health", "晋发改价格〔2026〕1号", "300.00 元"):
        assert said in terms
    assert rows(report, "acts")[0]["act"].en == "granted"
    assert rows(report, "versions")[0]["document"] == house.licence("L-1").document  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "period", "subject", "code"),
    [
        ("disclosure", "2026-11", None, "report_period"),
        ("usage", None, None, "report_period"),
        ("filing", "2026", "L-1", "report_period"),
        ("filing", None, None, "report_subject_unknown"),
        ("filing", None, "L-9", "report_subject_unknown"),
        ("usage", "2026", "li", "report_subject_unknown"),
        ("usage", "2026", "nobody", "report_subject_unknown"),
    ],
)
def test_what_cannot_be_asked_for(house: Register, kind: str, period: str | None, subject: str | None, code: str) -> None:
    with pytest.raises(Problem) as caught:
        made(house, kind, period, subject)
    assert caught.value.code == code


def test_of_more_entries_than_there_are_there_is_no_report(house: Register) -> None:
    with pytest.raises(Problem) as caught:
        make(house, Asked.of("usage", "2026", None), house.size + 1)
    assert caught.value.code == "log_entry_unknown"


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

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
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index, union-attr]
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


# ── issued ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_issued_is_in_the_log_and_both_audits_hold_it(own: Register) -> None:
    found = issue(own, Asked.of("revenue", "2026-11", None), by="li")
    assert found.entry == found.size == own.size - 1
    assert {(form, language) for form, language, _ in found.files} == {("json", "")} | {
        (form, language) for form in FORMS if form != "json" for language in ("zh", "en")
    }
    acts.set_freeze(own, "everything", "", reason="其后", by="li")
    assert fetched(own, found, "html", "en").sha256 == found.digest("html", "en")
    own.publish()
    report = audit(own.settings.log_dir, [own.vkey], own.engine)
    assert report.clean, report.findings
    assert audit_folder(own.settings.log_dir, Key.parse(own.vkey)).book.reports[found.id] == (found.entry, found.size, found.root)


def test_who_has_a_report(own: Register) -> None:
    whole = issue(own, Asked.of("usage", "2026-11", None), by="li")
    mine = issue(own, Asked.of("usage", "2026-11", "op-1"), by="li")
    filed = issue(own, Asked.of("filing", None, "L-2"), by="li")
    assert [each.owner for each in (whole, mine, filed)] == [None, "op-1", "op-2"]
    assert [each.id for each in listed(own)] == [filed.id, mine.id, whole.id]
    assert [each.id for each in listed(own, owner="op-2")] == [filed.id]
    assert [each.id for each in listed(own, kind="usage", limit=1)] == [mine.id]
    assert [each.id for each in listed(own, before=mine.entry)] == [whole.id]


def test_only_supervisors_issue_and_not_before_the_period_is_over(own: Register) -> None:
    with pytest.raises(Problem) as caught:
        issue(own, Asked.of("usage", "2027-01", None), by="li")
    assert caught.value.code == "report_period_open"
    issue(own, Asked.of("incident", "2027-01", None), by="li")  # what happened is reported at once
    with pytest.raises(Problem) as caught:
        issue(own, Asked.of("usage", "2026-12", None), by="op-1")
    assert caught.value.code == "auth_principal_role"


@pytest.fixture(scope="module")
def issued_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[File]]:
    """A folder with a report's files and its statement, as they are fetched."""
    folder = tmp_path_factory.mktemp("issued")
    with licensed(folder / "home", tariff()) as register:
        furnish(register)
        found = issue(register, Asked.of("incident", "2026", None), by="li")
        called = names(found)
        made_files = [fetched(register, found, form, language or "zh") for form, language in called]  # type: ignore[arg-type]
        for file in made_files:
            (folder / file.name).write_bytes(file.body)
        (folder / "statement.intoto.json").write_text(json.dumps(statement(register, found)))
        assert sorted(file.name for file in made_files) == sorted(called.values())
        return folder, register.vkey, made_files


def test_files_verify_offline_against_the_statement(issued_files: tuple[Path, str, list[File]]) -> None:
    folder, vkey, made_files = issued_files
    content = (folder / "statement.intoto.json").read_bytes()
    found = verify_report(content, [folder / file.name for file in made_files], (Key.parse(vkey),))
    assert found.holds, found.links
    assert (found.kind, found.period, len(found.links)) == ("incident", "2026", 4 + 7)
    found.require()


@pytest.mark.parametrize("form", [*FORMS, "statement"])
def test_a_flipped_byte_is_found(issued_files: tuple[Path, str, list[File]], tmp_path: Path, form: str) -> None:
    folder, vkey, made_files = issued_files
    content = bytearray((folder / "statement.intoto.json").read_bytes())
    path = tmp_path / next((file.name for file in made_files if file.form == form), "none")
    body = bytearray((folder / path.name).read_bytes()) if form != "statement" else bytearray()
    if form == "statement":
        at = content.index(b'"sig": "') + 12
        content[at] = ord("A") if content[at] != ord("A") else ord("B")
    else:
        body[len(body) // 2] ^= 1
        path.write_bytes(bytes(body))
    found = verify_report(bytes(content), [path] if body else [], (Key.parse(vkey),))
    assert not found.holds
    with pytest.raises(YuneiProblem):
        found.require()


def test_another_logs_key_proves_nothing(issued_files: tuple[Path, str, list[File]], tmp_path: Path) -> None:
    folder, _, _ = issued_files
    with licensed(tmp_path, None) as stranger:
        found = verify_report((folder / "statement.intoto.json").read_bytes(), [], (Key.parse(stranger.vkey),))
    assert not found.holds


FORGED = {
    "another root": ({"root": "0" * 64}, "names another root"),
    "more entries than there were": ({"size": 10**6}, ""),
    "another document": ({"document": "1" * 64}, "does not name its document"),
}


@pytest.mark.parametrize("what", FORGED)
def test_the_carried_audit_finds_a_forged_report(own: Register, what: str) -> None:
    changes, words = FORGED[what]
    report = made(own, "incident", "2026")
    body = document(report)
    with own.transaction() as act:
        digest = act.attach(body)
        event = ReportIssued(
            by="li", report="rep-x", report_kind="incident", period="2026", subject=None, size=report.size, root=report.root, document=digest,
            files=(ReportFile(form="json", language=None, sha256=digest),), vkeys=("k",),
        )  # fmt: skip
        forged = event.model_copy(update=changes)
        if not words:
            from jobs.projections import DoesNotFit

            with pytest.raises(DoesNotFit):
                act.append(forged)
            act._broken = False
            return
        act.append(forged)
    own.publish()
    with pytest.raises(YuneiProblem, match="verify_replay") as caught:
        audit_folder(own.settings.log_dir, Key.parse(own.vkey))
    if changes.keys() != {"root"}:
        assert words in str(caught.value.fields["what"])


def test_the_carried_audit_finds_money_that_the_fees_do_not_make(own: Register) -> None:
    report = made(own, "revenue", "2026-11")
    data = json.loads(document(report))
    statements_ = next(each for section in data["sections"] for each in section["tables"] if each["name"] == "statements")
    place = [column["name"] for column in statements_["columns"]].index("posted")
    statements_["rows"][0][place] = str(int(statements_["rows"][0][place]) + 1)
    body = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with own.transaction() as act:
        digest = act.attach(body)
        act.append(
            ReportIssued(
                by="li", report="rep-x", report_kind="revenue", period="2026-11", subject=None, size=report.size, root=report.root,
                document=digest, files=(ReportFile(form="json", language=None, sha256=digest),), vkeys=("k",),
            )
        )  # fmt: skip
    own.publish()
    with pytest.raises(YuneiProblem) as caught:
        audit_folder(own.settings.log_dir, Key.parse(own.vkey))
    assert "another sum posted" in caught.value.fields["what"]


def test_a_title_is_in_both_languages() -> None:
    assert all(isinstance(kind.title, Title) for kind in KINDS.values())
