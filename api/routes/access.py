"""What callers come in with: keys, the tokens they are exchanged for, sessions; and what the door refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import AUTH_KEY_NEEDED, Guarded, Visit, door
from api.later import Later
from api.routes.common import Serving, problems, roles
from api.schemas.people import (
    KeyList,
    KeyRequest,
    KeyView,
    NewKey,
    NewSession,
    Reason,
    RefusalsList,
    RefusalsView,
    RefusalView,
    RotateRequest,
    SessionList,
    SessionView,
    SourceName,
    TokenKeys,
    TokenRequest,
    TokenView,
)
from api.services import Services
from infra.database import reading
from jobs import acts, credentials
from jobs.events import AccessRefused

router = APIRouter(prefix="/v1", tags=["people"], route_class=Guarded)
public = APIRouter(prefix="/v1", tags=["people"], route_class=Later)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post(
    "/token",
    summary="用密钥或会话换取短期访问令牌 · A short-lived access token for the key or session in Authorization",
    description="令牌在数分钟内有效，可限定权限；请求带有客户端证书时与之绑定（RFC 8705）。密钥本身也可直接使用。 · "
    "Good for minutes, for fewer acts if asked, bound to the client certificate of the request (RFC 8705). Keys work as bearers too.",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("token_issue"),
)
def token(body: TokenRequest, services: Serving, visit: Annotated[Visit, door("token_issue")]) -> TokenView:
    caller = visit.caller
    asked = caller.scopes if body.scopes is None else frozenset(body.scopes)
    if asked is not None and caller.scopes is not None:
        asked &= caller.scopes
    text, seconds = services.door.tokens.issue(caller.credential, asked, caller.peer.thumbprint)
    scopes = None if asked is None else sorted(asked)
    return TokenView(access_token=text, expires_in=seconds, scopes=scopes, bound=caller.peer.thumbprint is not None)


@public.get("/token/keys", summary="验证令牌的公钥（JWK） · Public keys that tokens are verified with", responses=problems())
def token_keys(services: Serving) -> TokenKeys:
    return TokenKeys(keys=services.door.tokens.jwks()["keys"])


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/keys",
    summary="密钥的前缀、状态、期限与最近使用日 · Keys: prefix, state, term, last day of use",
    responses=problems(401, 403),
    openapi_extra=roles("key_list"),
)
def keys(services: Serving, visit: Annotated[Visit, door("key_list")]) -> KeyList:
    with reading(services.register.engine) as connection:
        found = credentials.keys(connection, services.clock(), visit.only)
    return KeyList(keys=[KeyView.of(key) for key in found])


@router.post(
    "/keys",
    status_code=201,
    summary="签发密钥，只显示一次 · Issue a key; it is shown once",
    description="可限定权限、期限、客户端证书。监管员、审核员等角色的密钥须经两人任命（/v1/appointments）。 · "
    "With scopes, a term, a client certificate. For roles that decide about others it takes an appointment by two (/v1/appointments).",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("key_issue"),
)
def issue(body: KeyRequest, services: Serving, visit: Annotated[Visit, door("key_issue")]) -> NewKey:
    expires_at = body.expires_at or services.clock() + timedelta(days=services.settings.key_days)
    secret = acts.issue_key(
        services.register,
        body.principal,
        scopes=None if body.scopes is None else tuple(body.scopes),
        expires_at=expires_at,
        certificate=body.certificate_sha256,
        by=visit.principal.id,
    )
    return _new_key(services, secret)


@router.post(
    "/keys/{prefix}/rotate",
    status_code=201,
    summary="轮换自己的密钥：新旧密钥并行一段时间 · Rotate a key of one's own; both work for a while",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("key_rotate"),
)
def rotate(prefix: str, body: RotateRequest, services: Serving, visit: Annotated[Visit, door("key_rotate")]) -> NewKey:
    hours = services.settings.key_overlap_hours if body.overlap_hours is None else body.overlap_hours
    overlap = timedelta(hours=hours)
    secret = acts.rotate_key(
        services.register, prefix, overlap=overlap, expires_at=body.expires_at, by=visit.principal.id, holder=visit.principal.id
    )
    return _new_key(services, secret)


@router.post(
    "/keys/{prefix}/revoke",
    summary="撤销密钥，连同其令牌立即失效 · Revoke a key; it and its tokens end at once",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("key_revoke"),
)
def revoke(prefix: str, body: Reason, services: Serving, visit: Annotated[Visit, door("key_revoke")]) -> KeyView:
    acts.revoke_key(services.register, prefix, reason=body.reason, by=visit.principal.id, holder=visit.only)
    return _key(services, prefix)


def _key(services: Services, prefix: str) -> KeyView:
    with reading(services.register.engine) as connection:
        return next(KeyView.of(key) for key in credentials.keys(connection, services.clock()) if key.prefix == prefix)


def _new_key(services: Services, secret: str) -> NewKey:
    return NewKey(secret=secret, key=_key(services, secret.split("_")[1]))


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/sessions",
    summary="有效会话；浏览器会话附防伪令牌 · Open sessions; with the CSRF token of the browser's own",
    responses=problems(401, 403),
    openapi_extra=roles("session_list"),
)
def sessions(services: Serving, visit: Annotated[Visit, door("session_list")]) -> SessionList:
    caller = visit.caller
    present = caller.credential.id if caller.credential.kind == "session" else ""
    with reading(services.register.engine) as connection:
        found = credentials.open_sessions(connection, services.clock(), visit.only)
    csrf = services.door.csrf_token(caller.secret) if caller.via == "cookie" else None
    return SessionList(sessions=[SessionView.of(session, present) for session in found], csrf_token=csrf)


@router.post(
    "/sessions",
    status_code=201,
    summary="以密钥登录浏览器：会话的权限、证书与终止均随密钥 · Sign a browser in with a key: a session as good as the key, ending with it",
    description="须出示密钥本身；会话凭据只显示一次。 · Takes the key itself; the session's secret is shown once.",
    responses=problems(400, 401, 403, 413),
    openapi_extra=roles("session_open"),
)
def open_(services: Serving, visit: Annotated[Visit, door("session_open")]) -> NewSession:
    used = visit.caller.credential
    if used.kind != "key":
        raise AUTH_KEY_NEEDED(act="session_open")
    lifetime = timedelta(hours=services.settings.session_hours)
    id, secret = acts.open_session(services.register, visit.principal.id, "browser", lifetime=lifetime, key=used.id)
    with reading(services.register.engine) as connection:
        opened = credentials.session(connection, id)
    assert opened is not None
    return NewSession(secret=secret, principal=visit.principal.id, expires_at=opened.expires_at)


@router.post(
    "/sessions/{id}/close",
    status_code=204,
    summary="结束会话（本人的，或由管理员） · End a session: one's own, or as an administrator",
    responses=problems(400, 401, 403, 404, 413, 422),
    openapi_extra=roles("session_close"),
)
def close(id: str, body: Reason, services: Serving, visit: Annotated[Visit, door("session_close")]) -> Response:
    acts.close_session(services.register, id, reason=body.reason, by=visit.principal.id, holder=visit.only)
    return Response(status_code=204)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(
    "/refusals",
    summary="被拒访问的计数，由旧到新 · Refused accesses, counted, oldest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("refusals_read"),
)
def refusals(
    services: Serving,
    visit: Annotated[Visit, door("refusals_read")],
    after: Annotated[int, Query(ge=-1, le=2**53, description="上一页的 `next` · `next` of the page before")] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RefusalsList:
    found = services.register.events(after, limit, (AccessRefused.kind,))
    views = [
        RefusalsView(
            index=recorded.index,
            since=event.since,
            until=event.until,
            refusals=[RefusalView.model_validate(refused.model_dump()) for refused in event.refusals],
            others=event.others,
            locked=event.locked,
        )
        for recorded in found
        if isinstance(event := recorded.event, AccessRefused)
    ]
    return RefusalsList(refusals=views, next=found[-1].index if len(found) == limit else None)


@router.get(
    "/refusals/source",
    summary="某一地址在日志中的代号 · The code by which the log names an address",
    responses=problems(401, 403, 422),
    openapi_extra=roles("refusals_read"),
)
def source(
    services: Serving,
    visit: Annotated[Visit, door("refusals_read")],
    address: Annotated[str, Query(min_length=1, max_length=64, description="IPv4, or an IPv6 network /64")],
) -> SourceName:
    return SourceName(address=address, source=services.door.source(address))
