"""What every page shares: who is looking, in which language, around it the house, and what a page says when it cannot be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, cast
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Depends, FastAPI, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.auth import AUTH_FORBIDDEN
from api.console import charts, said, static
from api.console.ask import Interface, Refused
from api.problems import document
from api.services import services_of
from policies.problem import Language
from policies.roles import ROLE_TITLES, Act, Role

CSP = "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
LANGUAGE_COOKIE = "yunei-language"
HOME = "/console/"


class SignInNeeded(Exception):
    """Nobody is signed in, or no longer."""


@dataclass(frozen=True)
class Visitor:
    """Who is looking. `acts`: what the role may do, as the interface says; `csrf` goes into every form; `alerts` wait for an answer, as far as
    the visitor may know of them."""

    principal: str
    role: str
    acts: frozenset[str]
    csrf: str
    alerts: int = 0

    def may(self, *acts: str) -> bool:
        return any(act in self.acts for act in acts)


@dataclass(frozen=True)
class Page:
    """One request for a page: the visitor, the interface to ask, and the language."""

    request: Request
    visitor: Visitor
    api: Interface
    language: Language

    def show(self, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        return _html(self.request, self.language, template, {"visitor": self.visitor, **context}, status)

    def require(self, act: Act, *others: Act) -> None:
        """The interface's own refusal, on a page that asks nothing which would say it, unless the visitor may do one of these."""
        if not self.visitor.may(act, *others):
            titles = ROLE_TITLES[cast(Role, self.visitor.role)]
            problem = AUTH_FORBIDDEN(role_zh=titles.zh, role_en=titles.en, act=act)
            raise Refused(403, document(problem, self.language, instance=self.request.state.instance))

    def words(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en


def language_of(request: Request) -> Language:
    """The visitor's choice, else what the browser asks for, else the server's own."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return cast(Language, chosen) if chosen in ("zh", "en") else cast(Language, request.state.language)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, the first value of each."""
    body = await request.body()
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        fields, request.state.file = parts_of(kind, body)
        return fields
    body_text = body.decode("utf-8", "replace")
    return {name: values[0] for name, values in parse_qs(body_text, keep_blank_values=True, max_num_fields=2000).items()}


def parts_of(kind: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The texts of a form that carries a file, and the file: the first part with a file's name (RFC 7578); empty where there is none.

    >>> parts_of("multipart/form-data; boundary=x", b'--x\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\nb\\r\\n--x--')
    ({'a': 'b'}, b'')
    """
    boundary = re.search(r'boundary="?([^";,\s]{1,100})', kind)
    fields: dict[str, str] = {}
    file = b""
    for part in body.split(b"--" + boundary[1].encode("latin-1"))[1:-1] if boundary else ():
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        said = re.search(rb'form-data;\s*name="([^"\r\n]{1,200})"(; filename=)?', head)
        if said is None:
            continue
        if said[2]:
            file = file or content
        else:
            fields.setdefault(said[1].decode("utf-8", "replace"), content.decode("utf-8", "replace"))
    return fields, file


async def _page(request: Request) -> Page:
    language = language_of(request)
    form = await form_of(request) if request.method == "POST" else {}
    api = Interface(request, language, form.get("csrf_token", ""))
    services = services_of(request)
    secret = request.cookies.get(services.door.cookie, "")
    if not secret:
        raise SignInNeeded
    try:
        me = await api.get("/v1/me")
    except Refused as refused:
        if refused.status == 401:
            raise SignInNeeded from None
        raise
    waiting = await api.get("/v1/alerts", limit=1) if "alert_list" in me["acts"] else {"open": {}}
    alerts = sum(waiting["open"].values())
    visitor = Visitor(me["principal"], me["role"], frozenset(me["acts"]), services.door.csrf_token(secret), alerts)
    request.state.visitor = visitor
    return Page(request, visitor, api, language)


Looking = Annotated[Page, Depends(_page)]


def go(path: str, **query: Any) -> RedirectResponse:
    """To another page, after a form was taken."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return RedirectResponse(path + (f"?{urlencode(given)}" if given else ""), status_code=303, headers={"Content-Security-Policy": CSP})


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(chart=charts, style=static.STYLE_PATH, icon=static.ICON_PATH, groups=said.NAVIGATION)
    return environment


def prepared() -> Iterator[str]:
    """Compiles the templates of all pages, one at each step; its name. Some 20 ms each: whoever opens a page first need not wait for it."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
        yield name


def _html(request: Request, language: Language, template: str, context: Mapping[str, Any], status: int) -> HTMLResponse:
    environment = _environment()
    words = said.Words(language)
    text = environment.get_template(template).render(
        {
            "t": words.pick,
            "w": words,
            "language": language,
            "path": request.url.path,
            "here": quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe=""),
            "instance": request.state.instance,
            "visitor": None,
            **context,
        }
    )
    return HTMLResponse(text, status_code=status, headers={"Content-Security-Policy": CSP, "Referrer-Policy": "same-origin"})


def plain(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page for somebody who is not signed in."""
    return _html(request, language_of(request), template, context, status)


def handle(app: FastAPI) -> None:
    """How pages fail: to the door, or with the interface's own words."""

    async def to_the_door(request: Request, _error: Exception) -> Response:
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else HOME
        return go("/console/sign-in", to=back)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        visitor = getattr(request.state, "visitor", None)
        return _html(request, language_of(request), "refused.html.j2", {"visitor": visitor, "problem": error.document}, error.status)

    app.add_exception_handler(SignInNeeded, to_the_door)
    app.add_exception_handler(Refused, refused)
