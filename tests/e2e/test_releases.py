"""The list of releases over real HTTP: who sees which, what they are picked by, page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from api import logs
from api.services import ClosablePool
from infra.workers import InlineWorkers
from jobs import acts
from tests.bureau import LICENCE, OTHER_SQL, SCENARIO, SQL, Home, licence, opened
from tests.e2e.conftest import Live, listening
from yunei import Client
from yunei.cli.run import run


@pytest.fixture(scope="module")
def town(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Two operators. The first has two answers, in two scenarios; the second has the first of them too, and one of its own."""
    logs.configure(quiet=True)
    home: Path = tmp_path_factory.mktemp("town") / "home"
    keys = bureau_home.copy_to(home)
    services = opened(home, workers=cast(ClosablePool, InlineWorkers()))
    acts.grant_licence(services.register, licence("L-2", "operator-2", scenarios=(SCENARIO, "planning")))
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        live = Live(services, keys, url, http)
        for who, sql, under in (("operator-1", SQL, LICENCE), ("operator-1", OTHER_SQL, LICENCE), ("operator-2", SQL, "L-2")):
            ask(live, who, sql, under)
        ask(live, "operator-2", "SELECT city, COUNT(*) AS n FROM visits WHERE days < 100 GROUP BY city", "L-2", "planning")
        yield live
    services.close()


def ask(live: Live, who: str, sql: str, under: str, scenario: str = SCENARIO) -> None:
    with Client(live.url, live.keys[who], "en") as client:
        client.ask(sql, licence=under, scenario=scenario, epsilon="0.5", delta="0.00000001")


def listed(live: Live, who: str, **wanted: Any) -> list[tuple[str, str]]:
    with Client(live.url, live.keys[who], "en") as client:
        return [(release.licence, release.scenario) for release in client.releases(**wanted)]


FIRST, SECOND, THIRD = (LICENCE, SCENARIO), (LICENCE, SCENARIO), ("L-2", "planning")


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("operator-1", [SECOND, FIRST]),
        ("operator-2", [THIRD, FIRST]),  # what answered its question, made for another
        ("supervisor", [THIRD, SECOND, FIRST]),
        ("auditor", [THIRD, SECOND, FIRST]),
    ],
)
def test_who_sees_which_releases(town: Live, who: str, seen: list[tuple[str, str]]) -> None:
    assert listed(town, who) == seen


@pytest.mark.parametrize("who", ["steward", "admin"])
def test_who_sees_none(town: Live, who: str) -> None:
    answer = town.http.get("/v1/releases", headers=town.headers(who))
    assert (answer.status_code, answer.json()["code"]) == (403, "auth_forbidden")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"licence": "L-2"}, 1),
        ({"licence": LICENCE}, 2),
        ({"operator": "operator-1"}, 2),
        ({"scenario": "planning"}, 1),
        ({"scenario": SCENARIO, "operator": "operator-2"}, 0),
        ({"since": datetime.now(UTC) - timedelta(days=1)}, 3),
        ({"since": datetime.now(UTC) + timedelta(days=1)}, 0),
        ({"until": datetime.now(UTC) - timedelta(days=1)}, 0),
        ({"limit": 2}, 2),
    ],
)
def test_releases_are_picked(town: Live, wanted: dict[str, Any], count: int) -> None:
    assert len(listed(town, "auditor", **wanted)) == count


def test_pages_of_releases_tell_each_once_and_nothing_of_budgets(town: Live) -> None:
    seen: list[str] = []
    before: int | None = None
    for _ in range(3):
        page = town.http.get(
            "/v1/releases", params={"limit": 1, **({} if before is None else {"before": before})}, headers=town.headers("auditor")
        )
        (release,), before = page.json()["releases"], page.json()["next"]
        assert release["left"] == []
        assert release == {**town.http.get(f"/v1/releases/{release['id']}", headers=town.headers("auditor")).json(), "left": []}
        seen.append(release["id"])
    assert before is None
    assert len(set(seen)) == 3


def test_what_is_not_a_filter_is_refused(town: Live) -> None:
    for query in ("since=yesterday", "since=2026-01-01T00:00:00", "limit=0", "licence=..%2F"):
        answer = town.http.get(f"/v1/releases?{query}", headers=town.headers("auditor"))
        assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid"), query


def test_releases_from_the_command_line(town: Live, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--url", town.url, "--key", town.keys["auditor"], "release", "list", "--format", "csv"]
    assert run([*line, "--licence", LICENCE, "--since", "2020-01-01"]) == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 2
    assert run([*line, "--until", "2020-01-01"]) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == []
