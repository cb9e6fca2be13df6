"""People: principals, their keys, open sessions, appointments that wait for a second person. A page shows a part of each list, however long
the lists are; a search finds a principal in all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.console.parts import Part, Row, matches, part, sought
from api.later import pages

router = pages("/console/people")
STEPS = {"suspend": "principal_suspend", "resume": "principal_resume", "close": "principal_close"}
LISTS = ("principals", "keys", "sessions")


async def _shown(page: Page, *, status: int = 200, problem: object = None) -> Response:
    people, keys, sessions, appointments = await asyncio.gather(
        page.api.get("/v1/principals"),
        page.api.get("/v1/keys"),
        page.api.get("/v1/sessions"),
        page.api.maybe("/v1/appointments"),
    )
    text, titles = sought(page.request), {each["id"]: each["title"] for each in people["principals"]}

    def found(name: str, rows: Sequence[Row], who: str = "principal") -> Part:
        return part(page.request, name, [each for each in rows if matches(text, each[who], titles.get(each[who], ""))])

    return page.show(
        "people.html.j2",
        status=status,
        principals=found("principals", people["principals"], "id"),
        keys=found("keys", sorted(keys["keys"][::-1], key=lambda key: key["status"] != "active")),
        sessions=found("sessions", sessions["sessions"][::-1]),
        appointments=(appointments or {}).get("appointments", []),
        steps={name for name, act in STEPS.items() if page.visitor.may(act)},
        here="/console/people" + (f"?{page.request.url.query}" if page.request.url.query else ""),
        text=page.request.query_params.get("text", ""),
        problem=problem,
    )


@router.get("")
async def people(page: Looking) -> Response:
    return await _shown(page)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    step, reason = form.get("act", ""), {"reason": form.get("reason", "")}
    try:
        if step in STEPS:
            await page.api.post(f"/v1/principals/{form.get('who', '')}/{step}", reason)
        elif "revoke" in form:
            await page.api.post(f"/v1/keys/{form['revoke']}/revoke", reason)
        elif "end" in form:
            await page.api.post(f"/v1/sessions/{form['end']}/close", reason)
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form())
    asked = {name: page.request.query_params[name] for name in ("text", *LISTS) if name in page.request.query_params}
    return go("/console/people" + (f"?{urlencode(asked)}" if asked else ""))
