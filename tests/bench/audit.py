"""Events per second of an audit that replays a log of released jobs, and what memory it takes beyond a log a tenth as long."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

from infra.settings import Settings
from jobs import acts, ledger
from jobs import events as ev
from jobs.audit import audit
from jobs.register import Register
from policies.catalogue import Snapshot
from policies.licence import licence_from_toml
from policies.loss import Loss
from tests.bench import visits
from tests.bench.charges import LICENCE

EACH = 7  # events in the life of a job


def bench(folder: Path, jobs: int = 6_000) -> dict[str, Any]:
    small = written(folder / "small", jobs // 10)
    large = written(folder / "large", jobs)
    _, few = audited(small, measured=True)
    _, many = audited(large, measured=True)
    rate, _ = audited(large, measured=False)
    for register in (small, large):
        register.close()
    return {
        "events": large.size,
        "events_per_s": round(rate),
        "memory_mb": round(many / 2**20, 1),
        "memory_of_a_tenth_mb": round(few / 2**20, 1),
    }


def audited(register: Register, *, measured: bool) -> tuple[float, int]:
    """Events per second, peak bytes of Python objects (0 unless measured, which is slow)."""
    if measured:
        tracemalloc.start()
    started = time.perf_counter()
    report = audit(register.settings.log_dir, [register.vkey])
    elapsed = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1] if measured else 0
    tracemalloc.stop()
    assert report.clean, report.findings
    return report.size / elapsed, peak


def written(folder: Path, jobs: int) -> Register:
    """A register in which that many jobs were released."""
    high = {f"{kind}_cap_pico_rho": 10**18 for kind in ("population", "dataset", "operator")}
    register = Register.open(Settings.model_validate({"home": folder, **high}))
    acts.register_dataset(register, Snapshot(dataset=visits.dataset(1000), version=1, digest="0" * 64))
    acts.issue_key(register, "bench-operator", "operator")
    acts.grant_licence(register, licence_from_toml(LICENCE))
    names = ledger.accounts_of(space="person", datasets=["visits"], licence="bench", operator="bench-operator")
    for start in range(0, jobs, 500):
        with register.transaction(publish=False) as act:
            for number in range(start, min(start + 500, jobs)):
                for event in life(number, names):
                    act.append(event)
    register.publish()
    return register


def life(number: int, names: tuple[str, ...]) -> tuple[ev.Event, ...]:
    job, charge, cost, digest = f"job-{number}", f"charge-{number}", ev.Cost.of(Loss(1)), f"{number:064x}"
    who = {"operator": "bench-operator", "licence": "bench"}
    table, plan = "a" * 64, "b" * 64
    return (
        ev.JobSubmitted(by="bench-operator", job=job, scenario="bench", request=digest, **who),
        ev.JobAdmitted(by="system", job=job, plan_digest=plan, question=digest, cost=cost, policy_digest=plan, slot_ms=50),
        ev.ChargeReserved(by="system", charge=charge, job=job, accounts=names, cost=cost),
        ev.JobReading(by="system", job=job, charge=charge),
        ev.JobSpent(by="system", job=job, charge=charge),
        ev.JobStaged(by="system", job=job, table_sha256=table),
        ev.ReleasePublished(
            by="system", release=f"rel-{number}", job=job, charge=charge, question=digest, plan_digest=plan, record=digest,
            table_sha256=table, rows=10, bytes=1_000, cost=cost, visible_at="2026-01-01T00:00:00.000000Z", **who,
        ),
    )  # fmt: skip
