"""Work for workers, with the keys of the files it reads: sealed for them, for this call of `streamed`, and for the parts of each task alone.

What a task carries has no key. Beside it goes what `infra.vault.JobKeys` sealed: the keys of the task's own files. A worker that it was not
sealed for (it has just been started anew) says so and gives its public key; the task is then sealed for it too, and run again: no row was
read. When the stream is over, the server's key of the job is wiped, and each worker's when its call is over.

A task says of which era of the vault it is, so that a worker of whatever server has dropped what it kept of destroyed data before it does
anything more (`sandbox.raw.kept`); `forget` tells those that have nothing to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from itertools import chain, islice
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from infra.vault import Era, JobKeys, Lock, Part, Sealed, Vault, WrappedKey
from infra.workers import ANYWHERE, Terms
from sandbox.raw.kept import within

Item = TypeVar("Item")
Result = TypeVar("Result")
_PLANS = "sandbox.plan."
_TRIES = 8  # of one task, sealed again each time for a worker that was not known


class Pool(Protocol):
    """What is asked of workers; `infra.workers` has two."""

    @property
    def size(self) -> int: ...

    @property
    def memory_bytes(self) -> int: ...

    def place_of(self, datasets: Iterable[str]) -> str | None: ...

    def present(self, datasets: Iterable[str]) -> bool: ...

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]: ...


@dataclass(frozen=True, slots=True)
class Call:
    fn: Callable[[Any], Any]
    task: Any
    sealed: Sealed
    era: Era | None = None  # None: no file of a vault is read


@dataclass(frozen=True, slots=True)
class Locked:
    """A worker's answer to what was not sealed for it."""

    public: bytes


_known: WeakKeyDictionary[Pool, set[bytes]] = WeakKeyDictionary()  # public keys of each pool's workers, as far as met


def streamed(workers: Pool, fn: Callable[[Item], Result], tasks: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
    """What `workers.stream` gives, each task with its keys, on workers of the place where the tasks' data has to stay: all tasks are about the
    same datasets. Raises WorkersError, VaultError."""
    known, keys, opened = _met(workers), JobKeys(), dict[str, list[bytes]]()
    sent: deque[Item] = deque()
    ahead = iter(tasks)
    first = list(islice(ahead, 1))
    terms = replace(terms, place=workers.place_of({part.dataset for part in parts_in(first)}))

    def called(task: Item) -> Call:
        wanted = {part.sha256: part.key for part in parts_in(task) if isinstance(part.key, WrappedKey)}
        if not wanted:
            return Call(fn, task, keys.seal({}, []))
        vault = next(iter(wanted.values())).vault
        era = vault.era  # before the keys are opened: were they destroyed in between, the worker keeps nothing
        return Call(fn, task, keys.seal(_file_keys(vault, wanted, opened), sorted(known)), era)

    def calls() -> Iterator[Call]:
        for task in chain(first, ahead):
            sent.append(task)
            yield called(task)

    try:
        for answer in workers.stream(run_released, calls(), terms):
            task, tries = sent.popleft(), 0
            while isinstance(answer, Locked):
                if (tries := tries + 1) > _TRIES:
                    raise ValueError("no worker keeps its key long enough")
                known.add(answer.public)
                (answer,) = workers.stream(run_released, [called(task)], terms)
            yield cast(Result, answer)
    finally:
        keys.forget()
        opened.clear()


def run_released(call: Call) -> Any:
    """In a worker: the task's own function, while its keys are held. Locked when they are not for this worker."""
    lock = _lock()
    if not call.sealed.files:
        return call.fn(call.task)
    if not lock.opens(call.sealed):
        return Locked(lock.public)
    with within(call.era) if call.era is not None else nullcontext(), lock.holding(call.sealed):
        return call.fn(call.task)


def met(workers: Pool) -> None:
    """Ask every worker for its public key beforehand: the first job then finds all of them known."""
    _known[workers] = set(workers.stream(_public, range(workers.size)))


def forget(workers: Pool, vault: Vault) -> bool:
    """Every worker drops what it keeps of decrypted rows, unless it has since the vault's last destruction. False when not all were heard: one
    that is away may come back with what it had."""
    era = vault.era
    return len(set(workers.stream(_forget, [era] * workers.size))) == workers.size


def parts_in(task: object) -> Iterator[Part]:
    """The files that a task names, wherever in it they stand."""
    if isinstance(task, Part):
        yield task
    elif type(task).__module__.startswith(_PLANS):
        return  # says what is to be done, in many objects, and knows nothing of files
    elif is_dataclass(task) and not isinstance(task, type):
        for one in fields(task):
            yield from parts_in(getattr(task, one.name))
    elif isinstance(task, tuple | list) and not (task and isinstance(task[0], str | int | float | bytes)):  # long lists are of such things
        for each in task:
            yield from parts_in(each)
    elif isinstance(task, Mapping):
        for each in task.values():
            yield from parts_in(each)


def _met(workers: Pool) -> set[bytes]:
    if workers not in _known or len(_known[workers]) > 2 * workers.size + 16:  # most are of workers that are gone
        met(workers)
    return _known[workers]


def _file_keys(vault: Vault, wanted: Mapping[str, WrappedKey], opened: dict[str, list[bytes]]) -> dict[str, bytearray]:
    """By the SHA-256 of the file; where files lie in a store, what opens that, by its name."""
    found = dict(zip(wanted, vault.file_keys(list(wanted.values()), opened), strict=True))
    store, reader = vault.place.store, vault.place.reader
    return found if store is None or reader is None else found | {store.name: reader.sealed_form()}


def _forget(era: Era) -> bytes:
    with within(era):
        return _lock().public


@cache
def _lock() -> Lock:
    """This process's key pair."""
    return Lock()


def _public(_number: int) -> bytes:
    return _lock().public
