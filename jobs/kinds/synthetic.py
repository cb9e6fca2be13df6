"""The kind `synthetic`: a table of rows that nobody is behind, drawn from noisy marginals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from infra.settings import Settings
from jobs.slots import estimate_ms
from policies.catalogue import Catalogue
from policies.licence import JobKind
from sandbox.finish.finish import Released
from sandbox.noise.marginals import check as check_price
from sandbox.plan.ask import Privacy
from sandbox.plan.synthesise import canonical, compile_synthetic
from sandbox.plan.synthetic import Recipe, SyntheticPlan
from sandbox.raw.marginals import ExactMarginals, check_snapshot, exact_marginals
from sandbox.synthetic.job import dummy_synthetic, explain, synthesised

if TYPE_CHECKING:
    from jobs.office import Office
    from jobs.order import Admitted

MS_PER_CANDIDATE = 150.0  # of fitting, for each set of columns that may be measured (docs/measurements.md, generously)
ROUNDS_PER_COLUMN = 3  # that are usually drawn


@dataclass(frozen=True, slots=True)
class SyntheticRequest:
    recipe: Recipe

    @property
    def kind(self) -> JobKind:
        return "synthetic"

    @property
    def privacy(self) -> Privacy:
        return self.recipe.privacy

    @property
    def text(self) -> str:
        return canonical(self.recipe)

    def content(self) -> dict[str, Any]:
        return {"recipe": self.recipe.model_dump(mode="json")}


class SyntheticKind:
    name: JobKind = "synthetic"

    def request(self, content: Mapping[str, Any]) -> SyntheticRequest:
        return SyntheticRequest(Recipe.model_validate(content["recipe"]))

    def compile(self, office: Office, request: SyntheticRequest, catalogue: Catalogue) -> SyntheticPlan:
        return compile_synthetic(request.recipe, catalogue)

    def check(self, plan: SyntheticPlan) -> None:
        check_price(plan)  # OpenDP's own map agrees with the price

    def expected_ms(self, settings: Settings, plan: SyntheticPlan, catalogue: Catalogue) -> float:
        rows = catalogue[plan.scan.dataset].dataset.approximate_rows
        widest = max(map(plan.cells, plan.candidates))
        drawn = sum(plan.sizes) + ROUNDS_PER_COLUMN * len(plan.sizes) * widest
        return estimate_ms(approximate_rows=rows, drawn=drawn, cores=1) + MS_PER_CANDIDATE * len(plan.candidates)

    def readable(self, office: Office, plan: SyntheticPlan) -> None:
        check_snapshot(plan, office.vault)

    def totals(self, office: Office, job: Admitted[SyntheticPlan]) -> ExactMarginals:
        with office.crew.reading(job.order.by.id, job.slots.rung_ms(job.slots.chosen)):
            return exact_marginals(job.plan, office.vault, office.workers, job.seed(office))

    def drawn(self, office: Office, job: Admitted[SyntheticPlan], totals: ExactMarginals) -> Released:
        return synthesised(job.plan, totals, np.random.default_rng(list(office.random(32))))

    def about(self, plan: SyntheticPlan) -> dict[str, Any]:
        return {"thresholded": False, "bounds": {"rows_per_unit": plan.rows_per_unit}}

    def explain(self, plan: SyntheticPlan) -> dict[str, Any]:
        return explain(plan)

    def dummy(self, office: Office, plan: SyntheticPlan, catalogue: Catalogue) -> Released:
        return dummy_synthetic(plan, catalogue)
