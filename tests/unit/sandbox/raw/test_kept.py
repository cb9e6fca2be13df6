"""Decrypted rows are kept within one era of their vault: no call of another finds them, and none leaves them to another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import pyarrow as pa
import pytest

from infra.vault import Era, Part, Vault
from infra.workers.errors import ANYWHERE, Terms
from infra.workers.inline import InlineWorkers
from sandbox.raw import fit_run, kept
from sandbox.raw.kept import within
from sandbox.raw.released import forget, streamed

Item = TypeVar("Item")
Result = TypeVar("Result")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A room of a worker, and what it keeps."""
    rows: list[str] = []
    kept.clearing.append(rows.clear)
    yield rows
    kept.clearing.pop()


def parts_of(vault: Vault, dataset: str) -> tuple[Part, ...]:
    table = pa.table({"id": [1, 2, 3]})
    with vault.begin(dataset, 1, os.urandom) as draft:
        with draft.part(0, table.schema) as writer:
            writer.write(table)
        return draft.commit("0" * 64).parts


def test_a_newer_call_finds_nothing_kept_and_an_older_one_leaves_nothing(room: list[str]) -> None:
    seen = []
    for number in (2, 2, 4, 2, 4):
        with within(Era("a vault", number)):
            seen.append(tuple(room))
            room.append(f"rows of {number}")
    assert seen == [(), ("rows of 2",), (), ("rows of 4",), ()]
    assert room == ["rows of 4"]


def test_a_call_that_fails_leaves_nothing_either(room: list[str]) -> None:
    with within(Era("another vault", 6)):
        pass

    @within(Era("another vault", 4))
    def fail() -> None:
        room.append("rows")
        raise ValueError("rows")

    with pytest.raises(ValueError, match="rows"):
        fail()
    assert room == []


def test_of_two_vaults_one_is_kept(room: list[str]) -> None:
    with within(Era("third", 8)):
        room.append("third")
    with within(Era("fourth", 6)):
        assert room == []


def test_every_room_of_a_worker_says_how_its_rows_go() -> None:
    from sandbox.raw import run

    assert {run._cache.clear, fit_run._prepared.clear} <= set(kept.clearing)


def test_a_job_after_a_destruction_finds_no_rows_of_before(vault: Vault, room: list[str], inline_workers: InlineWorkers) -> None:
    parts_of(vault, "visits")
    other = parts_of(vault, "clinics")

    def work(task: tuple[Part, ...]) -> tuple[str, ...]:
        found = tuple(room)
        room.append("rows")
        return found

    def asked() -> tuple[str, ...]:
        (found,) = streamed(inline_workers, work, [other])
        return found

    assert (asked(), asked()) == ((), ("rows",))
    vault.destroy("visits")
    assert (asked(), asked()) == ((), ("rows",))


def test_a_destruction_between_handing_out_and_running_is_met(vault: Vault, room: list[str]) -> None:
    """The call is of the old era when it is made, and the worker has heard of the new one when it runs."""
    other = parts_of(vault, "clinics")
    parts_of(vault, "visits")

    class Slow(InlineWorkers):
        def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
            made = list(items)
            if fn.__name__ == "run_released":
                vault.destroy("visits")
                assert forget(InlineWorkers(), vault)
            yield from super().stream(fn, made, terms)

    assert list(streamed(Slow(), lambda _: room.append("rows of visits"), [other])) == [None]
    assert room == []


def test_a_worker_that_was_not_heard_is_told_of(vault: Vault) -> None:
    class Away(InlineWorkers):
        """Two workers, one of which does the other's work."""

        def __init__(self) -> None:
            super().__init__()
            self.size = 2

    assert not forget(Away(), vault)
    assert forget(InlineWorkers(), vault)
