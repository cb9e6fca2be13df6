"""The steps of a model one after another: exact vector, the draw, the public parameters of the next step.

As with the parts of a query (`sandbox.steps`), what is drawn stays in this process until the answer is staged: a run that dies between two
steps has released nothing, and the next run draws all of them anew. The number of steps is the plan's; nothing stops early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policies.catalogue import Catalogue
from sandbox.dummy import ROWS, invented
from sandbox.finish.finish import Released
from sandbox.finish.fit import after
from sandbox.finish.fit_answer import answered
from sandbox.noise.fit import Drawn, draw_step
from sandbox.plan.fit.plan import FitPlan
from sandbox.raw.fit_run import step_of_tables
from sandbox.raw.totals import ExactTotals

ComputeStep = Callable[[int, Sequence[int]], ExactTotals]  # of a step, at its parameters
DrawStep = Callable[[FitPlan, int, ExactTotals], Drawn]


def fitted(plan: FitPlan, first: ExactTotals, compute: ComputeStep, draw: DrawStep | None = None) -> Released:
    """All steps and the answer. `first`: the exact vector of the first one, at `plan.start`. Called once per charge."""
    parameters: list[tuple[int, ...]] = [plan.start]
    drawn: list[Drawn] = []
    for place in range(len(plan.steps)):
        drawn.append((draw or draw_step)(plan, place, compute(place, parameters[-1]) if place else first))
        parameters.append(after(plan, place, parameters[-1], drawn[-1]))
    return answered(plan, parameters, drawn)


def dummy_fit(plan: FitPlan, catalogue: Catalogue, *, seed: int = 0) -> Released:
    """What the job would look like: the same steps and the same noise over invented rows."""
    tables = {scan.alias: invented(scan, plan.uses, catalogue, ROWS, seed) for scan in plan.scans}

    def compute(place: int, parameters: Sequence[int]) -> ExactTotals:
        return step_of_tables(plan, place, parameters, tables)

    return fitted(plan, compute(0, plan.start), compute)
