"""Submit → published over HTTP, a small job on the demo's health table, server and Ray warm; start of the server, from
nothing and after a kill; memory when idle."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.demo.data import frames, text_of, write_sources
from api.demo.stage import Stage
from yunei import Client

LICENCE = """
id = "bench"
operator = "demo-operator"
title = { zh = "测量", en = "bench" }
scenarios = ["bench"]
per_job = { rho = "1", delta = "1e-6" }
total = { rho = "1000", delta = "0.1" }
valid_from = 2026-01-01T00:00:00Z
valid_until = 2099-01-01T00:00:00Z
decision_document = "bench"
datasets = [{ dataset = "nafld1", consent = "bench" }]
"""


RESTARTS = 5


def resident_bytes(pid: int) -> int:
    """Proportional resident memory of a process and all its descendants: shared pages are counted once in the sum."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def bench(folder: Path, jobs: int = 60) -> dict[str, Any]:
    os.environ.update({f"YUNEI_{name}_CAP_PICO_RHO": str(10**18) for name in ("POPULATION", "DATASET", "OPERATOR")})
    stage = Stage(folder / "http")
    sources = write_sources(stage.folder / "sources", {"nafld1": frames()["nafld1"]})
    catalogue, licence = stage.folder / "nafld1.toml", stage.folder / "licence.toml"
    catalogue.write_text(text_of("catalogues/nafld1.toml"), encoding="utf-8")
    licence.write_text(LICENCE, encoding="utf-8")
    stage.quietly("dataset", "add", str(catalogue), str(sources["nafld1"]))
    key = stage.issue_key("demo-operator", "operator")
    stage.quietly("licence", "grant", str(licence))
    with served(stage) as (server, ready_s):
        idle = resident_bytes(server.pid)
        with Client(stage.url, key, "en") as client:
            times_ms = [one_job(client, number) for number in range(jobs + 5)][5:]
        after = resident_bytes(server.pid)
        server.kill()
    again_s = []
    for _ in range(RESTARTS):  # Ray is still there, with its workers
        with served(stage) as (server, took_s):
            again_s.append(took_s)
            server.kill()
    with served(stage):
        pass  # the last one stops as it should, and takes Ray along
    return {
        "jobs": jobs,
        "p50_ms": round(statistics.median(times_ms), 1),
        "p95_ms": round(statistics.quantiles(times_ms, n=20)[-1], 1),
        "start_to_ready_s": round(ready_s, 1),
        "killed_to_ready_s": round(statistics.median(again_s), 1),
        "idle_memory_mb": round(idle / 2**20),
        "memory_after_mb": round(after / 2**20),
    }


@contextmanager
def served(stage: Stage) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server, and the seconds from the command to its being ready."""
    started = time.perf_counter()
    with stage.server() as server:
        stage.until_ready(server)
        yield server, time.perf_counter() - started


def one_job(client: Client, number: int) -> float:
    """Milliseconds from submitting a question nobody asked before to the published state."""
    sql = f"SELECT male, COUNT(*) AS n, AVG(age) AS age FROM nafld1 WHERE futime > {number} GROUP BY male"
    started = time.perf_counter()
    job = client.wait(client.submit(sql, licence="bench", scenario="bench", rho="0.001"))
    elapsed = (time.perf_counter() - started) * 1000
    client.published(job)
    return elapsed
