"""Reports: which there are, a preview before anything is issued, what was issued, and its files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import CSP, Looking, Page, form_of, go
from api.later import pages
from jobs.reports.model import NUMBERS, CellType
from jobs.reports.say import text, unit
from policies.problem import Language

router = pages("/console/reports")
FORMS = ("html", "pdf", "csv", "json")
ROWS = 50  # of a table on the page: all are in the files


class Shown:
    """How cells of a report are written on a page: as in its files."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def cell(self, value: Any, type: CellType) -> str:
        return str(value[self._language]) if isinstance(value, dict) else text(value, type, self._language)

    def unit(self, type: CellType) -> str:
        return unit(type, self._language)

    def number(self, type: CellType) -> bool:
        return type in NUMBERS

    def rows(self, table: dict[str, Any], most: int) -> Iterator[list[tuple[str, bool]]]:
        """The first rows of a table: each cell's text, and whether it is a number."""
        types = [(column["type"], self.number(column["type"])) for column in table["columns"]]
        for row in table["rows"][:most]:
            yield [(self.cell(cell, type), number) for cell, (type, number) in zip(row, types, strict=True)]


async def _listed(
    page: Page, kind: str, before: str, *, status: int = 200, problem: object = None, asked: dict[str, str] | None = None
) -> Response:
    page.require("report_list")
    kinds, found, orders = await asyncio.gather(
        page.api.get("/v1/reports/kinds"), page.api.get("/v1/reports", kind=kind, before=before), page.api.maybe("/v1/report-orders")
    )
    return page.show(
        "reports.html.j2",
        status=status,
        kinds=kinds["kinds"],
        titles={each["kind"]: each["title"] for each in kinds["kinds"]},
        reports=found["reports"],
        next=found["next"],
        first=not before,
        orders=None if orders is None else orders["orders"],
        kind=kind,
        asked=asked or {},
        problem=problem,
    )


@router.get("")
async def reports(page: Looking, kind: str = "", before: str = "") -> Response:
    return await _listed(page, kind, before)


@router.get("/preview")
async def preview(page: Looking, kind: str = "disclosure", period: str = "", subject: str = "") -> Response:
    page.require("report_preview")
    asked = {"kind": kind, "period": period.strip(), "subject": subject.strip()}
    try:
        found = await page.api.get("/v1/reports/preview", format="json", **asked)
    except Refused as refused:
        if refused.status not in (404, 409, 422):
            raise
        return await _listed(page, "", "", status=refused.status, problem=refused.document, asked=asked)
    return page.show("report.html.j2", report=found, issued=None, asked=asked, shown=Shown(page.language), forms=FORMS, rows=ROWS, problem=None)


@router.get("/preview/file")
async def preview_file(page: Looking, kind: str, form: str = "html", period: str = "", subject: str = "", size: str = "") -> Response:
    page.require("report_preview")
    answer = await page.api.raw(
        "/v1/reports/preview", kind=kind, period=period, subject=subject, size=size, format=form, language=page.language
    )
    return _passed(answer)


@router.post("")
async def issue(page: Looking) -> Response:
    form = await form_of(page.request)
    asked = {name: form.get(name, "").strip() for name in ("kind", "period", "subject")}
    try:
        made = await page.api.post("/v1/reports", {name: value or None for name, value in asked.items()})
    except Refused as refused:
        return await _listed(page, "", "", status=refused.status, problem=refused.of_the_form(), asked=asked)
    return go(f"/console/reports/{made['id']}")


@router.post("/orders")
async def order(page: Looking) -> Response:
    """Given, or ended."""
    form = await form_of(page.request)
    try:
        if form.get("end"):
            await page.api.post(f"/v1/report-orders/{form['end']}/end", {"reason": form.get("reason", "").strip()})
        else:
            kind, _, every = form.get("what", "").partition("/")
            body = {"kind": kind, "every": every, "subject": form.get("subject", "").strip() or None}
            await page.api.post("/v1/report-orders", body)
    except Refused as refused:
        return await _listed(page, "", "", status=refused.status, problem=refused.of_the_form())
    return go("/console/reports")


@router.get("/{id}")
async def report(page: Looking, id: str) -> Response:
    issued, found = await asyncio.gather(page.api.get(f"/v1/reports/{id}"), page.api.get(f"/v1/reports/{id}/document"))
    return page.show("report.html.j2", report=found, issued=issued, asked={}, shown=Shown(page.language), forms=FORMS, rows=ROWS, problem=None)


@router.get("/{id}/statement")
async def statement(page: Looking, id: str) -> Response:
    answer = await page.api.raw(f"/v1/reports/{id}/statement")
    headers = {"Content-Disposition": f'attachment; filename="{id}.intoto.json"', "Content-Security-Policy": CSP}
    return Response(answer.content, media_type="application/json", headers=headers)


@router.get("/{id}/files/{form}")
async def file(page: Looking, id: str, form: str, language: str = "") -> Response:
    return _passed(await page.api.raw(f"/v1/reports/{id}/files/{form}", language=language))


def _passed(answer: Any) -> Response:
    """The interface's file, with the headers that say what it is and what it may do."""
    names = ("content-disposition", "content-security-policy", "x-content-type-options")
    headers = {name: answer.headers[name] for name in names if name in answer.headers}
    return Response(answer.content, media_type=answer.headers.get("content-type"), headers=headers)
