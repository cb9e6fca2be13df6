"""The registry of programs, and reviewing one: its sources and the static report beside each other."""

from __future__ import annotations

import base64

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.console.parts import matches, part, sought
from api.later import pages

router = pages("/console/programs")


@router.get("")
async def programs(page: Looking) -> Response:
    return await _all(page)


async def _all(page: Page, *, status: int = 200, problem: object = None) -> Response:
    text, every = sought(page.request), (await page.api.get("/v1/programs"))["programs"]
    found = [each for each in every if matches(text, each["name"], each["digest"], each["author"])]
    shown = part(page.request, "programs", found)
    return page.show("programs.html.j2", status=status, programs=shown, text=page.request.query_params.get("text", ""), problem=problem)


@router.post("")
async def submit(page: Looking) -> Response:
    """A package: parsed, never run."""
    await form_of(page.request)
    package = base64.b64encode(getattr(page.request.state, "file", b"")).decode()
    try:
        made = await page.api.post("/v1/programs", {"package": package})
    except Refused as refused:
        return await _all(page, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/programs/{made['digest']}")


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None) -> Response:
    found = await page.api.get(f"/v1/programs/{id}")
    return page.show("program.html.j2", status=status, found=found, program=found["program"], problem=problem)


@router.get("/{id}")
async def program(page: Looking, id: str) -> Response:
    return await _one(page, id)


@router.post("/{id}")
async def act(page: Looking, id: str) -> Response:
    form = await form_of(page.request)
    step, reason = form.get("act", ""), form.get("reason", "")
    try:
        if step in ("approve", "reject"):
            await page.api.post(f"/v1/programs/{id}/reviews", {"verdict": step, "reason": reason})
        elif step in ("withdraw", "invalidate"):
            await page.api.post(f"/v1/programs/{id}/{step}", {"reason": reason})
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/programs/{id}")
