"""Subscriptions: what a builder or operator is told of by webhook."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/subscriptions")
TOPICS = ("product.version_added", "product.published", "product.deprecated", "product.recalled", "product.delivered")


async def _shown(page: Page, *, status: int = 200, problem: Any = None, secret: str = "", subject: str = "", sent: str = "") -> Response:
    found = await page.api.get("/v1/webhooks")
    return page.show(
        "subscriptions.html.j2",
        status=status,
        hooks=found["webhooks"],
        topics=TOPICS,
        problem=problem,
        secret=secret,
        subject=subject,
        sent=sent,
    )


@router.get("")
async def subscriptions(page: Looking, product: str = "") -> Response:
    return await _shown(page, subject=product)


@router.get("/{id}")
async def messages(page: Looking, id: str) -> Response:
    found = await page.api.get(f"/v1/webhooks/{id}/messages")
    return page.show("subscription.html.j2", id=id, messages=found["messages"])


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    hook = form.get("hook", "")
    try:
        match form.get("act"):
            case "close":
                await page.api.post(f"/v1/webhooks/{hook}/close")
            case "test":
                tried = await page.api.post(f"/v1/webhooks/{hook}/test")
                return await _shown(page, sent=tried["message"])
            case _:
                topics = [topic for topic in TOPICS if form.get(f"topic:{topic}")]
                subject = form.get("subject", "").strip()
                made = await page.api.post("/v1/webhooks", {"url": form.get("url", ""), "topics": topics, "subject": subject or None})
                return await _shown(page, secret=made["secret"])  # shown here alone: no redirect, nothing kept
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form(), subject=form.get("subject", ""))
    return go("/console/subscriptions")
