"""The facts of how things stand, from the projections and the log's own files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction

from sqlalchemy import Connection, select

from infra.database import reading
from infra.journal.checkpoint import Checkpoint
from infra.tables import accounts, alert_things, alerts, entries, freezes, reviews, watch_notes
from jobs import outlook
from jobs.events import CellsProbed, read_entry, rfc3339
from jobs.register import Register
from jobs.reviews import OPEN
from jobs.slots import parse_time
from jobs.watch.facts import Audit, Budget, Cells, Cosigning, Due
from policies.quota import period


def every_account(connection: Connection) -> list[str]:
    return list(connection.execute(select(accounts.c.id).order_by(accounts.c.id)).scalars())


def accounts_of_alerts(connection: Connection) -> list[str]:
    """Those that alerts which are not closed are about."""
    query = (
        select(alert_things.c.thing)
        .join(alerts, alerts.c.id == alert_things.c.alert)
        .where(alert_things.c.kind == "account", alerts.c.state != "closed")
    )
    return list(connection.execute(query.distinct()).scalars())


def budgets(connection: Connection, names: Mapping[str, int | None], now: datetime) -> list[Budget]:
    """`names`: accounts, with the entry of their newest charge where it is known."""
    found = (_budget(connection, name, names[name], now) for name in sorted(names))
    return [each for each in found if each is not None]


def _budget(connection: Connection, account: str, entry: int | None, now: datetime) -> Budget | None:
    seen = outlook.outlook(connection, account, now, outlook.RATE_DAYS)
    if seen is None or not seen.cap.pico_rho:
        return None
    cap = seen.cap.pico_rho
    today = date.fromisoformat(period("day", now))
    before = [loss.pico_rho for day, loss in seen.days if day < today]
    spent_today = sum(loss.pico_rho for day, loss in seen.days if day == today)
    daily = Fraction(sum(before), cap * len(before)) if before else Fraction(0)
    used = Fraction(seen.used.pico_rho, cap)
    return Budget(account, entry, used, Fraction(spent_today, cap), daily, len(before), seen.ends)


def cosigning(register: Register) -> Cosigning:
    """How far witnesses are. Without witnesses there is nothing to lag behind."""
    witnesses, size = len(register.settings.witnesses), register.size
    note = register.files.witnessed()
    cosigned = 0 if note is None else Checkpoint.peek(note).size
    if not witnesses or cosigned >= size:
        return Cosigning(witnesses, size, cosigned, None)
    return Cosigning(witnesses, size, cosigned, parse_time(register.event(cosigned).at))


def late_reviews(connection: Connection, now: datetime) -> list[Due]:
    query = select(reviews.c.id, reviews.c.entry, reviews.c.due_at).where(reviews.c.state.in_(OPEN), reviews.c.due_at < rfc3339(now))
    return [Due("review", row.id, row.entry, parse_time(row.due_at)) for row in connection.execute(query.order_by(reviews.c.entry))]


def standing_freezes(connection: Connection) -> list[Due]:
    rows = connection.execute(select(freezes.c.id, freezes.c.set_at).where(freezes.c.state == "set").order_by(freezes.c.id))
    return [Due("freeze", row.id, None, parse_time(row.set_at)) for row in rows]


def cells(connection: Connection) -> Cells | None:
    """What the newest probe of this installation's cells found; None when there was none."""
    query = select(entries.c.position, entries.c.body).where(entries.c.kind == CellsProbed.kind)
    row = connection.execute(query.order_by(entries.c.position.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    recorded = read_entry(row.position, bytes(row.body))
    event = recorded.event
    assert isinstance(event, CellsProbed)
    return Cells(recorded.index, parse_time(recorded.at), tuple(sorted(set(event.missing) - set(event.accepted))))


def audit(connection: Connection) -> Audit | None:
    """The newest of the server's own."""
    query = select(watch_notes.c.at, watch_notes.c.entry, watch_notes.c.body).where(watch_notes.c.topic == "audit")
    row = connection.execute(query.order_by(watch_notes.c.at.desc(), watch_notes.c.entry.desc()).limit(1)).one_or_none()
    return None if row is None else Audit(parse_time(row.at), row.entry, tuple(json.loads(row.body)["codes"]))


def begun(register: Register) -> datetime | None:
    """When the log's first entry was made."""
    with reading(register.engine) as connection:
        body = connection.execute(select(entries.c.body).where(entries.c.position == 0)).scalar_one_or_none()
    return None if body is None else parse_time(read_entry(0, bytes(body)).at)
