"""Quotas over HTTP: 429, when to come back, and the windows of an account beside its lifetime cap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from jobs import acts
from policies.degree import Degree
from policies.quota import Pace, Quota
from tests.bureau import Bureau, Home, body, licence, opened

HALF = Degree(pico_rho=10**11, atto_delta=10**11)


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", slots_ms=(5_000,))
    yield Bureau(services, keys)
    services.close()


def test_a_refusal_says_when_to_come_back(bureau: Bureau) -> None:
    acts.grant_licence(bureau.services.register, licence("L-q", quota=Quota(jobs_at_once=1, pace=Pace(day=HALF))))
    with TestClient(create_app(bureau.services)) as client:
        asked = body(licence="L-q")
        assert client.post("/v1/jobs", json=asked, headers=bureau.headers()).status_code == 202
        other = body("SELECT COUNT(*) AS n FROM visits", licence="L-q")
        said = client.post("/v1/jobs", json=other, headers=bureau.headers())
        assert (said.status_code, said.json()["code"]) == (429, "job_quota_at_once")
        assert 1 <= int(said.headers["Retry-After"]) <= 6
        accounts = client.get("/v1/accounts", headers=bureau.headers("supervisor")).json()["accounts"]
        found = {account["id"]: account["pace"] for account in accounts}
        assert found["dataset:visits"] == []
        (window,) = found["licence:L-q"]
        assert (window["window"], window["cap"]["rho"]) == ("day", "0.1")
        assert window["used"]["rho"] not in ("0", "0.1")
