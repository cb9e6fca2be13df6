"""The HTTP server's application: endpoints, one way to fail, an OpenAPI document that says all of it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute

from api import console
from api.auth import challenge
from api.metrics import Metrics
from api.problems import (
    INTERNAL,
    REQUEST_MALFORMED,
    REQUEST_METHOD,
    REQUEST_TOO_LARGE,
    answer,
    invalid,
    not_found,
)
from api.routes import (
    access,
    alerts,
    authority,
    caps,
    catalogue,
    deliveries,
    destructions,
    fees,
    jobs,
    licences,
    log,
    mailbox,
    meta,
    outlook,
    people,
    products,
    programs,
    register,
    releases,
    report_orders,
    reports,
    reviews,
    rule_packs,
    schedules,
    sharing,
    sign_in,
    tracing,
    webhooks,
)
from api.schemas import ProblemView
from api.services import Services, services_of
from api.signin.tally import Refused
from api.web import Shell
from infra.database import UNAVAILABLE
from infra.settings import Settings
from jobs.order import Asker
from jobs.register import REGISTER_UNAVAILABLE
from jobs.verdicts import log_refusal
from policies.problem import Problem

TITLE = "域内 yunei"
VERSION = "1"
DESCRIPTION = (
    "公共数据授权运营计算沙箱：原始数据不出域、数据可用不可见。"
    " · A sandbox for the authorised operation of public data: jobs run beside the raw "
    "data, and only noised tables leave, each priced in privacy loss and written into a log that anyone can check."
)
TAGS = [
    {"name": "jobs", "description": "作业 · Jobs"},
    {"name": "releases", "description": "发布结果 · Releases"},
    {"name": "reviews", "description": "精确汇总的人工审核 · Exact tables, reviewed by people"},
    {"name": "fees", "description": "计费、对账与收益分配 · Fees, statements and revenue"},
    {"name": "register", "description": "数据目录与账户 · Catalogue and accounts"},
    {
        "name": "licences",
        "description": "授权运营协议：申请、同意、授权、变更、终止 · Licences: applied for, consented to, granted, amended, ended",
    },
    {"name": "authority", "description": "应急处置与策略 · Freezes and the policy"},
    {"name": "people", "description": "主体、密钥、登录 · People, keys, signing in"},
    {"name": "products", "description": "数据产品：登记、目录、交付 · Data products: registered, found, delivered"},
    {"name": "programs", "description": "算法登记 · The algorithm registry"},
    {"name": "log", "description": "存证日志 · The log"},
    {"name": "server", "description": "服务 · The server"},
]


def create_app(services: Services | None) -> FastAPI:
    """The application over `services`; None makes one that can only describe itself."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        import asyncio

        if services is not None:
            services.watch.attach(asyncio.get_running_loop())
        yield

    app = FastAPI(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        routes=_routes(),
    )
    app.state.services = services
    console.handle(app)
    _fail_in_one_way(app)
    app.openapi = openapi_document  # type: ignore[method-assign]  # FastAPI's own way of replacing it
    settings = services.settings if services is not None else Settings()
    random: Callable[[int], bytes] = services.random if services is not None else lambda size: bytes(size)
    app.state.metrics = Metrics(services) if services is not None else None
    saw = app.state.metrics and app.state.metrics.saw
    wider = _wider(settings)
    app.add_middleware(Shell, limit=settings.body_limit_bytes, default_language=settings.language, random=random, saw=saw, wider=wider)
    return app


@cache
def _routes() -> list[BaseRoute]:
    """Endpoints and pages, in the order in which a request goes through them. They hold nothing of a server – what they need they find at the
    request – so a process builds them once, for all its applications: FastAPI takes some half a second to work out what each one takes."""
    routers = (
        deliveries.public,  # first, for each request goes through the routes in order: short files are asked for most
        reviews.router,
        jobs.router,
        releases.router,
        fees.router,
        catalogue.router,
        caps.router,
        register.router,
        outlook.router,
        licences.router,
        log.bureau,
        log.router,
        meta.guarded,
        meta.router,
        authority.router,
        rule_packs.router,
        alerts.router,
        alerts.rules_router,
        programs.router,
        reports.router,
        report_orders.router,
        mailbox.router,
        destructions.router,
        products.router,
        deliveries.router,
        sharing.router,
        webhooks.router,
        schedules.router,
        tracing.router,
        access.router,
        access.public,
        people.router,
        sign_in.router,
        sign_in.public,
        *console.routers(),
    )
    return [route for router in routers for route in router.routes]


def _wider(settings: Settings) -> dict[str, int]:
    """Paths that take larger bodies than others, and how large."""
    form = settings.trace_limit_bytes + settings.body_limit_bytes  # the same file in a form
    return {tracing.PATH: settings.trace_limit_bytes, "/console/traces": form}


def _limit(request: Request) -> int:
    settings = services_of(request).settings
    return _wider(settings).get(request.url.path, settings.body_limit_bytes)


def _fail_in_one_way(app: FastAPI) -> None:
    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        _told(request, error)
        await _logged(request, error, already=request.url.path == "/v1/jobs" and not error.code.startswith(("auth_", "request_", "server_")))
        headers = list(challenge(error))
        if error.code in ("server_starting", "server_stopping", "server_register_unavailable"):
            headers.append(("Retry-After", "1"))
        elif "retry_at" in error.fields:
            left = (datetime.fromisoformat(error.fields["retry_at"]) - services_of(request).clock()).total_seconds()
            headers.append(("Retry-After", str(max(1, math.ceil(left)))))
        elif error.code == "request_range":
            headers.append(("Content-Range", f"bytes */{error.fields['length']}"))
        return _answer(request, error, headers)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problem = invalid(error.errors())
        await _logged(request, problem)
        return _answer(request, problem)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kinds: dict[int, Callable[[], Problem]] = {
            400: REQUEST_MALFORMED,
            404: lambda: not_found("address"),
            405: lambda: REQUEST_METHOD(method=request.method),
            413: lambda: REQUEST_TOO_LARGE(limit=_limit(request)),
        }
        problem = kinds.get(error.status_code, lambda: INTERNAL(id=request.state.instance))()
        await _logged(request, problem)
        return _answer(request, problem, list((error.headers or {}).items()))

    async def on_unavailable(request: Request, _error: Exception) -> Response:
        return _answer(request, REGISTER_UNAVAILABLE(), [("Retry-After", "5")])

    for failure in UNAVAILABLE:
        app.add_exception_handler(failure, on_unavailable)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _answer(request: Request, problem: Problem, headers: list[tuple[str, str]] | None = None) -> Response:
    return answer(problem, request.state.language, instance=request.state.instance, headers=headers or ())


def _told(request: Request, problem: Problem) -> None:
    """What an authenticated caller tried and may not is counted for the log: another's things, and acts beyond its role. (The door itself
    counts those it does not know.) A thing of another's and one that is not there are counted alike."""
    principal = getattr(request.state, "principal", None)
    visit = getattr(request.state, "visit", None)
    anothers = problem.code == "request_not_found" and visit is not None and visit.only is not None
    if principal is not None and (problem.code.startswith("auth_") or anothers):
        services_of(request).tally.note(Refused(problem.code, principal=principal.id, act=request.state.act))


async def _logged(request: Request, problem: Problem, already: bool = False) -> None:
    """A submission that an authenticated caller's mistake kept from the walk is a refusal like any other: one event."""
    principal = getattr(request.state, "principal", None)
    if principal is None or already or request.method != "POST" or request.url.path != "/v1/jobs" or problem.code.startswith("server_"):
        return
    services = services_of(request)
    await run_in_threadpool(log_refusal, services.office, Asker(principal.id, principal.role, principal.status), problem)


@cache
def openapi_document() -> dict[str, Any]:
    """The OpenAPI document, which is the same for every server, and made once in a process: not to be changed."""
    document = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=_routes(), tags=TAGS)
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):  # FastAPI's own, for parameters that any text fits
                del operation["responses"]["422"]
            for response in operation["responses"].values():
                if response["description"] == "Successful Response":  # what FastAPI says of its own accord
                    response["description"] = "成功 · done"
    schemas = document["components"]["schemas"]
    problem = ProblemView.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {ProblemView.__name__: problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document
