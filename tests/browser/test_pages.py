"""Every page of every role in a real browser, out of the application's own routes: nobody is kept out, nothing is wider than its window,
nothing is large, and the browser finds no violation of the policy (`sit` asks it)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from jobs import acts
from tests.browser.conftest import Sit, Site, press
from tests.consoles import furnished_pages_of, opens, unvisited
from tests.furnished import Furnished

WALKERS = ("supervisor", "operator-1", "builder", "reviewer", "steward", "auditor", "admin")
SIZE = 60_000
WIDTHS = (390, 1280)
FULL: dict[str, Any] = {"resultTypes": ["violations"]}
COLOURS: dict[str, Any] = {**FULL, "runOnly": ["color-contrast"]}
WRONG = "options => axe.run(options).then(found => found.violations.map(each => [each.id, each.impact, each.nodes[0].html.slice(0, 160)]))"
seen: set[str] = set()  # contents of pages that axe has looked at, whoever opened them


@pytest.fixture(scope="module")
def town(furnished: Furnished, site: Site) -> Iterator[Furnished]:
    """While somebody is frozen, so that the page of freezes has something on it."""
    register = site.bureau.services.register
    freeze = acts.set_freeze(register, "operator", "operator-2", reason="核查 · looking into it", by="supervisor")
    yield furnished
    proposal = acts.propose_thaw(register, freeze, reason="核实无误", by="supervisor")
    acts.thaw(register, freeze, proposal=proposal, by="supervisor-2")


def languages(walker: str, place: int, needed: tuple[str, ...]) -> tuple[str, ...]:
    """Both for the first walker that a page opens to, for the others one, in turn: each page is seen in both by somebody, and by everybody."""
    first = next(each for each in WALKERS if opens(each, needed))
    return ("zh", "en") if walker == first else (("zh", "en")[(place + WALKERS.index(walker)) % 2],)


@pytest.mark.parametrize("walker", WALKERS)
def test_no_page_keeps_anybody_out(sit: Sit, town: Furnished, walker: str) -> None:
    pages = furnished_pages_of(town)
    assert unvisited(pages) == set(), "a page that nobody looks at: name it in tests/consoles.py"
    seats = {language: sit(walker, language) for language in ("zh", "en")}
    found: list[tuple[object, ...]] = []
    for place, (path, needed) in enumerate(pages.items()):
        for language in languages(walker, place, needed) if opens(walker, needed) else ():
            seat = seats[language]
            answer = seat.page.goto(seat.site.url + path)
            assert answer is not None
            assert answer.status == 200, (path, answer.status)
            assert seat.page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
            size = len(answer.body())
            found += [(path, language, "too large", size)] if size > SIZE else []
            found += [(path, language, *each) for each in faults(seat.page)]
    assert found == [], sorted({str(each[2:]) for each in found})


def faults(page: Page) -> Iterator[tuple[object, ...]]:
    """What axe calls serious or critical, light and, where only colours differ, dark; and what is wider than the window."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if over > 0:
            yield width, "wider than the window", over
    content = page.evaluate("document.querySelector('main').innerHTML.replace(/csrf_token\" value=\"[0-9a-f]+/g, '')")
    digest = hashlib.sha256(content.encode()).hexdigest()
    if digest in seen:
        return
    seen.add(digest)
    page.evaluate(AXE_SCRIPT)
    for scheme, options in (("light", FULL), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # light or dark
        for id, impact, where in page.evaluate(WRONG, options):
            if impact in ("serious", "critical"):
                yield scheme, id, where
    page.emulate_media(color_scheme="light")


def test_data_is_destroyed_by_two_people(sit: Sit, furnished: Furnished) -> None:
    """By a steward and a supervisor: the page says before what goes with it, and afterwards that it is gone."""
    steward, supervisor = sit("steward", "zh"), sit("supervisor", "en")
    desk = steward.open("/console/destructions")
    desk.fill("input[name=dataset]", "bygone")
    desk.fill("input[name=version] >> nth=0", "2")
    press(desk.locator("form[method=get] button"))
    expect(desk.locator("section.box dl.facts >> nth=-1")).to_contain_text("v2")
    desk.fill("textarea[name=reason]", "授权期满 · its term is over")
    press(desk.locator("form:has(textarea[name=reason]) button.danger"))
    expect(desk.locator("h3", has_text="v2")).to_be_visible()
    assert desk.locator("form:has(input[name=confirm])").count() == 0
    other = supervisor.open("/console/destructions")
    press(other.locator("section.box", has=other.locator("h3", has_text="v2")).locator("button.danger"))
    assert other.locator("h3", has_text="v2").count() == 0
    expect(other.locator("table")).to_contain_text("v2")
