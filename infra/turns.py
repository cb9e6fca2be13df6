"""Group commit: writers take turns on one open transaction, and one trip to the disk makes all their work last.

Each piece of work is under a savepoint of its own: one that fails is undone alone. Whoever has the turn and sees nobody waiting commits
for all; until then the others sleep, and nobody is told anything before the commit. When the commit fails, all of them failed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine

from infra.database import alive, writing

S = TypeVar("S")

SAVEPOINT = "SAVEPOINT work"
LIMIT = 64  # pieces of work that share a commit, at most: other processes wait for it
RESCUE_S = 1.0


class _Batch(Generic[S]):
    """One transaction and what its members share."""

    def __init__(self, transaction: contextlib.AbstractContextManager[Connection], connection: Connection, state: S) -> None:
        self.transaction = transaction
        self.connection = connection
        self.state = state
        self.members = 0
        self.spoiled: BaseException | None = None  # the database undid more than a savepoint
        self.failed: BaseException | None = None
        self.done = threading.Event()

    @contextmanager
    def savepoint(self, mark: Callable[[S], None]) -> Iterator[None]:
        self.members += 1
        mark(self.state)
        try:
            yield  # the savepoint is left behind: the next takes its name, and the commit takes both
        except BaseException as error:
            try:
                if not alive(self.connection):  # a full disk, a lost connection: the transaction itself is gone
                    self.spoiled = error
                else:
                    self.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
            except Exception:
                self.spoiled = error
            raise


class Turns(Generic[S]):
    """`begin(connection)` makes the state that the members of a transaction share, `end(state)` writes it before the commit;
    `mark(state)` sets SAVEPOINT on that connection, before anything a member does there. A member that fails must leave the state as it
    found it, with its savepoint set."""

    def __init__(self, engine: Engine, begin: Callable[[Connection], S], end: Callable[[S], None], mark: Callable[[S], None]) -> None:
        self._mark = mark
        self._engine = engine
        self._begin = begin
        self._end = end
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._batch: _Batch[S] | None = None

    @contextmanager
    def take(self) -> Iterator[tuple[Connection, S]]:
        """One piece of work. Returns when it is on disk. Raises what the body raised, once the others' work is on disk too, or what kept the
        transaction from being committed."""
        with self._counting:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._waiting -= 1
        raised: BaseException | None = None
        try:
            batch = self._batch or self._open()
            try:
                with batch.savepoint(self._mark):
                    yield batch.connection, batch.state
            except BaseException as error:
                raised = error
            if batch.spoiled is not None or not self._waiting or batch.members >= LIMIT:
                self._commit(batch)
        finally:
            self._turn.release()
        self._wait(batch)
        if raised is not None and (batch.failed is None or not isinstance(raised, Exception)):
            raise raised
        if batch.failed is not None:
            raise batch.failed

    def _open(self) -> _Batch[S]:
        transaction = writing(self._engine)
        connection = transaction.__enter__()
        try:
            self._batch = _Batch(transaction, connection, self._begin(connection))
        except BaseException as error:
            transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return self._batch

    def _commit(self, batch: _Batch[S]) -> None:
        """With the turn. Never raises: the outcome is in the batch."""
        self._batch = None
        try:
            if batch.spoiled is not None:
                raise batch.spoiled
            self._end(batch.state)
        except BaseException as error:
            batch.failed = error
            with contextlib.suppress(BaseException):  # the rollback of what is lost already
                batch.transaction.__exit__(type(error), error, error.__traceback__)
        else:
            try:
                batch.transaction.__exit__(None, None, None)
            except BaseException as error:
                batch.failed = error
        finally:
            batch.done.set()

    def _wait(self, batch: _Batch[S]) -> None:
        """Until the batch is committed; by us, should whoever was to do it have been interrupted while it waited for the turn."""
        while not batch.done.wait(RESCUE_S):
            if self._turn.acquire(blocking=False):
                try:
                    if not batch.done.is_set():
                        self._commit(batch)
                finally:
                    self._turn.release()
