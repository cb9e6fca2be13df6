"""Where the milliseconds of a small job go, waiting for public instants taken out. Server and Ray in this process, no HTTP.

First one job after the other, each with another constant; then each with a name of its own for a column, so that its last query is a new one;
then the first kind again, five a second, so that one is admitted while another is drawn and published. `work` is what one job takes in all,
from submitting on.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.server import TURN_S
from api.services import Services
from infra.settings import Settings
from jobs import admission, hops, verdicts
from jobs.kinds import sql as kind
from jobs.kinds.sql import SqlRequest
from jobs.order import Asker, Order
from jobs.queue import Crew
from sandbox.plan.ask import Ask

HOPS = {
    verdicts: ("may_ask", "may_compute"),
    admission: ("admit",),
    hops: ("begin_reading", "totals", "spend", "drawn", "stage", "publish"),
    kind: ("compile_job", "check_price", "check_finish", "check_plan"),  # the last three side by side
}
AFTER = HOPS[hops]  # admission, one after the other
WARM = 5
PACES = {"": (25, 0.4), "_of_a_new_shape": (25, 0.4), "_at_5_per_s": (100, 0.2)}  # jobs, and seconds from one to the next


def bench(home: Path) -> dict[str, float]:
    """Medians in ms on a home that the latency bench left; `admitted` is submit → admitted, hand-over to the crew included; `work` the sum of
    it and of the hops after it, job by job; `_p99` the 99th percentile. By hop where jobs come one after the other."""
    taken: dict[str, list[float]] = defaultdict(list)
    whole: dict[str, float] = defaultdict(float)  # by job
    waited = threading.local()

    def timed(name: str, hop: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            started, waited.ms = time.perf_counter(), 0.0
            try:
                return hop(*arguments, **options)
            finally:
                ms = (time.perf_counter() - started) * 1000 - waited.ms
                taken[name].append(ms)
                if name in AFTER:
                    whole[arguments[1].id] += ms

        return run

    for module, names in HOPS.items():
        for name in names:
            setattr(module, name, timed(name, getattr(module, name)))
    wait = Crew.wait_until

    def wait_until(crew: Crew, at: Any) -> None:
        started = time.perf_counter()
        wait(crew, at)
        waited.ms = getattr(waited, "ms", 0.0) + (time.perf_counter() - started) * 1000

    Crew.wait_until = wait_until  # type: ignore[method-assign]  # a bench: this process measures and ends
    sys.setswitchinterval(TURN_S)  # as the server does
    services = Services.open(Settings(home=home), serving=True)
    try:
        services.start()
        ask = Ask.model_validate({"privacy": {"rho": "0.001"}})
        found: dict[str, float] = {}
        asked = 0
        for pace, (jobs, every_s) in PACES.items():
            taken.clear()
            whole.clear()
            due = time.perf_counter()
            for _ in range(jobs + WARM):
                asked += 1
                name = f"age_{asked}" if pace == "_of_a_new_shape" else "age"
                sql = f"SELECT male, COUNT(*) AS n, AVG(age) AS {name} FROM nafld1 WHERE futime > {2000 + asked} GROUP BY male"
                started = time.perf_counter()
                order = Order(Asker("demo-operator", "operator", "active"), "bench", "bench", SqlRequest(sql, ask))
                job = services.submit(order).result()
                ms = (time.perf_counter() - started) * 1000
                taken["admitted"].append(ms)
                whole[job] += ms
                due += every_s
                time.sleep(max(0.0, due - time.perf_counter()))
            time.sleep(1)  # past the last one's slot
            if not pace:
                found |= {name: statistics.median(times[WARM:]) for name, times in taken.items()}
            totals = list(whole.values())[WARM:]
            found[f"work{pace}"] = statistics.median(totals)
            if pace == "_at_5_per_s":
                found[f"work{pace}_p99"] = statistics.quantiles(totals, n=100)[-1]
    finally:
        services.close()
    return {name: round(ms, 1) for name, ms in found.items()}
