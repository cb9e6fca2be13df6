"""Asking: one form, three buttons – price, invented rows, the real run – as in the interface."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from api.console.ask import Refused
from api.console.frame import Looking, Page, form_of, go
from api.console.pages.releases import picture_of
from api.later import pages

router = pages("/console/ask")
ASKED = ("licence", "scenario", "sql", "by", "amount", "delta")
BY = ("epsilon", "rho", "accuracy")
DELTA = "0.00000001"


async def _form(page: Page, values: dict[str, str], *, status: int = 200, **shown: Any) -> Response:
    """The form with what was filled in, and below it what came of it."""
    found = await page.api.get("/v1/licences", accounts=False)
    mine = [each for each in found["licences"] if each["state"] == "active"]
    scenarios = sorted({scenario for each in mine for scenario in each["licence"]["scenarios"]})
    datasets = sorted({grant["dataset"] for each in mine for grant in each["licence"]["datasets"]})
    context: dict[str, Any] = {"quote": None, "dummy": None, "picture": "", "problem": None, **shown}
    return page.show("ask.html.j2", status=status, licences=mine, scenarios=scenarios, datasets=datasets, values=values, by=BY, **context)


@router.get("")
async def asking(page: Looking, job: str = "") -> Response:
    page.require("job_check")
    values = {"licence": "", "scenario": "", "sql": "", "by": "epsilon", "amount": "0.5", "delta": DELTA}
    if job:
        before = await page.api.get(f"/v1/jobs/{quote(job, safe='')}")
        privacy = before["request"].get("ask", {}).get("privacy", {})
        by = next((name for name in BY if privacy.get(name) is not None), "epsilon")
        values |= {"licence": before["licence"], "scenario": before["scenario"], "sql": before["sql"], "by": by}
        values |= {"amount": str(privacy.get(by) or ""), "delta": str(privacy.get("delta") or DELTA)}
    return await _form(page, values)


@router.post("")
async def asked(page: Looking) -> Response:
    page.require("job_check")
    form = await form_of(page.request)
    values = {name: form.get(name, "") for name in ASKED}
    by = values["by"] if values["by"] in BY else "epsilon"
    body = {
        "licence": values["licence"],
        "scenario": values["scenario"],
        "sql": values["sql"],
        "privacy": {by: values["amount"].strip(), "delta": values["delta"].strip() or DELTA},
    }
    act = form.get("act", "check")
    try:
        if act == "submit":
            job = await page.api.post("/v1/jobs", body)
            return go(f"/console/jobs/{job['id']}")
        if act == "dummy":
            dummy = await page.api.post("/v1/jobs/dummy", body)
            picture = picture_of(page, dummy["columns"], dummy["rows"])
            return await _form(page, values, dummy=dummy, picture=picture)
        return await _form(page, values, quote=await page.api.post("/v1/jobs/check", body))
    except Refused as refused:
        return await _form(page, values, status=refused.status, problem=refused.of_the_form())
