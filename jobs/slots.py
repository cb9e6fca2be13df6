"""When an answer may be seen: public slots, chosen before the run from public facts, so that a job's duration says nothing.

All instants that anyone outside can see lie on the grid of a job's slots: the ledger's step to spent (it lengthens the public log) and
the publication. Work between two instants may take as long as it likes; if it misses one, the next slot is taken. What can leak is
which slot, and a job misses its own only when the server is overloaded or the data is far from its declared size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

# Public cost model, in milliseconds on one core, deliberately generous: a slot missed says more than a slot too long.
# Sources: the bench workload (docs/measurements.md) and OpenDP's draw rate of 40 k Gaussian samples per core-second.
FIXED_MS = 90.0
MS_PER_ROW = 1 / 20_000
MS_PER_DRAW = 1 / 30
SPEND_AT = 60  # percent of a slot after which the step to spent is taken
PUBLISH_AT = 90  # percent of a slot after which the publication starts


def parse_time(text: str) -> datetime:
    """The inverse of `jobs.events.rfc3339`.

    >>> parse_time("2026-11-22T08:30:00.000001Z").microsecond
    1
    """
    if len(text) != 27 or text[10] + text[26] != "TZ":  # the language takes other forms of a time, too
        raise ValueError(f"{text!r} is no time in UTC with microseconds")
    return datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Slots:
    """A job's grid: `ladder_ms` from admission on, then multiples of the last rung; `chosen` is the first rung it may use."""

    admitted_at: datetime
    chosen: int
    ladder_ms: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.ladder_ms or self.ladder_ms[0] <= 0 or any(a >= b for a, b in zip(self.ladder_ms, self.ladder_ms[1:], strict=False)):
            raise ValueError("slots are positive milliseconds, rising")
        if self.chosen < 0:
            raise ValueError("a slot is counted from 0")

    @classmethod
    def of(cls, admitted_at: datetime, slot_ms: int, ladder_ms: tuple[int, ...]) -> Slots:
        """The grid of an admitted job: its slot as written in the log, on today's ladder."""
        index = 0
        while cls(admitted_at, index, ladder_ms).rung_ms(index) < slot_ms:
            index += 1
        return cls(admitted_at, index, ladder_ms)

    def rung_ms(self, index: int) -> int:
        """Length of slot `index` in ms from admission.

        >>> from datetime import UTC
        >>> Slots(datetime(2026, 1, 1, tzinfo=UTC), 0, (50, 250)).rung_ms(3)
        750
        """
        last = len(self.ladder_ms) - 1
        return self.ladder_ms[index] if index <= last else self.ladder_ms[last] * (index - last + 1)

    def _first(self, percent: int, ready: datetime) -> datetime:
        """The first instant at `percent` of a slot, from the chosen slot on, that is not before `ready`. Whole microseconds throughout."""
        taken_us = (ready - self.admitted_at) // timedelta(microseconds=1)
        last = len(self.ladder_ms) - 1
        for index in range(self.chosen, last + 1):
            if taken_us <= self.rung_ms(index) * percent * 10:
                return self._instant(index, percent)
        step_us = self.ladder_ms[last] * percent * 10
        return self._instant(max(self.chosen, last + -(-taken_us // step_us) - 1), percent)

    def _instant(self, index: int, percent: int) -> datetime:
        return self.admitted_at + timedelta(microseconds=self.rung_ms(index) * percent * 10)

    def spend_at(self, ready: datetime) -> datetime:
        """The instant of the step to spent for totals that were ready at `ready`."""
        return self._first(SPEND_AT, ready)

    def publish_at(self, ready: datetime) -> datetime:
        """The instant at which publication starts, or a failure is written, for work that was done at `ready`."""
        return self._first(PUBLISH_AT, ready)

    def visible_at(self, ready: datetime) -> datetime:
        """The instant from which the outcome may be seen, for an outcome written at `ready`."""
        return self._first(100, ready)


def estimate_ms(*, approximate_rows: int, drawn: int, cores: int) -> float:
    """Run time a job should not exceed, from the catalogue's declared sizes alone: rows scanned, and numbers noised (totals times keys).

    >>> estimate_ms(approximate_rows=400_000, drawn=10, cores=2) < 150
    True
    """
    return FIXED_MS + approximate_rows * MS_PER_ROW / max(1, cores) + drawn * MS_PER_DRAW


def choose(ladder_ms: tuple[int, ...], estimated_ms: float) -> int:
    """The first slot whose first `SPEND_AT` percent hold the estimate.

    >>> choose((50, 250, 1000), 100.0), choose((50, 250, 1000), 1e6)
    (1, 1668)
    """
    for index, rung in enumerate(ladder_ms):
        if rung * SPEND_AT >= estimated_ms * 100:
            return index
    last = len(ladder_ms) - 1
    return last + math.ceil(estimated_ms * 100 / SPEND_AT / ladder_ms[last]) - 1
