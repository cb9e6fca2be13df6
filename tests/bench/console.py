"""What every page of the console takes of the server, for every role, in front of a register with a long past; and how large it is.

In one process, over the application itself: what a browser would wait for, less the network.
"""

from __future__ import annotations

import gc
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import func, select, text
from starlette.testclient import TestClient

from api.app import create_app
from api.console.frame import prepared
from api.server import settled
from infra.database import open_engine, reading
from infra.tables import releases
from infra.transfer import transfer
from jobs.schema import brought_up
from tests.consoles import opens, pages_of
from tests.filled import Filled, again, fill, kept
from tests.postgres import a_postgres

VISITORS = ("operator-1", "operator-8", "supervisor", "auditor", "reviewer", "steward", "admin", "builder-1")
GOAL_MS, GOAL_BYTES = 100, 60_000


def bench(folder: Path, wanted: int, looks: int, home: Path | None = None, database: str = "sqlite") -> dict[str, Any]:
    """Over a bureau that is filled for it, or over `home`, which was (at `folder`/home, by an earlier run): filling takes minutes, looking
    does not. Looks are in the log, so a home grows a little with each run. `database` postgresql: the same register, carried over into a
    server of its own that ends with this process."""
    started, here = time.perf_counter(), folder / "home" if home is None else home
    if home is None:
        filled = fill(here, wanted)
        kept(filled, here)
        filled.close()
    filled_s = time.perf_counter() - started
    with in_database(here, database) as (there, changes):
        filled = again(there, **changes)
        try:
            filled.bureau.services.keeper.once()  # as a server that is up has
            for _ in prepared():
                pass  # so has this
            events, count = filled.events, released(filled)
            pages = looked(filled, looks)
        finally:
            filled.close()
    worst = max(pages, key=lambda each: each["p95_ms"])
    return {
        "releases": count,
        "database": database,
        "events": events,
        "filled_s": round(filled_s),
        "pages": pages,
        "opened": len(pages),
        "p50_ms": round(statistics.median(each["p50_ms"] for each in pages), 1),
        "worst_p95_ms": worst["p95_ms"],
        "worst_cpu_ms": max(each["cpu_ms"] for each in pages),
        "worst": f"{worst['path']} ({worst['visitor']})",
        "largest_bytes": max(each["bytes"] for each in pages),
        "beyond": [each for each in pages if each["p95_ms"] > GOAL_MS or each["bytes"] > GOAL_BYTES],
    }


@contextmanager
def in_database(home: Path, database: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Which home to open, and with what: on PostgreSQL a copy, for its log goes on by itself."""
    if database == "sqlite":
        yield home, {}
        return
    with a_postgres() as server, TemporaryDirectory(dir=home.parent) as aside:
        url, elsewhere = server.database(), Path(aside) / "home"
        shutil.copytree(home, elsewhere, ignore=shutil.ignore_patterns("register.db*"))
        before, after = open_engine(f"sqlite:///{home / 'register.db'}"), open_engine(url)
        try:
            brought_up(before)
            transfer(before, after)
            with after.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))  # which its own cleaner does a little later
        finally:
            before.dispose()
            after.dispose()
        yield elsewhere, {"database_url": url}


def released(filled: Filled) -> int:
    with reading(filled.bureau.services.register.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(releases)).scalar_one())


def looked(filled: Filled, looks: int) -> list[dict[str, Any]]:
    found = []
    app = create_app(filled.bureau.services)
    gc.collect()
    settled()  # as the server is once it is up
    for visitor in VISITORS:
        with TestClient(app, headers={"Accept-Language": "zh"}) as browser:
            answer = browser.post("/console/sign-in", data={"key": filled.bureau.keys[visitor]}, follow_redirects=False)
            assert answer.status_code == 303, answer.text
            for path, acts in (pages_of(filled) | deep(filled)).items():
                if opens(visitor, acts) and (visitor != "operator-8" or own(path, filled)):
                    found.append({"visitor": visitor, "path": path, **measured(browser, path, looks)})
    return found


def deep(filled: Filled) -> dict[str, tuple[str, ...]]:
    """Pages that are asked for more than the newest rows: of a period, of a kind, from the middle of a long list."""
    middle = filled.events // 2
    reports = ("disclosure&period=2025", "disclosure&period=2026", "usage&period=2026-10", "revenue&period=2026-Q3", "revenue&period=2026")
    return {
        "/console/fees?period=2026-Q3": ("fee_list", "revenue_show"),
        "/console/fees?period=2026": ("fee_list", "revenue_show"),
        f"/console/fees?before={middle}": ("fee_list",),
        f"/console/register?before={middle}": ("events_read",),
        "/console/register?kind=fee_posted": ("events_read",),
        f"/console/releases?before={middle}": ("release_show",),
        "/console/releases?licence=L-1": ("release_show",),
        "/console/budgets/population:person": ("account_list",),
        f"/console/reports/preview?kind=filing&subject={filled.licence}": ("report_preview",),
        **{f"/console/reports/preview?kind={each}": ("report_preview",) for each in reports},
    }


def own(path: str, filled: Filled) -> bool:
    """Whether a page is one that another operator has too: a list, or a form."""
    return not any(each in path for each in (filled.job, filled.release, filled.review, filled.product, filled.licence))


def measured(browser: TestClient, path: str, looks: int) -> dict[str, float]:
    """The first look is not counted (`first_ms`, CPU): it warms the database's cache. `cpu_ms`: p95 of the whole process's CPU time, which
    other work on the machine touches less; `cpu_p50_ms`: its median."""
    taken, worked, size = [], [], 0
    for _ in range(looks + 1):
        started, before = time.perf_counter(), time.process_time()
        answer = browser.get(path)
        taken.append((time.perf_counter() - started) * 1e3)
        worked.append((time.process_time() - before) * 1e3)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        size = len(answer.content)
    return {
        "p50_ms": round(statistics.median(taken[1:]), 1),
        "p95_ms": round(statistics.quantiles(taken[1:], n=20)[-1], 1),
        "cpu_ms": round(statistics.quantiles(worked[1:], n=20)[-1], 1),
        "cpu_p50_ms": round(statistics.median(worked[1:]), 1),
        "first_ms": round(worked[0], 1),
        "bytes": size,
    }
