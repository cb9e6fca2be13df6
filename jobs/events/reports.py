"""Events of reporting: a report that the bureau issued."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.events.fees import PeriodText
from jobs.events.parts import Digest, Event, Text
from policies.catalogue import Model
from policies.licence import Identifier


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
