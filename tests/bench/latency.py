"""Submit → published over HTTP, a small job on the demo's health table, server and Ray warm; start of the server; memory when idle."""

from __future__ import annotations

import os
import statistics
import time
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
    started = time.perf_counter()
    with stage.server() as server:
        stage.until_ready(server)
        ready_s = time.perf_counter() - started
        idle = resident_bytes(server.pid)
        with Client(stage.url, key, "en") as client:
            times_ms = [one_job(client, number) for number in range(jobs + 5)][5:]
        return {
            "jobs": jobs,
            "p50_ms": round(statistics.median(times_ms), 1),
            "p95_ms": round(statistics.quantiles(times_ms, n=20)[-1], 1),
            "start_to_ready_s": round(ready_s, 1),
            "idle_memory_mb": round(idle / 2**20),
            "memory_after_mb": round(resident_bytes(server.pid) / 2**20),
        }


def one_job(client: Client, number: int) -> float:
    """Milliseconds from submitting a question nobody asked before to the published state."""
    sql = f"SELECT male, COUNT(*) AS n, AVG(age) AS age FROM nafld1 WHERE futime > {number} GROUP BY male"
    started = time.perf_counter()
    job = client.wait(client.submit(sql, licence="bench", scenario="bench", rho="0.001"))
    elapsed = (time.perf_counter() - started) * 1000
    client.published(job)
    return elapsed
