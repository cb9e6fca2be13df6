"""Every endpoint, every role, every state of who asks: who may come in and who may not; and what is another's is not there.

The table is `doors.py`. Requests go through the whole application in this process; the clock is set by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from api import console, logs
from api.app import create_app, openapi_document
from api.services import Services
from api.signin.tokens import Tokens
from infra.keys import KeyRing
from jobs import acts
from jobs.credentials import Credential
from jobs.events import AccessRefused
from policies.roles import MAY, ROLES
from tests.attack.doors import DOORS, HIDDEN, Row
from tests.bureau import LICENCE, Home, body, licence, opened
from tests.doors import Hands

# acts that a suspended principal is let through to, because something further in says no in words of its own
SPOKEN_FURTHER_IN = {"job_check", "job_dummy", "job_submit", "me_show", "token_issue"}
ANY_KEY = {"me_show", "token_issue", "key_rotate", "session_open"}
KEY_ITSELF = {"token_issue", "key_rotate", "session_open"}
GOOD_FOR_SOMETHING = ("session", "token", "narrow key", "suspended principal")
AT_THE_DOOR = {"auth_missing", "auth_unknown", "auth_forbidden", "auth_suspended", "auth_scope", "auth_key_needed", "auth_certificate"}


class Ahead(Hands):
    """A clock that runs, and can be put forward."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self._began)


@dataclass(frozen=True)
class Town:
    """A bureau in which every role is held by somebody in every state. `secrets`: by role and state, what they come with."""

    services: Services
    http: TestClient
    secrets: dict[tuple[str, str], str]
    home: Path

    def ask(self, name: str, secret: str | None, row: Row | None = None, **filled: str) -> tuple[int, str, Any]:
        """Status, problem code, and what was answered."""
        method, path = name.split(" ")
        for parameter in ("id", "name", "prefix", "digest", "period", "ticket", "share", "schema", "table", "schedule", "form"):
            path = path.replace(f"{{{parameter}}}", filled.get(parameter, "nothing"))
        for parameter in ("number", "proposal", "level", "index"):
            path = path.replace(f"{{{parameter}}}", "0")
        assert "{" not in path, f"say in this test what to put into {path}"
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        given = {} if row is None or row.body is None else row.body
        options: dict[str, Any] = {"json": given} if method == "POST" else {}
        answer = self.http.request(method, path, headers=headers, follow_redirects=False, **options)
        is_json = "json" in answer.headers.get("content-type", "") and method != "HEAD"
        data = answer.json() if is_json else answer.content
        return answer.status_code, data.get("code", "") if is_json and isinstance(data, dict) and answer.status_code >= 400 else "", data


def _settle(services: Services, clock: Ahead, home: Path, keys: dict[str, str]) -> dict[tuple[str, str], str]:
    """Somebody in every state for each role. What has to expire is made first."""
    register = services.register
    secrets: dict[tuple[str, str], str] = {}

    def token(credential: Credential, generation: int = 1) -> str:
        ring = KeyRing.open_or_create(home / "keys")
        issuer = Tokens(ring, clock, services.random, name=services.settings.log_origin, lifetime_s=600, generation=generation)
        return issuer.issue(credential, None, None)[0]

    for role in ROLES:
        holder = "operator-1" if role == "operator" else role
        principal = register.principal(holder)
        assert principal is not None
        secrets[role, "expired key"] = acts.issue_key(register, holder, expires_at=clock() + timedelta(seconds=60))
        key = acts.issue_key(register, holder)
        secrets[role, "replaced key"] = key
        acts.rotate_key(register, key.split("_")[1], overlap=timedelta(seconds=60))
        secrets[role, "expired token"] = token(Credential("key", keys[holder].split("_")[1], principal))
        secrets[role, "ended session"] = acts.open_session(register, holder, "command_line", lifetime=timedelta(seconds=60))[1]
    clock.move(seconds=601)
    for role in ROLES:
        holder = "operator-1" if role == "operator" else role
        principal = register.principal(holder)
        assert principal is not None
        secrets[role, "key"] = keys[holder]
        secrets[role, "token"] = token(Credential("key", keys[holder].split("_")[1], principal))
        secrets[role, "token of another generation"] = token(Credential("key", keys[holder].split("_")[1], principal), generation=2)
        secrets[role, "session"] = acts.open_session(register, holder, "command_line", lifetime=timedelta(hours=8))[1]
        id, secrets[role, "closed session"] = acts.open_session(register, holder, "command_line", lifetime=timedelta(hours=8))
        acts.close_session(register, id, reason="x")
        secrets[role, "revoked key"] = acts.issue_key(register, holder)
        prefix = secrets[role, "revoked key"].split("_")[1]
        secrets[role, "token of a revoked key"] = token(Credential("key", prefix, principal))
        acts.revoke_key(register, prefix, reason="x")
        secrets[role, "narrow key"] = acts.issue_key(register, holder, scopes=("me_show",))
        secrets[role, "bound key"] = acts.issue_key(register, holder, certificate="ab" * 32)
        secrets[role, "wrong key"] = keys[holder][:-1] + ("a" if keys[holder][-1] != "a" else "b")
        for state in ("suspended", "closed"):
            secrets[role, f"{state} principal"] = acts.issue_key(register, f"{role}-{state}", role)
        acts.suspend_principal(register, f"{role}-suspended", reason="x")
        acts.close_principal(register, f"{role}-closed", reason="x")
    return secrets


@pytest.fixture(scope="module")
def town(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("town") / "home"
    keys = bureau_home.copy_to(home)
    logs.configure(quiet=True)
    clock = Ahead()
    services = opened(home, clock=clock, lockout_address_failures=10**6, lockout_key_failures=10**6)
    secrets = _settle(services, clock, home, keys)
    secrets["operator", "other"] = keys["operator-2"]
    with TestClient(create_app(services), client=("203.0.113.7", 1), raise_server_exceptions=False) as http:
        yield Town(services, http, secrets, home)
    services.close()


@cache
def operations() -> dict[str, dict[str, Any]]:
    """What the document says of each door; not as files are collected, which every process does."""
    paths = openapi_document()["paths"]
    return {f"{method.upper()} {path}": operation for path, methods in paths.items() for method, operation in methods.items()}


# ── the table itself ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_endpoint_has_its_row_and_every_row_its_endpoint() -> None:
    assert sorted(set(operations()) - set(DOORS)) == [], "an endpoint without a row in tests/attack/doors.py"
    assert sorted(set(DOORS) - set(operations())) == []


def test_nothing_is_served_beside_the_documentation_and_the_pages_but_what_is_named() -> None:
    routes: list[Any] = [*create_app(None).routes]
    pages = {route.path for router in console.routers() for route in router.routes if isinstance(route, Route)}
    assert all(path.startswith("/console") for path in pages)
    hidden = {f"{method} {each.path}" for each in routes if not each.include_in_schema and each.path not in pages for method in each.methods}
    assert hidden == set(HIDDEN)


@pytest.mark.parametrize("name", DOORS)
def test_the_row_says_what_the_table_of_roles_says(name: str) -> None:
    operation, row = operations()[name], DOORS[name]
    if not row.roles:
        assert "security" not in operation
        return
    assert operation["security"]
    assert row.allowed == frozenset(MAY[operation["x-act"]]) == frozenset(operation["x-roles"])
    assert {"401", "429"} <= set(operation["responses"]), "a guarded endpoint says so"


# ── every door, tried ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*DOORS, *HIDDEN])
def test_every_role_finds_what_the_row_says(town: Town, name: str) -> None:
    row = {**DOORS, **HIDDEN}[name]
    if not row.roles:
        assert f"{town.ask(name, None, row)[0]}" == row.finds.split(" ")[0]
        return
    for role in ROLES:
        status, code, _ = town.ask(name, town.secrets[role, "key"], row)
        found = f"{status} {code}".strip()
        if role in row.allowed:
            assert found in row.finds.split(" | "), role
        else:
            assert found == ("403" if name.startswith("HEAD") else "403 auth_forbidden"), role


@pytest.mark.parametrize("name", [name for name, row in DOORS.items() if row.roles])
def test_every_state_finds_the_door_shut_or_open_as_it_should(town: Town, name: str) -> None:
    row, act = DOORS[name], operations()[name]["x-act"]
    assert town.ask(name, None, row)[:2] == (401, "auth_missing")
    inside = sorted(row.allowed)[0]
    outside = next((role for role in ROLES if role not in row.allowed), None)
    for role in (inside, outside):
        for state in {state for _, state in town.secrets} - {"key", "other"} if role == inside else GOOD_FOR_SOMETHING:
            if role is None or (name == "POST /v1/sign-out" and state == "session"):  # that would end it; signing in has tests of its own
                continue
            status, code, _ = town.ask(name, town.secrets[role, state], row)
            expected = _expected(row, role, state, act)
            if expected is None:
                assert code not in AT_THE_DOOR, (role, state, status, code)
            else:
                assert f"{status} {code}".strip() in expected.split(" | "), (role, state)


def _expected(row: Row, role: str, state: str, act: str) -> str | None:
    """What somebody in a state finds; None: the door is open, and what is said further in is another test's business."""
    if state == "bound key":
        return "401 auth_certificate"
    if state not in GOOD_FOR_SOMETHING:
        return "401 auth_unknown"
    if role not in row.allowed:
        return "403 auth_forbidden"
    if state == "suspended principal":
        return None if act in SPOKEN_FURTHER_IN else "403 auth_suspended"
    if state == "narrow key" and act not in ANY_KEY:
        return "403 auth_scope"
    if state == "token" and act in KEY_ITSELF:
        return "403 auth_key_needed"
    return row.finds


# ── licences in every state ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_licence_opens_only_while_it_is_in_force_and_to_its_operator(town: Town) -> None:
    register = town.services.register
    for id in ("L-suspended", "L-revoked"):
        acts.grant_licence(register, licence(id))
    acts.suspend_licence(register, "L-suspended", reason="x")
    acts.revoke_licence(register, "L-revoked", reason="x")
    past, future = (town.services.clock() + timedelta(days=days) for days in (-30, 30))
    acts.grant_licence(register, licence("L-early", valid_from=future, valid_until=future + timedelta(days=1)))
    own = town.secrets["operator", "key"]
    for act in ("check", "dummy"):
        assert town.ask(f"POST /v1/jobs/{act}", own, Row("", "", body()))[0] == 200
        for id in ("L-suspended", "L-revoked", "L-early"):
            status, code, _ = town.ask(f"POST /v1/jobs/{act}", own, Row("", "", body(licence=id)))
            assert (status, code not in AT_THE_DOOR) == (403, True), (act, id, code)
    assert past < future


# ── what is another's ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def things(town: Town) -> dict[str, str]:
    """What operator-1 has, by the first segment of the address it is looked up at."""
    own = town.secrets["operator", "key"]
    _, _, job = town.ask("POST /v1/jobs", own, Row("", "", body()))
    until = time.monotonic() + 30
    while job["state"] == "running" and time.monotonic() < until:
        time.sleep(0.02)
        _, _, job = town.ask("GET /v1/jobs/{id}", own, id=job["id"])
    assert job["state"] == "published", job
    session, _ = acts.open_session(town.services.register, "operator-1", "command_line", lifetime=timedelta(hours=8))
    return {"jobs": job["id"], "releases": job["release"], "licences": LICENCE, "keys": own.split("_")[1], "sessions": session}


def test_what_is_anothers_is_not_there(town: Town, things: dict[str, str]) -> None:
    """The answer to another's id is the answer to the id of nothing: same status, same words; no door tells that there is something."""
    tried = 0
    stranger = town.secrets["operator", "other"]
    for name, row in DOORS.items():
        kind = name.split("/")[2] if name.count("/") > 2 else ""
        if "operator" not in row.allowed or kind not in things or "{" not in name:
            continue
        parameter = name.partition("{")[2].partition("}")[0]
        theirs, nothing = things[kind], "x" * len(things[kind])
        first = town.ask(name, stranger, row, **{parameter: theirs})
        second = town.ask(name, stranger, row, **{parameter: nothing})
        assert first[0] == 404, (name, first)
        assert _plain(first[2], theirs) == _plain(second[2], nothing), name
        tried += 1
    assert tried >= 10


def _plain(data: Any, id: str) -> str:
    return str({name: value for name, value in data.items() if name != "instance"}).replace(id, "ID")


def test_a_job_under_anothers_licence_is_refused_as_under_none(town: Town) -> None:
    stranger = town.secrets["operator", "other"]
    for act in ("", "/check", "/dummy"):
        first, second = (town.ask(f"POST /v1/jobs{act}", stranger, Row("", "", body(licence=id))) for id in (LICENCE, "L-9"))
        assert first[0] == 403
        assert _plain(first[2], LICENCE) == _plain(second[2], "L-9")


def test_lists_hold_nothing_of_anothers(town: Town, things: dict[str, str]) -> None:
    stranger = town.secrets["operator", "other"]
    for name, row in DOORS.items():
        if name.startswith("GET ") and "{" not in name and "operator" in row.allowed:
            _, _, data = town.ask(name, stranger, row)
            held = [thing for thing in (*things.values(), "operator-1") if thing in str(data)]
            assert held == [], name


def test_the_other_roles_see_what_is_theirs_to_see(town: Town, things: dict[str, str]) -> None:
    """So that the refusals above are not those of a server that refuses everybody."""
    assert town.ask("GET /v1/jobs/{id}", town.secrets["operator", "key"], id=things["jobs"])[0] == 200
    assert town.ask("GET /v1/jobs/{id}", town.secrets["supervisor", "key"], id=things["jobs"])[0] == 200
    assert town.ask("GET /v1/releases/{id}", town.secrets["auditor", "key"], id=things["releases"])[0] == 200
    assert town.ask("GET /v1/releases/{id}/table", town.secrets["auditor", "key"], id=things["releases"])[:2] == (403, "auth_forbidden")


def test_what_was_tried_stands_in_the_log(town: Town, things: dict[str, str]) -> None:
    town.services.tally.flush()
    before = town.services.register.size
    town.ask("GET /v1/releases/{id}", town.secrets["operator", "other"], id=things["releases"])  # to the side
    town.ask("POST /v1/keys", town.secrets["operator", "key"])  # upwards
    town.services.tally.flush()
    event = town.services.register.event(before).event
    assert isinstance(event, AccessRefused)
    assert {(refused.code, refused.principal, refused.act, refused.count) for refused in event.refusals} == {
        ("request_not_found", "operator-2", "release_show", 1),
        ("auth_forbidden", "operator-1", "key_issue", 1),
    }
