"""The door of the console: with a key, or through the identity provider; out again; and in which language."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from api.console.ask import Interface, Refused
from api.console.frame import HOME, LANGUAGE_COOKIE, Looking, form_of, go, language_of, plain
from api.later import pages
from api.services import services_of
from policies.problem import declare

router = pages("/console")

CONSOLE_ORIGIN = declare(
    "auth_console_origin",
    zh=("请从本站登录页登录", "登录请求不是从本站页面发出的。", "请打开控制台登录页，重新输入密钥。"),
    en=(
        "Sign in from the console's own page",
        "The request to sign in did not come from a page of this site.",
        "Open the sign-in page and enter the key there.",
    ),
)
_LANGUAGE_S = 365 * 24 * 3600


def _inside(path: str) -> str:
    """A page of the console to go on to; anything else becomes its first page."""
    return path if path.startswith("/console/") and not path.startswith("/console/sign-") and "\\" not in path and "//" not in path else HOME


@router.get("")
@router.get("/sign-in")
def door(request: Request, to: str = HOME) -> Response:
    settings = services_of(request).settings
    return plain(request, "sign_in.html.j2", to=_inside(to), provider=bool(settings.oidc_issuer), problem=None)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    form = await form_of(request)
    services = services_of(request)
    to = _inside(form.get("to", HOME))
    language = language_of(request)
    try:
        _own_page(request, language)
        opened = await Interface(request, language).post("/v1/sessions", key=form.get("key", "").strip() or "-")
    except Refused as refused:
        return plain(
            request, "sign_in.html.j2", status=refused.status, to=to, provider=bool(services.settings.oidc_issuer), problem=refused.document
        )
    response = go(to)
    response.set_cookie(
        services.door.cookie,
        opened["secret"],
        max_age=services.settings.session_hours * 3600,
        path="/",
        secure=services.door.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _own_page(request: Request, language: str) -> None:
    """Nobody is signed in from another site's form, as somebody else (login CSRF)."""
    if not services_of(request).door.from_own_page(request):
        problem = CONSOLE_ORIGIN()
        words = problem.kind.zh if language == "zh" else problem.kind.en
        raise Refused(403, {"code": problem.code, "title": words.title, "detail": words.detail, "remedy": words.remedy})


@router.post("/sign-out")
async def sign_out(page: Looking) -> Response:
    await page.api.post("/v1/sign-out")
    response = go("/console/sign-in")
    door = services_of(page.request).door
    response.delete_cookie(door.cookie, path="/", secure=door.secure, httponly=True, samesite="lax")
    return response


@router.get("/language")
def language(request: Request, to: str, back: str = HOME) -> Response:
    """Keep the choice for a year. A GET changes nothing but how things look."""
    response = go(back if back == "/console/sign-in" else _inside(back))
    if to in ("zh", "en"):
        secure = services_of(request).door.secure
        response.set_cookie(LANGUAGE_COOKIE, to, max_age=_LANGUAGE_S, path="/console", secure=secure, httponly=True, samesite="lax")
    return response
