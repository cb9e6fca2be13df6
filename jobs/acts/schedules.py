"""Products renewed on each new state of their data: set by their operator; stopped by it, by a supervisor, or by what keeps them from it."""

from __future__ import annotations

import base64

from jobs import directory
from jobs.acts.licences import LICENCE_STATE_CONFLICT
from jobs.acts.people import known
from jobs.acts.products import PRODUCT_STATE, PRODUCT_UNKNOWN, SYSTEM
from jobs.events import ScheduleRan, ScheduleSet, ScheduleStopped
from jobs.order import Order
from jobs.products import schedules, seen
from jobs.register import Register
from jobs.slots import parse_time
from policies.problem import declare
from policies.product.life import GROWING

SCHEDULE_UNKNOWN = declare(
    "product_schedule_unknown",
    zh=("没有这项定期制作", "没有您可以办理的定期制作 {schedule}，或已停止。", "用 yunei product schedules 查看。"),
    en=("No such schedule", "There is no schedule {schedule} that is yours to act on, or it was stopped.", "See yunei product schedules."),
)


def set_schedule(register: Register, order: Order, product: str, *, releases_at_most: int) -> str:
    """Submit `order`, again and again, in its operator's name, on each new state of the data it reads, and add what it releases to the
    product. Returns the schedule's id. Each job is checked, priced and charged like any other: it has no right that its operator has not."""
    id = "sch-" + base64.b32encode(register.random(10)).decode().lower()
    with register.transaction() as act:
        found, licence = seen.product(act.connection, product), directory.licence(act.connection, order.licence)
        if found is None or found.operator != order.by.id:
            raise PRODUCT_UNKNOWN(product=product)
        if found.state not in GROWING:
            raise PRODUCT_STATE(product=product, state=found.state, needed="/".join(GROWING))
        state = "absent" if licence is None else licence.state_at(parse_time(act.at))
        if licence is None or licence.licence.operator != order.by.id or state not in ("granted", "active"):
            raise LICENCE_STATE_CONFLICT(licence=order.licence, state=state, needed="active")
        request = act.seal(order.sealed({}))
        act.append(
            ScheduleSet(by=order.by.id, schedule=id, product=product, licence=order.licence, request=request, releases_at_most=releases_at_most)
        )
    return id


def note_run(register: Register, schedule: str, snapshots: str, job: str) -> None:
    with register.transaction() as act:
        act.append(ScheduleRan(by=SYSTEM, schedule=schedule, snapshots=snapshots, job=job))


def stop_schedule(register: Register, schedule: str, *, reason: str = "stopped", by: str = SYSTEM) -> None:
    """Jobs that were submitted go on."""
    with register.transaction() as act:
        found = schedules.schedule(act.connection, schedule)
        who = None if by == SYSTEM else known(act, by, "active")
        if found is None or found.state != "active" or not (who is None or who.role == "supervisor" or who.id == found.operator):
            raise SCHEDULE_UNKNOWN(schedule=schedule)
        act.append(ScheduleStopped(by=by, schedule=schedule, reason=reason))
