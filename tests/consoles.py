"""The console's pages by path, with the acts of which one opens it: what is visited as everybody, and measured.

The table is held to the application's routes (`unvisited`): a page that is added and not named here fails the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Protocol

from starlette.routing import Match, Route
from starlette.testclient import TestClient

from api.console import PAGES
from api.console.said import NAVIGATION
from policies.roles import ROLES, reach
from tests.bureau import LICENCE, SCENARIO


class Places(Protocol):
    """What there is to look at."""

    @property
    def job(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def review(self) -> str: ...
    @property
    def held(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def licence(self) -> str: ...


class Everything(Places, Protocol):
    @property
    def alert(self) -> str: ...
    @property
    def report(self) -> str: ...
    @property
    def program(self) -> str: ...
    @property
    def hook(self) -> str: ...
    @property
    def pack(self) -> int: ...
    @property
    def rules(self) -> int: ...
    @property
    def policy(self) -> str: ...


def pages_of(town: Places) -> dict[str, tuple[str, ...]]:
    places = {place.path: place.acts for group in NAVIGATION for place in group.places}
    return {
        **places,
        f"/console/jobs/{town.job}": ("job_list",),
        f"/console/releases/{town.release}": ("release_show",),
        f"/console/licences/{town.licence}": ("licence_list",),
        f"/console/budgets/licence:{town.licence}": ("account_list",),
        "/console/datasets/visits": ("dataset_list",),
        "/console/register/3": ("events_read",),
        f"/console/products/{town.product}": ("product_list",),
        f"/console/reviews/{town.review}": ("review_list",),
        f"/console/workbench/{town.held}": ("review_look",),
        "/console/reports/preview?kind=incident&period=2026": ("report_preview",),
        "/console/exact": ("job_check",),
        "/console/ask/model": ("job_check",),
        "/console/ask/synthetic": ("job_check",),
        "/console/ask/program": ("job_check",),
        "/console/products/new": ("product_make",),
        f"/console/traces?product={town.product}": ("product_trace",),
        "/console/rules?begin=general": ("pack_show",),
        f"/console/ask?job={town.job}": ("job_check",),
    }


def furnished_pages_of(town: Everything) -> dict[str, tuple[str, ...]]:
    """All pages there are, of a house in which there is one of everything."""
    return {
        **pages_of(town),
        f"/console/alerts/{town.alert}": ("alert_list",),
        f"/console/reports/{town.report}": ("report_list",),
        f"/console/programs/{town.program}": ("program_list",),
        f"/console/subscriptions/{town.hook}": ("product_fetch",),  # its builder's alone
        f"/console/rules/{town.pack}": ("pack_show",),
        f"/console/alert-rules/{town.rules}": ("alert_rules_show",),
        f"/console/policy/{town.policy}": ("policy_show",),
        "/console/destructions?dataset=bygone&version=2": ("destruction_list",),
    }


# what answers with something else than a page: a file, or its proof
FILES = frozenset(
    {
        "/console/licences/{id}/document",
        "/console/products/{id}/manifest",
        "/console/register/{index}/receipt",
        "/console/releases/{id}/papers/{name}",
        "/console/releases/{id}/table",
        "/console/releases/{id}/receipt",
        "/console/reports/preview/file",
        "/console/reports/{id}/statement",
        "/console/reports/{id}/files/{form}",
    }
)


def unvisited(paths: Iterable[str]) -> set[str]:
    """The pages of the application that none of these paths is."""
    routes = [route for page in PAGES for route in page.router.routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    left = {route.path for route in routes} - FILES
    assert {route.path for route in routes} >= FILES, "a file that is not there"
    for path in paths:
        scope = {"type": "http", "method": "GET", "path": path.partition("?")[0]}
        found = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
        assert found is not None, (path, "is no page")
        left.discard(found.path)
    return left


def opens(principal: str, acts: tuple[str, ...]) -> bool:
    """Whether the role that the principal is named after may do one of these."""
    role = principal.rstrip("-0123456789")
    assert role in ROLES
    return any(reach(role, act) is not None for act in acts)  # type: ignore[arg-type]  # acts of the table


class Reader(HTMLParser):
    """Notes what a page without script has not: scripts, handlers, styles of its own, addresses elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "iframe", "object", "embed", "base"):
            self.found.append(tag)
        for name, value in attrs:
            away = name in ("href", "src", "action") and not (value or "").startswith(("/", "#"))
            if name.startswith("on") or name == "style" or away:
                self.found.append(f"{tag} {name}={value}")


def forbidden(text: str) -> list[str]:
    reader = Reader()
    reader.feed(text)
    return reader.found


def form(browser: TestClient, **fields: str) -> dict[str, str]:
    """A filled-in form with the session's token, read off a page as a browser does."""
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', browser.get("/console/").text)
    assert token is not None
    return {
        "csrf_token": token.group(1), "licence": LICENCE, "scenario": SCENARIO, "by": "rho", "amount": "0.01", "delta": "0.00000001", **fields
    }  # fmt: skip
