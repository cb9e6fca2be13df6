"""A bureau whose workers are a cluster's, told what to do line by line: `python -m tests.cluster.bureau HOME FOLDER ROWS`.

`state` says how things are, `load` begins to submit jobs, `rest` ends that, waits until every job is over, audits, and says what came of it.
Answers are one line of JSON after `= `.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api import logs
from api.services import Services
from infra.database import reading
from infra.tables import charges, jobs
from infra.workers import Workers, WorkersError
from jobs import acts
from jobs.audit import audit
from jobs.states import OPEN
from policies.catalogue import Catalogue
from policies.problem import Problem
from sandbox.plan.ask import Ask
from sandbox.raw.ingest import ingest
from tests import visits
from tests.bureau import licence, order, settings_in
from tests.cluster.network import HEAD

SLOTS_MS = (250, 500)
SHARDS_OF = 250  # rows
ANSWER = "= "  # before each: Ray says things of its own


def furnish(services: Services, folder: Path, rows: int) -> None:
    source = visits.parquet(folder / "source.parquet", visits.rows(rows, rows // 3))
    declared = visits.dataset(rows=rows)
    report = ingest(
        declared, [source], services.vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=SHARDS_OF
    )  # fmt: skip
    acts.register_dataset(services.register, report.snapshot)
    acts.issue_key(services.register, "operator-1", "operator")
    acts.grant_licence(services.register, licence())


class Bureau:
    def __init__(self, home: Path, folder: Path, rows: int) -> None:
        settings = settings_in(
            home,
            ray_address=HEAD,
            ray_token_file=folder / "token",
            ray_certificates_dir=folder / "10.77.0.1",
            workers=2,
            worker_places=("data=2",),
            dataset_places=("visits=data",),
            worker_memory_bytes=16 * 2**20,
            straggler_s=3,
            slots_ms=SLOTS_MS,
            lease_s=5,
        )
        self.services = Services.open(settings, serving=True)
        furnish(self.services, home, rows)
        self.asked: list[str] = []
        self.refused: Counter[str] = Counter()
        self.loading = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """The cluster may still be coming up."""
        until = time.monotonic() + 240
        while True:
            try:
                self.services.start()
                return
            except WorkersError:
                if time.monotonic() > until:
                    raise
                time.sleep(1)

    def load(self) -> None:
        self.loading.set()
        self.thread = threading.Thread(target=self._submit)
        self.thread.start()

    def _submit(self) -> None:
        while self.loading.is_set():
            number = len(self.asked) + sum(self.refused.values())
            ask = Ask.model_validate({"privacy": {"epsilon": f"0.1{number:06d}", "delta": "0.00000001"}})
            try:
                self.asked.append(self.services.submit(order(ask=ask)).result(600))
            except Problem as problem:
                self.refused[problem.code] += 1
            time.sleep(0.05)

    def states(self) -> Counter[str]:
        with reading(self.services.register.engine) as connection:
            return Counter(connection.execute(select(jobs.c.state)).scalars())

    def state(self) -> dict[str, Any]:
        workers = self.services._workers
        assert isinstance(workers, Workers)
        steady = [worker.steady for worker in workers.scheduler.workers]
        return {"degraded": self.services.degraded, "steady": steady, "jobs": len(self.asked), "states": self.states()}

    def rest(self) -> dict[str, Any]:
        self.loading.clear()
        assert self.thread is not None
        self.thread.join()
        until = time.monotonic() + 120
        while any(self.states()[state.value] for state in OPEN) and time.monotonic() < until:
            time.sleep(0.1)
        register = self.services.register
        register.publish()
        with reading(register.engine) as connection:
            states = Counter(connection.execute(select(charges.c.state)).scalars())
        findings = [str(finding) for finding in audit(register.settings.log_dir, [register.vkey], register.engine).findings]
        return {"asked": len(self.asked), "refused": self.refused, "states": self.states(), "charges": states, "findings": findings}


def say(answer: object) -> None:
    sys.stdout.write(f"{ANSWER}{json.dumps(answer)}\n")
    sys.stdout.flush()


def main() -> None:
    logs.configure(quiet=True)
    bureau = Bureau(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    bureau.start()
    say("ready")
    for line in sys.stdin:
        say(getattr(bureau, line.strip())())
    bureau.services.close()


if __name__ == "__main__":
    main()
