"""Releases: the list, one with its table and chart, its files and its receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from fastapi import Query
from markupsafe import Markup
from starlette.responses import Response

from api.console.ask import Refused
from api.console.charts import Bar, bars, spans
from api.console.frame import CSP, Looking, Page
from api.later import pages

router = pages("/console/releases")
PAGE, MOST_ROWS = 50, 200
CARD, QUALITY = "model.json", "quality.json"
_KEPT = ("content-type", "content-disposition", "etag", "content-length")


def bars_of(columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """The first value of each row, by its keys; nothing where a picture would say nothing."""
    keys = [column["label"] for column in columns if column["kind"] == "key"]
    value = next((column for column in columns if column["kind"] == "value"), None)
    if value is None or not 1 <= len(rows) <= 60:
        return []
    made = []
    for row in rows:
        number = row.get(value["label"])
        if not isinstance(number, int | float) or isinstance(number, bool):
            continue
        width = row.get(value["half_width_column"] or "")
        label = " · ".join("—" if row[key] is None else str(row[key]) for key in keys) or value["label"]
        made.append(Bar(label, float(number), float(width) if isinstance(width, int | float) else None))
    return made


def spans_of(columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """The coefficients of a model, each with its half-width; nothing for other answers."""
    labels = [column["label"] for column in columns]
    if "term" not in labels or "estimate" not in labels:
        return []
    beside = next(column["half_width_column"] for column in columns if column["label"] == "estimate")
    return [
        Bar(str(row["term"]), float(row["estimate"]), float(row[beside]) if beside and row.get(beside) is not None else None) for row in rows
    ]


def picture_of(page: Page, columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], title: str = "") -> Markup:
    """Coefficients as spans, other values as bars."""
    title = title or page.words("结果与误差范围", "values with their error")
    found = spans_of(columns, rows)
    return spans(found, title) if found else bars(bars_of(columns, rows), title)


@router.get("")
async def releases(page: Looking, before: str = "", licence: str = "", scenario: str = "") -> Response:
    found = await page.api.get("/v1/releases", limit=PAGE, before=before, licence=licence, scenario=scenario)
    return page.show("releases.html.j2", releases=found["releases"], next=found["next"], first=not before, licence=licence, scenario=scenario)


@router.get("/{id}")
async def release(page: Looking, id: str) -> Response:
    found = await page.api.get(f"/v1/releases/{id}")
    table: dict[str, Any] | None = None
    held = ""
    if page.visitor.may("release_fetch") and page.visitor.role in ("operator", "supervisor"):
        try:  # their look is no delivery; a builder fetches when it means to
            table = await page.api.get(f"/v1/releases/{id}/table", format="json")
        except Refused as refused:
            held = str(refused.document.get("title", ""))
    papers = {paper["name"] for paper in found["papers"]} if table else set()
    read = await asyncio.gather(*(_paper(page, id, name) if name in papers else _nothing() for name in (CARD, QUALITY)))
    drawn = table is not None and found["kind"] != "synthetic"  # rows of a synthetic table are nobody's: its report is the picture
    picture = picture_of(page, found["columns"], table["rows"], found["query"]) if table is not None and drawn else ""
    return page.show("release.html.j2", release=found, table=table, picture=picture, held=held, most=MOST_ROWS, card=read[0], quality=read[1])


async def _nothing() -> None:
    return None


async def _paper(page: Page, id: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await page.api.get(f"/v1/releases/{id}/papers/{name}")
    return found


@router.get("/{id}/papers/{name}")
async def paper(page: Looking, id: str, name: str) -> Response:
    """A paper as it was released. A picture is shown by the page as a picture: as one, it can neither run anything nor fetch anything."""
    answer = await page.api.raw(f"/v1/releases/{id}/papers/{name}")
    headers = {kept: answer.headers[kept] for kept in (*_KEPT, "content-security-policy") if kept in answer.headers}
    return Response(answer.content, headers=headers)


@router.get("/{id}/table")
async def table(page: Looking, id: str, format: Literal["csv", "parquet", "arrow", "json"] = Query("csv")) -> Response:
    answer = await page.api.raw(f"/v1/releases/{id}/table", format=format)
    headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    headers.setdefault("content-disposition", f'attachment; filename="{id}.{format}"')
    return Response(answer.content, headers={**headers, "Content-Security-Policy": CSP})


@router.get("/{id}/receipt")
async def receipt(page: Looking, id: str) -> Response:
    answer = await page.api.raw(f"/v1/releases/{id}/receipt")
    return Response(
        answer.content,
        media_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{id}.tlog-proof"', "Content-Security-Policy": CSP},
    )
