"""Standing orders: reports that the server issues by its clock, each when its period is over.

A supervisor gives an order of a kind, a length of period and a subject, and any supervisor ends it. It takes one person, as issuing by hand
does: what is issued is a function of the register either way. Each period from the one the order was given in is issued once, in order. The
report and the entry that says the period is done are written in one transaction, which looks first whether the period is still to be done:
servers beside each other, and one that was killed at any moment, issue it once; one that was away makes up for what it missed.

Serves the draft measures on data work (Shanxi, 2024), article 14 (daily supervision) and article 18, paragraph 2 (disclosure), and the
implementing opinion of 2025, part 2 (3) item 8: what is due regularly does not wait for somebody to think of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from infra.database import reading
from infra.tables import kept_orders, report_orders
from jobs import directory
from jobs.acts.freezes import supervisor
from jobs.events import ReportOrdered, ReportOrderEnded, ReportOrderKept
from jobs.register import Register
from jobs.reports.files import files
from jobs.reports.issue import REPORT_EARLY, Issued, enter, issued, require_over
from jobs.reports.make import KINDS, REPORT_SUBJECT, Asked, make
from jobs.slots import parse_time
from policies.period import Period, PeriodKind
from policies.problem import Problem, declare

REPORT_ORDERED = declare(
    "report_ordered_already",
    zh=("已设定", "已有同一种类、周期与对象的定期报告：{order}。", "如需变更，请先停止该项。"),
    en=(
        "A standing order already exists",
        "Standing order {order} is for the same kind, period and subject.",
        "To change it, end that order first.",
    ),
)
REPORT_ORDER_UNKNOWN = declare(
    "report_order_unknown",
    zh=("没有这项定期报告", "没有编号为 {order} 的定期报告，或已停止。", "请用 yunei report orders 查看编号。"),
    en=("No such standing order", "There is no standing order {order}, or it has been ended.", "Run yunei report orders to see the ids."),
)


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """`next`: the first period that was not issued; `kept`: the reports issued by it, by period, newest first."""

    id: str
    entry: int
    kind: str
    every: PeriodKind
    subject: str | None
    next: str
    ordered_by: str
    ordered_at: str
    state: str
    ended_by: str | None
    reason: str | None
    changed_at: str
    kept: Mapping[str, str]


def order_report(register: Register, kind: str, every: PeriodKind, *, subject: str | None = None, by: str) -> ReportOrder:
    """From the present period on. Raises REPORT_PERIOD, REPORT_SUBJECT, REPORT_ORDERED."""
    with register.transaction() as act:
        supervisor(act, by)
        first = str(Period.holding(every, parse_time(act.at)))
        Asked.of(kind, first, subject)
        if subject is not None and ((who := directory.principal(act.connection, subject)) is None or who.role != "operator"):
            raise REPORT_SUBJECT(subject=subject)
        for each in _read(act.connection, open=True):
            if (each.kind, each.every, each.subject) == (kind, every, subject):
                raise REPORT_ORDERED(order=each.id)
        id = f"ord-{act.size}-{register.random(4).hex()}"
        act.append(ReportOrdered(by=by, order=id, report_kind=kind, every=every, subject=subject, first=first))
    return next(each for each in orders_of(register) if each.id == id)


def end_order(register: Register, order: str, *, reason: str, by: str) -> ReportOrder:
    """Raises REPORT_ORDER_UNKNOWN."""
    with register.transaction() as act:
        supervisor(act, by)
        if order not in {each.id for each in _read(act.connection, open=True)}:
            raise REPORT_ORDER_UNKNOWN(order=order)
        act.append(ReportOrderEnded(by=by, order=order, reason=reason))
    return next(each for each in orders_of(register) if each.id == order)


def orders_of(register: Register, *, open: bool = False) -> list[ReportOrder]:
    """Newest first."""
    with reading(register.engine) as connection:
        return _read(connection, open=open)


def _read(connection: Connection, *, open: bool) -> list[ReportOrder]:
    query = select(report_orders).order_by(report_orders.c.entry.desc())
    rows = connection.execute(query.where(report_orders.c.state == "open") if open else query).all()
    kept: dict[str, dict[str, str]] = {}
    for row in connection.execute(select(kept_orders).order_by(kept_orders.c.period.desc())):
        kept.setdefault(row.order, {})[row.period] = row.report
    return [ReportOrder(**row._asdict(), kept=kept.get(row.id, {})) for row in rows]


def keep(register: Register, order: ReportOrder) -> Issued | None:
    """Issue the order's next period; None when it is not over, not all of it is visible, or somebody else was first."""
    asked = Asked(KINDS[order.kind], Period.parse(order.next), order.subject)
    if register.clock() < Period.parse(order.next).end:
        return None
    try:
        require_over(register, asked)
    except Problem as problem:
        if problem.code == REPORT_EARLY.code:
            return None
        raise
    report = make(register, asked)
    made = files(report)
    with register.transaction() as act:
        now = next((each for each in _read(act.connection, open=True) if each.id == order.id), None)
        if now is None or now.next != order.next:
            return None
        id = enter(register, act, report, made, by="system")
        act.append(ReportOrderKept(by="system", order=order.id, period=order.next, report=id))
    return issued(register, id)
