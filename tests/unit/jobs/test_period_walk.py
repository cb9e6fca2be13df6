"""The walk over data with budgets by period: charged for what it reads, said to be about a unit and a period wherever it is said."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.testclient import TestClient

from api.app import create_app
from api.console.pages.budgets import _folded
from api.views import account_view, dataset_view
from jobs import acts, ledger, lookup, quote
from jobs.audit import audit
from policies.catalogue import Catalogue
from policies.licence import DatasetGrant
from sandbox.raw.ingest import ingest
from tests.bureau import Bureau, licence, order
from tests.periods import MONTHS, allow
from tests.properties.test_windows import declared, rows_of
from tests.unit.jobs.test_release import ended
from yunei.models import Account, by_period

FEBRUARY = "SELECT city, COUNT(*) AS n FROM labs WHERE day >= DATE '2026-02-01' AND day < DATE '2026-03-01' GROUP BY city"


def with_labs(bureau: Bureau, folder: Path) -> None:
    services, entry = bureau.services, declared("labs")
    allow(services.register)
    kinds: list[Any] = [pa.int64(), pa.string(), pa.date32(), pa.decimal128(6, 2), pa.date32()]
    lists = zip(*rows_of(random.Random(1), "date"), strict=True)
    table = pa.table({c.name: pa.array(list(values), kind) for c, values, kind in zip(entry.columns, lists, kinds, strict=True)})
    pq.write_table(table, folder / "labs.parquet")
    report = ingest(entry, [folder / "labs.parquet"], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom)
    acts.register_dataset(services.register, report.snapshot)
    acts.grant_licence(services.register, licence("L-9", datasets=(DatasetGrant(dataset="labs", consent="同意 1 号"),)))


def test_a_job_on_february(bureau: Bureau, tmp_path: Path) -> None:
    with_labs(bureau, tmp_path)
    services = bureau.services
    asked = order(FEBRUARY, licence="L-9")
    named = {
        "population:person/month@2026-02", "dataset:labs@2026-02", "licence:L-9", "operator:operator-1@labs"
    }  # fmt: skip

    quoted = quote.check(services.office, asked)
    assert {balance.account for balance in quoted.accounts} == named
    unit = declared("labs").unit_title
    assert unit is not None
    assert quoted.explanation["periods"] == {"first": "2026-02", "last": "2026-02", "count": 1}
    assert unit.zh in quoted.explanation["zh"][0]
    assert f"{unit.en} (person/month)" in quoted.explanation["en"][0]

    seen = ended(bureau, asked)
    assert seen.state == "published", seen
    release = lookup.release(services.register, str(seen.release), services.clock())
    assert release is not None
    assert set(release.record["accounts"]) == named
    assert release.record["sources"][0]["unit"] == {"space": "person/month", "zh": unit.zh, "en": unit.en}

    spent = {balance.account: balance.spent for balance in ledger.balances(services.register)}
    for month in MONTHS:
        for account in (f"population:person/month@{month}", f"dataset:labs@{month}"):
            assert (spent[account] == quoted.plan.loss) == (month == "2026-02")
    assert audit(services.register.settings.log_dir, [services.register.vkey], services.register.engine).findings == []

    view = dataset_view(services.register.catalogue()["labs"])
    assert (view.unit_space, view.periods and (view.periods.first, view.periods.last, view.periods.count)) == (
        "person/month",
        ("2025-11", "2026-04", 6),
    )
    # lists show the fullest of each six, and say so
    shown = [account_view(balance).model_dump(mode="json") for balance in ledger.balances(services.register)]
    population = [account for account in shown if account["kind"] == "population"]
    top, series = _folded(population)
    assert [account["subject"] for account in top] == ["person", "person/month@2026-02"]
    assert [(name, len(accounts)) for name, accounts in series] == [("person/month", 6)]
    folded = {account.id: among for account, among in by_period(Account.read(data) for data in shown)}
    assert folded["population:person/month@2026-02"] == folded["dataset:labs@2026-02"] == 6
    assert folded["population:person"] == folded["operator:operator-1@labs"] == 1

    # and so do the pages of the console
    for language, named_unit, note in (("en", unit.en, "budgets by period, 6 in all"), ("zh", unit.zh, "预算按期计算，共 6 期")):
        browser = TestClient(create_app(services), headers={"Accept-Language": language})
        assert browser.post("/console/sign-in", data={"key": bureau.keys["supervisor"]}, follow_redirects=False).status_code == 303
        page = browser.get("/console/budgets").text
        assert note in " ".join(page.split())
        assert "person/month@2026-02" in page
        assert named_unit in browser.get("/console/datasets").text
        page = browser.get("/console/datasets/labs").text
        assert "person/month" in page
        assert "2025-11 – 2026-04" in page
        assert named_unit in browser.get(f"/console/releases/{release.id}").text
