"""Synthetic tables through the walk: quoted, tried, charged once, staged with their quality, answered again for nothing."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from jobs import acts, hops, ledger, lookup, quote
from jobs import release as walk
from jobs.audit import audit
from jobs.kinds import KINDS, unsealed
from jobs.kinds.synthetic import SyntheticRequest
from jobs.order import Asker, Order
from policies.loss import Loss
from policies.problem import Problem
from tests.bureau import SCENARIO, Bureau, Home, licence, opened
from tests.recipes import PRICE, recipe

LICENCE = "L-synthetic"
COLUMNS = ("city", "days", "born", "urgent")


def asked(**changes: Any) -> Order:
    request = SyntheticRequest(recipe(**{"columns": COLUMNS, "bins": {"days": 4, "born": 4}, **changes}))
    return Order(Asker("operator-1", "operator", "active"), LICENCE, SCENARIO, request, None)


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home", slots_ms=(300, 2000))
    acts.grant_licence(services.register, licence(LICENCE, job_kinds=("sql", "synthetic")))
    yield Bureau(services, keys)
    services.close()


def ended(bureau: Bureau, order: Order) -> lookup.JobSeen:
    job = bureau.services.submit(order).result(60)
    for _ in range(3000):
        seen = lookup.job(bureau.services.register, job, bureau.services.clock())
        assert seen is not None
        if seen.state != "running":
            return seen
        time.sleep(0.01)
    raise AssertionError(f"{job} still runs")


def test_the_walk_of_a_synthetic_table(bureau: Bureau) -> None:
    first = ended(bureau, asked())
    assert (first.state, first.kind, first.problem) == ("published", "synthetic", ())
    plan = KINDS["synthetic"].compile(bureau.services.office, asked().request, bureau.services.register.catalogue())
    assert first.price == plan.loss
    balances = {each.account: each.spent for each in ledger.balances(bureau.services.register, ["population:person", f"licence:{LICENCE}"])}
    assert set(balances.values()) == {plan.loss}
    released = lookup.release(bureau.services.register, str(first.release), bureau.services.clock(), operator="operator-1")
    staged = bureau.services.staging.load(first.id)
    assert released is not None
    assert staged is not None
    record = released.record
    assert (record["kind"], record["bounds"], record["thresholded"]) == ("synthetic", {"rows_per_unit": 6}, False)
    assert set(record["papers"]) == {"quality.json", "quality.svg"}
    assert set(record["digests"]) == set(staged.digests) >= set(record["papers"])
    table = pq.read_table(io.BytesIO(staged.read("table.parquet")))
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == record["rows"]
    assert abs(table.num_rows - 2000) < 400
    again = ended(bureau, asked())
    assert (again.reused, again.release, again.price) == (True, first.release, Loss(0))
    report = audit(bureau.services.settings.log_dir, [bureau.services.register.vkey], bureau.services.register.engine)
    assert report.findings == []


def test_a_crash_before_staging_draws_anew_from_the_same_totals_and_after_it_never(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    office = bureau.services.office
    kind = KINDS["synthetic"]
    seen: list[Any] = []
    stage, totals = hops.stage, kind.totals

    def remembered(*given: Any) -> Any:
        seen.append(totals(*given))
        return seen[-1]

    def dies(*_: Any) -> Any:
        monkeypatch.setattr(hops, "stage", stage)
        raise KeyboardInterrupt  # as sudden as an end of the process: no handler of ours sees it

    monkeypatch.setattr(type(kind), "totals", lambda self, *given: remembered(*given))
    monkeypatch.setattr(hops, "stage", dies)
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        walk.release(office, asked(rows=50), told.append)
    office.leases.give_back(told[0])
    walk.resume(office, told[0])
    assert lookup.job(office.register, told[0], bureau.services.clock()) is not None
    assert len(seen) == 2
    assert seen[0].table.equals(seen[1].table)
    staged = office.staging.load(told[0])
    assert staged is not None
    assert staged.record["rows"] == 50


def test_a_request_is_read_back_from_what_was_sealed() -> None:
    order = asked(edges={"days": ("30", "99.5")}, bins={}, workload=(("city", "days"),))
    back, versions = unsealed(order.by, order.sealed({"visits": 1}), None)
    assert back.request == order.request
    assert versions == {"visits": 1}
    assert back.same_as(order.sealed({"visits": 1}))


def test_a_licence_without_the_kind_refuses(bureau: Bureau) -> None:
    with pytest.raises(Problem) as caught:
        quote.check(bureau.services.office, Order(asked().by, "L-1", SCENARIO, asked().request, None))
    assert caught.value.code.startswith("licence_")


def test_over_http(bureau: Bureau) -> None:
    body = {
        "kind": "synthetic", "licence": LICENCE, "scenario": SCENARIO, "dataset": "visits", "columns": COLUMNS,
        "privacy": PRICE, "bins": {"days": 4, "born": 4}, "rows": 300,
    }  # fmt: skip
    client = TestClient(create_app(bureau.services), headers=bureau.headers())
    quoted = client.post("/v1/jobs/check", json=body)
    assert quoted.status_code == 200, quoted.text
    assert quoted.json()["explanation"]["marginals"] == 4 + 6
    tried = client.post("/v1/jobs/dummy", json=body).json()
    assert len(tried["rows"]) == 300
    assert set(tried["rows"][0]) == set(COLUMNS)
    for wrong, status in (({"columns": ["note"]}, 422), ({"colour": 1}, 422), ({"columns": []}, 422), ({"rows": 0}, 422)):
        assert client.post("/v1/jobs/check", json={**body, **wrong}).status_code == status
    job = client.post("/v1/jobs", json=body)
    assert job.status_code == 202, job.text
    for _ in range(3000):
        view = client.get(job.headers["location"]).json()
        if view["state"] != "running":
            break
        time.sleep(0.02)
    assert (view["state"], view["kind"]) == ("published", "synthetic")
    release = client.get(f"/v1/releases/{view['release']}").json()
    papers = {paper["name"]: paper for paper in release["papers"]}
    report = client.get(papers["quality.json"]["path"])
    assert json.loads(report.content)["rows"] == 300
    assert client.get(papers["quality.json"]["path"], headers={"If-None-Match": report.headers["etag"]}).status_code == 304
    picture = client.get(papers["quality.svg"]["path"])
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "default-src 'none'" in picture.headers["content-security-policy"]
    assert client.get(f"/v1/releases/{view['release']}/papers/record.json").status_code == 404
    other = {"Authorization": bureau.headers("operator-2")["Authorization"]}
    assert client.get(papers["quality.json"]["path"], headers=other).status_code == 404
