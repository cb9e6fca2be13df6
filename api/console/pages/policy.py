"""The policy in force, its history, and what was proposed."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/policy")


async def _shown(
    page: Page, *, status: int = 200, problem: object = None, checked: object = None, draft: dict[str, str] | None = None
) -> Response:
    found, versions = await asyncio.gather(page.api.get("/v1/policy"), page.api.get("/v1/policy/versions"))
    draft = draft or {"rules": found["rules"], "cases": found["cases"], "reason": ""}
    return page.show(
        "policy.html.j2", status=status, policy=found, versions=versions["versions"], draft=draft, checked=checked, problem=problem
    )


@router.get("")
async def policy(page: Looking) -> Response:
    return await _shown(page)


@router.get("/{id}")
async def version(page: Looking, id: str) -> Response:
    found = await page.api.get(f"/v1/policy/versions/{id}")
    return page.show("policy_version.html.j2", policy=found, id=id)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    draft = {name: form.get(name, "").replace("\r\n", "\n") for name in ("rules", "cases", "reason")}
    try:
        if form.get("confirm"):
            await page.api.post(f"/v1/policy/proposals/{form['confirm']}/confirm")
        elif form.get("act") == "propose":
            await page.api.post("/v1/policy/proposals", draft)
        else:
            checked = await page.api.post("/v1/policy/check", {"rules": draft["rules"], "cases": draft["cases"]})
            return await _shown(page, checked=checked, draft=draft)
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form(), draft=draft if form.get("rules") else None)
    return go("/console/policy")
