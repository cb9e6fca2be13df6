"""People's errands in a real browser, in both languages, from the first form to the last page."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from api.console.said import NAVIGATION
from jobs import hops
from policies.roles import ROLES, reach
from tests import lane
from tests.browser.conftest import Sit
from tests.bureau import LICENCE

LANGUAGES = ["zh", "en"]


def question(language: str, number: int) -> str:
    """A question that no other test asks: the same one again would be answered at once, free."""
    return f"SELECT city, COUNT(*) AS n FROM visits WHERE fee > {number + LANGUAGES.index(language)} GROUP BY city"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_price_a_dummy_run_and_an_answer(sit: Sit, language: str) -> None:
    seat = sit("operator-1", language)
    page = seat.open("/console/ask")
    page.fill("textarea[name=sql]", question(language, 10))
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    page.click("button[value=check]")
    assert page.locator("section[aria-live]").is_visible()
    seat.screen(f"ask-{language}")
    page.click("button[value=dummy]")
    assert page.locator("svg.chart").is_visible()
    page.click("button[value=submit]")
    page.wait_for_url("**/console/jobs/job-*")
    page.wait_for_selector(".note.good a", timeout=20_000)  # the page renews itself until then
    page.click(".note.good a")
    assert page.locator("svg.chart rect.bar").count() >= 1
    assert page.locator("svg.chart path.error").count() >= 1
    seat.screen(f"release-{language}")
    with page.expect_download() as fetched:
        page.click("text=csv")
    assert fetched.value.suggested_filename.endswith(".csv")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_freeze_during_a_run_stops_what_it_would_publish(sit: Sit, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    real = hops.totals

    def waiting(*given: Any) -> Any:
        reached.set()
        assert go_on.wait(30)
        return real(*given)

    monkeypatch.setattr(hops, "totals", waiting)
    operator, supervisor, second = sit("operator-1", language), sit("supervisor", language), sit("supervisor-2", language)
    page = operator.open("/console/ask")
    page.fill("textarea[name=sql]", question(language, 20))
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    page.click("button[value=submit]")
    assert reached.wait(20)
    desk = supervisor.open("/console/freezes")
    desk.select_option("select[name=scope]", "licence")
    desk.fill("input[name=subject]", LICENCE)
    desk.fill("textarea[name=reason]", "浏览器测试 · a test")
    desk.click("button.danger")
    assert desk.locator("h3", has_text=LICENCE).is_visible()
    go_on.set()
    page.wait_for_selector(".chip.bad", timeout=20_000)
    assert page.locator("text=job_withheld").is_visible()
    supervisor.screen(f"freeze-{language}")
    desk.fill("textarea[name=reason] >> nth=0", "核实无误 · all is well")
    desk.click("form:has(input[name=thaw]) button")
    other = second.open("/console/freezes")
    other.click("form:has(input[name=thaw]) button")
    assert other.locator("h3", has_text=LICENCE).count() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_reviewers_who_do_not_see_each_other_let_an_exact_table_out(sit: Sit, language: str) -> None:
    operator, first, second = sit("operator-1", language), sit("reviewer", language), sit("reviewer-2", language)
    page = operator.open("/console/exact")
    page.select_option("select[name=licence]", lane.LICENCE)
    page.fill(
        "textarea[name=sql]", question(language, 30 if language == "zh" else 600).replace("COUNT(*) AS n", "COUNT(*) AS n, SUM(days) AS days")
    )
    for name, text in lane.FACTS.items():
        page.fill(f"input[name={name}]", text)
    page.select_option("select[name=mend]", "round5")
    page.click("button[value=preflight]")
    assert page.locator("section[aria-live]").is_visible()
    page.click("button[value=submit]")
    page.wait_for_selector(".chip.warn", timeout=20_000)  # held
    job = page.url
    page.fill("input[name=title]", f"年报附表 {language}")
    page.fill("input[name=purpose]", "公开发布 · publication")
    page.click("form[action='/console/reviews'] button")
    review = page.url.removeprefix(operator.site.url)
    desk = first.open(review)
    assert desk.locator("button", has_text="投票" if language == "zh" else "Vote").is_visible()
    bench = first.open(review)
    bench.click("a[href^='/console/workbench/']")
    assert bench.locator("table").count() >= 3
    first.screen(f"workbench-{language}")
    for seat in (first, second):
        desk = seat.open(review)
        assert desk.locator(".chip.good").count() == 0, "a vote shows before all are in"
        desk.check("input[value=release]")
        desk.click("form button:not(.plain) >> nth=-1")
    page = operator.open(review)
    assert page.locator("h1 .chip.good").is_visible()
    page.goto(job)
    page.wait_for_selector(".note.good a", timeout=20_000)  # published


def test_no_page_keeps_anybody_out(sit: Sit) -> None:
    """axe finds nothing serious on any page, in both schemes; nothing is wider than a phone."""
    axe, found = Axe(), []
    for role, language, width, scheme in (
        ("supervisor", "zh", 1280, "light"),
        ("supervisor", "en", 390, "dark"),
        ("operator-1", "en", 1280, "dark"),
        ("operator-1", "zh", 390, "light"),
    ):
        seat = sit(role, language, width=width, scheme=scheme)
        extra = [f"/console/licences/{LICENCE}", f"/console/budgets/licence:{LICENCE}", "/console/datasets/visits"]
        extra += ["/console/register/3"] if role == "supervisor" else []
        places = [place.path for group in NAVIGATION for place in group.places if _opens(role, place.acts)]
        for path in (*places, *extra):
            page = seat.open(path)
            for violation in axe.run(page).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    found.append((path, role, scheme, violation["id"], violation["nodes"][0]["html"][:160]))
            over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if over > 0:
                found.append((path, role, width, "wider than the window", over))
    seen = sorted({str(each[1:]) for each in found})
    assert found == [], seen


def _opens(role: str, acts: tuple[str, ...]) -> bool:
    name = role.partition("-")[0]
    assert name in ROLES
    return any(reach(name, act) is not None for act in acts)  # type: ignore[arg-type]  # acts of the table


def test_the_keyboard_is_enough(sit: Sit) -> None:
    seat = sit("supervisor", "en")
    page = seat.open("/console/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    seen = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.getAttribute('href')"))
    assert {"/console/jobs", "/console/register"} <= seen | {None} or seen, seen


def test_a_page_prints_its_content_alone(sit: Sit) -> None:
    seat = sit("supervisor", "zh")
    page = seat.open("/console/register")
    page.emulate_media(media="print")
    assert not page.locator("aside").is_visible()
    assert page.locator("table").first.is_visible()
