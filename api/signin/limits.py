"""How often one may guess: failures are counted by address and by key prefix, in the database, so that all processes of a home count together.

A locked address gets nothing but access tokens verified; a locked prefix is refused from everywhere, whether or not there is such a key.
What is answered, and how long it takes, is the same for a prefix that exists and one that does not. When the database cannot count, nobody is
locked out: keys have 160 random bits, guessing is hopeless anyway.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, String, bindparam, delete, func, select, update

from infra.clock import Clock
from infra.database import UNAVAILABLE, insert_ignoring, writing
from infra.prepared import Prepared, fetch
from infra.settings import Settings
from infra.tables import lockouts
from jobs.events import rfc3339

LONGEST_LOCK_S = 86_400
_LATEST = Prepared(
    select(func.max(lockouts.c.until)).where(
        (lockouts.c.subject == bindparam("one_", type_=String)) | (lockouts.c.subject == bindparam("other_", type_=String))
    )
)


@dataclass(frozen=True, slots=True)
class _Subject:
    id: str
    limit: int


class Limits:
    """`failed` counts one failure, `locked` asks before anything is looked at."""

    def __init__(self, engine: Engine, clock: Clock, settings: Settings) -> None:
        self._engine = engine
        self._clock = clock
        self._window = timedelta(seconds=settings.lockout_window_s)
        self._lock_s = settings.lockout_s
        self._by_address = settings.lockout_address_failures
        self._by_prefix = settings.lockout_key_failures

    def locked(self, address: str, prefix: str | None) -> int:
        """Seconds until this address, or this prefix, may try again; 0: now."""
        ids = [subject.id for subject in self._subjects(address, prefix)]
        now = self._clock()
        try:
            with self._engine.connect() as connection:
                ((latest,),) = fetch(connection, _LATEST, {"one_": ids[0], "other_": ids[-1]})
        except UNAVAILABLE:
            return 0
        return _seconds(latest, now)

    def failed(self, address: str, prefix: str | None) -> tuple[int, bool]:
        """Count one failure. Seconds until the next attempt (0: now), and whether this very failure locked somebody out."""
        now, longest, fresh = self._clock(), 0, False
        try:
            with writing(self._engine) as connection:
                for subject in self._subjects(address, prefix):
                    insert_ignoring(connection, lockouts, {"subject": subject.id, "failures": 0, "since": rfc3339(now), "until": None})
                    row = connection.execute(select(lockouts).where(lockouts.c.subject == subject.id)).one()
                    over = max(row.since, row.until or "") <= rfc3339(now - self._window)
                    failures, since = (1, rfc3339(now)) if over else (row.failures + 1, row.since)
                    until = row.until
                    if failures % subject.limit == 0:
                        rounds = min(failures // subject.limit - 1, 20)
                        until = rfc3339(now + timedelta(seconds=min(self._lock_s << rounds, LONGEST_LOCK_S)))
                        fresh = True
                    connection.execute(
                        update(lockouts).where(lockouts.c.subject == subject.id).values(failures=failures, since=since, until=until)
                    )
                    longest = max(longest, _seconds(until, now))
        except UNAVAILABLE:
            return 0, False
        return longest, fresh

    def sweep(self) -> None:
        """Forget what no longer counts."""
        past = rfc3339(self._clock() - self._window)
        try:
            with writing(self._engine) as connection:
                connection.execute(delete(lockouts).where(lockouts.c.since < past, (lockouts.c.until.is_(None)) | (lockouts.c.until < past)))
        except UNAVAILABLE:
            return

    def _subjects(self, address: str, prefix: str | None) -> list[_Subject]:
        """In one order, always: two writers never wait for each other."""
        found = [_Subject(_digest(f"address:{address}"), self._by_address)]
        if prefix is not None:
            found.append(_Subject(_digest(f"prefix:{prefix}"), self._by_prefix))
        return sorted(found, key=lambda subject: subject.id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _seconds(until: str | None, now: datetime) -> int:
    if until is None:
        return 0
    left = (datetime.fromisoformat(until) - now).total_seconds()
    return max(0, -int(-left // 1))
