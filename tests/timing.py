"""How long something takes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable


def least(tries: int, act: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    """The seconds of the quickest try. What others do to the one try or the other – a pass of the collector over all that a
    suite holds, a cache that was cold – is not the act's own, and no try is quicker than the act itself."""
    best = float("inf")
    for _ in range(tries):
        began = clock()
        act()
        best = min(best, clock() - began)
    return best
