"""People: principals, their keys, open sessions, appointments that wait for a second person. A page shows a part of each list, however long
the lists are; a search finds a principal in all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/people")
STEPS = {"suspend": "principal_suspend", "resume": "principal_resume", "close": "principal_close"}
PART = 25  # rows of each list on a page
LISTS = ("principals", "keys", "sessions")


@dataclass(frozen=True)
class Part:
    """`rows` of a list of `of` rows; `before` and `after`: addresses of the parts beside this one, None at an end."""

    rows: Sequence[Mapping[str, Any]]
    of: int
    before: str | None
    after: str | None


def part(name: str, rows: Sequence[Mapping[str, Any]], asked: QueryParams) -> Part:
    """The part of list `name` that the address asks for; the nearest there is, if it is no number or too large."""
    last = max(0, (len(rows) - 1) // PART)
    text = asked.get(name, "")
    at = min(last, int(text)) if text.isdecimal() and len(text) < 9 else 0

    def beside(number: int) -> str | None:
        others = {each: asked[each] for each in ("text", *LISTS) if asked.get(each) and each != name}
        return f"/console/people?{urlencode({**others, name: number})}" if 0 <= number <= last else None

    return Part(rows[at * PART : (at + 1) * PART], len(rows), beside(at - 1), beside(at + 1))


async def _shown(page: Page, *, status: int = 200, problem: object = None) -> Response:
    people, keys, sessions, appointments = await asyncio.gather(
        page.api.get("/v1/principals"),
        page.api.get("/v1/keys"),
        page.api.get("/v1/sessions"),
        page.api.maybe("/v1/appointments"),
    )
    asked = page.request.query_params
    text = asked.get("text", "").strip().casefold()
    titled = {each["id"]: " ".join((each["id"], *each["title"].values())).casefold() for each in people["principals"]}

    def found(name: str, rows: Sequence[Mapping[str, Any]], who: str = "principal") -> Part:
        return part(name, [each for each in rows if text in titled.get(each[who], each[who].casefold())], asked)

    return page.show(
        "people.html.j2",
        status=status,
        principals=found("principals", people["principals"], "id"),
        keys=found("keys", sorted(keys["keys"][::-1], key=lambda key: key["status"] != "active")),
        sessions=found("sessions", sessions["sessions"][::-1]),
        appointments=(appointments or {}).get("appointments", []),
        steps={name for name, act in STEPS.items() if page.visitor.may(act)},
        here="/console/people" + (f"?{page.request.url.query}" if page.request.url.query else ""),
        text=asked.get("text", ""),
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
