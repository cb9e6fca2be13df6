"""A whole bureau in a folder: one registered dataset, one licensed operator, keys for every role. Workers run in this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from api.services import ClosablePool, Services
from infra.clock import Clock, system_clock
from infra.settings import Settings
from infra.workers import InlineWorkers
from jobs import acts
from jobs.kinds.sql import SqlRequest
from jobs.order import Asker, Order
from policies.catalogue import Catalogue
from policies.licence import DatasetGrant, Degree, Licence
from policies.roles import ROLES
from sandbox.plan.ask import Ask
from sandbox.raw.ingest import ingest
from tests import visits

LICENCE = "L-1"
SCENARIO = "health-planning"
SQL = "SELECT city, COUNT(*) AS n FROM visits GROUP BY city"
OTHER_SQL = "SELECT city, SUM(fee) AS fee FROM visits GROUP BY city"
PRICE = {"epsilon": "0.5", "delta": "0.00000001"}


def licence(id: str = LICENCE, operator: str = "operator-1", **changes: Any) -> Licence:
    return Licence.model_validate(
        {
            "id": id,
            "operator": operator,
            "title": {"zh": "协议", "en": "licence"},
            "datasets": (DatasetGrant(dataset="visits", consent="同意 1 号"),),
            "scenarios": (SCENARIO,),
            "per_job": Degree(pico_rho=10**11, atto_delta=10**11),
            "total": Degree(pico_rho=10**12, atto_delta=10**12),
            "valid_from": datetime(2020, 1, 1, tzinfo=UTC),
            "valid_until": datetime(2099, 1, 1, tzinfo=UTC),
            "decision_document": "〔2026〕1 号",
            **changes,
        }
    )


def body(sql: str = SQL, **changes: Any) -> dict[str, Any]:
    """A job as a client sends it."""
    return {"licence": LICENCE, "scenario": SCENARIO, "sql": sql, "privacy": dict(PRICE), **changes}


def order(sql: str = SQL, by: str = "operator-1", role: str = "operator", **changes: Any) -> Order:
    """A job as the walk takes it."""
    made: dict[str, Any] = {"licence": LICENCE, "scenario": SCENARIO, **changes}
    ask = made.pop("ask", None) or Ask.model_validate({"privacy": PRICE})
    return Order(Asker(by, role, "active"), request=SqlRequest(sql, ask), **made)


@dataclass(frozen=True)
class Bureau:
    services: Services
    keys: dict[str, str]  # by principal

    def headers(self, principal: str = "operator-1", **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[principal]}", **more}


@dataclass(frozen=True)
class Home:
    """A home as `set_up` left it, to be copied."""

    folder: Path
    keys: Mapping[str, str]

    def copy_to(self, folder: Path) -> dict[str, str]:
        shutil.copytree(self.folder, folder)
        return dict(self.keys)  # a test that gives out one more key must not give it to the next test's bureau


def settings_in(home: Path, **changes: Any) -> Settings:
    return Settings.model_validate({"home": home, "language": "en", "port": 0, **changes})


def set_up(home: Path, **changes: Any) -> dict[str, str]:
    """Make the home: data, licence, principals. Returns the keys: `operator-1`, `operator-2`, and one per other role, by its name."""
    services = Services.open(settings_in(home, **changes))
    declared = visits.dataset(rows=2_000)
    source = visits.parquet(home / "source.parquet", visits.rows(2_000, 600))
    report = ingest(declared, [source], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom)
    acts.register_dataset(services.register, report.snapshot)
    keys = {f"operator-{number}": acts.issue_key(services.register, f"operator-{number}", "operator") for number in (1, 2)}
    keys |= {role: acts.issue_key(services.register, role, role) for role in ROLES if role != "operator"}
    acts.grant_licence(services.register, licence())
    services.close()
    return keys


def opened(home: Path, *, clock: Clock = system_clock, workers: ClosablePool | None = None, **changes: Any) -> Services:
    """Services on a home that `set_up` made, carrying jobs in this process unless other workers are given."""
    services = Services.open(settings_in(home, **changes), serving=True, clock=clock)
    services.start(workers or cast(ClosablePool, InlineWorkers()))
    services._rehearsal.join()  # which goes through what tests put something else in the place of
    return services
