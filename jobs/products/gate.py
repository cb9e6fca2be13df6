"""The gate that every request for a delivered file passes.

Everything that could stop a delivery is an entry of the log. What was found to be good stays so until the log grows: by an act of this process,
which is seen at once, or of another, which is looked for every quarter of a second. Asking the database for each of a thousand requests a
second would cost more than answering them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from infra.clock import Clock
from infra.database import reading
from jobs.events import rfc3339
from jobs.products import deliveries
from jobs.products.copies import Copies
from jobs.products.manifest import file_name
from jobs.products.store import Copy
from jobs.products.tickets import REQUEST_TICKET
from jobs.register import Register


@dataclass(frozen=True, slots=True)
class _Good:
    """A delivery that may be fetched: nothing was written into the log since it was looked at, and no term of it has passed."""

    log_size: int
    acts: int
    looked: float
    until: str | None
    copy: Copy
    name: str


class Gate:
    """Whether a delivery may be fetched now. What was found holds until the log grows: everything that could stop it is an entry."""

    LIMIT = 10_000
    LOOK_S = 0.25  # how long another process's recall may take to be noticed

    def __init__(self, register: Register, copies: Copies, clock: Clock) -> None:
        self._register = register
        self._copies = copies
        self._clock = clock
        self._good: OrderedDict[int, _Good] = OrderedDict()
        self._turn = threading.Lock()

    def recent(self, entry: int) -> tuple[Copy, str] | None:
        """What `open` would give, if that is known without asking the database."""
        known = self._good.get(entry)
        if known is None or known.acts != self._register.acts or time.monotonic() - known.looked > self.LOOK_S:
            return None
        if known.until is not None and rfc3339(self._clock()) >= known.until:
            return None
        return known.copy, known.name

    def open(self, entry: int) -> tuple[Copy, str]:
        """The file of a delivery, and what to call it. Raises what stops it."""
        acts, looked = self._register.acts, time.monotonic()  # before looking: what happens meanwhile is seen next time
        now, size = rfc3339(self._clock()), self._register.size
        known = self._good.get(entry)
        if known is None or known.log_size != size or (known.until is not None and now >= known.until):
            known = self._look(entry, size, now)
        known = replace(known, acts=acts, looked=looked)
        with self._turn:
            self._good[entry] = known
            while len(self._good) > self.LIMIT:
                self._good.popitem(last=False)
        return known.copy, known.name

    def _look(self, entry: int, size: int, now: str) -> _Good:
        with reading(self._register.engine) as connection:
            made = deliveries.delivery(connection, entry)
            if made is None:
                raise REQUEST_TICKET()
            _, version, held = deliveries.may_have(connection, made.product, made.version, made.recipient, now)
        copy = self._copies.bytes_for(version, made.recipient, made.form)
        if copy.sha256 != made.sha256:  # another mark since: these are not the bytes that were written down
            raise REQUEST_TICKET()
        return _Good(size, 0, 0.0, held.until, copy, file_name(made.product, made.version, made.form))
