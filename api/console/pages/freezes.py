"""Emergency: freeze by one, at once; thaw by two."""

from __future__ import annotations

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.console.parts import part
from api.later import pages

router = pages("/console/freezes")
SCOPES = ("operator", "licence", "dataset", "everything")


async def _shown(page: Page, *, status: int = 200, problem: object = None) -> Response:
    found = await page.api.get("/v1/freezes")
    standing = [freeze for freeze in found["freezes"] if freeze["state"] != "thawed"]
    over = [freeze for freeze in found["freezes"] if freeze["state"] == "thawed"]
    lists = {"standing": part(page.request, "standing", standing), "over": part(page.request, "over", over)}
    return page.show("freezes.html.j2", status=status, **lists, scopes=SCOPES, problem=problem)


@router.get("")
async def freezes(page: Looking) -> Response:
    return await _shown(page)


@router.post("")
async def act(page: Looking) -> Response:
    form = await form_of(page.request)
    try:
        if form.get("thaw"):
            proposal = int(form["proposal"]) if form.get("proposal", "").isdigit() else None
            body = {"proposal": proposal} if proposal is not None else {"reason": form.get("reason", "")}
            await page.api.post(f"/v1/freezes/{form['thaw']}/thaw", body)
        else:
            scope = form.get("scope", "")
            subject = "" if scope == "everything" else form.get("subject", "").strip()
            await page.api.post("/v1/freezes", {"scope": scope, "subject": subject, "reason": form.get("reason", "")})
    except Refused as refused:
        return await _shown(page, status=refused.status, problem=refused.of_the_form())
    return go("/console/freezes")
