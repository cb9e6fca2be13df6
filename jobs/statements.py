"""What was charged: fees one by one, statements per licence and settlement period, revenue per body. Reading only; amounts are fen.

A fee is seen when its release is. A statement of a period not closed yet says what closing it now would come to, without the fees by the
month, which are posted when it is closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Row, Select, select

from infra.database import reading
from infra.tables import fee_lines, fee_shares, fees, licences
from jobs.acts.periods import Version, first_period, histories, in_force
from jobs.events import rfc3339
from jobs.kept import Amounts, Kept, Usage
from jobs.register import Register
from policies.catalogue import Title
from policies.fees import settle
from policies.period import PERIOD_KINDS, Period
from policies.tariff import Item, Measure


@dataclass(frozen=True, slots=True)
class LineSeen:
    item: str
    measure: Measure
    quantity: int
    fen: int


@dataclass(frozen=True, slots=True)
class FeeSeen:
    """A fee as posted; `index` is its place in the log."""

    index: int
    cause: str
    licence: str
    operator: str
    release: str | None
    scenario: str | None
    period: str
    free: bool
    fen: int
    posted_at: str
    lines: tuple[LineSeen, ...]
    shares: tuple[tuple[str, int], ...]


def fees_of(
    register: Register,
    now: datetime,
    *,
    operator: str | None = None,
    licence: str | None = None,
    period: str | None = None,
    release: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[FeeSeen]:
    """Visible fees, newest first; `before` is an index of an earlier page."""
    query: Select[tuple[object, ...]] = select(fees).where(fees.c.visible_at <= rfc3339(now)).order_by(fees.c.entry.desc()).limit(limit)
    for column, value in ((fees.c.operator, operator), (fees.c.licence, licence), (fees.c.period, period), (fees.c.release, release)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(fees.c.entry < before)
    with reading(register.engine) as connection:
        return list(_whole(connection, connection.execute(query).all()))


def fees_of_releases(register: Register, ids: Iterable[str]) -> dict[str, FeeSeen]:
    """What publishing each release cost; none for those without a tariff. Whoever asks may see the releases."""
    with reading(register.engine) as connection:
        rows = connection.execute(select(fees).where(fees.c.release.in_(list(ids)), fees.c.cause == "release")).all()
        return {str(fee.release): fee for fee in _whole(connection, rows)}


def _whole(connection: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> Iterator[FeeSeen]:
    """Fees with their lines and shares."""
    indices = [row.entry for row in rows]
    lines: dict[int, list[LineSeen]] = defaultdict(list)
    for line in connection.execute(select(fee_lines).where(fee_lines.c.fee.in_(indices)).order_by(fee_lines.c.fee, fee_lines.c.item)):
        lines[line.fee].append(LineSeen(line.item, line.measure, line.quantity, line.fen))
    shares: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for share in connection.execute(select(fee_shares).where(fee_shares.c.fee.in_(indices)).order_by(fee_shares.c.fee, fee_shares.c.body)):
        shares[share.fee].append((share.body, share.fen))
    for row in rows:
        own, parts = tuple(lines[row.entry]), tuple(shares[row.entry])
        kept = (row.entry, row.cause, row.licence, row.operator, row.release, row.scenario, row.period, row.free, row.fen, row.posted_at)
        yield FeeSeen(*kept, own, parts)


@dataclass(slots=True)
class ItemTotal:
    """One item in a period: what was charged for, what was free, and what it came to. `title` None: its tariff is not held any more."""

    item: str
    measure: Measure
    title: Title | None
    quantity: int = 0
    free: int = 0
    fen: int = 0


@dataclass(slots=True)
class ScenarioTotal:
    scenario: str | None
    fees: int = 0
    free: int = 0
    fen: int = 0


@dataclass(frozen=True, slots=True)
class BodyTotal:
    """What a body has: posted and brought in, of which `payable` now and `carried` on."""

    id: str
    title: Title
    role: str
    posted: int
    brought: int
    payable: int
    carried: int


@dataclass(frozen=True, slots=True)
class Statement:
    """对账单 of one licence and settlement period. `payable` + `carried` = `posted` + `brought`."""

    licence: str
    operator: str
    period: Period
    closed_at: str | None
    log_index: int | None
    usage: Usage
    items: tuple[ItemTotal, ...]
    scenarios: tuple[ScenarioTotal, ...]
    bodies: tuple[BodyTotal, ...]
    allowed: int | None
    posted: int
    brought: int
    payable: int
    carried: int
    fees: int = field(default=0)


def statements_of(
    register: Register, period: Period, now: datetime, *, operator: str | None = None, licence: str | None = None
) -> list[Statement]:
    """Every statement whose settlement period lies in `period` and has begun, by licence and time; `operator`, `licence`: only theirs."""
    query = select(licences.c.id, licences.c.operator).order_by(licences.c.id)
    if operator is not None:
        query = query.where(licences.c.operator == operator)
    if licence is not None:
        query = query.where(licences.c.id == licence)
    with reading(register.engine) as connection:
        asked = connection.execute(query).all()
        known = histories(connection, [row.id for row in asked])
        wanted = [(row.id, row.operator, each) for row in asked for each in _within(period, first_period(known[row.id])) if each.start <= now]
        kept = Kept(connection, {id for id, _, _ in wanted}, {each for _, _, each in wanted}, now)
    return [_statement(kept, id, maker, each, known[id], now) for id, maker, each in wanted]


def _within(period: Period, first: Period | None) -> Iterator[Period]:
    """Settlement periods of the kind of `first`, not before it, that lie in `period`."""
    if first is not None and PERIOD_KINDS.index(first.kind) <= PERIOD_KINDS.index(period.kind):
        start, end = Period.holding(first.kind, period.start), period.end
        while start.start < end:
            if start.number >= first.number:
                yield start
            start = start.following


def _statement(kept: Kept, licence: str, operator: str, period: Period, history: Sequence[Version], now: datetime) -> Statement:
    closed = kept.closed.get((licence, str(period)))
    posted = kept.bodies[licence, str(period)]
    brought = {body: carried for body, (_, carried) in kept.settled[licence, str(Period(period.kind, period.number - 1))].items()}
    if closed is None:
        last = in_force(history, min(period.end, now))
        allowed = last.licence.tariff.allowed_fen if last is not None and last.licence.tariff is not None else None
        settled = settle(posted, brought, allowed)
        payable, carried = dict(settled.payable), dict(settled.carried)
    else:
        allowed = closed.allowed_fen
        shares = kept.settled[licence, str(period)]
        payable, carried = {body: share[0] for body, share in shares.items()}, {body: share[1] for body, share in shares.items()}
    scenarios = tuple(_scenarios(kept.counts[licence, str(period)]))
    return Statement(
        licence=licence,
        operator=operator,
        period=period,
        closed_at=closed.closed_at if closed is not None else None,
        log_index=closed.entry if closed is not None else None,
        usage=kept.usage(licence, period),
        items=tuple(_items(kept.items[licence, str(period)], history)),
        scenarios=scenarios,
        bodies=tuple(_bodies(history, posted, brought, payable, carried)),
        allowed=allowed,
        posted=sum(posted.values()),
        brought=sum(brought.values()),
        payable=sum(payable.values()),
        carried=sum(carried.values()),
        fees=sum(total.fees for total in scenarios),
    )


def _items(sums: Mapping[tuple[str, str, bool], Amounts], history: Sequence[Version]) -> Iterator[ItemTotal]:
    known: dict[str, Item] = {item.name: item for version in history if version.licence.tariff for item in version.licence.tariff.items}
    found: dict[tuple[str, str], ItemTotal] = {}
    for (name, measure, free), (quantity, fen) in sums.items():
        item = known.get(name)
        total = found.setdefault((name, measure), ItemTotal(name, cast(Measure, measure), item.title if item else None))
        total.quantity += 0 if free else quantity
        total.free += quantity if free else 0
        total.fen += fen
    return iter(found[each] for each in sorted(found))


def _scenarios(sums: Mapping[tuple[str, bool], Amounts]) -> Iterator[ScenarioTotal]:
    found: dict[str, ScenarioTotal] = {}
    for (scenario, free), (count, fen) in sums.items():
        total = found.setdefault(scenario, ScenarioTotal(scenario or None))
        total.fees, total.fen = total.fees + count, total.fen + fen
        total.free += count if free else 0
    return iter(found[each] for each in sorted(found))


def _bodies(
    history: Sequence[Version], posted: dict[str, int], brought: dict[str, int], payable: dict[str, int], carried: dict[str, int]
) -> Iterator[BodyTotal]:
    known = {body.id: body for version in history if version.licence.tariff for body in version.licence.tariff.bodies}
    for name in sorted(posted.keys() | brought.keys()):
        body = known[name]
        amounts = (amount.get(name, 0) for amount in (posted, brought, payable, carried))
        yield BodyTotal(name, body.title, body.role, *amounts)


@dataclass(slots=True)
class Revenue:
    """What one body has from all licences in a period; bodies are one when their Chinese name is."""

    title: Title
    role: str
    posted: int = 0
    payable: int = 0
    carried: int = 0
    from_licences: list[tuple[str, str, BodyTotal]] = field(default_factory=list)  # licence, settlement period, its part


def revenue_of(statements: Iterable[Statement]) -> list[Revenue]:
    """Statements by body, in order of name. `carried` is what is carried out of the last settlement period of each licence."""
    found: dict[str, Revenue] = {}
    last: dict[tuple[str, str], int] = {}
    for statement in statements:
        for body in statement.bodies:
            total = found.setdefault(body.title.zh, Revenue(body.title, body.role))
            total.posted += body.posted
            total.payable += body.payable
            total.from_licences.append((statement.licence, str(statement.period), body))
            last[body.title.zh, statement.licence] = body.carried
    for (name, _), carried in last.items():
        found[name].carried += carried
    return [found[name] for name in sorted(found)]
