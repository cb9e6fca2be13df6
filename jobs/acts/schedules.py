"""Products renewed on each new state of their data: set by their operator; stopped by it, by a supervisor, or by what keeps them from it."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from jobs import directory
from jobs.acts.licences import LICENCE_STATE_CONFLICT
from jobs.acts.people import known
from jobs.acts.products import PRODUCT_STATE, PRODUCT_UNKNOWN, SYSTEM
from jobs.events import RunningSet, ScheduleRan, ScheduleSet, ScheduleStopped
from jobs.kinds import unsealed
from jobs.order import Asker, Order
from jobs.products import schedules, seen
from jobs.products.running import Given, settled
from jobs.register import Act, Register
from jobs.slots import parse_time
from jobs.states import MEANING, State
from policies.problem import declare
from policies.product.life import GROWING
from policies.product.running import MOST_PERIODS, Running

SCHEDULE_UNKNOWN = declare(
    "product_schedule_unknown",
    zh=("没有这项定期制作", "没有您可以办理的定期制作 {schedule}，或已停止。", "请用 yunei product schedules 查看。"),
    en=(
        "No such schedule",
        "There is no schedule {schedule} that you may act on, or it was stopped.",
        "Run yunei product schedules to see them.",
    ),
)


SCHEDULE_ALONE = declare(
    "product_schedule_alone",
    zh=("已有定期制作", "产品 {product} 已有定期制作 {schedule}；逐期累计须是产品唯一的定期制作。", "请先停止它，或另建产品。"),
    en=(
        "There is already a schedule",
        "Product {product} already has schedule {schedule}; a running total must be a product's only schedule.",
        "Stop that schedule first, or make another product.",
    ),
)
SCHEDULE_CONTINUED = declare(
    "product_running_not_continued",
    zh=(
        "不能从此继续",
        "定期制作 {schedule} 不是已停止的逐期累计，或还有作业未结束，或已完成的 {done} 期不少于所求的 {periods} 期。",
        "请等作业结束后，以更多期数继续。",
    ),
    en=(
        "The running total cannot be continued from here",
        "Schedule {schedule} is not a stopped running total, has a job that is not finished, or has already done {done} periods, no "
        "fewer than the {periods} asked for.",
        "Wait until its jobs have finished, then continue with a larger number of periods.",
    ),
)


def set_schedule(register: Register, order: Order, product: str, *, releases_at_most: int) -> str:
    """Submit `order`, again and again, in its operator's name, on each new state of the data it reads, and add what it releases to the
    product. Returns the schedule's id. Each job is checked, priced and charged like any other: it has no right that its operator has not."""
    with register.transaction() as act:
        if (other := _active(act, product, running=True)) is not None:
            raise SCHEDULE_ALONE(product=product, schedule=other)
        return _set(register, act, order, product, releases_at_most)


def set_running(register: Register, order: Order, product: str, given: Given) -> str:
    """Ask `order` of the periods of a dataset, one release when each is over, and make of them the versions of the product: running totals.
    Returns the schedule's id."""
    found = settled(order, given, register.catalogue())
    with register.transaction() as act:
        if (other := _active(act, product)) is not None:
            raise SCHEDULE_ALONE(product=product, schedule=other)
        id = _set(register, act, found.order, product, given.periods)
        act.append(RunningSet(by=order.by.id, schedule=id, **_plan(found.running)))
    return id


def continue_running(register: Register, schedule: str, *, periods: int, by: Asker) -> str:
    """Go on with a running total that was stopped, to the end of period `periods`: the releases there are serve it too. Returns the id of the
    schedule that does."""
    with register.transaction() as act:
        found = schedules.schedule(act.connection, schedule)
        if found is None or found.operator != by.id:
            raise SCHEDULE_UNKNOWN(schedule=schedule)
        done = next((place for place, run in enumerate(found.periods) if run.release is None), len(found.periods))
        under_way = any(MEANING[State(run.state)].shown in ("running", "held") for run in found.periods)
        if found.running is None or found.state != "stopped" or under_way or not done < periods <= MOST_PERIODS:
            raise SCHEDULE_CONTINUED(schedule=schedule, done=done, periods=periods)
        if (other := _active(act, found.product)) is not None:
            raise SCHEDULE_ALONE(product=found.product, schedule=other)
        sealed = register.opening(found.request)
        assert sealed is not None  # it was sealed in the transaction that set it
        id = _set(register, act, unsealed(by, sealed, None)[0], found.product, periods - done)
        goes_on = {"after": schedule, "done": done} if done else {}
        act.append(RunningSet(by=by.id, schedule=id, **_plan(replace(found.running, periods=periods)), **goes_on))
    return id


def _plan(running: Running) -> dict[str, Any]:
    return {name: getattr(running, name) for name in ("dataset", "step", "first", "periods", "way")}


def _active(act: Act, product: str, *, running: bool = False) -> str | None:
    """A schedule of the product that is active; with `running`, of running totals."""
    found = schedules.schedules_of(act.connection, product=product, active=True)
    return next((each.id for each in found if each.running is not None or not running), None)


def _set(register: Register, act: Act, order: Order, product: str, releases_at_most: int) -> str:
    id = "sch-" + base64.b32encode(register.random(10)).decode().lower()
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
