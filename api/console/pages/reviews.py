"""The human lane: exact tables asked for, held, reviewed by two who do not see each other, on a duty list."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.later import pages
from policies.review import REASONS

router = pages("/console")
PAGE = 50
FACTS = ("title", "population", "purpose", "use")
ROUNDINGS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "round5": [{"kind": "round", "base": 5}],
    "round10": [{"kind": "round", "base": 10}],
    "midpoint": [{"kind": "midpoint"}],
    "suppress": [{"kind": "suppress"}],
}


@router.get("/reviews")
async def reviews(page: Looking, before: str = "") -> Response:
    found = await page.api.get("/v1/reviews", limit=PAGE, before=before)
    standing = await page.api.maybe("/v1/standings") if not before else None
    standings = (standing or {}).get("standings", [])
    return page.show("reviews.html.j2", reviews=found["reviews"], next=found["next"], first=not before, standings=standings)


@router.post("/reviews")
async def ask_for_one(page: Looking) -> Response:
    form = await form_of(page.request)
    body = {"jobs": [form.get("job", "")], "title": form.get("title", ""), "purpose": form.get("purpose", ""), "note": form.get("note", "")}
    made = await page.api.post("/v1/reviews", body)
    return go(f"/console/reviews/{made['id']}")


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None) -> Response:
    found = await page.api.get(f"/v1/reviews/{id}")
    open_ = found["state"] in ("open", "referred")
    voting = open_ and page.visitor.may("review_vote") and not found["voted"]
    return page.show("review.html.j2", status=status, review=found, voting=voting, open=open_, reasons=REASONS, problem=problem)


@router.get("/reviews/{id}")
async def review(page: Looking, id: str) -> Response:
    return await _one(page, id)


@router.post("/reviews/{id}")
async def act(page: Looking, id: str) -> Response:
    form = await form_of(page.request)
    try:
        if form.get("act") == "withdraw":
            await page.api.post(f"/v1/reviews/{id}/withdraw")
        else:
            codes = [code for code in REASONS if form.get(f"code:{code}")]
            await page.api.post(f"/v1/reviews/{id}/votes", {"verdict": form.get("verdict", ""), "codes": codes, "words": form.get("words", "")})
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/reviews/{id}")


@router.get("/workbench/{job}")
async def workbench(page: Looking, job: str) -> Response:
    found = (await page.api.get(f"/v1/workbench/{job}"))["workbench"]
    return page.show("workbench.html.j2", seen=found, table=found["table"], job=job)


async def _duties(page: Page, *, status: int = 200, problem: object = None) -> Response:
    found, people = await asyncio.gather(page.api.get("/v1/duties"), page.api.maybe("/v1/principals"))
    reviewers = [each["id"] for each in (people or {}).get("principals", []) if each["role"] == "reviewer" and each["status"] == "active"]
    return page.show(
        "duties.html.j2", status=status, duties=found["duties"], conflicts=found["conflicts"], reviewers=reviewers, problem=problem
    )


@router.get("/duties")
async def duties(page: Looking) -> Response:
    return await _duties(page)


@router.post("/duties")
async def set_duty(page: Looking) -> Response:
    form = await form_of(page.request)
    who, api = form.get("reviewer", ""), page.api
    try:
        match form.get("act"):
            case "duty":
                await api.post("/v1/duties", {"reviewer": who, "since": form.get("since", ""), "until": form.get("until", "")})
            case "end":
                await api.post(f"/v1/duties/{form.get('duty', '')}/end", {"reason": form.get("reason", "")})
            case "conflict":
                body = {"reviewer": who or page.visitor.principal, "operator": form.get("operator", ""), "reason": form.get("reason", "")}
                await api.post("/v1/conflicts", body)
            case _:
                await api.post("/v1/conflicts/lift", {name: form.get(name, "") for name in ("reviewer", "operator", "reason")})
    except Refused as refused:
        return await _duties(page, status=refused.status, problem=refused.of_the_form())
    return go("/console/duties")


# ── asking for an exact table ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _form(page: Page, values: dict[str, str], *, status: int = 200, **shown: Any) -> Response:
    found = await page.api.get("/v1/licences", accounts=False)
    mine = [each for each in found["licences"] if each["state"] == "active" and "exact" in each["licence"]["job_kinds"]]
    scenarios = sorted({scenario for each in mine for scenario in each["licence"]["scenarios"]})
    context: dict[str, Any] = {"preflight": None, "problem": None, **shown}
    return page.show("exact.html.j2", status=status, licences=mine, scenarios=scenarios, values=values, roundings=list(ROUNDINGS), **context)


@router.get("/exact")
async def exact(page: Looking) -> Response:
    page.require("job_check")
    return await _form(page, dict.fromkeys(("licence", "scenario", "sql", "mend", *FACTS), ""))


@router.post("/exact")
async def exact_asked(page: Looking) -> Response:
    page.require("job_check")
    form = await form_of(page.request)
    values = {name: form.get(name, "") for name in ("licence", "scenario", "sql", "mend", *FACTS)}
    facts = {name: values[name] for name in FACTS if values[name].strip()}
    body = {
        "kind": "exact",
        **{name: values[name] for name in ("licence", "scenario", "sql")},
        "facts": facts,
        "mends": ROUNDINGS.get(values["mend"], []),
    }
    try:
        if form.get("act") == "submit":
            job = await page.api.post("/v1/jobs", body)
            return go(f"/console/jobs/{job['id']}")
        return await _form(page, values, preflight=await page.api.post("/v1/jobs/preflight", body))
    except Refused as refused:
        return await _form(page, values, status=refused.status, problem=refused.of_the_form())
