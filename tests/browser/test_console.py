"""People's errands in a real browser, in both languages, from the first form to the last page."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from jobs import hops
from tests import lane
from tests.browser.conftest import KINDS, Sit
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
    page.wait_for_selector(".note.good a")  # the page renews itself until then
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
        assert go_on.wait(180)
        return real(*given)

    monkeypatch.setattr(hops, "totals", waiting)
    operator, supervisor, second = sit("operator-1", language), sit("supervisor", language), sit("supervisor-2", language)
    page = operator.open("/console/ask")
    page.fill("textarea[name=sql]", question(language, 20))
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    page.click("button[value=submit]")
    assert reached.wait(90)
    desk = supervisor.open("/console/freezes")
    desk.select_option("select[name=scope]", "licence")
    desk.fill("input[name=subject]", LICENCE)
    desk.fill("textarea[name=reason]", "浏览器测试 · a test")
    desk.click("button.danger")
    assert desk.locator("h3", has_text=LICENCE).is_visible()
    go_on.set()
    page.wait_for_selector(".chip.bad")
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
    page.wait_for_selector(".chip.warn")  # held
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
    page.click("button[value=check]")
    assert page.locator("section[aria-live] ul li").count() >= 3, "what it does is said"
    page.click("button[value=submit]")
    page.wait_for_selector(".note.good a")
    page.click(".note.good a")
    assert page.locator("svg.chart circle.bar").count() == 2
    seat.screen(f"model-{language}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_that_would_be_script_is_shown_as_text(sit: Sit, language: str) -> None:
    """In a question, in what an author says of a table, in a reason: on every page that repeats it, for everybody who reads it."""
    operator, supervisor = sit("operator-1", language), sit("supervisor", language)
    page = operator.open("/console/ask")
    bad = f"<img src=x onerror=\"document.title=1;alert('{language}')\"><script>document.title=2</script>"
    page.fill("textarea[name=sql]", f"SELECT city, COUNT(*) AS n FROM visits WHERE city <> '{bad.replace(chr(39), chr(39) * 2)}' GROUP BY city")
    page.select_option("select[name=by]", "rho")
    page.fill("input[name=amount]", "0.01")
    page.click("button[value=check]")
    assert page.locator("section[aria-live]").is_visible()
    page.click("button[value=submit]")
    page.wait_for_selector(".note.good a")
    job = page.url.removeprefix(operator.site.url)
    release = page.get_attribute(".note.good a", "href")
    desk = supervisor.open("/console/freezes")
    desk.select_option("select[name=scope]", "operator")
    desk.fill("input[name=subject]", "operator-2")
    desk.fill("textarea[name=reason]", bad)
    desk.click("button.danger")
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
    desk.click("form:has(input[name=thaw]) button")
    second = sit("supervisor-2", language).open("/console/freezes")
    second.click("form:has(input[name=thaw]) button")


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
