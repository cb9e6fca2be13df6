"""People's errands in a real browser, in both languages, from the first form to the last page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from jobs import acts, hops
from jobs.freezes import all_freezes
from tests import lane
from tests.browser.conftest import KINDS, Sit, Site, press
from tests.bureau import LICENCE

LANGUAGES = ["zh", "en"]


@pytest.fixture
def thawed(site: Site) -> Iterator[None]:
    """Whatever a test froze is thawed after it, also when it fails before: else every test that follows is refused."""
    yield
    register = site.bureau.services.register
    for each in all_freezes(register, standing=True):
        proposal = acts.propose_thaw(register, each.id, reason="测试结束 · the test is over", by="supervisor")
        acts.thaw(register, each.id, proposal=proposal, by="supervisor-2")


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Jobs wait before their rows are read: that one has come there, and that it may go on."""
    reached, go_on = threading.Event(), threading.Event()
    real = hops.totals

    def waiting(*given: Any) -> Any:
        reached.set()
        assert go_on.wait(180)
        return real(*given)

    monkeypatch.setattr(hops, "totals", waiting)
    yield reached, go_on
    go_on.set()


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
    press(page.locator("button[value=check]"))
    expect(page.locator("section[aria-live]")).to_be_visible()
    seat.screen(f"ask-{language}")
    press(page.locator("button[value=dummy]"))
    expect(page.locator("svg.chart")).to_be_visible()
    press(page.locator("button[value=submit]"))
    page.wait_for_url("**/console/jobs/job-*")
    page.wait_for_selector(".note.good a")  # the page renews itself until then
    press(page.locator(".note.good a"))
    expect(page.locator("svg.chart rect.bar").nth(0)).to_be_visible()
    expect(page.locator("svg.chart path.error").nth(0)).to_be_visible()
    seat.screen(f"release-{language}")
    with page.expect_download() as fetched:
        page.click("text=csv")
    assert fetched.value.suggested_filename.endswith(".csv")


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_freeze_during_a_run_stops_what_it_would_publish(sit: Sit, language: str, held: tuple[threading.Event, threading.Event]) -> None:
    reached, go_on = held
    operator, supervisor, second = sit("operator-1", language), sit("supervisor", language), sit("supervisor-2", language)
    page = operator.open("/console/ask")
    page.fill("textarea[name=sql]", question(language, 20))
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    press(page.locator("button[value=submit]"))
    assert reached.wait(90)
    desk = supervisor.open("/console/freezes")
    desk.select_option("select[name=scope]", "licence")
    desk.fill("input[name=subject]", LICENCE)
    desk.fill("textarea[name=reason]", "浏览器测试 · a test")
    press(desk.locator("button.danger"))
    expect(desk.locator("h3", has_text=LICENCE)).to_be_visible()
    go_on.set()
    page.wait_for_selector(".chip.bad")
    expect(page.locator("text=job_withheld")).to_be_visible()
    supervisor.screen(f"freeze-{language}")
    desk.fill("textarea[name=reason] >> nth=0", "核实无误 · all is well")
    press(desk.locator("form:has(input[name=thaw]) button"))
    other = second.open("/console/freezes")
    press(other.locator("form:has(input[name=thaw]) button"))
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
    press(page.locator("button[value=preflight]"))
    expect(page.locator("section[aria-live]")).to_be_visible()
    press(page.locator("button[value=submit]"))
    page.wait_for_selector(".chip.warn")  # held
    job = page.url
    page.fill("input[name=title]", f"年报附表 {language}")
    page.fill("input[name=purpose]", "公开发布 · publication")
    press(page.locator("form[action='/console/reviews'] button"))
    review = page.url.removeprefix(operator.site.url)
    desk = first.open(review)
    expect(desk.locator("button", has_text="投票" if language == "zh" else "Vote")).to_be_visible()
    bench = first.open(review)
    press(bench.locator("a[href^='/console/workbench/']"))
    expect(bench.locator("table").nth(2)).to_be_visible()
    first.screen(f"workbench-{language}")
    for seat in (first, second):
        desk = seat.open(review)
        assert desk.locator(".chip.good").count() == 0, "a vote shows before all are in"
        desk.check("input[value=release]")
        press(desk.locator("form button:not(.plain) >> nth=-1"))
    page = operator.open(review)
    expect(page.locator("h1 .chip.good")).to_be_visible()
    page.goto(job)
    page.wait_for_selector(".note.good a")  # published


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_model_from_its_form_to_coefficients_with_error(sit: Sit, language: str) -> None:
    seat = sit("operator-1", language)
    page = seat.open("/console/ask/model")
    page.select_option("select[name=licence]", KINDS)
    page.select_option("select[name=model]", "linear")
    page.fill("input[name=target]", "fee")
    page.fill("textarea[name=source]", f"SELECT person_id, days, fee FROM visits WHERE fee > {2 + LANGUAGES.index(language)}")
    page.fill("input[name=name0]", "days")
    page.fill("input[name=low0]", "0")
    page.fill("input[name=high0]", "30")
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.02")
    press(page.locator("button[value=check]"))
    expect(page.locator("section[aria-live] ul li").nth(2), "what it does is said").to_be_visible()
    press(page.locator("button[value=submit]"))
    page.wait_for_selector(".note.good a")
    press(page.locator(".note.good a"))
    expect(page.locator("svg.chart circle.bar")).to_have_count(2)
    seat.screen(f"model-{language}")


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_text_that_would_be_script_is_shown_as_text(sit: Sit, language: str) -> None:
    """In a question, in what an author says of a table, in a reason: on every page that repeats it, for everybody who reads it."""
    operator, supervisor = sit("operator-1", language), sit("supervisor", language)
    page = operator.open("/console/ask")
    bad = f"<img src=x onerror=\"document.title=1;alert('{language}')\"><script>document.title=2</script>"
    page.fill("textarea[name=sql]", f"SELECT city, COUNT(*) AS n FROM visits WHERE city <> '{bad.replace(chr(39), chr(39) * 2)}' GROUP BY city")
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    press(page.locator("button[value=check]"))
    expect(page.locator("section[aria-live]")).to_be_visible()
    press(page.locator("button[value=submit]"))
    page.wait_for_selector(".note.good a")
    job = page.url.removeprefix(operator.site.url)
    release = page.get_attribute(".note.good a", "href")
    desk = supervisor.open("/console/freezes")
    desk.select_option("select[name=scope]", "operator")
    desk.fill("input[name=subject]", "operator-2")
    desk.fill("textarea[name=reason]", bad)
    press(desk.locator("button.danger"))
    paths = ("/console/", "/console/jobs", job, str(release), "/console/releases", "/console/freezes", "/console/register")
    for seat, path in ((seat, path) for seat in (operator, supervisor) for path in paths):
        if seat is operator and path in ("/console/freezes", "/console/register"):
            continue
        shown = seat.open(path)
        assert shown.locator("img[src=x]").count() == 0, path
        assert shown.locator("script").count() == 0, path
        assert shown.title() not in ("1", "2"), path
    assert "onerror" in supervisor.open("/console/freezes").inner_text("main")
    desk.fill("textarea[name=reason] >> nth=0", "x")
    press(desk.locator("form:has(input[name=thaw]) button"))
    second = sit("supervisor-2", language).open("/console/freezes")
    press(second.locator("form:has(input[name=thaw]) button"))


def test_the_keyboard_is_enough(sit: Sit) -> None:
    seat = sit("supervisor", "en")
    page = seat.open("/console/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    reached = {None}
    page.keyboard.press("Tab")
    inside = page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert inside, "the link that skips the menu leads to what comes after it"
    page.reload()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('aside nav a')?.getAttribute('href')"))
    menu = page.eval_on_selector_all("aside nav a", "links => links.map(each => each.getAttribute('href'))")
    assert len(menu) >= 10
    assert set(menu) <= reached


def test_a_page_prints_its_content_alone(sit: Sit) -> None:
    seat = sit("supervisor", "zh")
    page = seat.open("/console/register")
    page.emulate_media(media="print")
    expect(page.locator("aside")).to_be_hidden()
    expect(page.locator("table").first).to_be_visible()
