"""Guessing, certificates behind proxies, and what the log says of refusals."""

from __future__ import annotations

import base64
import hashlib
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from api.signin.limits import Limits
from api.signin.peer import BadPeer, Proxies
from infra.database import reading
from infra.tables import lockouts
from jobs import acts
from jobs.events import AccessRefused
from tests.doors import House, house

WRONG = "yk_aaaaaaaa_" + "a" * 32
CERTIFICATE = b"a certificate in DER, as far as the server can see"
OTHER = b"another certificate"


def sha256(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def client_cert(certificate: bytes) -> dict[str, str]:
    return {"Client-Cert": f":{base64.b64encode(certificate).decode()}:"}


# ── guessing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_is_locked_out_for_a_while_and_each_time_longer(tmp_path: Path) -> None:
    with house(tmp_path / "home", lockout_address_failures=3, lockout_s=60, lockout_window_s=120) as home:
        right = home.keys["operator"]
        token = home.ask("POST", "/v1/token", right, json={}).json()["access_token"]
        for _ in range(3):
            assert home.code("GET", "/v1/me", WRONG) == (401, "auth_unknown")
        answer = home.ask("GET", "/v1/me", right)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "auth_locked", "60")
        assert home.code("GET", "/v1/me", token) == (200, "")  # who has a token had the right key
        home.clock.move(seconds=59)
        assert home.ask("GET", "/v1/me", right).headers["retry-after"] == "1"
        home.clock.move(seconds=1)
        assert home.code("GET", "/v1/me", right) == (200, "")
        for _ in range(3):
            assert home.code("GET", "/v1/me", WRONG) == (401, "auth_unknown")
        assert home.ask("GET", "/v1/me", right).headers["retry-after"] == "120"
        home.clock.move(seconds=241)
        for _ in range(2):
            assert home.code("GET", "/v1/me", WRONG) == (401, "auth_unknown")
        assert home.code("GET", "/v1/me", right) == (200, "")  # counted anew


@pytest.mark.parametrize("exists", [True, False])
def test_a_prefix_is_locked_from_everywhere_whether_or_not_there_is_such_a_key(tmp_path: Path, exists: bool) -> None:
    with house(tmp_path / "home", lockout_key_failures=4, trusted_proxies=("203.0.113.0/24",)) as home:
        prefix = home.keys["operator"].split("_")[1] if exists else "bbbbbbbb"
        guess = f"yk_{prefix}_{'a' * 32}"
        said = [home.ask("GET", "/v1/me", guess, headers={"X-Forwarded-For": f"198.51.100.{number}"}) for number in range(6)]
        assert [answer.status_code for answer in said] == [401] * 4 + [429] * 2
        bodies = [{name: value for name, value in answer.json().items() if name != "instance"} for answer in said]
        with house(tmp_path / "twin", lockout_key_failures=4, trusted_proxies=("203.0.113.0/24",)) as twin:
            other = f"yk_{'bbbbbbbb' if exists else twin.keys['operator'].split('_')[1]}_{'a' * 32}"
            again = [twin.ask("GET", "/v1/me", other, headers={"X-Forwarded-For": f"198.51.100.{number}"}).json() for number in range(6)]
        assert bodies == [{name: value for name, value in body.items() if name != "instance"} for body in again]


def test_a_right_prefix_takes_no_longer_to_refuse(tmp_path: Path) -> None:
    """Medians of interleaved attempts, in one run: within a factor that a look-up more or less would not hide."""
    with house(tmp_path / "home", lockout_address_failures=10**6, lockout_key_failures=10**6) as home:
        guesses = {"right": f"yk_{home.keys['operator'].split('_')[1]}_{'a' * 32}", "wrong": WRONG}
        took: dict[str, list[float]] = {"right": [], "wrong": []}
        for _ in range(40):
            for name, guess in guesses.items():
                began = time.perf_counter()
                home.ask("GET", "/v1/me", guess)
                took[name].append(time.perf_counter() - began)
        ratio = statistics.median(took["right"]) / statistics.median(took["wrong"])
        assert 0.5 < ratio < 2, ratio


def test_processes_count_together(tmp_path: Path) -> None:
    with house(tmp_path / "home", lockout_address_failures=4) as home:
        first, second = (Limits(home.services.register.engine, home.clock, home.services.settings) for _ in range(2))
        for limits in (first, second, first):
            assert limits.failed("198.51.100.1", None) == (0, False)
        assert second.failed("198.51.100.1", None) == (300, True)
        assert first.locked("198.51.100.1", None) == 300
        assert first.locked("198.51.100.2", None) == 0
        home.clock.move(days=2)
        first.sweep()
        with reading(home.services.register.engine) as connection:
            assert connection.execute(lockouts.select()).all() == []


def test_whichever_of_the_two_is_locked_nobody_gets_past_with_another_of_the_other(tmp_path: Path) -> None:
    """Sixteen of each: of the two names that are looked up, the one or the other comes first."""
    with house(tmp_path / "home", lockout_address_failures=1, lockout_key_failures=2, lockout_s=60) as home:
        limits = home.services.door.limits
        assert limits.failed("198.51.100.1", None) == (60, True)
        assert {limits.locked("198.51.100.1", f"{'b' * 7}{letter}") for letter in "abcdefghijklmnop"} == {60}
        assert [limits.failed(f"203.0.113.{number}", "cccccccc")[1] for number in range(2)] == [True, True]
        assert {limits.locked(f"192.0.2.{number}", "cccccccc") for number in range(16)} == {60}
        assert limits.locked("192.0.2.1", "dddddddd") == limits.locked("192.0.2.1", None) == 0


def test_with_the_database_away_nobody_is_locked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    with house(tmp_path / "home", lockout_address_failures=1) as home:
        limits = home.services.door.limits

        def gone(*_: Any, **__: Any) -> Any:
            raise OperationalError("gone", None, Exception())

        monkeypatch.setattr(limits, "_engine", type("Gone", (), {"connect": gone})())
        assert limits.failed("198.51.100.1", None) == (0, False)
        assert limits.locked("198.51.100.1", None) == 0
        limits.sweep()


# ── what the log says ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def told(home: House) -> list[AccessRefused]:
    home.services.tally.flush()
    events = [recorded.event for recorded in home.services.register.events(limit=1000, kinds=("access_refused",))]
    return [event for event in events if isinstance(event, AccessRefused)]


def test_refusals_are_counted_not_listed(tmp_path: Path) -> None:
    with house(tmp_path / "home", lockout_address_failures=10_000, lockout_key_failures=10_000) as home:
        size = home.services.register.size
        known = f"yk_{home.keys['builder'].split('_')[1]}_{'a' * 32}"
        for _ in range(200):
            home.code("GET", "/v1/me", WRONG)
        for _ in range(3):
            home.code("GET", "/v1/me", known)
            home.code("GET", "/v1/principals", home.keys["operator"])
            home.code("GET", "/v1/jobs/somebody-elses", home.keys["operator"])
        assert home.services.register.size == size
        (event,) = told(home)
        assert home.services.register.size == size + 1
        found = {(refused.code, refused.principal, refused.prefix, refused.act): refused.count for refused in event.refusals}
        assert found == {
            ("auth_unknown", None, None, None): 200,
            ("auth_unknown", None, home.keys["builder"].split("_")[1], None): 3,
            ("auth_forbidden", "operator", None, "principal_list"): 3,
            ("request_not_found", "operator", None, "job_list"): 3,
        }
        body = home.services.register.entry(size)
        assert b"203.0.113.7" not in body
        assert b"aaaaaaaa" not in body  # what a stranger writes does not stand in the log
        source = home.ask("GET", "/v1/refusals/source?address=203.0.113.7", home.keys["auditor"]).json()["source"]
        assert {refused.source for refused in event.refusals} == {source, None}
        listed = home.ask("GET", "/v1/refusals", home.keys["auditor"]).json()
        assert [entry["index"] for entry in listed["refusals"]] == [size]


def test_a_lockout_is_told_at_once_and_a_flood_of_them_is_not(tmp_path: Path) -> None:
    with house(tmp_path / "home", lockout_address_failures=1, trusted_proxies=("203.0.113.7",)) as home:
        size = home.services.register.size
        for number in range(150):
            home.code("GET", "/v1/me", WRONG, headers={"X-Forwarded-For": f"198.51.100.{number}"})
        assert home.services.register.size == size + 1
        first, rest = told(home)
        assert (first.locked, sum(refused.count for refused in first.refusals)) == (1, 1)
        assert rest.locked >= 99
        assert len(rest.refusals) == 100  # the longest an entry gets
        assert sum(refused.count for refused in rest.refusals) + rest.others == 149


def test_what_cannot_be_written_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.register import REGISTER_UNAVAILABLE

    with house(tmp_path / "home") as home:
        home.code("GET", "/v1/me", WRONG)

        def away(**_: object) -> None:
            raise REGISTER_UNAVAILABLE()

        with monkeypatch.context() as patch:
            patch.setattr(home.services.register, "transaction", away)
            assert home.services.tally.flush() is None
        home.code("GET", "/v1/me", WRONG)
        assert [refused.count for event in told(home) for refused in event.refusals] == [2]


def test_the_last_are_told_when_the_server_stops(tmp_path: Path) -> None:
    with house(tmp_path / "home") as home:
        home.code("GET", "/v1/me", WRONG)
        size = home.services.register.size
        home.services.tally.stop()
        assert home.services.register.size == size + 1


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bound_key_comes_with_its_certificate(tmp_path: Path) -> None:
    with house(tmp_path / "home", trusted_proxies=("203.0.113.7",)) as home:
        key = acts.issue_key(home.services.register, "operator", certificate=sha256(CERTIFICATE))
        assert home.code("GET", "/v1/me", key) == (401, "auth_certificate")
        assert home.code("GET", "/v1/me", key, headers=client_cert(OTHER)) == (401, "auth_certificate")
        assert home.code("GET", "/v1/me", key, headers=client_cert(CERTIFICATE)) == (200, "")
        answer = home.ask("POST", "/v1/token", key, json={}, headers=client_cert(CERTIFICATE)).json()
        assert answer["bound"] is True
        token = answer["access_token"]
        claims = base64.urlsafe_b64decode(token.split(".")[1] + "==")
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(CERTIFICATE).digest()).decode().rstrip("=")
        assert f'"x5t#S256":"{thumbprint}"'.encode() in claims
        assert home.code("GET", "/v1/me", token, headers=client_cert(CERTIFICATE)) == (200, "")
        for headers in ({}, client_cert(OTHER)):  # a token that was stolen and is played again from elsewhere
            assert home.code("GET", "/v1/me", token, headers=headers) == (401, "auth_certificate")


def test_a_token_asked_for_with_a_certificate_is_bound_to_it_even_if_the_key_is_not(tmp_path: Path) -> None:
    with house(tmp_path / "home", trusted_proxies=("203.0.113.7",)) as home:
        token = home.ask("POST", "/v1/token", home.keys["operator"], json={}, headers=client_cert(CERTIFICATE)).json()["access_token"]
        assert home.code("GET", "/v1/me", token) == (401, "auth_certificate")
        assert home.code("GET", "/v1/me", home.keys["operator"]) == (200, "")


def test_a_certificate_from_a_stranger_is_what_a_stranger_wrote(tmp_path: Path) -> None:
    with house(tmp_path / "home", peer="198.51.100.9", trusted_proxies=("203.0.113.0/24",)) as home:
        key = acts.issue_key(home.services.register, "operator", certificate=sha256(CERTIFICATE))
        assert home.code("GET", "/v1/me", key, headers=client_cert(CERTIFICATE)) == (401, "auth_certificate")
        assert home.ask("POST", "/v1/token", home.keys["operator"], json={}, headers=client_cert(CERTIFICATE)).json()["bound"] is False


@pytest.mark.parametrize(
    "values",
    [["junk"], [":!!!:"], ["::"], [":QQ:", ":QQ:"], [":QUJD"], ["QUJD:"], [":" + "A" * 20_000 + ":"], [":QUJDRA:"]],
)
def test_what_is_no_certificate_is_refused(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    request = _request("203.0.113.7", [("client-cert", value) for value in values])
    with pytest.raises(BadPeer):
        Proxies(("203.0.113.7",)).peer(request)
    assert Proxies(()).peer(request).certificate is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.9", "1.2.3.4", "198.51.100.9"),  # not from a proxy: not believed
        ("203.0.113.7", "1.2.3.4", "1.2.3.4"),
        ("203.0.113.7", "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # what the caller put there itself stands to the left
        ("203.0.113.7", "1.2.3.4, 203.0.113.8", "1.2.3.4"),  # two proxies of ours
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "nonsense", "0.0.0.0"),
        ("2001:db8::7", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_the_address_is_the_one_our_proxies_vouch_for(peer: str, forwarded: str, address: str) -> None:
    proxies = Proxies(("203.0.113.0/24", "2001:db8::7"))
    headers = [("x-forwarded-for", forwarded)] if forwarded else []
    assert proxies.peer(_request(peer, headers)).address == address


def _request(peer: str, headers: list[tuple[str, str]]) -> Any:
    from starlette.requests import Request

    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": (peer, 1), "query_string": b""})
