"""The kind `model`: a regression or k-means by noisy steps, answered with coefficients and their errors, or with centres and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.settings import Settings
from jobs.slots import FIXED_MS, MS_PER_DRAW
from policies.catalogue import Catalogue
from policies.licence import JobKind
from sandbox.finish.finish import Released
from sandbox.fit_steps import dummy_fit, fitted
from sandbox.noise.fit import check_fit
from sandbox.plan.ask import Privacy
from sandbox.plan.fit.ask import FitAsk
from sandbox.plan.fit.compile import compile_fit
from sandbox.plan.fit.explain import card
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw.fit_run import check_fit_plan, check_fit_readable, exact_step
from sandbox.raw.totals import ExactTotals

if TYPE_CHECKING:
    from jobs.office import Office
    from jobs.order import Admitted

# Public cost model, generous as that of `jobs.slots`, in milliseconds on one core (docs/measurements.md, Models).
MS_PER_ROW = 1 / 1_000  # read and standardised, once
MS_PER_STEP_ROW = 1 / 2_500  # of one pass
MS_PER_CELL = 1 / 20_000  # of one pass, for each number that a row adds to
MS_PER_STEP = 30.0


@dataclass(frozen=True, slots=True)
class ModelRequest:
    ask: FitAsk

    @property
    def kind(self) -> JobKind:
        return "model"

    @property
    def privacy(self) -> Privacy:
        return self.ask.privacy

    @property
    def text(self) -> str:
        target = "" if self.ask.target is None else f"{self.ask.target.name} ~ "
        return f"{self.ask.model.upper()} {target}{' + '.join(feature.name for feature in self.ask.features)} FROM {self.ask.source}"

    def content(self) -> dict[str, Any]:
        return {"fit": self.ask.model_dump(mode="json")}


class ModelKind:
    name: JobKind = "model"

    def request(self, content: Mapping[str, Any]) -> ModelRequest:
        return ModelRequest(FitAsk.model_validate(content["fit"]))

    def compile(self, office: Office, request: ModelRequest, catalogue: Catalogue) -> FitPlan:
        return compile_fit(request.ask, catalogue)

    def check(self, plan: FitPlan) -> None:
        check_fit(plan)  # OpenDP's own map agrees with the price, step by step
        check_fit_plan(plan)

    def expected_ms(self, settings: Settings, plan: FitPlan, catalogue: Catalogue) -> float:
        rows = sum(catalogue[scan.dataset].dataset.approximate_rows for scan in plan.scans)
        cells = sum(step.size for step in plan.steps) * (1 if plan.single else 2)
        a_row = MS_PER_ROW * len(plan.variables) + len(plan.steps) * MS_PER_STEP_ROW + cells * MS_PER_CELL
        drawn = sum(step.size for step in plan.steps)
        return FIXED_MS + rows * a_row / max(1, settings.workers) + len(plan.steps) * MS_PER_STEP + drawn * MS_PER_DRAW

    def readable(self, office: Office, plan: FitPlan) -> None:
        check_fit_readable(plan, office.vault)

    def totals(self, office: Office, job: Admitted[FitPlan]) -> ExactTotals:
        """The exact vector of the first step, whose parameters are public beforehand."""
        return _step(office, job, 0, job.plan.start)

    def drawn(self, office: Office, job: Admitted[FitPlan], totals: ExactTotals) -> Released:
        """Draw step by step; each is computed at parameters that earlier ones gave. Nothing drawn is kept until the answer is staged."""
        return fitted(job.plan, totals, lambda place, parameters: _step(office, job, place, parameters))

    def about(self, plan: FitPlan) -> dict[str, Any]:
        return {"thresholded": False, "bounds": {"rows_per_unit": plan.rows_per_unit}}

    def explain(self, plan: FitPlan) -> dict[str, Any]:
        return card(plan)

    def dummy(self, office: Office, plan: FitPlan, catalogue: Catalogue) -> Released:
        return dummy_fit(plan, catalogue)


def _step(office: Office, job: Admitted[FitPlan], place: int, parameters: Sequence[int]) -> ExactTotals:
    with office.crew.reading(job.order.by.id, job.slots.rung_ms(job.slots.chosen)):
        return exact_step(job.plan, place, parameters, office.vault, office.workers)
