"""The kind `exact`: one SELECT, answered with exact totals after two people agreed that they may leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from infra.settings import Settings
from jobs.slots import estimate_ms
from policies.catalogue import Catalogue
from policies.disclosure.mend import MENDS, Mend
from policies.disclosure.table import Basis
from policies.licence import JobKind
from sandbox.dummy import ROWS, invented
from sandbox.exact import released_table
from sandbox.finish.finish import Released
from sandbox.plan.ask import Privacy
from sandbox.plan.exact import compile_exact
from sandbox.plan.exact_model import ExactPlan
from sandbox.plan.model import Scan
from sandbox.raw.exact import Counted, check_exact, counts_of_tables, exact_counts

if TYPE_CHECKING:
    from jobs.office import Office
    from jobs.order import Admitted

MS_PER_CELL = 0.2  # adding partials up and sealing, generously: a slot missed says more than a slot too long
FACTS = ("title", "population", "purpose", "use")  # what an author says of a table


@dataclass(frozen=True, slots=True)
class ExactRequest:
    """`facts`: what its author says of the table, by FACTS; `mends`: how it is to be mended before it leaves. `licence` is the order's."""

    sql: str
    licence: str
    facts: Mapping[str, str] = field(default_factory=dict)
    mends: tuple[Mend, ...] = ()

    @property
    def kind(self) -> JobKind:
        return "exact"

    @property
    def privacy(self) -> Privacy:
        """None is spent; this says at which delta that is stated."""
        return Privacy(rho=Decimal("1e-12"), delta=Decimal("1e-6"))

    @property
    def text(self) -> str:
        return self.sql

    def content(self) -> dict[str, Any]:
        mends = MENDS.dump_python(self.mends, mode="json")
        return {"licence": self.licence, "sql": self.sql, "facts": dict(self.facts), "mends": mends}


class ExactKind:
    name: JobKind = "exact"

    def request(self, content: Mapping[str, Any]) -> ExactRequest:
        return ExactRequest(content["sql"], content["licence"], content["facts"], MENDS.validate_python(content["mends"]))

    def compile(self, office: Office, request: ExactRequest, catalogue: Catalogue) -> ExactPlan:
        mends = json.dumps(MENDS.dump_python(request.mends, mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return compile_exact(request.sql, catalogue).under(request.licence, mends)

    def check(self, plan: ExactPlan) -> None:
        """Nothing is drawn and nothing is finished: the plan is all there is."""

    def expected_ms(self, settings: Settings, plan: ExactPlan, catalogue: Catalogue) -> float:
        rows = sum(catalogue[scan.dataset].dataset.approximate_rows for scan in plan.scans)
        once = estimate_ms(approximate_rows=rows * len(plan.sets), drawn=0, cores=settings.workers)
        return once + MS_PER_CELL * plan.cells * max(1, len(plan.totals))

    def readable(self, office: Office, plan: ExactPlan) -> None:
        check_exact(plan, office.vault)

    def totals(self, office: Office, job: Admitted[ExactPlan]) -> Counted:
        with office.crew.reading(job.order.by.id, job.slots.rung_ms(job.slots.chosen)):
            return exact_counts(job.plan, office.vault, office.workers, job.seed(office), basis_of(job.plan, job.id))

    def drawn(self, office: Office, job: Admitted[ExactPlan], totals: Counted) -> Released:
        raise TypeError("an exact table is not released by the walk: people are")

    def about(self, plan: ExactPlan) -> dict[str, Any]:
        return {"cells": plan.cells, "shape": plan.shape, "mends": json.loads(plan.mends)}

    def explain(self, plan: ExactPlan) -> dict[str, Any]:
        return explain(plan)

    def dummy(self, office: Office, plan: ExactPlan, catalogue: Catalogue) -> Released:
        table = dummy_counts(plan, catalogue).table
        return released_table(plan, table)


def basis_of(plan: ExactPlan, job: str = "") -> Basis:
    """What the plan's table is counted over, for rules and for comparison with earlier ones."""
    snapshot = hashlib.sha256(",".join(sorted(scan.digest for scan in plan.scans)).encode()).hexdigest()
    return Basis(plan.space, plan.relation, snapshot, json.loads(plan.population), plan.licence, plan.shape, job)


def dummy_counts(plan: ExactPlan, catalogue: Catalogue, seed: int = 0) -> Counted:
    """The table over rows invented from the catalogue."""
    return counts_of_tables(plan, _invented(plan, plan.scans, catalogue, seed), seed, basis_of(plan))


def _invented(plan: ExactPlan, scans: Sequence[Scan], catalogue: Catalogue, seed: int) -> dict[str, pa.Table]:
    return {scan.alias: invented(scan, plan.uses, catalogue, ROWS, seed) for scan in scans}


def explain(plan: ExactPlan) -> dict[str, Any]:
    """What will be counted and what then happens to it. From the plan alone."""
    keys = [{"label": key.label, "column": key.column, "values": len(key.domain), "total": key.total} for key in plan.keys]
    return {
        "query": plan.query,
        "unit_space": plan.space,
        "tables": [{"dataset": scan.dataset, "version": scan.version, "private": scan.private} for scan in plan.scans],
        "keys": keys,
        "columns": [{"label": one.label, "kind": one.kind, "decimals": one.decimals} for one in plan.columns],
        "cells": plan.cells,
        "sql": {"rows": plan.rows_sql, "tables": plan.tables_sql},
        "zh": [
            f"表有 {plan.cells} 行，行与列都由公开信息决定；分组取值不在目录所列之内的行一律不计，合计亦然。",
            "精确数值封存，不加噪，不计隐私预算；须经规则检查并由两名审核员分别同意后发布，每次发布另行计数。",
        ],
        "en": [
            f"The table has {plan.cells} rows; rows and columns follow from public facts. Rows whose keys are not among the declared values "
            "count nowhere, totals included.",
            "Exact numbers are sealed: no noise, no charge. Rules check them, and two reviewers must each agree before they leave; every "
            "release is counted.",
        ],
    }
