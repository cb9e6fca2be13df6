"""The catalogue: what data there is, of which grade, and where each version came from."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api.console.frame import Looking
from api.console.parts import part
from api.later import pages

router = pages("/console/datasets")


@router.get("")
async def datasets(page: Looking, text: str = "") -> Response:
    found = await page.api.get("/v1/datasets", q=text)
    return page.show("datasets.html.j2", datasets=part(page.request, "datasets", found["datasets"]), text=text)


@router.get("/{name}")
async def dataset(page: Looking, name: str) -> Response:
    found, versions = await asyncio.gather(page.api.get(f"/v1/datasets/{name}"), page.api.get(f"/v1/datasets/{name}/versions"))
    return page.show("dataset.html.j2", dataset=found["dataset"], found=found, versions=versions["versions"])
