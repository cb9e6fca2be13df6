"""Jobs: the list, one of them, cancelling it."""

from __future__ import annotations

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, go
from api.later import pages

router = pages("/console/jobs")
PAGE = 50


@router.get("")
async def jobs(page: Looking, before: str = "") -> Response:
    found = await page.api.get("/v1/jobs", limit=PAGE, before=before)
    return page.show("jobs.html.j2", jobs=found["jobs"], next=found["next"], first=not before)


@router.get("/{id}")
async def job(page: Looking, id: str) -> Response:
    found = await page.api.get(f"/v1/jobs/{id}")
    return page.show("job.html.j2", job=found, problem=None)


@router.post("/{id}/cancel")
async def cancel(page: Looking, id: str) -> Response:
    try:
        await page.api.post(f"/v1/jobs/{id}/cancel")
    except Refused as refused:
        found = await page.api.get(f"/v1/jobs/{id}")
        return page.show("job.html.j2", status=refused.status, job=found, problem=refused.of_the_form())
    return go(f"/console/jobs/{id}")
