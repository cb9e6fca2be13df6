"""The first page: the house for the bureau, one's own work for everybody else."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api.console.charts import columns
from api.console.frame import Looking
from api.later import pages

router = pages("/console")


@router.get("/")
async def overview(page: Looking) -> Response:
    may, api = page.visitor.may, page.api
    glance, jobs, accounts, licences, releases = await asyncio.gather(
        api.maybe("/v1/overview") if may("events_read") else _nothing(),
        api.get("/v1/jobs", limit=8) if may("job_list") else _nothing(),
        api.get("/v1/accounts") if may("account_list") and not may("events_read") else _nothing(),
        api.get("/v1/licences", accounts=False) if may("licence_list") and not may("events_read") else _nothing(),
        api.get("/v1/releases", limit=8) if may("release_show") and not may("job_list") else _nothing(),
    )
    pulse = (
        columns([(day["day"], day["releases"]) for day in glance["by_day"]], page.words("近三十日发布数", "releases by day")) if glance else ""
    )
    return page.show(
        "overview.html.j2",
        glance=glance,
        pulse=pulse,
        jobs=jobs["jobs"] if jobs else None,
        accounts=accounts["accounts"] if accounts else None,
        licences=licences["licences"] if licences else None,
        releases=releases["releases"] if releases else None,
    )


async def _nothing() -> None:
    return None
