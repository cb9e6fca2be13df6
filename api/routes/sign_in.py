"""Signing in at the identity provider, from a browser or the command line, and out again.

These endpoints are for browsers that have no key yet; what they can be made to do without a provider's word is: redirect.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from api.auth import AUTH_SUSPENDED, Guarded, Visit, door
from api.later import Later
from api.routes.common import Serving, problems, roles
from api.schemas.people import CodeRequest, NewSession
from api.services import Services
from api.signin.flow import CHALLENGE, FLOW_S
from api.signin.oidc import SIGN_IN_FAILED
from infra.database import reading
from jobs import acts, credentials
from jobs.acts.sessions import subject_digest
from policies.problem import declare

NOT_LINKED = declare(
    "auth_not_linked",
    zh=(
        "此身份尚未登记",
        "您已在身份提供方登录，但该身份没有关联到本系统的任何主体。身份代号：{subject_digest}。",
        "请把身份代号告知管理员，由其登记或关联（POST /v1/principals/…/subjects）。",
    ),
    en=(
        "This identity is not registered",
        "You signed in at the identity provider, but your identity is not linked to a principal of this system. Its digest is "
        "{subject_digest}.",
        "Give the digest to the administrator, who can register you or link the identity (POST /v1/principals/…/subjects).",
    ),
)

public = APIRouter(prefix="/v1", tags=["people"], route_class=Later)
router = APIRouter(prefix="/v1", tags=["people"], route_class=Guarded)

_REDIRECT = {"description": "转到身份提供方或来处 · to the identity provider, or back", "headers": {"Location": {"schema": {"type": "string"}}}}


def _flow_cookie(services: Services) -> str:
    return "__Host-yunei-sign-in" if services.door.secure else "yunei-sign-in"


@public.get(
    "/sign-in",
    status_code=303,
    response_class=Response,
    summary="登录：转到身份提供方 · Sign in: to the identity provider",
    description="浏览器给出登录后返回的本站路径；命令行给出本机端口、PKCE 质询和自己的标记。 · "
    "A browser says which path of this site to return to; a command line says its loopback port, its PKCE challenge and a mark of its own.",
    responses={303: _REDIRECT, **problems(400, 404, 422, 502)},
)
def begin(
    services: Serving,
    return_to: Annotated[str, Query(max_length=500)] = "/",
    port: Annotated[int | None, Query(ge=1024, le=65535)] = None,
    challenge: Annotated[str | None, Query(pattern=CHALLENGE)] = None,
    mark: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = "",
) -> Response:
    if (port is None) != (challenge is None):
        raise SIGN_IN_FAILED(why="port, challenge")
    flow = services.flows.begin(return_to, port, challenge, mark)
    url = services.provider.authorization_url(state=flow.state, nonce=flow.nonce, verifier=flow.verifier)
    response = RedirectResponse(url, status_code=303)
    response.set_cookie(
        _flow_cookie(services),
        services.flows.to_cookie(flow),
        max_age=FLOW_S,
        path="/",
        secure=services.door.secure,
        httponly=True,
        samesite="lax",  # the way back from the provider is a navigation from another site
    )
    return response


@public.get(
    "/sign-in/callback",
    status_code=303,
    response_class=Response,
    summary="身份提供方转回此处 · Where the identity provider sends people back",
    responses={303: _REDIRECT, **problems(400, 403, 404, 422, 502)},
)
def callback(
    request: Request,
    services: Serving,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
    iss: Annotated[str | None, Query(max_length=1000, description="RFC 9207")] = None,
) -> Response:
    flow = services.flows.from_cookie(request.cookies.get(_flow_cookie(services), ""), state)
    if error or not code or iss not in (None, services.provider.issuer):
        raise SIGN_IN_FAILED(why="error" if error else "code" if not code else "iss")
    subject = services.provider.subject(code=code, verifier=flow.verifier, nonce=flow.nonce)
    principal = _principal(services, subject_digest(services.register.key_ring, services.provider.issuer, subject))
    if flow.port is not None and flow.challenge is not None:
        given = {"code": services.flows.give_code(principal, flow.challenge), "mark": flow.mark}
        response = RedirectResponse(f"http://127.0.0.1:{flow.port}/?{urlencode(given)}", status_code=303)
    else:
        lifetime = timedelta(hours=services.settings.session_hours)
        _, secret = acts.open_session(services.register, principal, "browser", lifetime=lifetime)
        response = RedirectResponse(flow.return_to, status_code=303)
        response.set_cookie(
            services.door.cookie,
            secret,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=services.door.secure,
            httponly=True,
            samesite="lax",
        )
    response.delete_cookie(_flow_cookie(services), path="/", secure=services.door.secure, httponly=True, samesite="lax")
    return response


def _principal(services: Services, digest: str) -> str:
    with reading(services.register.engine) as connection:
        link = credentials.subject(connection, digest)
    principal = None if link is None else services.register.principal(link.principal)
    if principal is None or principal.status == "closed":
        raise NOT_LINKED(subject_digest=digest)
    if principal.status != "active":
        raise AUTH_SUSPENDED(principal=principal.id)
    return principal.id


@public.post(
    "/sign-in/session",
    status_code=201,
    summary="命令行以一次性代码换取会话 · The command line's session, for its one-time code",
    responses=problems(400, 403, 404, 413, 422, 429),
)
def session(request: Request, body: CodeRequest, services: Serving) -> NewSession:
    with services.door.guessing(request):
        principal = services.flows.take_code(body.code, body.verifier)
    id, secret = acts.open_session(services.register, principal, "command_line", lifetime=timedelta(hours=services.settings.session_hours))
    with reading(services.register.engine) as connection:
        opened = credentials.session(connection, id)
    assert opened is not None
    return NewSession(secret=secret, principal=principal, expires_at=opened.expires_at)


@router.post(
    "/sign-out",
    status_code=204,
    summary="退出：结束当前会话 · Sign out: end the session of this request",
    responses=problems(401, 403, 404, 429),
    openapi_extra=roles("session_open"),
)
def sign_out(services: Serving, visit: Annotated[Visit, door("session_open")]) -> Response:
    used = visit.caller.credential
    id = used.id if used.kind == "session" else "-"
    acts.close_session(services.register, id, reason="signed out", by=visit.principal.id, holder=visit.principal.id)
    response = Response(status_code=204)
    response.delete_cookie(services.door.cookie, path="/", secure=services.door.secure, httponly=True, samesite="lax")
    return response
