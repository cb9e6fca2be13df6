"""Browsers signed in with a key: the session is as good as the key, no better and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobs import acts
from tests.doors import House, house

COOKIE = "yunei"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "home", lockout_address_failures=10_000) as made:
        yield made


def signed_in(home: House, key: str) -> dict[str, str]:
    answer = home.ask("POST", "/v1/sessions", key)
    assert answer.status_code == 201, answer.text
    return {"Cookie": f"{COOKIE}={answer.json()['secret']}"}


def test_a_key_opens_a_session_of_its_holder(home: House) -> None:
    cookie = signed_in(home, home.keys["operator"])
    me = home.ask("GET", "/v1/me", None, headers=cookie)
    assert (me.status_code, me.json()["principal"]) == (200, "operator")


def test_it_ends_with_the_key(home: House) -> None:
    cookie = signed_in(home, home.keys["operator"])
    acts.revoke_key(home.services.register, home.keys["operator"], reason="lost")
    assert home.ask("GET", "/v1/me", None, headers=cookie).status_code == 401


def test_it_lasts_no_longer_than_the_key(home: House) -> None:
    key = acts.issue_key(home.services.register, "operator", expires_at=home.clock() + timedelta(minutes=5))
    cookie = signed_in(home, key)
    home.clock.move(seconds=299)
    assert home.ask("GET", "/v1/me", None, headers=cookie).status_code == 200
    home.clock.move(seconds=1)
    assert home.ask("GET", "/v1/me", None, headers=cookie).status_code == 401


def test_it_is_good_for_no_more_acts_than_the_key(home: House) -> None:
    cookie = signed_in(home, acts.issue_key(home.services.register, "operator", scopes=("dataset_list",)))
    assert home.ask("GET", "/v1/datasets", None, headers=cookie).status_code == 200
    assert home.ask("GET", "/v1/jobs", None, headers=cookie).json()["code"] == "auth_scope"


def test_it_is_bound_to_the_certificate_of_the_key(home: House) -> None:
    key = acts.issue_key(home.services.register, "operator", certificate="ab" * 32)
    assert home.ask("POST", "/v1/sessions", key).json()["code"] == "auth_certificate"


def test_only_a_key_opens_one(home: House) -> None:
    cookie = signed_in(home, home.keys["operator"])
    token = home.ask("POST", "/v1/token", home.keys["operator"], json={}).json()["access_token"]
    assert home.ask("POST", "/v1/sessions", token).json()["code"] == "auth_key_needed"
    secret = cookie["Cookie"].partition("=")[2]
    assert home.ask("POST", "/v1/sessions", secret).json()["code"] == "auth_key_needed"
