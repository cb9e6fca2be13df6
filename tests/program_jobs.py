"""A bureau whose programs run in this process: what tests of jobs of kind `program` share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from api.services import ClosablePool, Services
from infra.settings import Settings
from infra.workers import InlineWorkers
from jobs import acts, lookup, programs
from jobs.audit import audit
from jobs.kinds.program import ProgramKind, ProgramRequest
from jobs.lookup import JobSeen
from jobs.order import Asker, Order
from policies.catalogue import Catalogue
from policies.licence import DatasetGrant
from sandbox.program.ask import RunAsk
from sandbox.raw.ingest import ingest
from tests import visits
from tests.bureau import SCENARIO, Home, licence, settings_in
from tests.fake_cells import FakeCells, FakeRoom
from tests.programs import packed

MANIFEST = """
name = "stay"
version = "1.0"
title = {zh = "住院", en = "stay"}
entry = "main.py:run"
rows = "arrow"
[[parameters]]
name = "scale"
type = "decimal"
title = {zh = "倍数", en = "scale"}
low = 0.5
high = 2
[[outputs]]
name = "days"
title = {zh = "天数", en = "days"}
low = 0
high = 400
[[outputs]]
name = "urgent"
title = {zh = "急诊占比", en = "share of urgent"}
low = 0
high = 1
"""
MAIN = """
import numpy as np

def run(rows, parameters):
    days = np.asarray(rows["days"], float)
    urgent = np.asarray(rows["urgent"].fill_null(False), float)
    return {"urgent": urgent.mean(), "days": float(np.median(days)) * parameters["scale"]}
"""
PER_UNIT = """
def run(rows, parameters):
    return {"days": sum(rows["days"].to_pylist()), "busy": "yes" if len(rows) > 3 else "no"}
"""
UNITS_MANIFEST = """
name = "totals"
version = "1.0"
title = {zh = "合计", en = "totals"}
entry = "main.py:run"
mode = "units"
[key]
name = "busy"
title = {zh = "多次", en = "busy"}
type = "text"
domain = ["no", "yes"]
[[outputs]]
name = "days"
title = {zh = "天数", en = "days"}
low = 0
high = 2000
"""
ROWS, PERSONS = 3_000, 700
EXPECTED_MS = ProgramKind.expected_ms


def program(manifest: str = MANIFEST, main: str = MAIN) -> bytes:
    return packed({"program.toml": manifest, "main.py": main})


def declared() -> Any:
    columns = [column.model_copy(update={"uses": (*column.uses, "program")}) for column in visits.COLUMNS]
    return visits.dataset(columns, rows=ROWS, name="stays")


@pytest.fixture(scope="module")
def programs_home(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bureau with a dataset that programs may have, a licence for them, and two approved programs."""
    folder = tmp_path_factory.mktemp("programs") / "home"
    bureau_home.copy_to(folder)
    services = Services.open(opened_settings(folder))
    source = visits.parquet(folder / "stays.parquet", visits.rows(ROWS, PERSONS))
    for dataset in (declared(), declared().model_copy(update={"name": "invented", "synthetic": True})):
        report = ingest(dataset, [source], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=ROWS // 4)
        acts.register_dataset(services.register, report.snapshot)
    grants = tuple(DatasetGrant(dataset=name, consent="同意 2 号") for name in ("stays", "invented", "visits"))
    acts.grant_licence(services.register, licence(id="L-P", datasets=grants, job_kinds=("program",)))
    acts.issue_key(services.register, "reviewer-2", "reviewer")
    for package in (program(), program(UNITS_MANIFEST, PER_UNIT)):
        digest = acts.submit_program(services.register, package, by="operator-1")
        for reviewer in ("reviewer", "reviewer-2"):
            acts.review_program(services.register, digest, "approve", reason="只用 numpy", by=reviewer)
    services.close()
    return folder


def opened_settings(folder: Path, **changes: Any) -> Settings:
    return settings_in(folder, cells_backend="unsafe", slots_ms=(50, 250, 1_000, 2_000, 5_000, 30_000, 120_000), **changes)


@pytest.fixture
def services(programs_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setattr(ProgramKind, "expected_ms", lambda *_: 100.0)  # calls in this process take no time
    Home(programs_home, {}).copy_to(tmp_path / "home")
    services = opened_with_programs(tmp_path / "home")
    yield services
    services.close()


@pytest.fixture(scope="module")
def calm(programs_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One bureau for all that is refused: nobody changes anything in it."""
    folder = tmp_path_factory.mktemp("calm") / "home"
    Home(programs_home, {}).copy_to(folder)
    services = opened_with_programs(folder)
    yield services
    services.close()


def opened_with_programs(folder: Path) -> Services:
    services = Services.open(opened_settings(folder), serving=True)
    services.cells = FakeRoom(services.settings, services.register, services.clock)
    services.cells.fake = FakeCells()
    services.start(cast(ClosablePool, InlineWorkers()))
    services._rehearsal.join()
    return services


def fake(services: Services) -> FakeCells:
    return cast(FakeRoom, services.cells).fake


def digest_of(services: Services, name: str = "stay") -> str:
    return next(each.digest for each in programs.all_programs(services.register) if each.name == name)


def asked(services: Services, name: str = "stay", **changes: Any) -> Order:
    run: dict[str, Any] = {
        "program": digest_of(services, name),
        "tables": [{"dataset": "stays", "columns": ["days", "urgent"]}],
        "parameters": {"scale": Decimal("1.5")} if name == "stay" else {},
        "seconds": "0.05",
        "privacy": {"rho": "0.1"},
    }
    run |= {"blocks": 12} if name == "stay" else {}
    who = changes.pop("by", "operator-1")
    order = {"licence": "L-P", "scenario": SCENARIO} | {key: changes.pop(key) for key in ("licence", "scenario") if key in changes}
    return Order(Asker(who, "operator", "active"), request=ProgramRequest(RunAsk.model_validate(run | changes)), **order)


def wait(services: Services, job: str, timeout_s: float = 40) -> JobSeen:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        seen = lookup.job(services.register, job, services.clock())
        assert seen is not None
        if seen.state != "running":
            return seen
        time.sleep(0.02)
    raise AssertionError("the job still runs")


def released(services: Services, order: Order) -> list[dict[str, Any]]:
    seen = wait(services, services.submit(order).result(60))
    assert seen.state == "published", seen.problem
    assert seen.release is not None
    staged = services.staging.load(seen.id)
    assert staged is not None
    rows: list[dict[str, Any]] = pa.ipc.open_stream(staged.read("table.arrow")).read_all().to_pylist()
    return rows


def sound(services: Services) -> None:
    assert audit(services.settings.log_dir, [services.register.vkey], services.register.engine).findings == []
