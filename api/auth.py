"""Who comes in: bearer API keys, and which role may open which door (`policies.roles`). Nothing here decides about data."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.services import Services, services_of
from jobs.directory import Principal
from jobs.order import Asker
from policies.problem import Problem, declare
from policies.roles import ROLE_TITLES, Act, Reach, reach

AUTH_MISSING = declare(
    "auth_missing",
    zh=("缺少密钥", "请求没有带访问密钥。", "在请求头加上 Authorization: Bearer 密钥；密钥由主管部门签发。"),
    en=("No key", "The request carries no API key.", "Send the header Authorization: Bearer KEY; the bureau issues keys."),
)
AUTH_UNKNOWN = declare(
    "auth_unknown",
    zh=("密钥无效", "密钥不存在、已撤销或格式有误。", "核对密钥；如已撤销，请向主管部门申请新密钥。"),
    en=("The key opens nothing", "It is unknown, revoked or malformed.", "Check the key; if it was revoked, ask the bureau for a new one."),
)
AUTH_SUSPENDED = declare(
    "auth_suspended",
    zh=("主体已停用", "主体 {principal} 已停用。", "请联系主管部门。"),
    en=("Suspended", "Principal {principal} is suspended.", "Ask the bureau."),
)
AUTH_FORBIDDEN = declare(
    "auth_forbidden",
    zh=("角色不允许此操作", "{role_zh}不能进行此操作（{act}）。", "请使用相应角色的密钥。"),
    en=("Not for this role", "A {role_en} may not do this ({act}).", "Use a key of the right role."),
)

# a suspended operator's jobs are refused by the policy, in its own words and in the log
_POLICY_SPEAKS: frozenset[Act] = frozenset({"job_check", "job_dummy", "job_submit", "me_show"})
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="API key · 访问密钥")


@dataclass(frozen=True, slots=True)
class Visit:
    """An authenticated caller at a door that is open to its role; `reach` own: only what is the caller's."""

    principal: Principal
    reach: Reach

    @property
    def asker(self) -> Asker:
        return Asker(self.principal.id, self.principal.role, self.principal.status)

    @property
    def only(self) -> str | None:
        """The operator that lists and look-ups are limited to, None for all."""
        return self.principal.id if self.reach == "own" else None


class Guarded(APIRoute):
    """A route that knows its caller before it reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.state.principal = await run_in_threadpool(authenticate, services_of(request), request.headers.get("authorization", ""))
            return await handle(request)

        return guarded


def authenticate(services: Services, authorization: str) -> Principal:
    """The principal whose key this is. AUTH_MISSING without a key, AUTH_UNKNOWN for any that opens nothing."""
    scheme, _, secret = authorization.partition(" ")
    if not authorization or scheme.lower() != "bearer":
        raise AUTH_MISSING()
    principal = services.register.holder_of(secret.strip())
    if principal is None or principal.status == "closed":
        raise AUTH_UNKNOWN()
    return principal


def door(act: Act) -> Any:
    """A dependency: the visit, if the caller's role may do `act`."""

    def enter(request: Request, _key: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Visit:
        principal = cast(Principal, request.state.principal)
        return Visit(principal, admit(principal, act))

    return Depends(enter)


def admit(principal: Principal, act: Act) -> Reach:
    far = reach(principal.role, act)
    if far is None:
        titles = ROLE_TITLES[principal.role]
        raise AUTH_FORBIDDEN(role_zh=titles.zh, role_en=titles.en, act=act)
    if principal.status != "active" and act not in _POLICY_SPEAKS:
        raise AUTH_SUSPENDED(principal=principal.id)
    return far


def challenge(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Headers a refusal at the door carries (RFC 9110, 11.6.1)."""
    return (("WWW-Authenticate", 'Bearer realm="yunei"'),) if problem.code in ("auth_missing", "auth_unknown") else ()
