"""The gate that every request for a delivered file passes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

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
    until: str | None
    copy: Copy
    name: str


class Gate:
    """Whether a delivery may be fetched now. What was found holds until the log grows: everything that could stop it is an entry."""

    LIMIT = 10_000

    def __init__(self, register: Register, copies: Copies, clock: Clock) -> None:
        self._register = register
        self._copies = copies
        self._clock = clock
        self._good: OrderedDict[int, _Good] = OrderedDict()
        self._turn = threading.Lock()

    def open(self, entry: int) -> tuple[Copy, str]:
        """The file of a delivery, and what to call it. Raises what stops it."""
        now, size = rfc3339(self._clock()), self._register.size
        known = self._good.get(entry)
        if known is None or known.log_size != size or (known.until is not None and now >= known.until):
            known = self._look(entry, size, now)
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
        return _Good(size, held.until, copy, file_name(made.product, made.version, made.form))
