"""Two servers on one store: what one destroys, the workers of both have no rows of."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from infra.vault import Part, Vault, VaultError
from infra.workers.environment import without_ray
from infra.workers.warden import Warden
from jobs import acts
from jobs.forgetting import Forgetting
from jobs.register import Register
from sandbox.raw import run
from sandbox.raw.open import open_vault
from sandbox.raw.released import streamed
from tests.pools import Pool
from tests.small_register import Ticking, a_register, a_snapshot, settings_in, title

ROWS = pa.table({"id": list(range(1000))})


class Process(Pool):
    """A server's only worker: the process that runs functions on rows, without Ray round it."""

    def __init__(self) -> None:
        super().__init__(memory_bytes=2**20)
        self.warden = Warden(without_ray())

    def once(self, worker: int, fn: Callable[[Any], Any], item: Any) -> Any:
        outcome, result = self.warden.run(fn.__module__, pickle.dumps((fn, item), 5), wall_s=60, memory_bytes=2**29)
        assert outcome == "ok"
        return pickle.loads(result)

    @property
    def kept(self) -> int:
        (found,) = self.stream(kept, [0])
        return found


def kept(_: int) -> int:
    return run._cache.nbytes


def read(parts: tuple[Part, ...]) -> int:
    return sum(run._cache.table(part, ["id"], 10**6).num_rows for part in parts)


@pytest.fixture(scope="module")
def processes() -> Iterator[list[Process]]:
    made = [Process(), Process()]
    yield made
    for one in made:
        one.warden.close()


@pytest.fixture
def register(tmp_path: Any) -> Iterator[Register]:
    with a_register(tmp_path / "home") as register:
        for name, role in (("chen", "supervisor"), ("wang", "steward")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]
        for dataset in ("visits", "clinics"):
            acts.register_dataset(register, a_snapshot(dataset))
        yield register


@pytest.fixture
def other(register: Register) -> Iterator[Register]:
    """The same register as another server opens it."""
    again = Register.open(settings_in(register.settings.home), clock=Ticking())
    yield again
    again.close()


@pytest.fixture
def vault(register: Register) -> Vault:
    vault = open_vault(register.settings)
    for dataset in ("visits", "clinics"):
        with vault.begin(dataset, 1, os.urandom) as draft:
            with draft.part(0, ROWS.schema) as writer:
                writer.write(ROWS)
            draft.commit("1" * 64)
    return vault


def asked(pool: Process, vault: Vault, dataset: str) -> int:
    (rows,) = streamed(pool, read, [vault.open(dataset, 1).parts])
    return rows


def destroy(register: Register, vault: Vault) -> None:
    acts.withdraw_dataset(register, "visits", reason="x")
    proposal = acts.propose_destruction(register, "visits", reason="purpose fulfilled", by="wang")
    acts.confirm_destruction(register, vault, proposal, by="chen")


def test_idle_workers_of_both_servers_drop_what_one_destroys(
    register: Register, other: Register, vault: Vault, processes: list[Process]
) -> None:
    theirs = open_vault(other.settings)
    sides = list(zip(processes, (vault, theirs), (register, other), strict=True))
    following = [Forgetting(known, held, lambda pool=pool: pool) for pool, held, known in sides]  # type: ignore[misc]
    assert [follower.once() for follower in following] == [True, True]
    assert [asked(pool, held, "visits") for pool, held, _ in sides] == [1000, 1000]
    assert [follower.once() for follower in following] == [True, True]
    assert all(pool.kept > 8000 for pool in processes), "nothing was destroyed: nothing is dropped"
    destroy(register, vault)
    assert [follower.once() for follower in following] == [True, True]
    assert [pool.kept for pool in processes] == [0, 0]
    calls = [pool.calls for pool in processes]
    assert [follower.once() for follower in following] == [True, True]
    assert [pool.calls for pool in processes] == calls, "all have heard"


def test_a_worker_with_something_to_do_drops_first(register: Register, other: Register, vault: Vault, processes: list[Process]) -> None:
    theirs, pool = open_vault(other.settings), processes[1]
    assert asked(pool, theirs, "visits") == 1000
    one = pool.kept
    destroy(register, vault)
    assert asked(pool, theirs, "clinics") == 1000
    assert pool.kept == one > 0, "clinics alone; nobody told it of the destruction but the call"


def test_keys_in_another_servers_own_home_go_too(register: Register, other: Register, vault: Vault, processes: list[Process]) -> None:
    pool, copy = processes[1], register.settings.home / "copy"
    shutil.copytree(register.settings.vault_dir, copy)
    theirs = Vault(copy, vault.keys.masters)
    following = Forgetting(other, theirs, lambda: pool)
    following.once()
    assert asked(pool, theirs, "visits") == 1000
    destroy(register, vault)
    assert asked(pool, theirs, "visits") == 1000, "it has not looked yet"
    assert following.once()
    assert pool.kept == 0
    with pytest.raises(VaultError, match="destroyed"):
        theirs.open("visits", 1)
    assert not theirs.keys.path("visits").exists()


def test_without_workers_it_is_not_done(register: Register, vault: Vault, processes: list[Process]) -> None:
    there: list[Process] = []
    following = Forgetting(register, vault, lambda: there[0] if there else None)
    asked(processes[0], vault, "visits")
    destroy(register, vault)
    assert not following.once()
    there.append(processes[0])
    assert following.once()
    assert processes[0].kept == 0
