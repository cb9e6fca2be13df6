"""A thread that carries out what reviewers decided, publishes what a standing approval covers, and is woken when a vote decides."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from jobs.lane.publish import carry_out
from jobs.office import Office

log = structlog.get_logger("yunei.review")


class Keeper:
    """Every `interval_s` seconds, and at once when woken. What fails is tried again at the next look."""

    def __init__(self, office: Callable[[], Office], *, interval_s: float) -> None:
        self._office = office
        self._interval_s = interval_s
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def once(self) -> list[str]:
        """One look, now, in the caller's thread; the jobs that left or were sent back."""
        try:
            return carry_out(self._office())
        except Exception as error:  # the database may be gone for a while; nothing is said of what was in hand
            log.warning("review_sweep_failed", error=type(error).__name__)
            return []

    def wake(self) -> None:
        self._wake.set()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="review-keeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            self.once()
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
