"""Reports that were issued: in the log, verified offline, and what the audits find of forged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs import acts
from jobs.audit import audit
from jobs.events import ReportFile, ReportIssued
from jobs.projections import DoesNotFit
from jobs.register import Register
from jobs.reports import Asked
from jobs.reports.files import FORMS, File, document
from jobs.reports.issue import fetched, issue, listed, names, statement
from policies.problem import Problem
from tests.money import licensed, tariff
from tests.reports import furnish, made
from yunei import YuneiProblem
from yunei.auditing import audit_folder
from yunei.reportproof import verify_report
from yunei.transparency import Key


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


FORGED: dict[str, tuple[dict[str, Any], str]] = {
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
