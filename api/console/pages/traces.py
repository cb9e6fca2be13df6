"""Whose copy a file is: a file that was found, held against the marked copies of products."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of
from api.later import pages

router = pages("/console/traces")  # takes files as large as the interface does: `api.app`
SHOWN = 20


async def _shown(page: Page, *, status: int = 200, product: str = "", problem: Any = None, found: Any = None) -> Response:
    return page.show("traces.html.j2", status=status, product=product, problem=problem, found=found, most=SHOWN)


@router.get("")
async def traces(page: Looking, product: str = "") -> Response:
    page.require("product_trace")
    return await _shown(page, product=product)


@router.post("")
async def trace(page: Looking) -> Response:
    page.require("product_trace")
    form = await form_of(page.request)
    given = {name: form.get(name, "").strip() for name in ("product", "version")}
    try:
        found = await page.api.upload("/v1/traces", getattr(page.request.state, "file", b""), **given)
    except Refused as refused:
        return await _shown(page, status=refused.status, product=given["product"], problem=refused.of_the_form())
    return await _shown(page, product=given["product"], found=found)
