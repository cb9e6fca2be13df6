"""How fast noise is drawn, and how exact answers are: a count of orders by customers with at most 41 each, against the closed form.

Speeds are values per second of CPU, one thread. Errors are mean absolute errors over many draws of the same exact total.
"""

from __future__ import annotations

import math
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from policies.catalogue import Catalogue
from policies.loss import PICO, pico_rho_for
from sandbox.noise.draw import draw
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask
from sandbox.plan.model import Part
from sandbox.raw.run import totals_of_tables
from tests.questions import column, snapshot

KEYS, NOTES, ORDERS, MOST_ORDERS, DRAWS = 40_000, 10_000, 1_500_000, 41, 3_000


def catalogue() -> Catalogue:
    columns = (
        column("custkey", "integer", uses=("filter", "join")),
        column("clerk", "integer", domain=tuple(range(KEYS))),
        column("note", "text"),
    )
    return Catalogue((snapshot("orders", columns, unit="custkey", groups=1, rows=MOST_ORDERS, about=ORDERS),))


def orders(rows: int) -> pa.Table:
    """About that many orders of customers with at most 41 each, sorted by customer; a clerk and a note for each customer."""
    random = np.random.default_rng(1)
    counts = np.minimum(random.poisson(15, rows // 15), MOST_ORDERS)
    counts[0] = MOST_ORDERS
    customer = np.repeat(np.arange(len(counts)), counts)
    notes = pa.array([f"n{number}" for number in range(NOTES)])
    return pa.table({"custkey": customer, "clerk": customer % KEYS, "note": notes.take(pa.array(customer % NOTES))})


def part_of(sql: str, **privacy: str) -> Part:
    return compile_job(sql, catalogue(), Ask.model_validate({"privacy": privacy})).only


def bench() -> dict[str, dict[str, Any]]:
    table, found = orders(ORDERS), {}
    for name, sql, privacy in (
        ("Gaussian", "SELECT clerk, COUNT(*) AS n FROM orders GROUP BY clerk", {"rho": "0.5"}),
        ("Laplace", "SELECT clerk, COUNT(*) AS n FROM orders GROUP BY clerk", {"epsilon": "1", "delta": "0"}),
        ("Gaussian threshold", "SELECT note, COUNT(DISTINCT custkey) AS n FROM orders GROUP BY note", {"rho": "100"}),
    ):
        part = part_of(sql, **privacy)
        totals = totals_of_tables(part, {scan.alias: table.select(list(scan.columns)) for scan in part.scans}, 7)
        started = time.process_time()
        rows = draw(part, totals).table.num_rows
        found[f"{name}, values/s"] = {"values": rows, "per_cpu_s": round(rows / (time.process_time() - started))}
    exact = table.num_rows
    for name, privacy, closed in (
        ("Laplace", {"epsilon": "0.8", "delta": "0"}, MOST_ORDERS / 0.8),
        (
            "Gaussian",
            {"epsilon": "0.8", "delta": "1e-6"},
            MOST_ORDERS / math.sqrt(math.pi * pico_rho_for(Decimal("0.8"), Decimal("1e-6")) / PICO),
        ),
    ):
        part = part_of("SELECT COUNT(*) AS n FROM orders", **privacy)
        totals = totals_of_tables(part, {scan.alias: table.select(list(scan.columns)) for scan in part.scans}, 7)
        errors = np.array([draw(part, totals).table.column(0)[0].as_py() - exact for _ in range(DRAWS)])
        found[f"{name}, error of a count at epsilon 0.8"] = {
            "mean_absolute": round(float(np.abs(errors).mean()), 2),
            "closed_form": round(closed, 2),
        }
    return found
