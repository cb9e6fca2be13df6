"""Refusals at the door, counted and told in the log: at most one event a window, whatever comes, so that an attack cannot fill the log.

Counts are kept in memory until the window is over, somebody is locked out, or the server stops. What a crash takes is less than a window.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from infra.clock import Clock
from infra.rounds import Rounds
from jobs.events import AccessRefused, Refusals, rfc3339
from jobs.register import Register
from policies.problem import Problem

SYSTEM = "system"
MOST = 100  # kinds of refusals one event lists; the rest is a number
MOST_KEPT = 10_000
PAUSE_S = 5
log = structlog.get_logger("yunei.door")


@dataclass(frozen=True, slots=True)
class Refused:
    """One kind of refusal: what an entry of the event says, but for the count."""

    code: str
    source: str | None = None
    principal: str | None = None
    prefix: str | None = None
    act: str | None = None


class Tally(Rounds):
    """`note` from any thread; `flush` writes what was noted. `sweep` is called once a window beside it."""

    def __init__(self, register: Register, clock: Clock, window_s: float, sweep: Callable[[], None]) -> None:
        super().__init__("refusals", interval_s=window_s, at_once=False)
        self._register = register
        self._clock = clock
        self._sweep = sweep
        self._lock = threading.Lock()
        self._counts: Counter[Refused] = Counter()
        self._others = 0
        self._locked = 0
        self._since: datetime | None = None
        self._told: datetime | None = None

    def note(self, refused: Refused, *, locked: bool = False) -> None:
        with self._lock:
            self._since = self._since or self._clock()
            self._locked += locked
            if refused in self._counts or len(self._counts) < MOST_KEPT:
                self._counts[refused] += 1
            else:
                self._others += 1

    def flush(self) -> int | None:
        """The index of the event, None when there was nothing to tell. What could not be written is kept for the next time."""
        with self._lock:
            counts, others, locked, since = self._counts, self._others, self._locked, self._since
            self._counts, self._others, self._locked, self._since = Counter(), 0, 0, None
        if since is None:
            return None
        listed = counts.most_common(MOST)
        told = AccessRefused(
            by=SYSTEM,
            since=rfc3339(since),
            until=rfc3339(max(since, self._clock())),
            refusals=tuple(
                Refusals(code=kind.code, count=count, source=kind.source, principal=kind.principal, prefix=kind.prefix, act=kind.act)
                for kind, count in listed
            ),
            others=others + sum(counts.values()) - sum(count for _, count in listed),
            locked=locked,
        )
        try:
            with self._register.transaction() as act:
                return act.append(told)
        except Problem as problem:  # the register is not available
            log.error("refusals_untold", code=problem.code)
            with self._lock:
                counts.update(self._counts)
                self._counts, self._others, self._locked = counts, self._others + others, self._locked + locked
                self._since = since
            return None

    def hurry(self) -> None:
        """Tell now, because somebody was locked out; but not more often than every few seconds, however many are."""
        now = self._clock()
        with self._lock:
            soon = self._told is not None and (now - self._told).total_seconds() < PAUSE_S
            self._told = self._told if soon else now
        if not soon:
            self.flush()

    def once(self) -> None:
        self.flush()
        self._sweep()

    def stop(self, patience_s: float | None = 10) -> None:
        """Tell the last."""
        super().stop(patience_s)
        self.flush()
