"""A thread that writes down what the clock does to licences: terms that begin, terms that end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import structlog

from jobs.acts.terms import sweep_licences
from jobs.register import Register

log = structlog.get_logger("yunei.sweep")


class Sweep:
    """Every `interval_s` seconds, `ended` being told the jobs that were cancelled. Decisions do not wait for it: they look at the clock."""

    def __init__(self, register: Register, ended: Callable[[Iterable[str]], None], *, interval_s: float) -> None:
        self._register = register
        self._ended = ended
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def once(self) -> None:
        """One round, now. What fails is tried again next time."""
        try:
            self._ended(sweep_licences(self._register))
        except Exception as error:  # the database may be gone for a while
            log.warning("sweep_failed", error=type(error).__name__)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="licence-sweep", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.once()
        while not self._stop.wait(self._interval_s):
            self.once()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
