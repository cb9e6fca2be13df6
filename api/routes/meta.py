"""About the caller and about the server itself."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Request, Response

from api import docs_page
from api.auth import Guarded, Visit, door
from api.later import Later
from api.metrics import MEDIA_TYPE
from api.problems import SERVER_STARTING
from api.routes.common import Serving, Speaking, problems, roles
from api.schemas import Health, Me
from policies.roles import ACTS, reach

router = APIRouter(prefix="/v1", tags=["server"], route_class=Later)
guarded = APIRouter(prefix="/v1", tags=["server"], route_class=Guarded)


@guarded.get(
    "/me", summary="当前密钥的主体与权限 · Whose key this is, and what it may do", responses=problems(401), openapi_extra=roles("me_show")
)
def me(services: Serving, visit: Annotated[Visit, door("me_show")]) -> Me:
    principal = visit.principal
    return Me(
        principal=principal.id,
        role=principal.role,
        acts=[act for act in ACTS if reach(principal.role, act)],
        licences=[record.licence.id for record in services.register.licences(principal.id)],
    )


@guarded.get(
    "/metrics",
    summary="运行指标（Prometheus 文本格式） · Numbers on the running of the service, in Prometheus's text format",
    response_class=Response,
    responses=problems(401, 403) | {200: {"content": {MEDIA_TYPE: {}}, "description": "指标 · numbers"}},
    openapi_extra=roles("metrics_read"),
)
def metrics(request: Request, _visit: Annotated[Visit, door("metrics_read")]) -> Response:
    return Response(request.app.state.metrics.expose(), media_type=MEDIA_TYPE)


@router.get("/health", summary="进程存活 · The process is alive", responses=problems())
def health(services: Serving) -> Health:
    if services.watch.stopping or not services.ready.is_set():
        return Health(status="stopping" if services.watch.stopping else "starting")
    return Health(status="degraded" if services.degraded else "ok")


@router.get("/ready", summary="可以受理作业 · Jobs are taken", responses=problems(503))
def ready(services: Serving) -> Health:
    if services.watch.stopping or not services.ready.is_set():
        raise SERVER_STARTING()
    return Health(status="degraded" if services.degraded else "ok")


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    body = json.dumps(request.app.openapi(), ensure_ascii=False)
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/docs", include_in_schema=False)
def docs(request: Request, language: Speaking) -> Response:
    page = docs_page.render(request.app.openapi(), language)
    return Response(
        page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": docs_page.CSP, "Cache-Control": "no-cache"}
    )
