"""Alerts as people meet them: on the command line, in the console and in the numbers, from the first look to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import logs
from api.app import create_app
from api.services import Services
from jobs import acts
from jobs.watch.rules import shipped_rules_text
from policies.roles import ROLES
from tests.bureau import Bureau, Home, opened
from tests.e2e.conftest import listening
from tests.watching import raised_by_hand
from yunei.cli import main

pytestmark = pytest.mark.enable_socket
Run = Callable[..., tuple[int, str, str]]
NASTY = "'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
OWN = shipped_rules_text().replace('name = "default"', 'name = "own"').replace("questions = 6", "questions = 4")


@pytest.fixture(scope="module")
def served(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Bureau]]:
    home = tmp_path_factory.mktemp("alerts") / "home"
    keys = dict(bureau_home.copy_to(home))
    logs.configure(quiet=True)
    services = opened(home)
    keys["supervisor-2"] = acts.issue_key(services.register, "supervisor-2", "supervisor")
    with listening(services) as url:
        yield url, Bureau(services, keys)
    services.close()


@pytest.fixture
def run(served: tuple[str, Bureau], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    url, bureau = served

    def call(who: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["--lang", "en", "--url", url, "--key", bureau.keys[who], "--state", str(tmp_path / "state"), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def alert(served: tuple[str, Bureau]) -> str:
    """One that was just raised."""
    return raised_by_hand(served[1].services.register)


@lru_cache(maxsize=1)
def app_of(services: Services) -> FastAPI:
    """Made once: it is the slowest part of a visit."""
    return create_app(services)


def visit(served: tuple[str, Bureau], who: str, language: str = "en") -> TestClient:
    browser = TestClient(app_of(served[1].services), headers={"Accept-Language": language}, raise_server_exceptions=False)
    assert browser.post("/console/sign-in", data={"key": served[1].keys[who]}, follow_redirects=False).status_code == 303
    return browser


def test_an_alert_from_the_command_line(run: Run, alert: str) -> None:
    code, out, _ = run("auditor", "alert", "list", "--state", "open", "--severity", "serious", "--format", "json")
    assert code == 0
    assert alert in [each["id"] for each in json.loads(out)]
    assert "Repeated questions" in run("auditor", "alert", "show", alert)[1]
    code, _, err = run("operator-1", "alert", "list")
    assert code != 0
    assert "auth_forbidden" in err
    code, _, err = run("supervisor", "alert", "close", alert, "--words", "too soon")
    assert code != 0
    assert "alert_state" in err
    assert run("supervisor", "alert", "ack", alert, "--words", "on it")[0] == 0
    assert run("supervisor-2", "alert", "close", alert, "--words", "a restored copy", "--false-alarm")[0] == 0
    found = json.loads(run("supervisor", "alert", "show", alert, "--format", "json")[1])
    assert (found["state"], found["outcome"], found["closed_by"]) == ("closed", "false_alarm", "supervisor-2")
    assert "alert_unknown" not in run("supervisor", "alert", "show", alert)[2]
    assert "request_not_found" in run("supervisor", "alert", "show", "alt-none")[2]


def test_the_rules_from_the_command_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(OWN.replace('name = "own"', 'name = "cli"'))
    assert "cli 1" in run("supervisor", "alert-rules", "check", str(file))[1]
    code, out, _ = run("supervisor", "alert-rules", "propose", str(file), "--reason", "tighter")
    assert code == 0
    proposal = out.split()[1]
    assert "questions = 4" in run("supervisor-2", "alert-rules", "show", "--proposal", proposal)[1]
    assert "auth_second_person" in run("supervisor", "alert-rules", "confirm", proposal)[2]
    assert run("supervisor-2", "alert-rules", "confirm", proposal)[0] == 0
    after = json.loads(run("auditor", "alert-rules", "show", "--format", "json")[1])
    assert after["name"] == "cli"
    rules = {rule["id"]: rule for rule in after["each"]}
    averaging = rules.pop("averaging")
    assert (averaging["numbers"]["questions"], averaging["simulated_a_month"]) == (4, None), "nobody measured these numbers"
    assert rules
    assert all(rule["simulated_a_month"] is not None for rule in rules.values()), "the others are as shipped"
    assert proposal in run("auditor", "alert-rules", "history")[1]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_console_shows_it_to_whom_it_should_and_takes_the_answer(served: tuple[str, Bureau], alert: str, language: str) -> None:
    for role in ("operator-1", *(role for role in ROLES if role != "operator")):
        browser = visit(served, role, language)
        may = role in ("supervisor", "auditor")
        for path in ("/console/alerts", f"/console/alerts/{alert}", "/console/alert-rules"):
            answer = browser.get(path)
            assert (answer.status_code == 200) == may, (role, path)
            assert len(answer.content) < 60_000
        assert ('href="/console/alerts"' in browser.get("/console/").text) == may
    browser = visit(served, "supervisor", language)
    assert ("项</span>" if language == "zh" else " open</span>") in browser.get("/console/").text
    page = browser.get(f"/console/alerts/{alert}").text
    assert page.count('name="act" value="acknowledge"') == 1
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    answered = browser.post(f"/console/alerts/{alert}", data={"csrf_token": token, "act": "acknowledge", "words": NASTY})
    assert answered.status_code == 200
    assert "<script>alert" not in answered.text
    assert "&lt;script&gt;" in answered.text
    refused = browser.post(f"/console/alerts/{alert}", data={"csrf_token": token, "act": "close", "outcome": "handled", "words": ""})
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    closed = browser.post(f"/console/alerts/{alert}", data={"csrf_token": token, "act": "close", "outcome": "handled", "words": "x"})
    assert closed.status_code == 200
    assert alert in browser.get("/console/alerts?state=closed&severity=serious").text
    assert alert not in browser.get("/console/alerts?state=open").text


def test_the_console_takes_a_change_of_the_rules_by_two(served: tuple[str, Bureau]) -> None:
    first, second = visit(served, "supervisor"), visit(served, "supervisor-2")
    page = first.get("/console/alert-rules").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    text = OWN.replace('name = "own"', 'name = "pages"')
    wrong = first.post(
        "/console/alert-rules", data={"csrf_token": token, "act": "check", "text": text.replace("questions = 4", "questions = 0")}
    )
    assert wrong.status_code == 422
    right = first.post("/console/alert-rules", data={"csrf_token": token, "act": "check", "text": text})
    assert 'role="status"' in right.text
    sent = first.post("/console/alert-rules", data={"csrf_token": token, "act": "propose", "text": text, "reason": NASTY})
    assert "<script>alert" not in sent.text
    page = second.get("/console/alert-rules").text
    proposal = page.split('name="confirm" value="')[1].split('"')[0]
    assert "questions = 4" in second.get(f"/console/alert-rules/{proposal}").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    done = second.post("/console/alert-rules", data={"csrf_token": token, "confirm": proposal})
    assert "pages 1" in done.text


def test_the_gauge_counts_what_waits(served: tuple[str, Bureau], alert: str) -> None:
    _url, bureau = served
    api = TestClient(app_of(bureau.services))
    text = api.get("/v1/metrics", headers=bureau.headers("auditor")).text
    listed = api.get("/v1/alerts", params={"about": "nothing"}, headers=bureau.headers("auditor")).json()
    waiting = listed["open"]["serious"]
    assert waiting >= 1
    assert f'yunei_alerts_open{{severity="serious"}} {waiting}.0' in text
    assert (listed["alerts"], listed["next"]) == ([], None)
