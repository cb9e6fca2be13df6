"""Settlement periods: closed once, in order, when they are over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from infra.tables import documents, fee_bodies, licence_versions, licences, settlement_shares, settlements
from jobs.directory import licence_in
from jobs.events import FeePosted, PeriodClosed, SettledShare
from jobs.fees import posting
from jobs.register import Act, Register
from jobs.slots import parse_time
from policies.fees import fee_of, settle
from policies.licence import Licence
from policies.life import ENDED
from policies.period import Period
from policies.problem import declare

PERIOD_OPEN = declare(
    "fee_period_open",
    zh=("结算周期尚未结束", "结算周期 {period} 至 {end} 才结束。", "请在周期结束之后关账。"),
    en=("The period is not over", "Period {period} ends at {end}.", "Close it after it has ended."),
)
PERIOD_CLOSED = declare(
    "fee_period_closed",
    zh=("结算周期已关账", "协议 {licence} 的结算周期 {period} 已关账。", "已关账的周期不能更改；请查看对账单。"),
    en=(
        "The period is closed",
        "Period {period} of licence {licence} is already closed.",
        "A closed period cannot be changed; see its statement.",
    ),
)
PERIOD_ORDER = declare(
    "fee_period_order",
    zh=("须按顺序关账", "协议 {licence} 的结算周期 {earlier} 尚未关账。", "请先为 {earlier} 关账：超出准许收入的部分要结转到下一周期。"),
    en=(
        "Periods are closed in order",
        "Period {earlier} of licence {licence} is not closed yet.",
        "Close {earlier} first: revenue beyond what is allowed is carried into the next period.",
    ),
)
PERIOD_NOTHING = declare(
    "fee_period_nothing",
    zh=(
        "没有可以关账的协议",
        "没有在结算周期 {period} 收费而未关账的协议。",
        "请核对周期的写法：按月 2026-11、按季 2026-Q4、按年 2026，须与协议的价目一致。",
    ),
    en=(
        "There is nothing to close",
        "No licence with fees for period {period} is still open.",
        "Check how the period is written: 2026-11, 2026-Q4 or 2026, as in the licence's tariff.",
    ),
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a licence, in force from `at` until the next."""

    at: datetime
    document: str
    licence: Licence


def versions(connection: Connection, licence: str) -> list[Version]:
    """Oldest first."""
    return histories(connection, [licence]).get(licence, [])


def histories(connection: Connection, names: Sequence[str]) -> dict[str, list[Version]]:
    """The versions of each of these licences, oldest first."""
    query = (
        select(licence_versions.c.licence, licence_versions.c.at, licence_versions.c.document, documents.c.body)
        .join(documents, documents.c.digest == licence_versions.c.document)
        .where(licence_versions.c.licence.in_(names))
        .order_by(licence_versions.c.licence, licence_versions.c.version)
    )
    found: dict[str, list[Version]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.licence].append(Version(parse_time(row.at), row.document, licence_in(row.document, bytes(row.body))))
    return found


def in_force(history: Sequence[Version], moment: datetime) -> Version | None:
    """The version that held just before a moment."""
    return next((version for version in reversed(history) if version.at < moment), None)


def first_period(history: Sequence[Version]) -> Period | None:
    """The period in which the licence first had a tariff; None: it never had one."""
    return next((Period.holding(version.licence.tariff.period, version.at) for version in history if version.licence.tariff), None)


def close_period(register: Register, period: Period, *, licence: str | None = None, by: str) -> list[str]:
    """Post what is due by the month, hold what was posted against the allowed revenue, and close the period: of one licence, or of every
    licence that charges by it and has it unclosed. Returns their ids. All of them are closed, or none."""
    with register.transaction() as act:
        if parse_time(act.at) < period.end:
            raise PERIOD_OPEN(period=period, end=period.end.isoformat())
        names = [licence] if licence is not None else list(act.connection.execute(select(licences.c.id).order_by(licences.c.id)).scalars())
        closed = [name for name in names if _close(act, name, period, by, alone=licence is not None)]
        if not closed:
            raise PERIOD_NOTHING(period=period)
        return closed


def _close(act: Act, licence: str, period: Period, by: str, *, alone: bool) -> bool:
    history = versions(act.connection, licence)
    first = first_period(history)
    if first is None or first.kind != period.kind or first.number > period.number:
        return False
    done = set(act.connection.execute(select(settlements.c.period).where(settlements.c.licence == licence)).scalars())
    if str(period) in done:
        if alone:
            raise PERIOD_CLOSED(licence=licence, period=period)
        return False
    for number in range(first.number, period.number):
        if str(Period(period.kind, number)) not in done:
            raise PERIOD_ORDER(licence=licence, earlier=Period(period.kind, number))
    for posted in _by_the_month(act, licence, period, history, by):
        act.append(posted)
    act.append(_settlement(act, licence, period, history, by))
    return True


def _by_the_month(act: Act, licence: str, period: Period, history: Sequence[Version], by: str) -> Iterator[FeePosted]:
    """One fee for each tariff under which months were begun in the period: what holds at a month's end holds for the month."""
    row = act.connection.execute(select(licences.c.state, licences.c.changed_at).where(licences.c.id == licence)).one()
    ended = parse_time(row.changed_at) if row.state in ENDED else None
    for version, months in months_due(period, history, ended):
        names = tuple(sorted(grant.dataset for grant in version.licence.datasets))
        tariff = version.licence.tariff
        assert tariff is not None
        fee = fee_of(tariff, {"month": months}, scenario=None, datasets=names, before={})
        yield FeePosted.model_validate(
            {
                "by": by,
                "cause": "term",
                "licence": licence,
                "operator": version.licence.operator,
                "period": str(period),
                "licence_document": version.document,
                "tariff": tariff.digest,
                "datasets": names,
                **posting(fee),
            }
        )


def months_due(period: Period, history: Sequence[Version], ended: datetime | None) -> list[tuple[Version, int]]:
    """How many months were begun in a period under each tariff that has a price by the month, with the newest version that has the tariff.
    What holds at a month's end holds for the month."""
    due: dict[str, tuple[Version, int]] = {}
    for month in period.months():
        version = in_force(history, month.end)
        if version is None or version.licence.tariff is None or not _held_in(month, version.licence, ended):
            continue
        if version.licence.tariff.item_for("month", None) is not None:
            tariff = version.licence.tariff.digest
            due[tariff] = version, due.get(tariff, (version, 0))[1] + 1
    return list(due.values())


def _held_in(month: Period, licence: Licence, ended: datetime | None) -> bool:
    """Whether the licence's term, cut short when it was ended, reaches into the month."""
    return licence.valid_from < month.end and licence.valid_until > month.start and (ended is None or ended > month.start)


def _settlement(act: Act, licence: str, period: Period, history: Sequence[Version], by: str) -> PeriodClosed:
    last = in_force(history, period.end)
    allowed = last.licence.tariff.allowed_fen if last is not None and last.licence.tariff is not None else None
    posted, brought = (
        posted_shares(act.connection, licence, period),
        carried_shares(act.connection, licence, Period(period.kind, period.number - 1)),
    )
    settled = settle(posted, brought, allowed)
    return PeriodClosed(
        by=by,
        licence=licence,
        period=str(period),
        allowed=allowed,
        posted=sum(posted.values()),
        brought=sum(brought.values()),
        payable=sum(settled.payable.values()),
        carried=sum(settled.carried.values()),
        shares=tuple(
            SettledShare(body=body, payable=settled.payable.get(body, 0), carried=carried) for body, carried in settled.carried.items()
        ),
    )


def posted_shares(connection: Connection, licence: str, period: Period) -> dict[str, int]:
    """What each body has of the fees posted in a period."""
    query = select(fee_bodies.c.body, fee_bodies.c.fen).where(fee_bodies.c.licence == licence, fee_bodies.c.period == str(period))
    return {row.body: row.fen for row in connection.execute(query)}


def carried_shares(connection: Connection, licence: str, period: Period) -> dict[str, int]:
    """What each body was left with when a period was closed."""
    query = select(settlement_shares.c.body, settlement_shares.c.carried_fen).where(
        settlement_shares.c.licence == licence, settlement_shares.c.period == str(period)
    )
    return {row.body: row.carried_fen for row in connection.execute(query)}
