"""Issuing a report: its files are made, their digests go into the register, and a statement about them is signed.

The statement is an in-toto Statement (v1) in a DSSE envelope: every file by name and SHA-256, and the receipt of the entry that names the keys
which sign it. It verifies offline, from the files and the log's key alone (`yunei report verify`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import rfc8785
from sqlalchemy import Connection, func, select

from infra.database import reading
from infra.dsse import envelope
from infra.tables import metering, releases, report_files, reports
from jobs.acts.freezes import supervisor
from jobs.events import ReportFile, ReportIssued, rfc3339
from jobs.products.manifest import STATEMENT, receipt
from jobs.register import Act, Register
from jobs.reports.files import FORMS, TYPES, File, Form, files, stem, written
from jobs.reports.make import KINDS, Asked, make
from jobs.reports.model import Report
from jobs.seals import report_signers
from policies.period import Period
from policies.problem import Language, declare

PREDICATE = "urn:yunei:report:v1"

REPORT_EARLY = declare(
    "report_period_open",
    zh=("周期尚未结束", "{period} 尚未结束，或其中的发布结果尚未全部可见。", "请在 {after} 之后签发；现在可以预览。"),
    en=(
        "The period is not over",
        "{period} is not over, or not all of its releases are visible yet.",
        "Issue it after {after}; a preview is available now.",
    ),
)
REPORT_CHANGED = declare(
    "report_not_reproduced",
    zh=("文件不能逐字节重现", "重新编制的 {name} 与签发时的摘要不同。", "请用签发时的程序版本（字体与排版库）编制，或使用已保存的文件。"),
    en=(
        "A file cannot be reproduced byte for byte",
        "{name}, compiled again, has a digest other than when it was issued.",
        "Compile it with the software version that issued it (including its font and libraries), or use the file that was kept.",
    ),
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A report in the register. `owner`: the operator whose it is, None: the bureau's; `files` by form and language ("" for both)."""

    id: str
    entry: int
    kind: str
    period: str | None
    subject: str | None
    owner: str | None
    size: int
    root: str
    document: str
    issued_by: str
    issued_at: str
    files: tuple[tuple[Form, str, str], ...]

    def digest(self, form: Form, language: str) -> str | None:
        return next((sha256 for each, spoken, sha256 in self.files if (each, spoken) == (form, language)), None)


def issue(register: Register, asked: Asked, *, by: str) -> Issued:
    """Make every file as of now, and write the report into the register. REPORT_EARLY, and what `make` raises."""
    require_over(register, asked)
    report = make(register, asked)
    made = files(report)
    with register.transaction() as act:
        supervisor(act, by)
        id = enter(register, act, report, made, by=by)
    found = issued(register, id)
    assert found is not None
    return found


def enter(register: Register, act: Act, report: Report, made: tuple[File, ...], *, by: str) -> str:
    """Write a report, made as `files` makes it, into a transaction. Its id."""
    document = next(file for file in made if file.form == "json")
    id = f"rep-{report.size}-{register.random(4).hex()}"
    act.append(
        ReportIssued(
            by=by,
            report=id,
            report_kind=report.kind,
            period=report.period,
            subject=report.subject,
            size=report.size,
            root=report.root,
            document=act.attach(document.body),
            files=tuple(ReportFile(form=file.form, language=file.language, sha256=file.sha256) for file in made),
            vkeys=tuple(str(signer.key) for signer in report_signers(register.key_ring, register.settings)),
        )
    )
    return id


def require_over(register: Register, asked: Asked) -> None:
    """REPORT_EARLY unless the period is over, and every release of it visible: before, its files would tell when a job was done."""
    period = asked.period
    if period is None or asked.kind.early:
        return
    now = register.clock()
    with reading(register.engine) as connection:
        last = _last_visible(connection, period)
    after = max(rfc3339(period.end), last or "")
    if rfc3339(now) < after:
        raise REPORT_EARLY(period=period, after=after)


def _last_visible(connection: Connection, period: Period) -> str | None:
    query = (
        select(func.max(releases.c.visible_at))
        .join(metering, metering.c.release == releases.c.id)
        .where(releases.c.published_at >= rfc3339(period.start), releases.c.published_at < rfc3339(period.end))
    )
    found = connection.execute(query).scalar_one()
    return None if found is None else str(found)


def issued(register: Register, id: str) -> Issued | None:
    found = listed(register, id=id)
    return found[0] if found else None


def listed(
    register: Register,
    *,
    id: str | None = None,
    owner: str | None = None,
    kind: str | None = None,
    period: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Issued]:
    """Newest first. `owner`: that operator's alone; `before`: entries of an earlier page."""
    query = select(reports).order_by(reports.c.entry.desc()).limit(limit)
    for column, value in ((reports.c.id, id), (reports.c.owner, owner), (reports.c.kind, kind), (reports.c.period, period)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(reports.c.entry < before)
    with reading(register.engine) as connection:
        rows = connection.execute(query).all()
        named: dict[str, list[tuple[Form, str, str]]] = {}
        order = {form: number for number, form in enumerate(FORMS)}
        for row in connection.execute(select(report_files).where(report_files.c.report.in_([row.id for row in rows]))):
            named.setdefault(row.report, []).append((row.form, row.language, row.sha256))
    return [
        Issued(
            row.id, row.entry, row.kind, row.period, row.subject, row.owner, row.size, row.root, row.document, row.issued_by, row.issued_at,
            tuple(sorted(named.get(row.id, ()), key=lambda each: (order[each[0]], each[1]))),
        )
        for row in rows
    ]  # fmt: skip


def document(register: Register, found: Issued) -> Report:
    """What was issued, as it lies beside the log."""
    body = register.document(found.document)
    assert body is not None  # attached in the transaction that issued it
    return Report.model_validate_json(body)


def fetched(register: Register, found: Issued, form: Form, language: Language) -> File:
    """A file of a report issued, made again from its document. REPORT_CHANGED when it is not the one that was issued."""
    file = written(document(register, found), form, language)
    if found.digest(form, file.language or "") != file.sha256:
        raise REPORT_CHANGED(name=file.name)
    return file


def names(found: Issued) -> dict[tuple[Form, str], str]:
    """What each file is called."""
    base = stem(found)
    spoken = {"zh": ".zh-CN", "en": ".en", "": ""}
    return {(form, language): f"{base}{spoken[language]}.{TYPES[form].suffix}" for form, language, _ in found.files}


def statement(register: Register, found: Issued) -> dict[str, Any]:
    """The signed statement about its files."""
    called = names(found)
    said = {
        "_type": STATEMENT,
        "subject": [
            {"name": called[form, language], "digest": {"sha256": sha256}}
            for form, language, sha256 in sorted(found.files, key=lambda each: called[each[0], each[1]])
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "report": found.id,
            "kind": found.kind,
            "period": found.period,
            "subject": found.subject,
            "size": str(found.size),
            "root": found.root,
            "title": KINDS[found.kind].title.model_dump(),
            "receipt": receipt(register, found.entry),
        },
    }
    return envelope(cast(bytes, rfc8785.dumps(said)), report_signers(register.key_ring, register.settings))
