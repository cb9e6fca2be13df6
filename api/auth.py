"""Which endpoint opens to whom: every guarded route names one act of `policies.roles`, and its caller is known and admitted before the
body is read. Nothing here decides about data."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.later import Later
from api.services import services_of
from api.signin.door import Caller
from jobs.directory import Principal
from jobs.order import Asker
from policies.problem import Problem, declare
from policies.roles import ROLE_TITLES, Act, Reach, reach

AUTH_SUSPENDED = declare(
    "auth_suspended",
    zh=("主体已停用", "主体 {principal} 已停用。", "请联系数据主管部门。"),
    en=("Suspended", "Principal {principal} is suspended.", "Contact the bureau."),
)
AUTH_FORBIDDEN = declare(
    "auth_forbidden",
    zh=("角色不允许此操作", "{role_zh}不能进行此操作（{act}）。", "请使用相应角色的密钥。"),
    en=("Not permitted for this role", "A {role_en} may not do this ({act}).", "Use the key of a person with a role that may do this."),
)
AUTH_SCOPE = declare(
    "auth_scope",
    zh=("密钥权限不含此操作", "此密钥或令牌的权限范围不含 {act}。", "请使用权限范围更大的密钥。"),
    en=("Outside the key's scope", "The scope of this key or token does not include {act}.", "Use a key whose scope includes it."),
)
AUTH_KEY_NEEDED = declare(
    "auth_key_needed",
    zh=("须使用密钥本身", "{act} 须出示密钥或会话本身，不接受由其换得的令牌。", "请在 Authorization 中直接使用密钥。"),
    en=(
        "The key itself is needed",
        "{act} takes the key or session itself, not a token issued for it.",
        "Send the key itself in the Authorization header.",
    ),
)

# a suspended operator's jobs are refused by the policy, in its own words and in the log
_POLICY_SPEAKS: frozenset[Act] = frozenset({"job_check", "job_dummy", "job_submit", "me_show", "token_issue"})
# what any key may do, however narrow: say whose it is, become a token or a session no broader, be followed by another, be given up
_ANY_KEY: frozenset[Act] = frozenset({"me_show", "token_issue", "key_rotate", "session_open"})
# what would let a short-lived token live on
_KEY_ITSELF: frozenset[Act] = frozenset({"token_issue", "key_rotate", "session_open"})
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="API key or access token · 访问密钥或访问令牌")


@dataclass(frozen=True, slots=True)
class Visit:
    """An authenticated caller at a door that is open to its role; `reach` own: only what is the caller's."""

    principal: Principal
    reach: Reach
    caller: Caller

    @property
    def asker(self) -> Asker:
        return Asker(self.principal.id, self.principal.role, self.principal.status)

    @property
    def only(self) -> str | None:
        """The principal that lists and look-ups are limited to, None for all."""
        return self.principal.id if self.reach == "own" else None


class Guarded(Later):
    """A route that knows its caller, and has let it in, before it reads the body."""

    @property
    def act(self) -> Act:
        """What the route does, as its `door` says. RuntimeError for a route that has none: it would be open to everybody who has a key."""
        acts = [dependency.call.act for dependency in self.dependant.dependencies if isinstance(dependency.call, _Enter)]
        if len(acts) != 1:
            raise RuntimeError(f"{self.path} has {len(acts)} doors; a guarded route has one")
        return acts[0]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        act = self.act

        async def guarded(request: Request) -> Response:
            services = services_of(request)
            request.state.act = act
            caller = await run_in_threadpool(services.door.authenticate, request)
            request.state.principal = caller.principal
            if caller.via == "cookie":
                await services.door.require_own_page(request, caller.secret)
            request.state.visit = Visit(caller.principal, admit(caller, act), caller)
            return await handle(request)

        return guarded


class _Enter:
    """The dependency that hands an endpoint its visit. Its signature tells the documentation that a key is needed."""

    def __init__(self, act: Act) -> None:
        self.act = act

    async def __call__(self, request: Request, _key: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Visit:
        return cast(Visit, request.state.visit)


def door(act: Act) -> Any:
    """A dependency: the visit, if the caller may do `act`. On a `Guarded` route only."""
    return Depends(_Enter(act))


def admit(caller: Caller, act: Act) -> Reach:
    """How far the caller may do it. AUTH_FORBIDDEN by role, AUTH_SUSPENDED by status, AUTH_SCOPE and AUTH_KEY_NEEDED by what it came with."""
    principal = caller.principal
    far = reach(principal.role, act)
    if far is None:
        titles = ROLE_TITLES[principal.role]
        raise AUTH_FORBIDDEN(role_zh=titles.zh, role_en=titles.en, act=act)
    if principal.status != "active" and act not in _POLICY_SPEAKS:
        raise AUTH_SUSPENDED(principal=principal.id)
    if caller.scopes is not None and act not in caller.scopes and act not in _ANY_KEY:
        raise AUTH_SCOPE(act=act)
    if caller.via == "token" and act in _KEY_ITSELF:
        raise AUTH_KEY_NEEDED(act=act)
    return far


def challenge(problem: Problem) -> tuple[tuple[str, str], ...]:
    """Headers a refusal at the door carries (RFC 9110, 11.6.1 and 10.2.3; RFC 6750, 3)."""
    if problem.code == "auth_missing":
        return (("WWW-Authenticate", 'Bearer realm="yunei"'),)
    if problem.code in ("auth_unknown", "auth_certificate"):
        return (("WWW-Authenticate", 'Bearer realm="yunei", error="invalid_token"'),)
    if problem.code == "auth_locked":
        return (("Retry-After", problem.fields["seconds"]),)
    return ()
