"""People: principals, their keys, open sessions, appointments that wait for a second person."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/people")
STEPS = {"suspend": "principal_suspend", "resume": "principal_resume", "close": "principal_close"}


async def _shown(page: Page, *, status: int = 200, problem: object = None) -> Response:
    people, keys, sessions, appointments = await asyncio.gather(
        page.api.get("/v1/principals"),
        page.api.get("/v1/keys"),
        page.api.get("/v1/sessions"),
        page.api.maybe("/v1/appointments"),
    )
    return page.show(
        "people.html.j2",
        status=status,
        principals=people["principals"],
        keys=keys["keys"],
        sessions=sessions["sessions"],
        appointments=(appointments or {}).get("appointments", []),
        steps={name for name, act in STEPS.items() if page.visitor.may(act)},
        problem=problem,
    )


@router.get("")
async def people(page: Looking) -> Response:
    return await _shown(page)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    step, who = form.get("act", ""), form.get("who", "")
    try:
        if step in STEPS:
            await page.api.post(f"/v1/principals/{who}/{step}", {"reason": form.get("reason", "")})
        elif step == "revoke":
            await page.api.post(f"/v1/keys/{who}/revoke", {"reason": form.get("reason", "")})
        elif step == "end":
            await page.api.post(f"/v1/sessions/{who}/close", {"reason": form.get("reason", "")})
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form())
    return go("/console/people")
