"""A held job with all that it takes to look at it again: its order, the plan it was admitted with, the data's versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Row, select

from infra.database import reading
from infra.tables import holds, jobs
from jobs import directory, reviews
from jobs.kinds import KINDS, unsealed
from jobs.kinds.exact import ExactRequest
from jobs.office import Office
from jobs.order import Admitted, Asker, Order
from jobs.queue import Lease
from jobs.slots import Slots, parse_time
from policies.catalogue import Catalogue
from policies.problem import Problem, declare
from sandbox.plan.exact_model import ExactPlan

REVIEW_OUTDATED = declare(
    "review_outdated",
    zh=("作业已不能按受理时的计划核对", "系统更新后，作业 {job} 的计划与受理时不同。", "请由运营单位重新提交该作业。"),
    en=(
        "The job can no longer be checked by the plan it was admitted with",
        "The system was updated, and the plan of job {job} is no longer the one it was admitted with.",
        "Ask the operator to submit the job again.",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """`admitted` as the walk had it, but for the lease: nobody carries a held job."""

    row: Row[Any]
    admitted: Admitted[ExactPlan]

    @property
    def job(self) -> str:
        return str(self.row.id)

    @property
    def order(self) -> Order:
        return self.admitted.order

    @property
    def plan(self) -> ExactPlan:
        return self.admitted.plan

    @property
    def request(self) -> ExactRequest:
        return cast(ExactRequest, self.order.request)


def case(office: Office, job: str) -> Case | None:
    """None when no such table is, or was, held. REVIEW_OUTDATED when its plan cannot be made again."""
    with reading(office.register.engine) as connection:
        row = reviews.held(connection, job)
        return None if row is None else case_of(office, connection, row)


def held_beside(office: Office, found: Case) -> list[str]:
    """Other tables still held that are in the same request, in the order in which they leave."""
    query = (
        select(holds.c.job)
        .join(jobs, jobs.c.id == holds.c.job)
        .where(holds.c.review == found.row.review, jobs.c.state == "held", holds.c.job != found.job)
    )
    if found.row.review is None:
        return []
    with reading(office.register.engine) as connection:
        return list(connection.scalars(query.order_by(holds.c.job)))


def case_of(office: Office, connection: Connection, row: Row[Any]) -> Case:
    by, (_, content) = directory.principal(connection, row.operator), reviews.opening(connection, row.request)
    assert by is not None  # registered before it could submit
    order, versions = unsealed(Asker(by.id, by.role, by.status), content, row.idempotency)
    snapshots = (directory.snapshot(connection, dataset, version) for dataset, version in versions.items())
    catalogue = Catalogue(tuple(snapshot for snapshot in snapshots if snapshot is not None))
    try:
        plan = KINDS["exact"].compile(office, order.request, catalogue)
    except Problem:
        raise REVIEW_OUTDATED(job=row.id) from None
    if plan.digest != row.plan_digest:
        raise REVIEW_OUTDATED(job=row.id)
    slots = Slots.of(parse_time(row.submitted_at), row.slot_ms, office.settings.slots_ms)
    lease = Lease(row.id, office.leases.holder, 0)
    return Case(row, Admitted(row.id, order, plan, catalogue, row.question, row.charge, slots, lease, row.state))
