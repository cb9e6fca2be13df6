"""Doors open to their roles, what every answer carries, and what is said when something breaks, over real HTTP."""

from __future__ import annotations

import threading

import pytest

from tests.bureau import body
from tests.e2e.conftest import Live
from tests.e2e.test_http import JSON, get, post, problem

DOORS = [
    ("POST", "/v1/jobs", {"operator"}),
    ("POST", "/v1/licences", {"supervisor"}),
    ("GET", "/v1/log/events", {"supervisor", "auditor"}),
    ("GET", "/v1/log/tile/entries/000.p/1", {"supervisor", "auditor"}),
    ("GET", "/v1/accounts", {"operator", "steward", "supervisor", "auditor"}),
]


@pytest.mark.parametrize(("method", "path", "roles"), DOORS)
def test_doors_open_to_their_roles_only(live: Live, method: str, path: str, roles: set[str]) -> None:
    for principal in live.keys:
        answer = live.http.request(method, path, headers=live.headers(principal, **JSON), content=b"{}" if method == "POST" else b"")
        if principal.partition("-")[0] in roles:
            assert answer.status_code != 403, (principal, answer.text)
        else:
            problem(answer, 403, "auth_forbidden")


# ── what every answer carries ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/health", "/v1/nowhere", "/v1/docs", "/v1/openapi.json", "/v1/log/checkpoint"])
def test_browsers_are_forbidden_everything(live: Live, path: str) -> None:
    headers = live.http.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-request-id"]
    assert "server" not in headers


def test_an_unexpected_error_says_an_id_and_no_word(live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("patient 7 has 42")

    monkeypatch.setattr(live.services.register, "catalogue", fails)
    answer = get(live, "/v1/datasets")
    data = problem(answer, 500, "server_internal")
    assert data["instance"].endswith(data["fields"]["id"])
    assert "patient" not in answer.text
    shown = capsys.readouterr()
    assert "patient" not in shown.out + shown.err


def test_a_server_without_workers_says_so(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.services, "ready", threading.Event())
    problem(live.http.get("/v1/ready"), 503, "server_starting")
    answer = post(live, "/v1/jobs", body())
    problem(answer, 503, "server_starting")
    assert answer.headers["retry-after"] == "1"
    assert post(live, "/v1/jobs/check", body()).status_code == 200
