"""Which worker runs which item, and again where: the bookkeeping of a pool, without Ray in it.

Item i of a stream belongs to worker i modulo their number, whatever the dataset or version, so that a shard meets the worker that has it
in memory. While a worker is away its items go to the others, and nobody else's move. Each worker is handed `AHEAD` items at a time;
the rest wait here, and behind them the jobs wait in the register. Functions are pure, so an item may run twice and the first result counts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from infra.workers.errors import WorkersError

AHEAD = 2  # items in a worker's hands: one runs, the next is there when it ends
LOSSES = 6  # of one item, to workers that went away with it; a worker whose process died has tried three times already
AGAIN_S = 0.5  # between questions whether a worker that went away is back

Answer = tuple[str, bytes]  # an outcome of `infra.workers.warden`, and the pickled result


class Line(Protocol):
    """To one worker."""

    def call(self, run: Run, told: Callable[[Answer | None], None]) -> None:
        """Hand it over; `told` hears the answer, in another thread or later, or None when the worker went away."""
        ...

    def hello(self, told: Callable[[bool], None]) -> None:
        """`told` hears whether the worker is there, likewise; it may be long."""
        ...


@dataclass(eq=False, slots=True)
class Run:
    """One item on its way. Threads: the scheduler's lock."""

    home: int
    module: str
    call: bytes = field(repr=False)
    wall_s: float
    workers: tuple[Worker, ...]
    losses: int = 0
    tried: set[int] = field(default_factory=set)  # numbers of workers it was put before
    held: set[int] = field(default_factory=set)  # of those that have it in hand
    answer: Answer | None = field(default=None, repr=False)
    over: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False, slots=True)
class Worker:
    """A place in the pool. `steady`: it answered last time it was asked."""

    number: int
    place: str | None
    line: Line
    steady: bool = True
    busy: int = 0
    waiting: deque[Run] = field(default_factory=deque)


class Scheduler:
    """Of a pool's `workers`. Threads may share it."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = tuple(workers)
        self._lock = threading.RLock()
        self._open: set[Run] = set()
        self._stranded: list[Run] = []  # those whose workers are all away
        self._generation = 0
        self._closed = False

    def at(self, place: str | None) -> tuple[Worker, ...]:
        """The workers that may have data of a place. Raises WorkersError place_absent."""
        found = tuple(worker for worker in self.workers if place is None or worker.place == place)
        if not found:
            raise WorkersError("place_absent")
        return found

    def begin(self, home: int, module: str, call: bytes, wall_s: float, workers: tuple[Worker, ...]) -> Run:
        run = Run(home, module, call, wall_s, workers)
        with self._lock:
            if self._closed:
                raise WorkersError("closed")
            self._open.add(run)
            self._assign(run)
        return run

    def whose(self, run: Run) -> Worker | None:
        """Its own worker; while that is away, one of the others, by position too; None while all are."""
        own = run.workers[run.home % len(run.workers)]
        if own.steady:
            return own
        steady = [worker for worker in run.workers if worker.steady]
        return steady[run.home // len(run.workers) % len(steady)] if steady else None

    def _assign(self, run: Run) -> None:
        worker = self.whose(run)
        if worker is None:
            self._stranded.append(run)
        else:
            self._put(run, worker)

    def _back(self, worker: Worker) -> None:
        worker.steady = True
        stranded, self._stranded = self._stranded, []
        for run in stranded:
            self._assign(run)

    def result(self, run: Run, patience_s: float | None) -> bytes:
        """Waits; past `patience_s` for a second copy elsewhere too. Raises WorkersError."""
        if not run.over.wait(patience_s):
            self._again(run)
            run.over.wait()
        assert run.answer is not None
        outcome, result = run.answer
        if outcome != "ok":
            raise WorkersError({"lost": "worker_lost", "closed": "closed"}.get(outcome, "task_failed"))
        return result

    def _again(self, run: Run) -> None:
        """The least busy of the steady workers that have not tried it."""
        with self._lock:
            others = [worker for worker in run.workers if worker.steady and worker.number not in run.tried]
            if others and run.answer is None:
                self._put(run, min(others, key=lambda worker: (worker.busy + len(worker.waiting), worker.number)))

    def _put(self, run: Run, worker: Worker) -> None:
        run.tried.add(worker.number)
        worker.waiting.append(run)
        self._pump(worker)

    def _pump(self, worker: Worker) -> None:
        while worker.busy < AHEAD and worker.waiting:
            run = worker.waiting.popleft()
            if run.answer is None:
                worker.busy += 1
                run.held.add(worker.number)
                worker.line.call(run, partial(self._told, worker, run, self._generation))

    def _told(self, worker: Worker, run: Run, generation: int, answer: Answer | None) -> None:
        with self._lock:
            if generation != self._generation:  # of a Ray that is no more: the run has been handed out anew
                return
            worker.busy -= 1
            run.held.discard(worker.number)
            if answer is None:
                self._gone(worker, run, generation)
                return
            self._back(worker)
            if run.answer is None:
                for late in self.workers:
                    if late.number in run.held:  # a copy was quicker: it is asked for nothing until it answers
                        late.steady = False
                self._end(run, answer)
            self._pump(worker)

    def _gone(self, worker: Worker, run: Run, generation: int) -> None:
        """What it had in hand and what waited for it goes to others, or waits for one of them."""
        worker.steady = False
        waiting, worker.waiting = worker.waiting, deque()
        if run.answer is None and not run.held:
            run.losses += 1
            if run.losses >= LOSSES:
                self._end(run, ("lost", b""))
            else:
                self._assign(run)
        for each in waiting:
            if each.answer is None and not each.held:
                self._assign(each)
        if not worker.busy:
            self._ask_after(worker, generation)

    def _ask_after(self, worker: Worker, generation: int) -> None:
        """Until it answers."""

        def told(there: bool) -> None:
            with self._lock:
                if generation != self._generation:
                    return
                if there:
                    self._back(worker)
                else:
                    timer = threading.Timer(AGAIN_S, lambda: self._ask_after(worker, generation))
                    timer.daemon = True
                    timer.start()

        worker.line.hello(told)

    def _end(self, run: Run, answer: Answer) -> None:
        if run.answer is None:
            run.answer = answer
            self._open.discard(run)
            run.over.set()

    def doubt(self) -> None:
        """Take nobody for there until it has answered."""
        with self._lock:
            for worker in self.workers:
                worker.steady = False
                self._ask_after(worker, self._generation)

    def anew(self, lines: Sequence[Line]) -> None:
        """All lines are new ones: what is under way is handed out again."""
        with self._lock:
            self._generation += 1
            for worker, line in zip(self.workers, lines, strict=True):
                worker.line, worker.busy = line, 0
                worker.waiting.clear()
            self._stranded = sorted(self._open, key=lambda run: run.home)
            for run in self._stranded:
                run.tried.clear()
                run.held.clear()
            self.doubt()

    def away(self) -> None:
        """Ray is gone: nothing is handed out until `anew`, and nothing that the old one still says counts."""
        with self._lock:
            self._generation += 1
            for worker in self.workers:
                worker.steady, worker.busy = False, 0
                worker.waiting.clear()
            self._stranded = sorted(self._open, key=lambda run: run.home)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._generation += 1
            for run in list(self._open):
                self._end(run, ("closed", b""))
