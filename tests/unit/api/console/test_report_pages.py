"""Reports by the interface and on pages: previewed, issued, fetched; an operator's own, a builder's none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.console.frame import CSP
from jobs.reports import html
from tests.bureau import LICENCE, Bureau, Home, opened

NASTY = "'\"><script>alert(1)</script>"


@pytest.fixture(scope="module")
def house(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    home = tmp_path_factory.mktemp("reports") / "home"
    keys = bureau_home.copy_to(home)
    services = opened(home)
    yield Bureau(services, keys)
    services.close()


@pytest.fixture(scope="module")
def api(house: Bureau) -> Iterator[TestClient]:
    with TestClient(create_app(house.services)) as client:
        asked = {"scope": "operator", "subject": "operator-2", "reason": NASTY}
        assert client.post("/v1/freezes", json=asked, headers=house.headers("supervisor")).status_code == 201
        yield client


def issued(house: Bureau, api: TestClient, **asked: str) -> dict[str, object]:
    answer = api.post("/v1/reports", json=asked, headers=house.headers("supervisor"))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_preview_is_entered_nowhere_and_is_the_same_again(house: Bureau, api: TestClient) -> None:
    asked = {"kind": "incident", "period": "2026", "size": house.services.register.size, "format": "html"}
    before = house.services.register.size
    first = api.get("/v1/reports/preview", params=asked, headers=house.headers("supervisor"))
    assert first.status_code == 200, first.text
    assert first.headers["content-security-policy"] == html.CSP
    assert first.headers["content-disposition"].startswith("attachment")
    assert house.services.register.size == before
    api.post("/v1/freezes", json={"scope": "dataset", "subject": "visits", "reason": "later"}, headers=house.headers("supervisor"))
    again = api.get("/v1/reports/preview", params=asked, headers=house.headers("supervisor"))
    assert again.content == first.content
    assert again.headers["etag"] == f'"{hashlib.sha256(first.content).hexdigest()}"'


def test_who_may_see_which(house: Bureau, api: TestClient) -> None:
    whole = issued(house, api, kind="incident", period="2026")
    filed = issued(house, api, kind="filing", subject=LICENCE)
    assert (whole["owner"], filed["owner"]) == (None, "operator-1")

    def sees(who: str) -> set[str]:
        answer = api.get("/v1/reports", headers=house.headers(who))
        return {each["id"] for each in answer.json()["reports"]} & {str(whole["id"]), str(filed["id"])} if answer.status_code == 200 else set()

    assert sees("supervisor") == sees("auditor") == {whole["id"], filed["id"]}
    assert sees("operator-1") == {filed["id"]}
    assert sees("operator-2") == set()
    assert sees("builder") == set()
    for path in ("", "/document", "/files/json", "/statement"):
        assert api.get(f"/v1/reports/{whole['id']}{path}", headers=house.headers("operator-1")).status_code == 404
        assert api.get(f"/v1/reports/{filed['id']}{path}", headers=house.headers("operator-2")).status_code == 404
        assert api.get(f"/v1/reports/{filed['id']}{path}", headers=house.headers("operator-1")).status_code == 200
        assert api.get(f"/v1/reports/{filed['id']}{path}", headers=house.headers("builder")).status_code == 403
    refused = api.get("/v1/reports/preview", params={"kind": "filing", "subject": LICENCE}, headers=house.headers("operator-1"))
    assert refused.status_code == 403  # as of now it would tell when a job was done


def test_files_are_those_that_were_issued(house: Bureau, api: TestClient) -> None:
    found = issued(house, api, kind="filing", subject=LICENCE)
    files = found["files"]
    assert isinstance(files, list)
    assert len(files) == 7
    for file in files:
        params = {"language": file["language"]} if file["language"] else {}
        body = api.get(f"/v1/reports/{found['id']}/files/{file['form']}", params=params, headers=house.headers("auditor"))
        assert hashlib.sha256(body.content).hexdigest() == file["sha256"]
        assert file["name"] in body.headers["content-disposition"]
    told = api.get(f"/v1/reports/{found['id']}/document", headers=house.headers("auditor")).json()
    assert (told["kind"], told["subject"], told["size"]) == ("filing", LICENCE, found["size"])


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"kind": "usage", "period": "2098"}, 409, "report_period_open"),
        ({"kind": "usage"}, 422, "report_period"),
        ({"kind": "filing", "subject": "nothing"}, 404, "report_subject_unknown"),
        ({"kind": "gossip", "period": "2026"}, 422, "request_invalid"),
    ],
)
def test_what_is_refused(house: Bureau, api: TestClient, asked: dict[str, str], status: int, code: str) -> None:
    answer = api.post("/v1/reports", json=asked, headers=house.headers("supervisor"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def visit(house: Bureau, principal: str, language: str) -> TestClient:
    browser = TestClient(create_app(house.services), headers={"Accept-Language": language}, raise_server_exceptions=False)
    assert browser.post("/console/sign-in", data={"key": house.keys[principal]}, follow_redirects=False).status_code == 303
    return browser


@pytest.mark.parametrize(("language", "word"), [("zh-CN", "授权运营安全事件与处置报告"), ("en", "Report on incidents and response")])
def test_a_supervisor_previews_issues_and_downloads(house: Bureau, api: TestClient, language: str, word: str) -> None:
    browser = visit(house, "supervisor", language)
    page = browser.get("/console/reports/preview", params={"kind": "incident", "period": "2026"})
    assert page.status_code == 200
    assert word in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"] == CSP
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    asked = {"csrf_token": token, "kind": "incident", "period": "2026", "subject": ""}
    made = browser.post("/console/reports", data=asked, follow_redirects=False)
    assert made.status_code == 303, made.text
    shown = browser.get(made.headers["location"])
    assert word in shown.text
    fetched = browser.get(f"{made.headers['location']}/files/pdf", params={"language": "zh"})
    assert fetched.content.startswith(b"%PDF-")
    signed = browser.get(f"{made.headers['location']}/statement")
    assert json.loads(signed.content)["payloadType"] == "application/vnd.in-toto+json"
    again = browser.post("/console/reports", data={**asked, "period": "2026-13"}, follow_redirects=False)
    assert again.status_code == 422
    assert "2026-13" in again.text  # what was asked for stays in the form


def test_the_folder_of_a_report_verifies(house: Bureau, api: TestClient, tmp_path: Path) -> None:
    from yunei.reportproof import verify_report
    from yunei.transparency import Key

    found = issued(house, api, kind="incident", period="2026-Q4")
    statement = api.get(f"/v1/reports/{found['id']}/statement", headers=house.headers("auditor")).content
    file = tmp_path / "anything.pdf"
    file.write_bytes(api.get(f"/v1/reports/{found['id']}/files/pdf", params={"language": "en"}, headers=house.headers("auditor")).content)
    assert verify_report(statement, [file], (Key.parse(house.services.register.vkey),)).holds
