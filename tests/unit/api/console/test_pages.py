"""Every page, for everybody: shown or refused as the table of roles says, small, without script, in both languages, believing no text."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.console import PAGES
from api.console.frame import CSP
from api.console.said import NAVIGATION
from policies.roles import ROLES
from tests.bureau import LICENCE
from tests.consoles import forbidden, form, furnished_pages_of, opens, unvisited
from tests.furnished import NASTY, Furnished

SIZE = 60_000
OUTSIDE = ["https://evil.example/", "//evil.example", "/console/../x", "/v1/me", "/console//evil.example", "/console/\\evil"]


def test_every_page_there_is_is_walked_through(town: Furnished) -> None:
    assert unvisited(furnished_pages_of(town)) == set(), "say in tests/consoles.py who opens it, and where one is"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("role", ["operator-1", *(role for role in ROLES if role != "operator")])
def test_every_page_opens_to_whom_the_table_says(town: Furnished, role: str, language: str) -> None:
    browser = town.visit(role, language)
    for path, needed in furnished_pages_of(town).items():
        answer = browser.get(path)
        assert (answer.status_code < 400) == opens(role, needed), (path, role, answer.status_code)
        text = answer.text
        assert answer.headers["content-security-policy"] == CSP
        assert len(answer.content) <= SIZE, (path, len(answer.content))
        assert forbidden(text) == [], path
        assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in text
        for word in ("None", "Undefined", "&lt;built-in"):
            assert not re.search(rf">\s*{word}\s*<", text), (path, word)


def test_navigation_leads_to_pages_that_are_there() -> None:
    known = {route.path for page in PAGES for route in page.router.routes}  # type: ignore[attr-defined]  # FastAPI's routes have a path
    assert {place.path for group in NAVIGATION for place in group.places} <= known


def test_a_text_is_never_believed(town: Furnished) -> None:
    page = town.visit("supervisor").get("/console/freezes").text
    assert NASTY not in page
    assert html.escape("<script>alert(1)</script>") in page
    browser = town.visit("operator-1")
    again = browser.post("/console/ask", data=form(browser, sql=NASTY, act="check", scenario=NASTY))
    assert again.status_code in (400, 403, 422)
    assert forbidden(again.text) == []


def test_a_form_of_another_site_changes_nothing(town: Furnished) -> None:
    browser = town.visit("supervisor")
    freeze = {"scope": "everything", "reason": "x"}
    size = town.bureau.services.register.size
    assert browser.post("/console/freezes", data=freeze).status_code == 403
    good = form(browser, **freeze)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post("/console/freezes", data=good, headers=foreign).status_code == 403
    assert browser.post("/console/freezes", data=good, headers={"Origin": "https://evil.example"}).status_code == 403
    assert not [event for event in town.bureau.services.register.events(size - 1, 100) if event.kind == "freeze_set"]


def test_nobody_is_signed_in_by_another_site(town: Furnished) -> None:
    browser = TestClient(create_app(town.bureau.services), raise_server_exceptions=False)
    answer = browser.post("/console/sign-in", data={"key": town.bureau.keys["operator-1"]}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert not browser.cookies


@pytest.mark.parametrize("to", OUTSIDE)
def test_signing_in_leads_into_the_console_only(town: Furnished, to: str) -> None:
    browser = TestClient(create_app(town.bureau.services), raise_server_exceptions=False)
    answer = browser.post("/console/sign-in", data={"key": town.bureau.keys["auditor"], "to": to}, follow_redirects=False)
    assert answer.headers["location"] in ("/console/", "/console/../x")  # the second stays on this host, and is not found there


def test_a_wrong_key_is_told_why_and_a_stranger_is_sent_to_the_door(town: Furnished) -> None:
    browser = TestClient(create_app(town.bureau.services), headers={"Accept-Language": "en"}, raise_server_exceptions=False)
    assert browser.get("/console/jobs?x=1", follow_redirects=False).headers["location"] == "/console/sign-in?to=%2Fconsole%2Fjobs%3Fx%3D1"
    wrong = browser.post("/console/sign-in", data={"key": "yk_aaaa_bbbbbbbbbbbbbbbb"})
    assert wrong.status_code == 401
    assert "auth_unknown" in wrong.text


def test_signing_out_ends_the_session(town: Furnished) -> None:
    browser = town.visit("operator-2")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert browser.post("/console/sign-out", data=form(browser), follow_redirects=False).status_code == 303
    assert browser.get("/v1/me", headers={"Cookie": cookie}).status_code == 401


def test_the_language_is_kept(town: Furnished) -> None:
    browser = town.visit("auditor", "en")
    assert "Overview" in browser.get("/console/").text
    browser.get("/console/language?to=zh&back=/console/policy")
    assert "总览" in browser.get("/console/").text


def test_an_entry_is_verified_from_its_bytes(town: Furnished) -> None:
    from api.console.pages.register import verified

    browser = town.visit("auditor")
    found = browser.get("/v1/log/events/3").json()
    vkey = browser.get("/v1/log/key").json()["vkey"]
    assert [step.good for step in verified(found, vkey)] == [True, True, True]
    other = browser.get("/v1/log/events/4").json()
    assert not all(step.good for step in verified({**found, "entry": other["entry"]}, vkey))
    assert not all(step.good for step in verified({**found, "receipt": found["receipt"].replace("index 3", "index 2")}, vkey))


def test_the_outlook_says_where_a_budget_is_heading(town: Furnished) -> None:
    browser = town.visit("supervisor")
    seen = browser.get(f"/v1/accounts/licence:{LICENCE}/outlook").json()
    assert Decimal(seen["used_rho"]) == Decimal(seen["days"][-1]["used"]) > 0
    assert seen["exhausted_on"] is None, "too young to say"
    own = town.visit("operator-2").get(f"/v1/accounts/licence:{LICENCE}/outlook")
    assert own.status_code == 404, "another operator's account"
