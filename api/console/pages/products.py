"""Derived products: what builders find and fetch, and the life that their makers and the bureau give them."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from api.console.ask import Refused
from api.console.frame import CSP, Looking, Page, form_of, go
from api.console.said import RENEWED
from api.later import pages
from policies.product.life import GROWING

router = pages("/console/products")
# what moves a product on: the act, and the states it may start from
STEPS: dict[str, tuple[str, frozenset[str]]] = {
    "register": ("product_register", frozenset({"draft"})),
    "propose": ("product_register", frozenset({"draft"})),
    "publish": ("product_publish", frozenset({"registered"})),
    "deprecate": ("product_deprecate", frozenset({"published"})),
    "recall": ("product_recall", frozenset({"draft", "registered", "published", "deprecated"})),
}
PAGE = 30
RUNNING = ("job", "first", "periods", "way")  # fields of a running total
OFFERED = 30  # releases that a version may be made of, the newest
DRAFTED = ("id", *(f"{name}_{language}" for name in ("title", "about", "terms") for language in ("zh", "en")), "keywords", "renewed", "contact")
FORMATS = ("parquet", "csv", "arrow", "json")


@router.get("")
async def products(page: Looking, q: str = "", before: str = "") -> Response:
    found = await page.api.get("/v1/products", q=q, after=before, limit=PAGE)
    return page.show("products.html.j2", products=found["products"], q=q, next=found["next"], first=not before)


@router.get("/new")
async def new(page: Looking) -> Response:
    page.require("product_make")
    return _draft(page, dict.fromkeys(DRAFTED, ""))


def _draft(page: Page, values: dict[str, str], *, status: int = 200, problem: object = None) -> Response:
    return page.show("product_new.html.j2", status=status, values=values, renewed=tuple(RENEWED), problem=problem)


@router.post("")
async def draft(page: Looking) -> Response:
    page.require("product_make")
    form = await form_of(page.request)
    values = {name: form.get(name, "").strip() for name in DRAFTED}
    body: dict[str, Any] = {name: {"zh": values[f"{name}_zh"], "en": values[f"{name}_en"]} for name in ("title", "about", "terms")}
    body |= {"id": values["id"], "renewed": values["renewed"] or "irregular", "contact": values["contact"]}
    body["keywords"] = [word.strip() for word in re.split("[,，、]", values["keywords"]) if word.strip()]
    try:
        made = await page.api.post("/v1/products", body)
    except Refused as refused:
        return _draft(page, values, status=refused.status, problem=refused.of_the_form())
    return go(f"/console/products/{made['id']}")


async def _nothing() -> None:
    return None


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None, running: dict[str, Any] | None = None) -> Response:
    making = page.visitor.may("product_make")
    found, preview, entitled, planned, mine = await asyncio.gather(
        page.api.get(f"/v1/products/{id}"),
        page.api.maybe(f"/v1/products/{id}/preview"),
        page.api.maybe(f"/v1/products/{id}/entitlements") if page.visitor.may("product_entitle") else _nothing(),
        page.api.maybe(f"/v1/products/{id}/schedules") if page.visitor.may("schedule_manage") else _nothing(),
        page.api.get("/v1/releases", limit=OFFERED) if making else _nothing(),
    )
    steps = [name for name, (act, states) in STEPS.items() if page.visitor.may(act) and found["state"] in states]
    return page.show(
        "product.html.j2",
        status=status,
        product=found,
        preview=preview,
        entitlements=(entitled or {}).get("entitlements"),
        schedules=(planned or {}).get("schedules"),
        offered=mine["releases"] if mine and found["state"] in GROWING else [],
        making=making,
        steps=steps,
        formats=FORMATS,
        problem=problem,
        running=running,
    )


@router.get("/{id}")
async def product(page: Looking, id: str) -> Response:
    return await _one(page, id)


@router.get("/{id}/manifest")
async def manifest(page: Looking, id: str) -> Response:
    answer = await page.api.raw(f"/v1/products/{id}/manifest")
    headers = {"Content-Disposition": f'attachment; filename="{id}.dsse.json"', "Content-Security-Policy": CSP}
    return Response(answer.content, media_type=answer.headers.get("content-type", "application/json"), headers=headers)


@router.post("/{id}")
async def act(page: Looking, id: str) -> Response:
    form = await form_of(page.request)
    try:
        sent = await _send(page, id, form)
    except Refused as refused:
        return await _one(page, id, status=refused.status, problem=refused.of_the_form())
    return sent or go(f"/console/products/{id}")


async def _send(page: Page, id: str, form: dict[str, str]) -> Response | None:
    api, path, step = page.api, f"/v1/products/{id}", form.get("act", "")
    body: dict[str, Any] = {}
    match step:
        case "register":
            body = {"proposal": int(form["proposal"])} if form.get("proposal", "").isdigit() else {}
        case "deprecate":
            body = {"reason": form.get("reason", ""), "successor": form.get("successor") or None}
        case "recall":
            version = form.get("version", "")
            body = {"reason": form.get("reason", ""), "version": int(version) if version.isdigit() else None}
        case "version":
            given = [name.removeprefix("release:") for name in form if name.startswith("release:")]
            await api.post(f"{path}/versions", {"releases": given})
            return None
        case "schedule":
            most = form.get("releases_at_most", "")
            await api.post(f"{path}/schedules", {"job": await _order(page, form.get("job", "")), "releases_at_most": int(most or 0)})
            return None
        case "running":
            await api.post(f"{path}/schedules", await _running(page, form))
            return None
        case "running_check":
            found = await api.post(f"{path}/schedules/check", await _running(page, form))
            return await _one(page, id, running={**{name: form.get(name, "") for name in RUNNING}, "quote": found})
        case "continue":
            await api.post(f"{path}/schedules/{form.get('schedule', '')}/continue", {"periods": _number(form, "periods")})
            return None
        case "stop":
            await api.post(f"{path}/schedules/{form.get('schedule', '')}/stop")
            return None
        case "entitle":
            await api.post(f"{path}/entitlements", {"builder": form.get("builder", "")})
            return None
        case "end":
            await api.post(f"{path}/entitlements/end", {"builder": form.get("builder", ""), "reason": form.get("reason", "")})
            return None
        case "fetch":
            made = await api.post(f"{path}/deliveries", {"format": form.get("format", "parquet")})
            return RedirectResponse(made["url"], status_code=303, headers={"Content-Security-Policy": CSP})
    if step in STEPS:
        await api.post(f"{path}/{step}", body)
    return None


async def _running(page: Page, form: dict[str, str]) -> dict[str, Any]:
    plan = {"first": form.get("first", ""), "periods": _number(form, "periods"), "way": form.get("way", "auto")}
    return {"job": await _order(page, form.get("job", "")), "running": plan}


def _number(form: dict[str, str], name: str) -> int:
    """What was typed, or 0, which no bound admits."""
    typed = form.get(name, "")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else 0


async def _order(page: Page, job: str) -> dict[str, Any]:
    """The order of an earlier job of SQL, as it would be sent again."""
    before = await page.api.get(f"/v1/jobs/{quote(job.strip(), safe='')}")
    asked = {name: value for name, value in before["request"].get("ask", {}).items() if value not in (None, {})}
    asked["privacy"] = {name: value for name, value in asked.get("privacy", {}).items() if value is not None}
    return {"licence": before["licence"], "scenario": before["scenario"], "sql": before["sql"], **asked}
