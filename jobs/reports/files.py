"""Every file of a report: which there are, what they are called, and their bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, get_args

from jobs.reports import html, sheets
from jobs.reports.model import Report
from policies.problem import LANGUAGES, Language

Form = Literal["html", "pdf", "csv", "json"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class FormOf:
    suffix: str
    media: str


TYPES: Mapping[Form, FormOf] = {
    "html": FormOf("html", "text/html; charset=utf-8"),
    "pdf": FormOf("pdf", "application/pdf"),
    "csv": FormOf("csv.zip", "application/zip"),
    "json": FormOf("json", "application/json"),
}


def _pdf(report: Report, language: Language) -> bytes:
    from jobs.reports import pdf  # when one is made: a server need not wait for its libraries before it is ready

    return pdf.page(report, language)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=vars)  # a model's fields
_WRITTEN: Mapping[Form, Callable[[Report, Language], bytes]] = {"html": html.page, "pdf": _pdf, "csv": sheets.sheets}


@dataclass(frozen=True, slots=True)
class File:
    """`language` None: it holds both."""

    name: str
    form: Form
    language: Language | None
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def document(report: Report) -> bytes:
    """The report itself, as RFC 8785 canonical JSON, in both languages: names are ASCII, so sorted the same by any measure, and it has no
    number but the size, which is whole."""
    return _CANONICAL.encode(report).encode()


class Named(Protocol):
    """What names a report."""

    @property
    def kind(self) -> str: ...
    @property
    def period(self) -> str | None: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def size(self) -> int: ...


def stem(report: Named) -> str:
    """What the names of its files begin with.

    >>> stem(Report.model_construct(kind="usage", period="2026-11", subject="op-1", size=77))
    'usage-2026-11-op-1-at-77'
    """
    return "-".join(part for part in (report.kind, report.period, report.subject, "at", str(report.size)) if part)


def written(report: Report, form: Form, language: Language) -> File:
    """One file."""
    if form == "json":
        return File(f"{stem(report)}.json", form, None, document(report))
    suffix = f"{'zh-CN' if language == 'zh' else 'en'}.{TYPES[form].suffix}"
    return File(f"{stem(report)}.{suffix}", form, language, _cached(report, form, language))


@lru_cache(maxsize=32)
def _cached(report: Report, form: Form, language: Language) -> bytes:
    return _WRITTEN[form](report, language)


def files(report: Report) -> tuple[File, ...]:
    """All of them: JSON once, the others in each language."""
    made = [written(report, "json", "zh")]
    made += [written(report, form, language) for form in FORMS if form != "json" for language in LANGUAGES]
    return tuple(made)
