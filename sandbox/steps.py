"""The parts of a plan one after another: exact totals, the draw, and what later parts may then read.

What is drawn stays in this process until the answer is staged, so a run that dies between two draws has released nothing: the next run
draws anew, and one draw per charge is ever stored. Totals of parts that wait for no draw are computed before the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from sandbox.finish.finish import Released, finish, view_tables
from sandbox.noise.draw import draw
from sandbox.noisy import NoisyTable
from sandbox.plan.model import Part, Plan
from sandbox.raw.totals import ExactTotals

Compute = Callable[[Part, Mapping[str, pa.Table]], ExactTotals]  # of a part, over the tables it reads that earlier ones released


def at_once(plan: Plan, compute: Compute) -> dict[int, ExactTotals]:
    """Exact totals, by place, of the parts that read nothing released."""
    return {place: compute(part, {}) for place, part in enumerate(plan.parts) if not part.reads}


def released(plan: Plan, ready: Mapping[int, ExactTotals], compute: Compute, public: Mapping[str, pa.Table] | None = None) -> Released:
    """Draw part by part and finish. `ready`: what `at_once` gave; `public`: the plan's public tables by alias. Called once per charge."""
    drawn: list[NoisyTable] = []
    for place, part in enumerate(plan.parts):
        totals = ready.get(place)
        drawn.append(draw(part, compute(part, _read(plan, part, drawn, public)) if totals is None else totals))
    return finish(plan, drawn, public)


def _read(plan: Plan, part: Part, drawn: Sequence[NoisyTable], public: Mapping[str, pa.Table] | None) -> dict[str, pa.Table]:
    views = view_tables(plan, drawn, public)
    return {name: views[name] for name in part.reads}
