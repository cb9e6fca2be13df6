"""Work that comes round again: a thread that does it every so often, from `start` to `stop`, and outlives whatever a round meets."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import structlog

log = structlog.get_logger("yunei.rounds")


class Rounds(ABC):
    """`once` every `interval_s` seconds, counted from the end of a round, in a thread called `name`; at once when woken.

    The first round comes at once, or after an interval (`at_once` False). A round that raises is told in the log and nobody else: what it
    left undone is the next round's (the database may be gone for a while). One thread at a time: `start` after `start` does nothing.
    """

    def __init__(self, name: str, *, interval_s: float, at_once: bool = True) -> None:
        self._name = name
        self._interval_s = interval_s
        self._at_once = at_once
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def once(self) -> object:
        """One round, now, in the caller's thread."""

    @property
    def stopping(self) -> bool:
        """Whether a long round should leave the rest to the next process."""
        return self._stopped.is_set()

    def pause(self, seconds: float) -> None:
        """Within a round: leave the processor to others for so long, or until it should stop."""
        self._stopped.wait(seconds)

    def wake(self) -> None:
        """There is something to do: do not wait for the interval. While a round is under way: another one follows it."""
        self._wake.set()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def stop(self, patience_s: float | None = None) -> None:
        """No further round; returns when the one under way is over, or after `patience_s`. For good: it cannot be started again."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        if not self._at_once:
            self._rest()
        while not self.stopping:
            try:
                self.once()
            except Exception as error:
                log.warning("round_failed", thread=self._name, error=type(error).__name__, code=getattr(error, "code", None))
            self._rest()

    def _rest(self) -> None:
        self._wake.wait(self._interval_s)
        self._wake.clear()
