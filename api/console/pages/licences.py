"""Licences and their life: the list, one with its terms, history and paper, and the acts that move it on."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import CSP, Looking, Page, form_of, go
from api.console.parts import matches, part, sought
from api.later import pages

router = pages("/console/licences")
# what one person may do with a reason, and the states it starts from
STEPS: dict[str, tuple[str, frozenset[str]]] = {
    "suspend": ("licence_suspend", frozenset({"active", "granted"})),
    "resume": ("licence_resume", frozenset({"suspended"})),
    "revoke": ("licence_revoke", frozenset({"active", "granted", "suspended"})),
    "decline": ("licence_decline", frozenset({"applied", "consented"})),
}


@router.get("")
async def licences(page: Looking) -> Response:
    text, every = sought(page.request), (await page.api.get("/v1/licences", accounts=False))["licences"]
    terms = [(each, each["licence"]) for each in every]
    found = [
        each for each, has in terms if matches(text, has["id"], has["operator"], has["title"], (grant["dataset"] for grant in has["datasets"]))
    ]
    return page.show("licences.html.j2", licences=part(page.request, "licences", found), text=page.request.query_params.get("text", ""))


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None) -> Response:
    found, history = await asyncio.gather(page.api.get(f"/v1/licences/{id}"), page.api.get(f"/v1/licences/{id}/history"))
    state = found["state"]
    steps = [name for name, (act, states) in STEPS.items() if page.visitor.may(act) and state in states]
    wanting = [grant["dataset"] for grant in found["licence"]["datasets"] if grant["consent"] is None]
    return page.show(
        "licence.html.j2",
        status=status,
        found=found,
        licence=found["licence"],
        history=history,
        steps=steps,
        wanting=wanting if page.visitor.may("licence_consent") and state in ("applied", "consented") else [],
        grantable=page.visitor.may("licence_grant") and state in ("applied", "consented"),
        problem=problem,
    )


@router.get("/{id}")
async def licence(page: Looking, id: str) -> Response:
    return await _one(page, id)


@router.get("/{id}/document")
async def document(page: Looking, id: str) -> Response:
    """The paper itself, as the interface renders it in the visitor's language."""
    answer = await page.api.raw(f"/v1/licences/{id}/document", format="html")
    policy = answer.headers.get("content-security-policy", CSP)
    return Response(answer.content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


@router.post("/{id}")
async def act(page: Looking, id: str) -> Response:
    form = await form_of(page.request)
    step = form.get("act", "")
    try:
        if step in STEPS:
            await page.api.post(f"/v1/licences/{id}/{step}", {"reason": form.get("reason", "")})
        elif step == "consent":
            await page.api.post(f"/v1/licences/{id}/consent", {"dataset": form.get("dataset", ""), "reference": form.get("reference", "")})
        elif step in ("grant", "propose"):
            approvals = {name.removeprefix("approval:"): value for name, value in form.items() if name.startswith("approval:") and value}
            decision = {"number": form.get("number", ""), "decided_on": form.get("decided_on") or None}
            proposal = int(form["proposal"]) if form.get("proposal", "").isdigit() else None
            body = {"decision_document": decision, "second_approvals": approvals, "proposal": proposal}
            await page.api.post(f"/v1/licences/{id}/{step}", body)
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/licences/{id}")
