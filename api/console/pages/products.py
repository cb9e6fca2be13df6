"""Derived products: what builders find and fetch, and the life that their makers and the bureau give them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from api.console.ask import Refused
from api.console.frame import CSP, Looking, Page, form_of, go

router = APIRouter(prefix="/console/products")
# what moves a product on: the act, and the states it may start from
STEPS: dict[str, tuple[str, frozenset[str]]] = {
    "register": ("product_register", frozenset({"draft"})),
    "propose": ("product_register", frozenset({"draft"})),
    "publish": ("product_publish", frozenset({"registered"})),
    "deprecate": ("product_deprecate", frozenset({"published"})),
    "recall": ("product_recall", frozenset({"draft", "registered", "published", "deprecated"})),
}
PAGE = 30
FORMATS = ("parquet", "csv", "arrow", "json")


@router.get("")
async def products(page: Looking, q: str = "", before: str = "") -> Response:
    found = await page.api.get("/v1/products", q=q, after=before, limit=PAGE)
    return page.show("products.html.j2", products=found["products"], q=q, next=found["next"], first=not before)


async def _nothing() -> None:
    return None


async def _one(page: Page, id: str, *, status: int = 200, problem: object = None) -> Response:
    found, preview, entitled = await asyncio.gather(
        page.api.get(f"/v1/products/{id}"),
        page.api.maybe(f"/v1/products/{id}/preview"),
        page.api.maybe(f"/v1/products/{id}/entitlements") if page.visitor.may("product_entitle") else _nothing(),
    )
    steps = [name for name, (act, states) in STEPS.items() if page.visitor.may(act) and found["state"] in states]
    return page.show(
        "product.html.j2",
        status=status,
        product=found,
        preview=preview,
        entitlements=(entitled or {}).get("entitlements"),
        steps=steps,
        formats=FORMATS,
        problem=problem,
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
            body = {"reason": form.get("reason", "")}
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
