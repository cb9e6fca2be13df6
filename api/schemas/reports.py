"""Reports: kinds, what is asked for, what was issued, the document itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from policies.catalogue import Identifier
from policies.period import PATTERN

ReportKindName = Literal["disclosure", "usage", "revenue", "filing", "incident"]
ReportForm = Literal["html", "pdf", "csv", "json"]
_TIME = "2027-01-04T01:00:00.000000Z"
_FILE = {"form": "pdf", "language": "zh", "name": "usage-2026-12-at-812.zh-CN.pdf", "sha256": "ab" * 32}
_REPORT = {
    "id": "rep-812-1f2e3d4c", "kind": "usage", "title": {"zh": "授权运营使用情况报告", "en": "Report on usage"}, "period": "2026-12",
    "subject": None, "owner": None, "size": 812, "root": "cd" * 32, "document": "ef" * 32, "issued_by": "supervisor-1", "issued_at": _TIME,
    "log_index": 812, "files": [_FILE],
}  # fmt: skip


class PairView(Closed):
    zh: str
    en: str


class ReportKindView(Closed):
    """`periods`: which it is made of, such as year; none for a filing. `early`: it may be issued before its period is over."""

    kind: ReportKindName
    title: PairView
    about: PairView
    basis: list[PairView]
    periods: list[Literal["month", "quarter", "year"]]
    early: bool


class ReportKinds(Closed):
    kinds: list[ReportKindView]


class ReportAsked(Closed):
    """`subject`: the operator that it is about, null for all; of a filing, the licence."""

    model_config = ConfigDict(json_schema_extra=example(kind="disclosure", period="2026", subject=None))

    kind: ReportKindName
    period: str | None = Field(default=None, pattern=PATTERN)
    subject: Identifier | None = None


class ReportFileView(Closed):
    """`language` null: the file holds both."""

    form: ReportForm
    language: Literal["zh", "en"] | None
    name: str
    sha256: str


class IssuedReport(Closed):
    """`size` and `root` name the register that it was made from; `owner` the operator whose it is, null: the bureau's."""

    model_config = ConfigDict(json_schema_extra=example(**_REPORT))

    id: str
    kind: str
    title: PairView
    period: str | None
    subject: str | None
    owner: str | None
    size: int
    root: str
    document: str
    issued_by: str
    issued_at: str
    log_index: int
    files: list[ReportFileView]


class IssuedReports(Closed):
    """Newest first."""

    reports: list[IssuedReport]
    next: int | None


_ORDER = {
    "id": "ord-640-9c8b7a6d", "kind": "usage", "title": {"zh": "授权运营使用情况报告", "en": "Report on usage"}, "every": "month",
    "subject": None, "next": "2027-01", "state": "open", "ordered_by": "supervisor-1", "ordered_at": "2026-12-04T01:00:00.000000Z",
    "ended_by": None, "reason": None, "changed_at": _TIME, "log_index": 640, "kept": {"2026-12": "rep-812-1f2e3d4c"},
}  # fmt: skip


class ReportOrderAsked(Closed):
    """`every`: one of the periods the kind is made of; `subject`: the operator that it is about, null for all."""

    model_config = ConfigDict(json_schema_extra=example(kind="usage", every="month", subject=None))

    kind: Literal["disclosure", "usage", "revenue", "incident"]
    every: Literal["month", "quarter", "year"]
    subject: Identifier | None = None


class ReportOrderEnd(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="改由人工签发"))

    reason: str = Field(min_length=1, max_length=2_000, description="理由，写入日志 · why; goes into the log")


class ReportOrderView(Closed):
    """`next`: the first period that was not issued; `kept`: the reports issued by it, by period; `state`: open or ended."""

    model_config = ConfigDict(json_schema_extra=example(**_ORDER))

    id: str
    kind: str
    title: PairView
    every: Literal["month", "quarter", "year"]
    subject: str | None
    next: str
    state: Literal["open", "ended"]
    ordered_by: str
    ordered_at: str
    ended_by: str | None
    reason: str | None
    changed_at: str
    log_index: int
    kept: dict[str, str]


class ReportOrders(Closed):
    """Newest first."""

    model_config = ConfigDict(json_schema_extra=example(orders=[_ORDER]))

    orders: list[ReportOrderView]


class ReportDocument(Closed):
    """The report as data: sections with facts, figures and tables of typed columns; every text in both languages, numbers as decimal strings in
    the unit their type names (fen: hundredths of a yuan; rho: 1e-12)."""

    format: str
    kind: str
    period: str | None
    subject: str | None
    subject_title: PairView | None
    title: PairView
    origin: str
    size: int
    root: str
    as_of: str
    complete: bool
    basis: list[PairView]
    sections: list[dict[str, Any]]
    notes: list[PairView]
