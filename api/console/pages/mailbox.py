"""Notifications by mail: one address, confirmed by a code, and what was sent there."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages
from jobs.webhooks import TOPICS

router = pages("/console/mailbox")


async def _shown(page: Page, *, status: int = 200, problem: Any = None, address: str = "", sent: str = "") -> Response:
    page.require("mail_manage")
    box, told = await asyncio.gather(page.api.maybe("/v1/mailbox"), page.api.maybe("/v1/mailbox/messages"))
    return page.show(
        "mailbox.html.j2",
        status=status,
        box=box,
        messages=told["messages"] if told else [],
        topics=tuple(TOPICS.values()),
        problem=problem,
        address=address,
        sent=sent,
    )


@router.get("")
async def mailbox(page: Looking) -> Response:
    return await _shown(page)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    address = form.get("address", "").strip()
    try:
        match form.get("act"):
            case "confirm":
                await page.api.post("/v1/mailbox/confirm", {"code": form.get("code", "").strip()})
            case "code" | "test" as step:
                made = await page.api.post(f"/v1/mailbox/{step}")
                return await _shown(page, sent=made["message"])
            case "close":
                await page.api.post("/v1/mailbox/close")
            case _:
                topics = [topic for topic in TOPICS if form.get(f"topic:{topic}")]
                await page.api.post("/v1/mailbox", {"address": address, "topics": topics})
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form(), address=address)
    return go("/console/mailbox")
