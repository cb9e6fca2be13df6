"""Private tables of one unit space lie in parts that match, however many each has: what joins them gives the totals of the whole."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Catalogue
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.raw.run import exact_totals, shard_tasks, totals_of_tables
from tests.visits import column, dataset, ingested, rows

CARDS = (
    column("holder", "integer", uses=("filter", "join")),
    column("kind", "text", domain=("a", "b")),
    column("points", "integer", low=Decimal(0), high=Decimal(50)),
)
QUERIES = (
    "SELECT kind, COUNT(*) AS n, SUM(fee) AS s FROM visits v JOIN cards c ON c.holder = v.person_id GROUP BY kind",
    "SELECT city, COUNT(*) AS n FROM visits v LEFT JOIN cards c ON c.holder = v.person_id AND points > 20 GROUP BY city",
    "SELECT city, COUNT(*) AS n FROM visits WHERE person_id IN (SELECT holder FROM cards WHERE kind = 'a') GROUP BY city",
    "SELECT kind, SUM(n) AS s FROM cards JOIN (SELECT person_id AS p, COUNT(*) AS n FROM visits GROUP BY p) t ON p = holder GROUP BY kind",
    "SELECT k, COUNT(*) AS n FROM (SELECT city AS k FROM visits UNION ALL SELECT kind FROM cards) t GROUP BY k",
    "SELECT city, COUNT(*) AS n FROM visits v WHERE NOT EXISTS (SELECT 1 FROM cards c WHERE c.holder = v.person_id) GROUP BY city",
)


def cards() -> pa.Table:
    """Of two persons in three of `rows`, some with several."""
    numbers = range(120)
    return pa.table(
        {
            "holder": pa.array([(i % 40) * 10**12 - 5 for i in numbers], pa.int64()),
            "kind": [("a", "b")[i % 7 % 2] for i in numbers],
            "points": pa.array([i % 51 for i in numbers], pa.int64()),
        }
    )


@pytest.mark.parametrize(("parts", "others"), [(8, 2), (1, 8), (4, 4)])
def test_parts_that_match(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers, parts: int, others: int) -> None:
    declared: dict[str, Any] = {"columns": CARDS, "unit": "holder", "name": "cards"}
    visits = ingested(vault, tmp_path, rows(1500), dataset(rows=parts), shard_rows=1).snapshot
    held = ingested(vault, tmp_path, cards(), dataset(rows=others, **declared), version=2, shard_rows=1).snapshot
    catalogue = Catalogue((visits, held))
    tables = {"visits": rows(1500), "cards": cards()}
    for sql in QUERIES:
        plan = compile_job(sql, catalogue, Ask(privacy=Privacy(epsilon=Decimal(1))))
        private = {scan.dataset for scan in plan.scans}
        assert private == {"visits", "cards"}
        assert len(shard_tasks(plan.only, vault, 5, 10**6)) == min(parts, others)
        whole = totals_of_tables(plan.only, {scan.alias: tables[scan.dataset].select(list(scan.columns)) for scan in plan.scans}, 5).table
        assert whole.num_rows > 0
        assert exact_totals(plan.only, vault, inline_workers, 5).table.equals(whole)
