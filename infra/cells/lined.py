"""A cell as its backend holds it: who may hear what a program says, and a zygote at the other end of a line, begun anew when it is gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from infra.cells.base import CellsError, Rehearsal
from infra.cells.wire import Gone, Line

Begun = tuple[Line, dict[str, bool]]


class Guarded(ABC):
    """`Cell.run` and `Cell.rehearse` over one way to run a block: what a program says is for cells of invented rows."""

    def __init__(self, *, talkative: bool) -> None:
        self._talkative = talkative

    @abstractmethod
    def _run(self, block: bytes) -> Rehearsal: ...

    def run(self, block: bytes) -> bytes | None:
        return self._run(block).frame

    def rehearse(self, block: bytes) -> Rehearsal:
        if not self._talkative:
            raise ValueError("a cell that takes rows does not talk")
        return self._run(block)


class LineCell(Guarded):
    """`begin`: a sandbox with a zygote that is ready, its line, and what the zygote said it could put in place; its end leaves no process.

    A zygote that is gone costs its block the default and is followed by another. `strict`: each block has one of its own."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Begun]], *, strict: bool, talkative: bool) -> None:
        super().__init__(talkative=talkative)
        self._begin = begin
        self._strict = strict
        self._held: ExitStack | None = None
        self._line: Line | None = None
        self.features: dict[str, bool] = {}

    def _run(self, block: bytes) -> Rehearsal:
        line = self._line or self.start()
        try:
            found = line.block(block)
        except Gone:
            self.close()
            return Rehearsal(None, "")
        except CellsError:
            self.close()
            raise
        if self._strict:
            self.close()
        return found

    def start(self) -> Line:
        with ExitStack() as held:
            self._line, self.features = held.enter_context(self._begin())
            self._held = held.pop_all()
        return self._line

    def close(self) -> None:
        held, self._held, self._line = self._held, None, None
        if held is not None:
            held.close()


@contextmanager
def opened(begin: Callable[[], AbstractContextManager[Begun]], *, strict: bool, talkative: bool) -> Iterator[LineCell]:
    """A cell until the block ends; one that is not strict is begun at once."""
    cell = LineCell(begin, strict=strict, talkative=talkative)
    try:
        if not strict:
            cell.start()
        yield cell
    finally:
        cell.close()
