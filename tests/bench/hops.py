"""Where the milliseconds of a small job go, waiting for public instants taken out. Server and Ray in this process.

First one job after the other, each with another constant; then each with a name of its own for a column, so that its last query is a new one;
then the first kind again, five a second, so that one is admitted while another is drawn and published. `work` is what one job takes in all,
from submitting on. At last the same five a second over HTTP, by clients in a process of their own that wait for each job as clients do: what
they took to submit, with the hops after it, and what they took to read of the job once it was published.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from api.app import create_app
from api.server import TURN_S, settled
from api.services import Services
from infra.settings import Settings
from jobs import acts, admission, hops, verdicts
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
FIVE = (100, 0.2)
PACES = {"": (25, 0.4), "_of_a_new_shape": (25, 0.4), "_at_5_per_s": FIVE}  # jobs, and seconds from one to the next
SQL = "SELECT male, COUNT(*) AS n, AVG(age) AS {} FROM nafld1 WHERE futime > {} GROUP BY male"
ASKING = """
import json, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from yunei import Client
url, key, every_s, *questions = sys.argv[1:]
mine = threading.local()

def timed(call, *words, **more):
    started = time.perf_counter()
    return call(*words, **more), (time.perf_counter() - started) * 1000

def ask(sql):
    if not hasattr(mine, "client"):
        mine.client = Client(url, key, "en")
        list(mine.client.jobs(limit=1))  # connected
    job, submitted = timed(mine.client.submit, sql, licence="bench", scenario="bench", rho="0.001")
    mine.client.wait(job)
    return job.id, submitted, timed(mine.client.job, job.id)[1]

with ThreadPoolExecutor(5) as people:
    due, asked = time.perf_counter(), []
    for question in questions:
        asked.append(people.submit(ask, question))
        due += float(every_s)
        time.sleep(max(0.0, due - time.perf_counter()))
    print(json.dumps([one.result() for one in asked]))
"""


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
        gc.collect()
        settled()  # as the server is once it is up
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
                sql = SQL.format(name, 2000 + asked)
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
        whole.clear()
        with _served(services) as url:
            key = acts.issue_key(services.register, "demo-operator")
            for job, submitted, read in _asked(url, key, [SQL.format("age", 2001 + asked + n) for n in range(FIVE[0] + WARM)]):
                whole[job] += submitted + read
        totals = list(whole.values())[WARM:]
        found["work_over_http_at_5_per_s"] = statistics.median(totals)
        found["work_over_http_at_5_per_s_p99"] = statistics.quantiles(totals, n=100)[-1]
    finally:
        services.close()
    return {name: round(ms, 1) for name, ms in found.items()}


@contextmanager
def _served(services: Services) -> Iterator[str]:
    """Over HTTP, by a thread of this process, as the server does it."""
    http = uvicorn.Server(
        uvicorn.Config(create_app(services), host="127.0.0.1", port=0, log_config=None, access_log=False, proxy_headers=False)
    )
    listening = threading.Thread(target=http.run, daemon=True)
    listening.start()
    while not http.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{http.servers[0].sockets[0].getsockname()[1]}"
    finally:
        services.stopping()
        http.should_exit = True
        listening.join()


def _asked(url: str, key: str, questions: list[str]) -> list[tuple[str, float, float]]:
    """Each as soon as it is due: the job, and the milliseconds of submitting it and of reading how it stands once it has ended."""
    command = [sys.executable, "-c", ASKING, url, key, str(FIVE[1]), *questions]
    return [(job, submitted, read) for job, submitted, read in json.loads(subprocess.check_output(command))]
