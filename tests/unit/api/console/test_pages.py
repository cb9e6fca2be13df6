"""Every page, for everybody: shown or refused as the table of roles says, small, without script, in both languages, believing no text."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.console import PAGES, charts
from api.console.frame import CSP
from api.console.said import NAVIGATION, STATES, Words
from api.console.said_events import EVENTS
from jobs import events as ev
from jobs.states import MEANING
from policies.roles import ROLES, reach
from tests import lane, products
from tests.bureau import LICENCE, SCENARIO, Bureau, body, opened, set_up
from tests.unit.jobs.test_release import ended

NASTY = "'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
SIZE = 60_000
OUTSIDE = ["https://evil.example/", "//evil.example", "/console/../x", "/v1/me", "/console//evil.example", "/console/\\evil"]


@dataclass(frozen=True)
class Town:
    bureau: Bureau
    release: str
    job: str
    review: str
    held: str

    def visit(self, principal: str, language: str = "en") -> TestClient:
        """A browser in which the principal is signed in."""
        browser = TestClient(create_app(self.bureau.services), headers={"Accept-Language": language}, raise_server_exceptions=False)
        answer = browser.post("/console/sign-in", data={"key": self.bureau.keys[principal]}, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return browser


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("console") / "home"
    keys = set_up(home)
    services = opened(home)
    bureau = Bureau(services, keys)
    with TestClient(create_app(services)) as api:
        asked = {**body("SELECT city, COUNT(*) AS n FROM visits GROUP BY city"), "privacy": {"rho": "0.01"}}
        sent = api.post("/v1/jobs", json=asked, headers=bureau.headers())
        assert sent.status_code == 202, sent.text
        job = sent.json()["id"]
        for _ in range(200):
            seen = api.get(f"/v1/jobs/{job}", headers=bureau.headers()).json()
            if seen["state"] != "running":
                break
            time.sleep(0.05)
        assert seen["state"] == "published", seen
        nasty = api.post(
            "/v1/freezes", json={"scope": "operator", "subject": "operator-2", "reason": NASTY}, headers=bureau.headers("supervisor")
        )
        assert nasty.status_code == 201
        products.on_the_shelf(bureau, seen["release"])
        lane.prepare(bureau)
        held = ended(bureau, lane.exact_order())
        yield Town(bureau, seen["release"], job, lane.requested(bureau, held.id), held.id)
    services.close()


def paths(town: Town) -> dict[str, tuple[str, ...]]:
    """Every page by path, with the acts of which one opens it."""
    found = {place.path: place.acts for group in NAVIGATION for place in group.places}
    return {
        **found,
        f"/console/jobs/{town.job}": ("job_list",),
        f"/console/releases/{town.release}": ("release_show",),
        f"/console/licences/{LICENCE}": ("licence_list",),
        f"/console/budgets/licence:{LICENCE}": ("account_list",),
        "/console/datasets/visits": ("dataset_list",),
        "/console/register/3": ("events_read",),
        f"/console/products/{products.ID}": ("product_list",),
        f"/console/reviews/{town.review}": ("review_list",),
        f"/console/workbench/{town.held}": ("review_look",),
        "/console/exact": ("job_check",),
        f"/console/ask?job={town.job}": ("job_check",),
    }


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("role", ["operator-1", *(role for role in ROLES if role != "operator")])
def test_every_page_opens_to_whom_the_table_says(town: Town, role: str, language: str) -> None:
    browser = town.visit(role, language)
    for path, acts in paths(town).items():
        answer = browser.get(path)
        opens = any(reach(role.partition("-")[0], act) is not None for act in acts)  # type: ignore[arg-type]  # acts of the table
        assert (answer.status_code < 400) == opens, (path, role, answer.status_code)
        text = answer.text
        assert answer.headers["content-security-policy"] == CSP
        assert len(answer.content) <= SIZE, (path, len(answer.content))
        assert forbidden(text) == [], path
        assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in text
        for word in ("None", "Undefined", "&lt;built-in"):
            assert not re.search(rf">\s*{word}\s*<", text), (path, word)


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


def test_navigation_leads_to_pages_that_are_there() -> None:
    known = {route.path for page in PAGES for route in page.router.routes}  # type: ignore[attr-defined]  # FastAPI's routes have a path
    assert {place.path for group in NAVIGATION for place in group.places} <= known


def test_a_text_is_never_believed(town: Town) -> None:
    page = town.visit("supervisor").get("/console/freezes").text
    assert NASTY not in page
    assert html.escape("<script>alert(1)</script>") in page
    browser = town.visit("operator-1")
    again = browser.post("/console/ask", data=form(browser, sql=NASTY, act="check", scenario=NASTY))
    assert again.status_code in (400, 403, 422)
    assert forbidden(again.text) == []


def form(browser: TestClient, **fields: str) -> dict[str, str]:
    """A filled-in form with the session's token, read off a page as a browser does."""
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', browser.get("/console/").text)
    assert token is not None
    return {
        "csrf_token": token.group(1), "licence": LICENCE, "scenario": SCENARIO, "by": "rho", "amount": "0.01", "delta": "0.00000001", **fields
    }  # fmt: skip


def test_a_price_is_asked_and_the_run_is_free_the_second_time(town: Town) -> None:
    browser = town.visit("operator-1")
    asked = form(browser, sql="SELECT city, COUNT(*) AS n FROM visits GROUP BY city", act="check")
    priced = browser.post("/console/ask", data=asked)
    assert priced.status_code == 200
    assert "free" in priced.text
    dummy = browser.post("/console/ask", data={**asked, "act": "dummy"})
    assert "invented" in dummy.text
    assert '<svg class="chart"' in dummy.text
    sent = browser.post("/console/ask", data={**asked, "act": "submit"}, follow_redirects=False)
    assert sent.status_code == 303
    assert "published" in browser.get(sent.headers["location"]).text


def test_a_builder_fetches_from_a_page(town: Town) -> None:
    browser = town.visit("builder")
    answer = browser.post(f"/console/products/{products.ID}", data=form(browser, act="fetch", format="csv"), follow_redirects=False)
    assert answer.status_code == 303, answer.text
    file = browser.get(answer.headers["location"])
    assert file.status_code == 200
    assert b"city" in file.content
    manifest = browser.get(f"/console/products/{products.ID}/manifest")
    assert manifest.json()["payload"]


def test_the_workbench_is_for_reviewers_and_each_look_is_written_down(town: Town) -> None:
    register = town.bureau.services.register
    size = register.size
    assert town.visit("operator-1").get(f"/console/workbench/{town.held}").status_code == 403
    page = town.visit("reviewer").get(f"/console/workbench/{town.held}")
    assert page.status_code == 200
    looks = [event for event in register.events(size - 1, 100) if event.kind == "output_viewed"]
    assert [look.event.by for look in looks] == ["reviewer"]


def test_a_form_of_another_site_changes_nothing(town: Town) -> None:
    browser = town.visit("supervisor")
    freeze = {"scope": "everything", "reason": "x"}
    size = town.bureau.services.register.size
    assert browser.post("/console/freezes", data=freeze).status_code == 403
    good = form(browser, **freeze)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/console/freezes", data=good, headers=foreign).status_code == 403
    assert browser.post("/console/freezes", data=good, headers={"Origin": "https://evil.example"}).status_code == 403
    assert not [event for event in town.bureau.services.register.events(size - 1, 100) if event.kind == "freeze_set"]


def test_nobody_is_signed_in_by_another_site(town: Town) -> None:
    browser = TestClient(create_app(town.bureau.services), raise_server_exceptions=False)
    answer = browser.post("/console/sign-in", data={"key": town.bureau.keys["operator-1"]}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert not browser.cookies


@pytest.mark.parametrize("to", OUTSIDE)
def test_signing_in_leads_into_the_console_only(town: Town, to: str) -> None:
    browser = TestClient(create_app(town.bureau.services), raise_server_exceptions=False)
    answer = browser.post("/console/sign-in", data={"key": town.bureau.keys["auditor"], "to": to}, follow_redirects=False)
    assert answer.headers["location"] in ("/console/", "/console/../x")  # the second stays on this host, and is not found there


def test_a_wrong_key_is_told_why_and_a_stranger_is_sent_to_the_door(town: Town) -> None:
    browser = TestClient(create_app(town.bureau.services), headers={"Accept-Language": "en"}, raise_server_exceptions=False)
    assert browser.get("/console/jobs?x=1", follow_redirects=False).headers["location"] == "/console/sign-in?to=%2Fconsole%2Fjobs%3Fx%3D1"
    wrong = browser.post("/console/sign-in", data={"key": "yk_aaaa_bbbbbbbbbbbbbbbb"})
    assert wrong.status_code == 401
    assert "auth_unknown" in wrong.text


def test_signing_out_ends_the_session(town: Town) -> None:
    browser = town.visit("operator-2")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert browser.post("/console/sign-out", data=form(browser), follow_redirects=False).status_code == 303
    assert browser.get("/v1/me", headers={"Cookie": cookie}).status_code == 401


def test_the_language_is_kept(town: Town) -> None:
    browser = town.visit("auditor", "en")
    assert "Overview" in browser.get("/console/").text
    browser.get("/console/language?to=zh&back=/console/policy")
    assert "总览" in browser.get("/console/").text


def test_an_entry_is_verified_from_its_bytes(town: Town) -> None:
    from api.console.pages.register import verified

    browser = town.visit("auditor")
    found = browser.get("/v1/log/events/3").json()
    vkey = browser.get("/v1/log/key").json()["vkey"]
    assert [step.good for step in verified(found, vkey)] == [True, True, True]
    other = browser.get("/v1/log/events/4").json()
    assert not all(step.good for step in verified({**found, "entry": other["entry"]}, vkey))
    assert not all(step.good for step in verified({**found, "receipt": found["receipt"].replace("index 3", "index 2")}, vkey))


def test_the_outlook_says_where_a_budget_is_heading(town: Town) -> None:
    browser = town.visit("supervisor")
    seen = browser.get(f"/v1/accounts/licence:{LICENCE}/outlook").json()
    assert seen["used_rho"] == "0.01" == seen["days"][-1]["used"]
    assert seen["exhausted_on"] is None, "too young to say"
    own = town.visit("operator-2").get(f"/v1/accounts/licence:{LICENCE}/outlook")
    assert own.status_code == 404, "another operator's account"


def test_events_and_states_have_words() -> None:
    assert set(EVENTS) == set(ev.EVENT_KINDS)
    shown = {meaning.shown for meaning in MEANING.values()}
    assert shown <= set(STATES)


def test_numbers_are_written_for_people() -> None:
    words = Words("en")
    assert [words.short(value) for value in ("0.016468352674", 80, 0, "12345.6", None, 1e-9)] == [
        "0.01647",
        "80",
        "0",
        "12,346",
        "—",
        "1.00e-9",
    ]
    assert words.percent(0.034) == "3.4%"
    assert words.percent(0.85) == "85%"


def test_charts_escape_labels_and_bear_anything() -> None:
    drawn = charts.bars([charts.Bar("<b>", 3.0, 1.0), charts.Bar("x", float("nan")), charts.Bar("y", -2.0)], "<t>")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert "nan" not in drawn
    assert charts.bars([], "t") == ""
    assert charts.burn([], 1.0, "t") == ""
    assert "NaN" not in charts.burn([("2026-11-22", 0.0)], 0.0, "t")
