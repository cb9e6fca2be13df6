"""Keys of files reach a worker sealed, for its own task, and are not in its memory when the task is over."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.vault import JobKeys, Lock, Part, Vault, VaultError
from sandbox.raw import released
from sandbox.raw.released import Call, Locked, parts_in, run_released, streamed
from tests.pools import Pool


@dataclass(frozen=True)
class Task:
    parts: tuple[Part, ...]
    other: Part | None = None


class Travelling(Pool):
    """A pool whose items travel as bytes, as Ray's do; it keeps what it saw. Each "worker" is a key pair; `dies` after so many calls."""

    def __init__(self, size: int = 2, dies: int = 10**9) -> None:
        super().__init__(size)
        self.dies = dies
        self.locks = [Lock() for _ in range(size)]
        self.seen: list[bytes] = []

    def once(self, worker: int, fn: Callable[[Any], Any], item: Any) -> Any:
        if self.calls % self.dies == 0:
            self.locks[worker] = Lock()  # another process in the worker's place
        sent = pickle.dumps((fn, item))
        self.seen.append(sent)
        function, given = pickle.loads(sent)
        before, released._lock = released._lock, lambda: self.locks[worker]  # type: ignore[assignment]
        try:
            return function(given)
        finally:
            released._lock = before


def commit(vault: Vault, dataset: str, *ids: int) -> tuple[Part, ...]:
    with vault.begin(dataset, 1, os.urandom) as draft:
        for index, number in enumerate(ids):
            table = pa.table({"id": [number]})
            with draft.part(index, table.schema) as writer:
                writer.write(table)
        return draft.commit("0" * 64).parts


def read_ids(task: Task) -> list[int]:
    return [part.read().column("id")[0].as_py() for part in task.parts]


def read_other(task: Task) -> str:
    """What a task's function finds of a part that it names only by a path it made up."""
    assert task.other is None
    outside = pickle.loads(OUTSIDE[0])
    try:
        outside.read()
    except VaultError as error:
        return error.code
    return "read"


OUTSIDE: list[bytes] = []


def test_tasks_carry_no_key_and_workers_read(vault: Vault) -> None:
    parts = commit(vault, "visits", 1, 2, 3)
    keys = [bytes(part.opened_key()) for part in parts]
    pool = Travelling()
    assert list(streamed(pool, read_ids, [Task((part,)) for part in parts])) == [[1], [2], [3]]
    assert len(pool.seen) == pool.size + 3  # who they are, and the tasks
    assert not any(key in sent for key in keys for sent in pool.seen)


def test_a_worker_has_no_key_of_a_part_that_is_not_its_tasks(vault: Vault) -> None:
    mine, (theirs,) = commit(vault, "visits", 1, 2), commit(vault, "salaries", 9)
    for other in (theirs, mine[1]):
        OUTSIDE[:] = [pickle.dumps(other)]
        assert list(streamed(Travelling(1), read_other, [Task((mine[0],))])) == ["key_absent"]
    with pytest.raises(VaultError, match="key_absent"):
        pickle.loads(pickle.dumps(mine[0])).read()  # nor outside any task


def test_workers_started_anew_are_sealed_for(vault: Vault) -> None:
    parts = commit(vault, "visits", *range(20))
    assert list(streamed(Travelling(3, dies=4), read_ids, [Task((part,)) for part in parts])) == [[number] for number in range(20)]


def _altered(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def test_what_was_sealed_for_one_worker_opens_for_no_other() -> None:
    mine, other, keys = Lock(), Lock(), JobKeys()
    sealed = keys.seal({"a" * 64: bytearray(os.urandom(32))}, [mine.public])
    assert mine.opens(sealed)
    assert not other.opens(sealed)
    forged = type(sealed)({other.public: sealed.job[mine.public]}, sealed.files)
    with pytest.raises(ValueError, match="another worker"), other.holding(forged):
        pass
    swapped = type(sealed)(sealed.job, {"a" * 64: _altered(sealed.files["a" * 64])})
    with pytest.raises(ValueError, match="another worker"), mine.holding(swapped):
        pass


def test_an_empty_call_needs_no_key() -> None:
    assert run_released(Call(len, (1, 2), JobKeys().seal({}, []))) == 2
    assert isinstance(run_released(Call(len, (1, 2), JobKeys().seal({"a": bytearray(32)}, []))), Locked)


def test_parts_are_found_wherever_they_stand_in_a_task(vault: Vault) -> None:
    first, second = commit(vault, "visits", 1, 2)
    nested: Any = Task((first,), other=second)
    assert list(parts_in({"a": [(nested, 1), "x"], "b": None})) == [first, second]


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

WORKER = """
import gc, pickle, sys
from sandbox.raw import released
from infra.vault import Lock
lock = Lock()
released._lock = lambda: lock

def say(text):
    sys.stdout.write(text + "\\n"); sys.stdout.flush()

def work(parts):
    rows = [part.read().num_rows for part in parts]
    say("holding"); sys.stdin.readline()
    return sum(rows)

say(lock.public.hex())
call = pickle.loads(bytes.fromhex(sys.stdin.readline()))
call = released.Call(work, call.task, call.sealed)
rows = released.run_released(call)
del call
gc.collect()
say(str(rows)); sys.stdin.readline()
"""


def in_memory(pid: int, *needles: bytes) -> list[int]:
    """How often each occurs in what the process has mapped."""
    found = [0] * len(needles)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("rw") or "[vvar" in line:
                continue
            low, high = (int(end, 16) for end in span.split("-"))
            try:
                memory.seek(low)
                content = memory.read(high - low)
            except OSError:  # a guard page
                continue
            found = [count + content.count(needle) for count, needle in zip(found, needles, strict=True)]
    return found


def test_a_workers_memory_holds_no_key_after_its_task(vault: Vault) -> None:
    parts = commit(vault, "visits", *range(4))
    secrets = [bytes(part.opened_key()) for part in parts]
    root = Path(__file__).resolve().parents[4]
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert worker.stdin is not None
    assert worker.stdout is not None
    with worker:
        public = bytes.fromhex(worker.stdout.readline())
        keys = JobKeys()
        job = bytes(keys._key)
        sealed = keys.seal({part.sha256: part.opened_key() for part in parts}, [public])
        worker.stdin.write(pickle.dumps(Call(len, parts, sealed)).hex() + "\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "holding\n"
        during = in_memory(worker.pid, *secrets)
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "4\n"
        after = in_memory(worker.pid, *secrets, job)
        worker.stdin.write("\n")
        worker.stdin.flush()
    assert min(during) >= 1, "else this looks in the wrong place"
    assert after == [0] * 5
    assert in_memory(os.getpid(), job)[0] >= 1  # this process still has it: it was given to the test
