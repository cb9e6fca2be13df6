"""Rule packs: what exact tables are checked by, in force, proposed and confirmed by two supervisors."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages

router = pages("/console/rules")


async def _shown(page: Page, draft: dict[str, str] | None = None, *, status: int = 200, problem: Any = None, checked: Any = None) -> Response:
    found = await page.api.get("/v1/rule-packs")
    draft = draft or {"text": found["in_force"]["text"], "reason": ""}
    return page.show(
        "rules.html.j2",
        status=status,
        pack=found["in_force"],
        shipped=found["shipped"],
        versions=found["versions"],
        draft=draft,
        checked=checked,
        problem=problem,
    )


@router.get("")
async def rules(page: Looking, begin: str = "") -> Response:
    """`begin`: the name of a shipped pack whose text the form begins with."""
    draft = None
    if begin:
        found = await page.api.get("/v1/rule-packs")
        draft = next(({"text": each["text"], "reason": ""} for each in found["shipped"] if each["name"] == begin), None)
    return await _shown(page, draft)


@router.get("/{entry}")
async def version(page: Looking, entry: int) -> Response:
    found = await page.api.get("/v1/rule-packs")
    pack = next((each for each in found["versions"] if each["entry"] == entry), None)
    return page.show("rules_version.html.j2", pack=pack, entry=entry, status=200 if pack else 404)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    draft = {name: form.get(name, "").replace("\r\n", "\n") for name in ("text", "reason")}
    try:
        if form.get("confirm"):
            await page.api.post(f"/v1/rule-packs/proposals/{form['confirm']}/confirm")
        elif form.get("act") == "propose":
            await page.api.post("/v1/rule-packs/proposals", draft)
        else:
            return await _shown(page, draft, checked=await page.api.post("/v1/rule-packs/check", {"text": draft["text"]}))
    except Refused as refused:
        return await _shown(page, draft if form.get("text") else None, status=refused.status, problem=refused.of_the_form())
    return go("/console/rules")
