"""监测预警: what the server wants looked at, answering for it, and the rules it goes by."""

from __future__ import annotations

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages
from jobs.watch.alerts import SEVERITIES, STATES

router = pages("/console")


@router.get("/alerts")
async def alerts(page: Looking, state: str = "", severity: str = "", rule: str = "", about: str = "", before: str = "") -> Response:
    page.require("alert_list")
    chosen = {
        "state": state if state in STATES else "",
        "severity": severity if severity in SEVERITIES else "",
        "rule": rule[:64],
        "about": about[:300],
    }
    found = await page.api.get("/v1/alerts", **chosen, before=before if before.isdigit() else None)
    return page.show(
        "alerts.html.j2", found=found, chosen=chosen, states=STATES, severities=SEVERITIES, first=not before, filtered=any(chosen.values())
    )


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None, words: str = "") -> Response:
    found = await page.api.get(f"/v1/alerts/{id}")
    return page.show("alert.html.j2", status=status, alert=found, problem=problem, words=words)


@router.get("/alerts/{id}")
async def alert(page: Looking, id: str) -> Response:
    return await _one(page, id)


@router.post("/alerts/{id}")
async def answer(page: Looking, id: str) -> Response:
    form = await form_of(page.request)
    words = form.get("words", "").strip()
    try:
        if form.get("act") == "acknowledge":
            await page.api.post(f"/v1/alerts/{id}/acknowledge", {"words": words})
        else:
            await page.api.post(f"/v1/alerts/{id}/close", {"outcome": form.get("outcome", ""), "words": words})
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form(), words=words)
    return go(f"/console/alerts/{id}")


async def _rules(
    page: Page, *, status: int = 200, problem: object = None, checked: object = None, draft: dict[str, str] | None = None
) -> Response:
    found = await page.api.get("/v1/alert-rules")
    draft = draft or {"text": found["in_force"]["text"], "reason": ""}
    return page.show("alert_rules.html.j2", status=status, found=found, now=found["in_force"], draft=draft, checked=checked, problem=problem)


@router.get("/alert-rules")
async def rules(page: Looking) -> Response:
    return await _rules(page)


@router.get("/alert-rules/{entry}")
async def proposed(page: Looking, entry: int) -> Response:
    """A set that was proposed, to read before it is confirmed or to begin another change from."""
    found = await page.api.get("/v1/alert-rules")
    version = next((each for each in found["versions"] if each["entry"] == entry), None)
    if version is None:
        return go("/console/alert-rules")
    return page.show("alert_rules_version.html.j2", version=version)


@router.post("/alert-rules")
async def change(page: Looking) -> Response:
    form = await form_of(page.request)
    draft = {"text": form.get("text", "").replace("\r\n", "\n"), "reason": form.get("reason", "")}
    try:
        if form.get("confirm", "").isdigit():
            await page.api.post(f"/v1/alert-rules/proposals/{form['confirm']}/confirm")
        elif form.get("act") == "propose":
            await page.api.post("/v1/alert-rules/proposals", draft)
        else:
            checked = await page.api.post("/v1/alert-rules/check", {"text": draft["text"]})
            return await _rules(page, checked=checked, draft=draft)
    except Refused as refused:
        return await _rules(page, status=refused.status, problem=refused.of_the_form(), draft=draft if form.get("text") else None)
    return go("/console/alert-rules")
