"""Lifetime totals over real HTTP: raised by two people, never lowered, never by one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from api import logs
from api.services import ClosablePool
from infra.workers import InlineWorkers
from jobs import acts
from tests.bureau import Home, opened
from tests.e2e.conftest import Live, listening
from yunei import Client, YuneiProblem
from yunei.cli.run import run

ACCOUNT = "dataset:visits"
PATH = "/v1/accounts/dataset%3Avisits/proposals"


@pytest.fixture
def town(bureau_home: Home, tmp_path: Path) -> Iterator[Live]:
    """With a second supervisor."""
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", workers=cast(ClosablePool, InlineWorkers()))
    keys = {**keys, "wang": acts.issue_key(services.register, "wang", "supervisor")}
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Live(services, keys, url, http)
    services.close()


def client(live: Live, who: str = "supervisor") -> Client:
    return Client(live.url, live.keys[who], "en")


def refused(action: Any, code: str) -> None:
    with pytest.raises(YuneiProblem) as caught:
        action()
    assert caught.value.code == code


def test_one_proposes_another_confirms(town: Live) -> None:
    with client(town) as first, client(town, "wang") as second:
        before = next(account for account in first.accounts() if account.id == ACCOUNT)
        cap = before.cap.rho + 1
        made = first.propose_cap(ACCOUNT, rho=cap, delta=before.cap.delta, reason="review")
        assert (made.by, made.raised_by, made.cap.rho) == ("supervisor", None, cap)
        refused(lambda: first.confirm_cap(ACCOUNT, made.proposal), "auth_second_person")
        refused(lambda: second.confirm_cap("population:person", made.proposal), "auth_second_person")
        refused(lambda: second.confirm_cap(ACCOUNT, 0), "auth_second_person")
        refused(lambda: second.confirm_cap(ACCOUNT, 10**6), "log_entry_unknown")
        assert next(account for account in first.accounts() if account.id == ACCOUNT).cap == before.cap
        assert second.confirm_cap(ACCOUNT, made.proposal).cap.rho == cap
        refused(lambda: second.confirm_cap(ACCOUNT, made.proposal), "ledger_cap_not_raised")
        (seen,) = first.cap_proposals(ACCOUNT)
        assert (seen.proposal, seen.raised_by) == (made.proposal, "wang")


def test_a_cap_is_never_lowered_and_an_account_must_be_there(town: Live) -> None:
    with client(town) as supervisor:
        refused(lambda: supervisor.propose_cap(ACCOUNT, rho=Decimal("0.0001"), delta="1e-9", reason="x"), "ledger_cap_not_raised")
        refused(lambda: supervisor.propose_cap("dataset:none", rho=5, delta="1e-6", reason="x"), "ledger_account_unknown")
        refused(lambda: supervisor.cap_proposals("dataset:none"), "ledger_account_unknown")
        refused(lambda: supervisor.propose_cap(ACCOUNT, rho=5, epsilon=5, delta="1e-6", reason="x"), "request_invalid")
        refused(lambda: supervisor.propose_cap(ACCOUNT, rho=5, delta="1e-6", reason=""), "request_invalid")


@pytest.mark.parametrize("who", ["operator-1", "builder", "steward", "auditor", "admin"])
def test_supervisors_alone_raise_caps(town: Live, who: str) -> None:
    body = {"cap": {"rho": "5", "delta": "0.000001"}, "reason": "x"}
    for path, sent in ((PATH, body), (f"{PATH}/3/confirm", None)):
        assert town.http.post(path, json=sent, headers=town.headers(who)).json()["code"] == "auth_forbidden"
    assert town.http.get(PATH, headers=town.headers(who)).status_code == (200 if who == "auditor" else 403)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_from_the_command_line(town: Live, capsys: pytest.CaptureFixture[str], language: str) -> None:
    def line(who: str, *arguments: str) -> str:
        assert run(["--url", town.url, "--key", town.keys[who], *arguments, "--lang", language]) == 0
        return capsys.readouterr().out

    number = line("supervisor", "account", "propose", ACCOUNT, "--rho", "900", "--delta", "0.01", "--reason", "review").strip()
    assert "review" in line("auditor", "account", "proposals", ACCOUNT)
    assert ACCOUNT in line("wang", "account", "confirm", ACCOUNT, number)
    assert f"{number},900,0.01,supervisor" in line("auditor", "account", "proposals", ACCOUNT, "--format", "csv")
