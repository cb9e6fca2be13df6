"""Running totals over HTTP, on the product's page and by the command line: what they cost, set, listed, stopped, continued."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from tests.bureau import SCENARIO, Home
from tests.consoles import form
from tests.products import ID
from tests.stays import LICENCE, SQL, Stays, a_house
from tests.unit.jobs.test_release import ended
from tests.unit.jobs.test_running import asked as order_of
from yunei.cli.run import run
from yunei.cli.session import Session

PRIVACY = {"rho": "0.01", "delta": "0.00000001"}
JOB = {"licence": LICENCE, "scenario": SCENARIO, "sql": SQL, "privacy": PRIVACY}
PATH = f"/v1/products/{ID}/schedules"


@pytest.fixture(scope="module")
def stays(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stays]:
    with a_house(bureau_home, tmp_path_factory.mktemp("running")) as made:
        yield made


def stop_all(client: TestClient, headers: Mapping[str, str]) -> None:
    for each in client.get(PATH, headers=headers).json()["schedules"]:
        if each["state"] == "active":
            assert client.post(f"{PATH}/{each['id']}/stop", headers=headers).status_code == 200


def test_over_http(stays: Stays) -> None:
    client, headers = TestClient(create_app(stays.bureau.services)), stays.bureau.headers()
    plan = {"first": "2026-01-01", "periods": 24}
    costs = client.post(f"{PATH}/check", json={"job": JOB, "running": plan}, headers=headers).json()
    assert costs["running"] == {"dataset": "stays", "step": "month", "first": "2026-01-01", "before": "2028-01-01", "periods": 24}
    names = ("tree", "anew", "anew_at_equal_error")
    ways: dict[str, Any] = {name: (costs[name]["charges"], float(costs[name]["charged"]["rho"])) for name in names}
    assert ways == {"tree": (5, pytest.approx(0.05)), "anew": (24, pytest.approx(0.24)), "anew_at_equal_error": (24, pytest.approx(0.06))}
    assert float(costs["tree"]["in_all"]["rho"]) == pytest.approx(0.24)
    widths = {name: {each["column"]: each["largest"] for each in costs[name]["half_widths"]} for name in ways}
    assert widths["tree"] == widths["anew_at_equal_error"] == pytest.approx({name: 2 * width for name, width in widths["anew"].items()})
    assert (costs["cheaper"], costs["chosen"]) == ("tree", "tree")
    assert any("@2026-01" in account["id"] for account in costs["accounts"])
    both = client.post(PATH, json={"job": JOB, "releases_at_most": 2, "running": plan}, headers=headers)
    assert (both.status_code, both.json()["code"]) == (422, "request_invalid")
    assert client.post(PATH, json={"job": JOB}, headers=headers).json()["code"] == "request_invalid"
    made = client.post(PATH, json={"job": JOB, "running": {**plan, "way": "tree"}}, headers=headers)
    assert made.status_code == 201, made.text
    (schedule,) = [each for each in made.json()["schedules"] if each["state"] == "active"]
    assert schedule["running"] == {**costs["running"], "way": "tree", "after": None, "done": 0}
    twice = client.post(PATH, json={"job": JOB, "running": plan}, headers=headers)
    assert (twice.status_code, twice.json()["code"]) == (409, "product_schedule_alone")
    stop_all(client, headers)
    on = client.post(f"{PATH}/{schedule['id']}/continue", json={"periods": 30}, headers=headers)
    assert on.status_code == 201, on.text
    assert {each["running"]["periods"] for each in on.json()["schedules"] if each["state"] == "active"} == {30}
    average = {**JOB, "sql": "SELECT AVG(fee) AS a FROM stays"}
    refused = client.post(f"{PATH}/check", json={"job": average, "running": plan}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "plan_not_additive")
    stop_all(client, headers)


def test_on_the_page(stays: Stays) -> None:
    bureau = stays.bureau
    browser = TestClient(create_app(bureau.services), headers={"Accept-Language": "en"}, raise_server_exceptions=False)
    assert browser.post("/console/sign-in", data={"key": bureau.keys["operator-1"]}, follow_redirects=False).status_code == 303
    job, page = ended(bureau, order_of(SQL)).id, f"/console/products/{ID}"
    fields = {"job": job, "first": "2026-01-01", "periods": "3", "way": "auto"}
    shown = browser.post(page, data=form(browser, act="running_check", **fields))
    assert shown.status_code == 200, shown.text
    assert "recomputed, as accurate as the tree" in shown.text
    assert f'value="{job}"' in shown.text  # what was typed stands there still
    wrong = browser.post(page, data=form(browser, act="running", **{**fields, "first": "2026-01-02"}))
    assert wrong.status_code == 422
    assert "The first day or the number of periods is not valid" in wrong.text
    assert browser.post(page, data=form(browser, act="running", **{**fields, "periods": "x"})).status_code == 422
    made = browser.post(page, data=form(browser, act="running", **{**fields, "way": "tree"}), follow_redirects=False)
    assert made.status_code == 303, made.text
    listed = browser.get(page).text
    assert "Running total" in listed
    headers = bureau.headers()
    stop_all(browser, headers)
    (stopped,) = [each["id"] for each in browser.get(PATH, headers=headers).json()["schedules"] if each["running"]["periods"] == 3]
    on = browser.post(page, data=form(browser, act="continue", schedule=stopped, periods="5"), follow_redirects=False)
    assert on.status_code == 303, on.text
    stop_all(browser, headers)


class Through:
    """A client of the application in this process."""

    def __init__(self, stays: Stays) -> None:
        self._http, self._headers = TestClient(create_app(stays.bureau.services)), stays.bureau.headers()

    def __enter__(self) -> Through:
        return self

    def __exit__(self, *_: object) -> None:
        stop_all(self._http, self._headers)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self._http.post(f"{PATH}{path}", json=body, headers=self._headers)
        assert answer.is_success, answer.text
        return answer.json()

    def check_running(self, _id: str, job: Mapping[str, Any], first: date, periods: int, way: str) -> Any:
        return self._post("/check", {"job": job, "running": {"first": first.isoformat(), "periods": periods, "way": way}})

    def set_running(self, _id: str, job: Mapping[str, Any], first: date, periods: int, way: str) -> Any:
        return self._post("", {"job": job, "running": {"first": first.isoformat(), "periods": periods, "way": way}})["schedules"]

    def continue_schedule(self, _id: str, schedule: str, periods: int) -> Any:
        return self._post(f"/{schedule}/continue", {"periods": periods})["schedules"]


def test_by_the_command_line(stays: Stays, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "client", lambda _self: Through(stays))
    query = tmp_path / "query.sql"
    query.write_text(SQL, encoding="utf-8")
    job = [ID, str(query), "--licence", LICENCE, "--scenario", SCENARIO, "--rho", "0.01", "--delta", "0.00000001"]

    def said(*words: str, expect: int = 0) -> str:
        assert run(["--lang", "en", "product", *words]) == expect, capsys.readouterr()
        lines = capsys.readouterr().out.splitlines()
        return "\n".join(line for line in lines if "route=/v1/" not in line)  # the server's own log, which is of this process here

    plan = ["--running", "2026-01-01", "--periods", "24"]
    rows = list(csv.DictReader(io.StringIO(said("schedule", *job, *plan, "--check", "--format", "csv"))))
    assert [(row["way"], row["charges"], row["column"]) for row in rows[:2]] == [("tree", "5", "n"), ("tree", "5", "fee")]
    assert {row["way"] for row in rows} == {"tree", "recomputed", "recomputed, as accurate as the tree"}
    made = list(csv.DictReader(io.StringIO(said("schedule", *job, *plan, "--way", "tree", "--format", "csv"))))
    (mine,) = [row for row in made if row["state"] == "active"]
    assert (mine["runs"], mine["releases_at_most"]) == ("0", "24")
    on = said("continue", ID, mine["schedule"], "--periods", "36", "--format", "csv")
    assert ",36" in on
    for words in (["--at-most", "2", *plan], ["--running", "2026-01-01"], ["--at-most", "2", "--check"], []):
        said("schedule", *job, *words, expect=2)
