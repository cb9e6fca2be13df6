"""Fair order between operators: whoever has a thousand jobs waiting does not keep another's first one waiting behind them.

Start-time fair queueing (Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM 1996, section 2): an item's tag is the later of the queue's
virtual time and its lane's last finish, and the lane's finish moves on by the item's cost; the lowest tag goes first. Lanes that are never
empty get the same share of cost; one that comes back after a pause is not owed the pause.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items in lanes, first in first out within a lane. Not locked: its owner's lock is enough."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[tuple[float, T]]] = {}
        self._finish: dict[str, float] = {}
        self._now = 0.0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, lane: str, item: T, cost: float = 1.0) -> None:
        """`cost` > 0, in any unit that all lanes share."""
        tag = max(self._now, self._finish.get(lane, 0.0))
        self._finish[lane] = tag + cost
        self._lanes.setdefault(lane, deque()).append((tag, item))
        self._size += 1

    def take(self, full: frozenset[str] = frozenset()) -> tuple[str, T] | None:
        """The next item and its lane, leaving lanes that are `full` out; None when there is none."""
        waiting = [(items[0][0], lane) for lane, items in self._lanes.items() if lane not in full]
        if not waiting:
            return None
        self._now, lane = min(waiting)
        _, item = self._lanes[lane].popleft()
        self._size -= 1
        if not self._lanes[lane]:
            del self._lanes[lane]
        if not self._size:
            self._finish.clear()
            self._now = 0.0
        return lane, item


class FairGate:
    """At most `places` inside at once; who waits is let in by `FairQueue`."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: FairQueue[threading.Event] = FairQueue()

    @contextmanager
    def __call__(self, lane: str, cost: float = 1.0) -> Iterator[None]:
        """`cost`: what passing is expected to take, from public facts."""
        turn: threading.Event | None = None
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                turn = threading.Event()
                self._waiting.put(lane, turn, cost)
        if turn is not None:
            turn.wait()
        try:
            yield
        finally:
            with self._lock:
                following = self._waiting.take()
                if following is None:
                    self._free += 1
                else:
                    following[1].set()
