"""The kind `sql`: one SELECT, answered with noise."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infra.settings import Settings
from jobs.slots import estimate_ms
from policies.catalogue import Catalogue
from policies.licence import JobKind
from sandbox.dummy import dummy_answer
from sandbox.finish.finish import Released
from sandbox.finish.finish import check as check_finish
from sandbox.noise.chain import check as check_price
from sandbox.plan.ask import Ask, Privacy
from sandbox.plan.compile import compile_job
from sandbox.plan.explain import explain
from sandbox.plan.model import Part, Plan
from sandbox.raw.run import check_snapshots, exact_totals, public_tables
from sandbox.raw.totals import ExactTotals
from sandbox.raw.verify import check_plan
from sandbox.steps import Compute, at_once, released

if TYPE_CHECKING:
    from jobs.office import Office
    from jobs.order import Admitted


_beside = ThreadPoolExecutor(4, thread_name_prefix="check")


@dataclass(frozen=True, slots=True)
class SqlRequest:
    sql: str
    ask: Ask

    @property
    def kind(self) -> JobKind:
        return "sql"

    @property
    def privacy(self) -> Privacy:
        return self.ask.privacy

    @property
    def text(self) -> str:
        return self.sql

    def content(self) -> dict[str, Any]:
        return {"sql": self.sql, "ask": self.ask.model_dump(mode="json")}


class SqlKind:
    name: JobKind = "sql"

    def request(self, content: Mapping[str, Any]) -> SqlRequest:
        return SqlRequest(content["sql"], Ask.model_validate(content["ask"]))

    def compile(self, office: Office, request: SqlRequest, catalogue: Catalogue) -> Plan:
        return compile_job(request.sql, catalogue, request.ask)

    def check(self, plan: Plan) -> None:
        """Three that know nothing of each other, side by side; what is told is the first failure in this order."""
        beside = [_beside.submit(check_finish, plan), _beside.submit(check_plan, plan)]
        try:
            check_price(plan)  # OpenDP's own map agrees with the price
        finally:
            wait(beside)
        for each in beside:
            each.result()  # the last query runs, over no rows; DuckDB reads the plan's SQL as the plan says

    def expected_ms(self, settings: Settings, plan: Plan, catalogue: Catalogue) -> float:
        rows = sum(catalogue[scan.dataset].dataset.approximate_rows for scan in plan.scans)
        drawn = sum(len(part.draws) * min(_keys_of(part, rows), rows) for part in plan.parts)
        return estimate_ms(approximate_rows=rows, drawn=drawn, cores=settings.workers)

    def readable(self, office: Office, plan: Plan) -> None:
        check_snapshots(plan, office.vault)

    def totals(self, office: Office, job: Admitted[Plan]) -> dict[int, ExactTotals]:
        """Exact totals, over all shards, of every part that waits for nothing drawn."""
        return at_once(job.plan, _computing(office, job))

    def drawn(self, office: Office, job: Admitted[Plan], totals: Mapping[int, ExactTotals]) -> Released:
        """Draw part by part; a later part is computed over what earlier ones released. Nothing drawn is kept until the answer is staged."""
        return released(job.plan, totals, _computing(office, job), public_tables(job.plan, office.vault))

    def about(self, plan: Plan) -> dict[str, Any]:
        bounds = {name: max(getattr(part, name) for part in plan.parts) for name in ("groups_per_unit", "rows_per_group")}
        return {"thresholded": not plan.public_keys, "bounds": bounds}

    def explain(self, plan: Plan) -> dict[str, Any]:
        return explain(plan)

    def dummy(self, office: Office, plan: Plan, catalogue: Catalogue) -> Released:
        return dummy_answer(plan, catalogue)


def _computing(office: Office, job: Admitted[Plan]) -> Compute:
    """Computes exact totals of a part over all shards. The seed that chooses each unit's groups is secret and the job's own, so a second run
    gives the same."""
    seed = job.seed(office)

    def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
        with office.crew.reading(job.order.by.id, job.slots.rung_ms(job.slots.chosen)):
            return exact_totals(part, office.vault, office.workers, seed, read)

    return compute


def _keys_of(part: Part, rows: int) -> int:
    """How many keys are answered, as far as public facts say."""
    keys = 1
    for key in part.keys:
        keys *= len(key.domain) if key.domain is not None else max(1, rows // max(1, part.expected_rows))
    return keys
