"""销毁: data disposed of for good; looked at first, proposed by one, confirmed by another."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/destructions")


async def _shown(page: Page, dataset: str, version: str, *, status: int = 200, problem: object = None, reason: str = "") -> Response:
    found = (await page.api.get("/v1/destructions"))["destructions"]
    over = {(each["dataset"], each["version"]) for each in found if each["since"] is not None}
    standing = [each for each in found if each["since"] is None and not over & {(each["dataset"], each["version"]), (each["dataset"], None)}]
    effects = await asyncio.gather(*(_effect(page, each["dataset"], each["version"]) for each in standing))
    looked: Any = None
    if dataset:
        try:
            looked = await page.api.get("/v1/destructions/effect", dataset=dataset, version=version)
        except Refused as refused:
            status, problem = (status, problem) if problem else (refused.status, refused.of_the_form())
    return page.show(
        "destructions.html.j2",
        status=status,
        standing=list(zip(standing, effects, strict=True)),
        over=[each for each in found if each["since"] is not None],
        looked=looked,
        asked={"dataset": dataset, "version": version, "reason": reason},
        problem=problem,
    )


async def _effect(page: Page, dataset: str, version: int | None) -> Any:
    """None where keys are out of reach just now: what stands is shown all the same."""
    try:
        return await page.api.get("/v1/destructions/effect", dataset=dataset, version=version)
    except Refused as refused:
        refused.of_the_form()
        return None


@router.get("")
async def destructions(page: Looking, dataset: str = "", version: str = "") -> Response:
    return await _shown(page, dataset.strip(), version.strip())


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    dataset, version, reason = (form.get(name, "").strip() for name in ("dataset", "version", "reason"))
    try:
        if form.get("confirm", "").isdigit():
            await page.api.post(f"/v1/destructions/proposals/{form['confirm']}/confirm")
        else:
            number = int(version) if version.isdigit() else None
            await page.api.post("/v1/destructions/proposals", {"dataset": dataset, "version": number, "reason": reason})
    except Refused as refused:
        return await _shown(page, dataset, version, status=refused.status, problem=refused.of_the_form(), reason=reason)
    return go("/console/destructions")
