"""What the register can say about the running of the service, in numbers: jobs by state, events by kind, accounts, the log.

All of it comes from projections and the log, so a number here is one that the register already holds; steps behind the wall are written at
public instants (`jobs/slots.py`), so no count moves at a moment that depends on data. Nothing names an operator's query or a value.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from infra.database import reading
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.tables import accounts, entries, jobs
from jobs.register import Register
from jobs.sequencer import LogForked
from jobs.states import State
from jobs.watch import alerts


@dataclass(frozen=True, slots=True)
class AccountGauge:
    """One account: amounts in pico-rho."""

    account: str
    kind: str
    cap: int
    reserved: int
    spent: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """One reading. `events` are totals since the log began; `cosigned` is the size witnesses last vouched for, None without one;
    `alerts` those that nobody has acknowledged, by severity."""

    jobs: Mapping[str, int]
    events: Mapping[str, int]
    accounts: tuple[AccountGauge, ...]
    log_size: int
    published: int
    cosigned: int | None
    sound: bool
    alerts: Mapping[str, int]


class Gauge:
    """Reads the gauges; remembers how far it has counted events, so that a reading costs what is new. Thread-safe."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._files = LogFiles(register.settings.log_dir)
        self._turn = threading.Lock()
        self._events: Counter[str] = Counter()
        self._counted = 0

    def read(self) -> Gauges:
        """Raises what the database raises when it is away."""
        with self._turn, reading(self._register.engine) as connection:
            states = dict.fromkeys((str(state) for state in State), 0)
            states.update({state: count for state, count in connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state))})
            new = select(entries.c.kind, func.count(), func.max(entries.c.position)).where(entries.c.position >= self._counted)
            for kind, count, last in connection.execute(new.group_by(entries.c.kind)):
                self._events[kind] += count
                self._counted = max(self._counted, last + 1)
            columns = (accounts.c.id, accounts.c.kind, accounts.c.cap_pico_rho, accounts.c.reserved_pico_rho, accounts.c.spent_pico_rho)
            held = tuple(AccountGauge(*row) for row in connection.execute(select(*columns).order_by(accounts.c.id)))
            open_alerts = alerts.standing(connection)
            size = self._counted
            events = dict(self._events)
        published, cosigned = _size(self._files.checkpoint()) or 0, _size(self._files.witnessed())
        return Gauges(states, events, held, size, published, cosigned, self._sound(), open_alerts)

    def _sound(self) -> bool:
        try:
            self._register.require_sound()
        except LogForked:
            return False
        return True


def _size(note: str | None) -> int | None:
    return None if note is None else Checkpoint.peek(note).size
