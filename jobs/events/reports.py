"""Events of reporting: a report that the bureau issued, and standing orders by which the server issues them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.events.fees import PeriodText
from jobs.events.parts import Digest, Event, Text
from policies.catalogue import Model
from policies.licence import Identifier
from policies.period import PeriodKind


class ReportFile(Model):
    """One file. `language` null: it holds both."""

    form: Literal["html", "pdf", "csv", "json"]
    language: Literal["zh", "en"] | None
    sha256: Digest


class ReportIssued(Event):
    """By a supervisor. The report is of the first `size` entries of the log, the root of whose tree is `root`; `document` is its JSON, kept
    beside the log; `files` are all its files. `subject`: the operator it is about, or the licence filed; null for all. `vkeys` sign its
    statement."""

    kind = "report_issued"
    report: Identifier
    report_kind: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,32}$")]
    period: PeriodText | None
    subject: Identifier | None
    size: int = Field(ge=1, le=2**53)
    root: Digest
    document: Digest
    files: tuple[ReportFile, ...] = Field(min_length=1, max_length=32)
    vkeys: tuple[Text, ...] = Field(min_length=1, max_length=4)


class ReportOrdered(Event):
    """By a supervisor: the server issues the report of each period when it is over, from `first` on, the period that the order was given in."""

    kind = "report_ordered"
    order: Identifier
    report_kind: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,32}$")]
    every: PeriodKind
    subject: Identifier | None
    first: PeriodText


class ReportOrderKept(Event):
    """By the server, right after the entry of the report it issued: the order's next period is done."""

    kind = "report_order_kept"
    order: Identifier
    period: PeriodText
    report: Identifier


class ReportOrderEnded(Event):
    """By a supervisor. Periods not yet issued are not."""

    kind = "report_order_ended"
    order: Identifier
    reason: Text
