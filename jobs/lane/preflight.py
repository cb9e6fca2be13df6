"""Pre-flight: what the rules would say whatever the data. Free, nothing read, nothing logged.

What rules find in exact numbers would tell of them, so an operator never sees it before people have decided (docs/decisions/0013). Here the
job runs over invented rows, and of the findings only those are told that no number can bring about or prevent: what an author says, the
kinds and size of the table, the rounding asked for, counts that stand beside sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from infra.database import reading
from jobs import verdicts
from jobs.kinds.exact import ExactKind, ExactRequest, dummy_counts
from jobs.lane.packs import pack_in_force
from jobs.office import Office
from jobs.order import Order
from policies.disclosure.apply import outcome
from policies.disclosure.pack import Rule, RulePack
from policies.disclosure.rules import findings
from policies.problem import declare
from sandbox.plan.exact_model import ExactPlan

OF_THE_SHAPE = frozenset({"context", "underlying", "shape", "rounding"})  # kinds of rule that look at no number

JOB_NOT_EXACT = declare(
    "job_not_exact",
    zh=("预检只适用于精确汇总", "该作业的类型是 {kind}。", "请提交类型为 exact 的作业；其他类型请用 yunei job check 查询价格与误差。"),
    en=(
        "Pre-flight is for exact tables",
        "The job is of kind {kind}.",
        "Submit a job of kind exact; for other kinds, yunei job check shows price and error.",
    ),
)


@dataclass(frozen=True, slots=True)
class Said:
    plan: ExactPlan
    pack: RulePack
    found: tuple[Rule, ...]
    later: tuple[Rule, ...]


def preflight(office: Office, order: Order) -> Said:
    """Every refusal the real run would meet at the door, then what the rules say of the shape."""
    if not isinstance(order.request, ExactRequest):
        raise JOB_NOT_EXACT(kind=order.request.kind)
    verdicts.may_ask(office, order)
    catalogue = office.register.catalogue()
    plan = ExactKind().compile(office, order.request, catalogue)
    verdicts.may_compute(office, order, plan, catalogue)
    with reading(office.register.engine) as connection:
        pack = pack_in_force(connection, office.settings)
    table = replace(dummy_counts(plan, catalogue).table, facts=dict(order.request.facts))
    broken = {finding.rule for finding in findings(outcome(table, order.request.mends, pack).subject)}
    own = [rule for rule in pack.rules if rule.kind in OF_THE_SHAPE]
    later = tuple(rule for rule in pack.rules if rule.kind not in OF_THE_SHAPE)
    return Said(plan, pack, tuple(rule for rule in own if rule.id in broken), later)
