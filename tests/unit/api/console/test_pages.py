"""Every page, for everybody: shown or refused as the table of roles says, small, without script, in both languages, believing no text."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.console import PAGES, charts
from api.console.ask import Interface
from api.console.frame import CSP
from api.console.said import NAVIGATION, STATES, Words
from api.console.said_events import EVENTS
from api.schemas.tracing import TRACE
from jobs import acts
from jobs import events as ev
from jobs.states import MEANING
from policies.roles import ROLES
from tests import lane, products
from tests.bureau import LICENCE, SCENARIO, Bureau, body, licence, opened, set_up
from tests.consoles import opens, pages_of
from tests.unit.jobs.test_release import ended

NASTY = "'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
SIZE = 60_000
KINDS = "L-kinds"
OUTSIDE = ["https://evil.example/", "//evil.example", "/console/../x", "/v1/me", "/console//evil.example", "/console/\\evil"]


@dataclass(frozen=True)
class Town:
    bureau: Bureau
    release: str
    job: str
    review: str
    held: str
    product: str = products.ID
    licence: str = LICENCE

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
        acts.grant_licence(services.register, licence(KINDS, job_kinds=("sql", "model", "synthetic", "program")))
        lane.prepare(bureau)
        held = ended(bureau, lane.exact_order())
        yield Town(bureau, seen["release"], job, lane.requested(bureau, held.id), held.id)
    services.close()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("role", ["operator-1", *(role for role in ROLES if role != "operator")])
def test_every_page_opens_to_whom_the_table_says(town: Town, role: str, language: str) -> None:
    browser = town.visit(role, language)
    for path, needed in pages_of(town).items():
        answer = browser.get(path)
        assert (answer.status_code < 400) == opens(role, needed), (path, role, answer.status_code)
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


MODEL = {"model": "linear", "source": "visits", "target": "fee", "name0": "days", "low0": "0", "high0": "30", "licence": KINDS}
SYNTHETIC = {"dataset": "visits", "column:city": "1", "column:urgent": "1", "licence": KINDS}


@pytest.mark.parametrize(("kind", "fields"), [("model", MODEL), ("synthetic", SYNTHETIC)])
def test_other_kinds_are_priced_tried_and_submitted_from_their_forms(town: Town, kind: str, fields: dict[str, str]) -> None:
    browser = town.visit("operator-1")
    filled = form(browser, **fields)
    path = f"/console/ask/{kind}"
    priced = browser.post(path, data={**filled, "act": "check"})
    assert priced.status_code == 200, priced.text[-2000:]
    assert "What it does" in priced.text
    tried = browser.post(path, data={**filled, "act": "dummy"})
    assert "invented" in tried.text
    more = browser.post(path, data={**filled, "act": "more"})
    assert forbidden(more.text) == []
    assert more.text.count('<input name="name') == (12 if kind == "model" else 0)
    sent = browser.post(path, data={**filled, "act": "submit"}, follow_redirects=False)
    assert sent.status_code == 303, sent.text[-2000:]
    job = sent.headers["location"].rpartition("/")[2]
    for _ in range(400):
        seen = browser.get(f"/v1/jobs/{job}").json()
        if seen["state"] != "running":
            break
        time.sleep(0.05)
    assert seen["state"] == "published", seen
    page = browser.get(f"/console/releases/{seen['release']}")
    assert forbidden(page.text) == []
    if kind == "model":
        assert "Model card" in page.text
        assert page.text.count("<circle") == 2
    else:
        picture = re.search(r'<img class="plot" src="([^"]+)"', page.text)
        assert picture is not None
        answer = browser.get(picture[1])
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert b"<script" not in answer.content


def test_a_form_with_a_fault_is_shown_again_as_it_was_filled_in(town: Town) -> None:
    browser = town.visit("operator-1")
    answer = browser.post("/console/ask/model", data=form(browser, **{**MODEL, "name0": NASTY, "act": "check"}))
    assert answer.status_code == 422
    assert forbidden(answer.text) == []
    assert html.escape(NASTY, quote=False)[:20] in html.unescape(answer.text) or html.escape("<script>") in answer.text
    draft = browser.post("/console/products", data=form(browser, id="No Such Id", title_zh=NASTY))
    assert draft.status_code == 422
    assert html.escape("<script>alert(1)</script>") in draft.text
    assert forbidden(draft.text) == []


def test_a_product_is_drafted_given_a_version_and_recalled_from_pages(town: Town) -> None:
    browser = town.visit("operator-1")
    words = {f"{name}_{language}": f"{name} {language}" for name in ("title", "about", "terms") for language in ("zh", "en")}
    made = browser.post(
        "/console/products", data=form(browser, id="from-a-page", keywords="健康，visits", renewed="month", **words), follow_redirects=False
    )
    assert made.headers["location"] == "/console/products/from-a-page"
    path = made.headers["location"]
    assert town.release in browser.get(path).text
    grown = browser.post(path, data=form(browser, act="version", **{f"release:{town.release}": "1"}), follow_redirects=False)
    assert grown.status_code == 303, grown.text
    supervisor = town.visit("supervisor")
    assert supervisor.post(path, data=form(supervisor, act="register"), follow_redirects=False).status_code == 303
    assert browser.post(path, data=form(browser, act="publish"), follow_redirects=False).status_code == 303
    planned = browser.post(path, data=form(browser, act="schedule", job=town.job, releases_at_most="2"), follow_redirects=False)
    assert planned.status_code == 303, planned.text
    listed = browser.get("/v1/products/from-a-page/schedules").json()["schedules"]
    assert [each["state"] for each in listed] == ["active"]
    assert browser.post(path, data=form(browser, act="stop", schedule=listed[0]["id"]), follow_redirects=False).status_code == 303
    assert supervisor.post(path, data=form(supervisor, act="recall", reason="x", version="1"), follow_redirects=False).status_code == 303
    seen = browser.get("/v1/products/from-a-page").json()
    assert [version["state"] for version in seen["versions"]] == ["recalled"]


def test_a_rule_pack_is_changed_by_two_people(town: Town) -> None:
    browser = town.visit("supervisor")
    text = browser.get("/v1/rule-packs").json()["in_force"]["text"]
    checked = browser.post("/console/rules", data=form(browser, text=text, act="check"))
    assert "It holds" in checked.text
    assert browser.post("/console/rules", data=form(browser, text="name = ", act="propose")).status_code == 422
    proposed = browser.post("/console/rules", data=form(browser, text=text.replace("version = 1", "version = 2"), reason=NASTY, act="propose"))
    assert proposed.status_code == 200, proposed.text[-1000:]
    assert html.escape("<script>alert(1)</script>") in proposed.text
    assert "awaits another person" in proposed.text, "nobody confirms a proposal of their own"
    assert town.visit("operator-1").post("/console/rules", data={"text": text}).status_code == 403


def test_a_file_is_traced_and_a_program_submitted_by_upload(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = town.visit("supervisor")
    table = browser.get(f"/v1/releases/{town.release}/table?format=csv").content
    given = {name: value for name, value in form(browser, product=products.ID).items() if name in ("csrf_token", "product")}
    small = browser.post("/console/traces", data=given, files={"file": ("found.csv", table)})
    assert small.status_code == 409
    assert "product_unmarked" in small.text, "the file and the product's name came through, and this product carries no mark"
    assert browser.post("/console/traces", data={"product": products.ID}, files={"file": ("found.csv", table)}).status_code == 403
    sent: list[bytes] = []

    async def answered(_self: Interface, _path: str, data: bytes, **_query: str) -> Any:
        sent.append(data)
        return {"limit": 1e-6, "traces": [{**TRACE, "accused": [NASTY]}]}

    monkeypatch.setattr(Interface, "upload", answered)
    named = browser.post("/console/traces", data=given, files={"file": ("found.csv", table)})
    assert sent == [table]
    assert html.escape("<script>alert(1)</script>") in named.text
    assert "1,223" in named.text
    assert forbidden(named.text) == []
    operator = town.visit("operator-1")
    token = {"csrf_token": form(operator)["csrf_token"]}
    refused = operator.post("/console/programs", data=token, files={"package": ("p.zip", b"no zip")})
    assert refused.status_code == 422
    assert "program_invalid" in refused.text


def test_a_subscription_shows_its_secret_once(town: Town) -> None:
    browser = town.visit("builder")
    wanted = {"url": "https://builder.example/hook", "subject": products.ID, "topic:product.recalled": "1"}
    made = browser.post("/console/subscriptions", data=form(browser, **wanted))
    assert made.status_code == 200, made.text[-500:]
    assert "whsec_" in made.text
    again = browser.get("/console/subscriptions").text
    assert "whsec_" not in again
