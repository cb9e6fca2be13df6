"""What a worker keeps of decrypted rows from one call to the next, and when it drops them: each room of a worker that keeps such rows says here
how many bytes they are and how they go.

A call says of which era of its vault it is (`infra.vault.Era`). The first call of a newer one finds nothing kept; a call of an older one, begun
before a destruction and run after it, leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from infra.vault import Era

beside: list[Callable[[], int]] = []  # bytes that rooms other than the columns' keep: columns get what is left
clearing: list[Callable[[], None]] = []  # how each room drops its rows


class Newest:
    """The newest era that this process has heard of. A worker has one vault; of another one, rows are dropped too."""

    def __init__(self) -> None:
        self._era: Era | None = None
        self._lock = threading.Lock()

    def met(self, era: Era) -> None:
        with self._lock:
            if self._era is None or self._era.vault != era.vault or self._era.number < era.number:
                drop()
                self._era = era

    def left(self, era: Era) -> None:
        with self._lock:
            if self._era != era:
                drop()


_newest = Newest()


@contextmanager
def within(era: Era) -> Iterator[None]:
    """Round a call of that era."""
    _newest.met(era)
    try:
        yield
    finally:
        _newest.left(era)


def drop() -> None:
    """All of it; its memory goes back to the kernel, which gives it to nobody else as it was."""
    for clear in clearing:
        clear()
    pa.default_memory_pool().release_unused()
