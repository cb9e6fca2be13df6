"""Ledger charges per second: reserve → reading → spent, each in a durable transaction with its event; and what an append adds to one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from infra.journal.leaf import leaf_hash
from infra.journal.tree import CompactRange
from infra.settings import Settings
from jobs import acts, ledger
from jobs import events as ev
from jobs.register import Register
from policies.catalogue import Snapshot
from policies.licence import licence_from_toml
from policies.loss import Loss
from tests.bench import visits
from tests.postgres import a_postgres

LICENCE = """
id = "bench"
operator = "bench-operator"
title = { zh = "测量", en = "bench" }
scenarios = ["bench"]
per_job = { rho = "1", delta = "1e-6" }
total = { rho = "100000", delta = "0.1" }
valid_from = 2026-01-01T00:00:00Z
valid_until = 2099-01-01T00:00:00Z
decision_document = "bench"
datasets = [{ dataset = "visits" }]
"""


def bench(folder: Path) -> dict[str, Any]:
    """On both databases, with every commit on disk."""
    with a_postgres(durable=True) as server:
        urls = {"sqlite": "", "postgresql": server.database()}
        return {kind: charged(folder / kind, url) for kind, url in urls.items()}


def charged(folder: Path, url: str, charges: int = 1_500, writers: int = 8) -> dict[str, Any]:
    high = {f"{kind}_cap_pico_rho": 10**18 for kind in ("population", "dataset", "operator")}
    register = Register.open(Settings.model_validate({"home": folder, "database_url": url, **high}))
    try:
        acts.register_dataset(register, Snapshot(dataset=visits.dataset(1000), version=1, digest="0" * 64))
        acts.issue_key(register, "bench-operator", "operator")
        acts.grant_licence(register, licence_from_toml(LICENCE))
        names = ledger.accounts_of(space="person", datasets=["visits"], licence="bench", operator="bench-operator")

        def charge(number: int) -> None:
            name, job = f"charge-{number}", f"job-{number}"
            with register.transaction(publish=False) as act:
                request = act.seal(b"SELECT 1")
                act.append(
                    ev.JobSubmitted(by="bench-operator", job=job, operator="bench-operator", licence="bench", scenario="bench", request=request)
                )
                act.append(ev.JobAdmitted(by="system", job=job, plan_digest="0" * 64, question=f"{number:064x}", cost=ev.Cost.of(Loss(1))))
                ledger.reserve(act, charge=name, job=job, accounts=names, loss=Loss(1), by="bench-operator")
            with register.transaction(publish=False) as act:
                ledger.reading(act, name, by="system")
            with register.transaction(publish=False) as act:
                ledger.spend(act, name, by="system")

        started = time.perf_counter()
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(charge, range(charges)))
        elapsed = time.perf_counter() - started
        used = {balance.spent.pico_rho for balance in ledger.balances(register, names)}
        assert used == {charges}, used
        return {
            "charges": charges,
            "writers": writers,
            "charges_per_s": round(charges / elapsed),
            "transactions_per_s": round(3 * charges / elapsed),
            "append_us": append_us(register),
        }
    finally:
        register.close()


def append_us(register: Register, appends: int = 2_000) -> float:
    """Microseconds that the log adds to one event in an open transaction: canonical bytes, leaf, compact range. Its projection, and the row
    of the entry, are what any system would write."""
    event = ev.JobReading(by="system", job="job-0", charge="charge-0")
    edge = CompactRange(register.size, [bytes(32)] * register.size.bit_count())
    started = time.perf_counter()
    for _ in range(appends):
        edge.append(leaf_hash(ev.canonical(event, "2026-01-01T00:00:00.000000Z")))
    return round((time.perf_counter() - started) / appends * 1e6, 1)
