"""Exact tables: no path by which an unapproved number reaches an operator, and the classic subtractions held before a person sees them.

Two homes that differ by one person are asked the same things by an operator; everything that comes back is compared byte by byte, up to the
approval. Then the files of a home are searched for the numbers themselves.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from api import logs
from jobs import acts
from jobs.lane import sealed
from jobs.lane.case import case
from jobs.lane.examine import examined
from jobs.lane.workbench import workbench
from policies.catalogue import Catalogue
from sandbox.raw.ingest import ingest
from tests import lane, visits
from tests.bureau import SCENARIO, Bureau, Home, opened
from tests.e2e.conftest import listening
from tests.unit.jobs.test_release import wait

BODY = {
    "kind": "exact",
    "licence": lane.LICENCE,
    "scenario": SCENARIO,
    "sql": "SELECT city, urgent, COUNT(*) AS n, SUM(fee) AS fee FROM visits WHERE days < 200 GROUP BY city, urgent",
    "facts": lane.FACTS,
}
RISKY = {**BODY, "sql": "SELECT city, COUNT(*) AS n, SUM(fee) AS fee FROM visits WHERE days = 7 GROUP BY city"}


def with_rows(bureau_home: Home, folder: Path, rows: pa.Table) -> Bureau:
    """A bureau whose second version of the data has these rows."""
    keys = dict(bureau_home.copy_to(folder))
    services = opened(folder, review_sweep_s=3600, slots_ms=(50, 250, 1_000))
    source = visits.parquet(folder / "rows.parquet", rows)
    report = ingest(visits.dataset(rows=2_000), [source], services.vault, version=2, catalogue_public=Catalogue(()), random=os.urandom)
    source.unlink()
    (folder / "source.parquet").unlink()  # what the fixture left beside the home
    acts.register_dataset(services.register, report.snapshot)
    bureau = Bureau(services, keys)
    lane.prepare(bureau)
    return bureau


@dataclass(frozen=True)
class Asked(Bureau):
    """A bureau behind real HTTP, and what of it an operator asks."""

    http: httpx2.Client


def person_of(rows: pa.Table) -> pa.Scalar:
    """One of the few whose rows days = 7 selects."""
    return rows.filter(pc.equal(rows["days"], 7))["person_id"][0]


@pytest.fixture(scope="module")
def neighbours(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Asked]]:
    """The same data, and the same without one person."""
    logs.configure(quiet=True)
    rows = visits.rows(2_000, 600)
    made = []
    with ExitStack() as stack:
        for each in (rows, rows.filter(pc.not_equal(rows["person_id"], person_of(rows)))):
            bureau = with_rows(bureau_home, tmp_path_factory.mktemp("neighbour") / "home", each)
            stack.callback(bureau.services.close)
            url = stack.enter_context(listening(bureau.services))
            http = stack.enter_context(httpx2.Client(base_url=url, timeout=30, headers=bureau.headers()))
            made.append(Asked(bureau.services, bureau.keys, http))
        yield made


@pytest.fixture(scope="module")
def bureau(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """A bureau in which tables leave."""
    made = with_rows(bureau_home, tmp_path_factory.mktemp("exact") / "home", visits.rows(2_000, 600))
    yield made
    made.services.close()


_VARIES = re.compile(
    r"(job|rev|rel|charge)-[a-z2-7]{16}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|urn:yunei:request:[^\"]+|\"digest\": ?\"[0-9a-f]{64}\""
)


def plain(response: httpx2.Response) -> tuple[int, list[str], str]:
    """Status, names of headers, and the body without ids and times, which are random or the clock's."""
    headers = sorted(name for name in response.headers if name not in ("date", "x-request-id"))
    return response.status_code, headers, _VARIES.sub("·", response.text)


def everything(bureau: Asked, body: dict[str, Any]) -> list[tuple[str, tuple[int, list[str], str]]]:
    """All that an operator can ask of an exact job until people have decided about it."""
    seen = []

    def ask(method: str, path: str, **given: Any) -> httpx2.Response:
        response = bureau.http.request(method, path, **given)
        seen.append((_VARIES.sub("·", f"{method} {path}"), plain(response)))
        return response

    for path in ("check", "dummy", "preflight"):
        ask("POST", f"/v1/jobs/{path}", json=body)
    job = ask("POST", "/v1/jobs", json=body).json()["id"]
    ask("GET", f"/v1/jobs/{job}?wait_s=30")
    review = ask("POST", "/v1/reviews", json={"jobs": [job], "title": "附表", "purpose": "公开"}).json()["id"]
    for path in (f"workbench/{job}", f"releases/rel-{job[4:]}", f"releases/rel-{job[4:]}/table", "accounts", "exact-totals", "reviews", "jobs"):
        ask("GET", f"/v1/{path}")
    ask("POST", f"/v1/reviews/{review}/votes", json={"verdict": "release"})
    lane.vote(bureau, review, "reviewer", "return", ("small_counts",), "大同一格只有一人")
    ask("GET", f"/v1/reviews/{review}")
    ask("GET", f"/v1/jobs/{job}")
    ask("POST", f"/v1/reviews/{review}/withdraw")
    ask("POST", f"/v1/jobs/{job}/cancel")
    ask("GET", f"/v1/jobs/{job}")
    return seen


@pytest.mark.parametrize("body", [BODY, RISKY], ids=["harmless", "risky"])
def test_an_operator_sees_the_same_whoever_is_in_the_data(neighbours: list[Asked], body: dict[str, Any]) -> None:
    with_person, without = (everything(bureau, body) for bureau in neighbours)
    assert [name for name, _ in with_person] == [name for name, _ in without]
    for (name, mine), (_, theirs) in zip(with_person, without, strict=True):
        assert mine == theirs, name
    states = [json.loads(text)["state"] for name, (status, _, text) in with_person if name.startswith("GET /v1/jobs/·") and status == 200]
    assert states == ["held", "held", "cancelled"]
    refused = {name: status for name, (status, _, _) in with_person if "workbench" in name or "releases" in name or "votes" in name}
    assert set(refused.values()) == {403, 404}


def test_the_two_homes_do_hold_different_tables(neighbours: list[Asked]) -> None:
    """What the test above compares would differ if anything of it came from the data: the sealed tables do."""
    totals = []
    for bureau in neighbours:
        job = ready(bureau, str(RISKY["sql"]))
        totals.append([cell.amounts[0].total for cell in sealed.opened(bureau.services.office, job).table.cells])
    assert totals[0] != totals[1]


def test_no_file_of_the_home_holds_an_unapproved_number(bureau: Bureau) -> None:
    rows = visits.rows(2_000, 600)
    job = ready(bureau, "SELECT SUM(fee) AS fee FROM visits WHERE days < 333")
    review = lane.requested(bureau, job)
    shown = workbench(bureau.services.office, job, by="reviewer")
    assert shown is not None
    kept = rows.filter(pc.less(rows["days"], 333))
    exact = str(pc.sum(kept["fee"]).as_py())
    assert exact in json.dumps(shown)  # the reviewer sees it, and
    lane.vote(bureau, review, "reviewer")
    bureau.services.register.publish()
    for path in bureau.services.settings.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for spelt in (exact, exact.replace(".", ""), exact.rstrip("0")):
                assert spelt.encode() not in data, f"{path.name} holds {spelt}"


# ── subtraction ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def let_out(bureau: Bureau, sql: str) -> None:
    job = ready(bureau, sql)
    review = lane.requested(bureau, job)
    for reviewer in ("reviewer", "reviewer-2"):
        lane.vote(bureau, review, reviewer)
    assert job in bureau.services.keeper.once()
    assert lane.seen(bureau, job).state == "published"


def ready(bureau: Bureau, sql: str) -> str:
    job = bureau.services.submit(lane.exact_order(sql)).result(60)
    assert wait(bureau, job).state == "held"
    return job


def rules(bureau: Bureau, job: str) -> set[str]:
    found = case(bureau.services.office, job)
    assert found is not None
    return set(examined(bureau.services.office, found).refused)


def test_cohorts_that_differ_by_a_few_are_held_before_a_person_sees_them(bureau: Bureau) -> None:
    """One release, then the same without the few: each harmless alone, and not together. Under a second licence or operator it is the same."""
    let_out(bureau, "SELECT COUNT(*) AS n FROM visits WHERE days <= 390")
    assert "differencing" in rules(bureau, ready(bureau, "SELECT COUNT(*) AS n FROM visits WHERE days < 390"))
    assert "differencing" not in rules(bureau, ready(bureau, "SELECT COUNT(*) AS n FROM visits WHERE days < 300"))


def test_a_total_less_its_parts_is_held(bureau: Bureau) -> None:
    """Everybody, then all but a handful, by other columns: parts that leave a few over."""
    let_out(bureau, "SELECT COUNT(*) AS n FROM visits WHERE score < 2")
    found = rules(bureau, ready(bureau, "SELECT COUNT(*) AS n FROM visits WHERE score < 2 AND days <> 17"))
    assert "differencing" in found


def test_tables_of_one_request_are_judged_together(bureau: Bureau) -> None:
    """Nothing of them has left, and side by side they would tell of a few."""
    jobs = [ready(bureau, f"SELECT COUNT(*) AS n, SUM(days) AS days FROM visits WHERE urgent AND days {than} 380") for than in ("<=", "<")]
    assert all("differencing" not in rules(bureau, job) for job in jobs)
    lane.requested(bureau, *jobs)
    assert [("differencing" in rules(bureau, job)) for job in sorted(jobs)] == [False, True]
