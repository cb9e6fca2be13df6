"""Keys change and data is destroyed: the log says so, the audit follows, a crash at any step is made good, and no row is written again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from infra.keys import KeyRing
from infra.masters import FolderMasters
from infra.vault import Vault, VaultError
from infra.vault.place import Folders
from jobs import acts
from jobs.acts.destructions import all_destructions, carry_out, effect_of
from jobs.audit import audit
from jobs.custody import retire_masters, rotate_key, rotate_master
from jobs.register import Register
from policies.problem import Problem
from sandbox.raw.custody import destroy, keys_of
from sandbox.raw.open import open_vault
from tests.small_register import a_register, a_snapshot, title

ROWS = pa.table({"id": [1, 2, 3], "city": ["太原", "大同", None]})


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path / "home") as register:
        for name, role in (("chen", "supervisor"), ("zhou", "supervisor"), ("wang", "steward"), ("op", "operator")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]
        for version in (1, 2):
            acts.register_dataset(register, a_snapshot(version=version))
        yield register


@pytest.fixture
def vault(register: Register) -> Vault:
    """Version 2 keeps what version 1 has and adds to it."""
    vault = open_vault(register.settings)
    with vault.begin("visits", 1, os.urandom) as draft:
        with draft.part(0, ROWS.schema) as writer:
            writer.write(ROWS)
        first = draft.commit("1" * 64)
    with vault.begin("visits", 2, os.urandom, after=first) as draft:
        with draft.part(0, ROWS.schema) as writer:
            writer.write(ROWS)
        draft.commit("2" * 64)
    return vault


def read(vault: Vault, version: int = 1) -> list[pa.Table]:
    return [part.read() for part in vault.open("visits", version).parts]


def files(register: Register) -> dict[str, bytes]:
    folder = register.settings.vault_dir
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


def sound(register: Register) -> None:
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value.code


class Killed(BaseException):
    """The process ends here."""


# ── the master key ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_master_wraps_every_key_and_no_row_is_written(register: Register, vault: Vault) -> None:
    before, derived = files(register), vault.derive("partition/person")
    done = rotate_master(register, vault)
    assert done.key == "folder:2"
    assert keys_of(vault).wrapping == {"folder:2": 2}  # the dataset's and the root
    retired = (register.settings.keys_dir / "master").read_bytes()
    assert retire_masters(register, vault) == ("folder:1",)
    again = open_vault(register.settings)
    assert all(table.equals(ROWS) for version in (1, 2) for table in read(again, version))
    assert again.derive("partition/person") == derived, "units of old and new tables still meet"
    assert files(register) == before
    with pytest.raises(VaultError, match="key_refused"):
        Vault(register.settings.vault_dir, retired).open("visits", 1)
    KeyRing.open_or_create(register.settings.keys_dir)  # a folder whose first master is gone is whole
    assert [recorded.kind for recorded in register.events(limit=999)][-2:] == ["master_key_rotated", "master_key_retired"]
    sound(register)
    assert refused(lambda: retire_masters(register, vault)) == "server_master_key_single"
    assert rotate_master(register, vault).key == "folder:3"
    sound(register)


def test_a_master_in_use_is_not_destroyed(register: Register, vault: Vault) -> None:
    FolderMasters(register.settings.keys_dir).rotate(os.urandom)
    assert refused(lambda: retire_masters(register, vault)) == "server_master_key_in_use"
    assert (register.settings.keys_dir / "master").exists()
    assert rotate_master(register, vault).key == "folder:2", "one that is there already is taken, no third is made"
    retire_masters(register, vault)
    assert read(vault)[0].equals(ROWS)
    sound(register)


@pytest.mark.parametrize("at", range(6))
def test_a_rotation_that_breaks_off_anywhere_is_taken_up(register: Register, vault: Vault, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Killed before the n-th change of a file or the log; every key opens at all times."""
    steps = iter(range(at))

    def step(real: Callable[..., object]) -> Callable[..., object]:
        def run(*given: object, **named: object) -> object:
            if next(steps, None) is None:
                raise Killed
            return real(*given, **named)

        return run

    with monkeypatch.context() as killing:
        killing.setattr("os.rename", step(os.rename))
        killing.setattr("os.link", step(os.link))
        killing.setattr(Register, "transaction", step(Register.transaction))
        try:
            rotate_master(register, vault)
            whole = True
        except Killed:
            whole = False
    assert whole == (at == 5), "root, master, entry, the dataset's key, root again"
    again = open_vault(register.settings)
    assert read(again, 2)[1].equals(ROWS)
    if not whole:
        assert rotate_master(register, again).key == "folder:2"
    assert keys_of(again).wrapping == {"folder:2": 2}
    assert not [path for path in register.settings.vault_dir.rglob(".new-*")]
    retire_masters(register, again)
    assert read(open_vault(register.settings))[0].equals(ROWS)
    assert [recorded.kind for recorded in register.events(limit=999)].count("master_key_rotated") == 1
    sound(register)


# ── a dataset's key ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_dataset_key_wraps_every_files_key(register: Register, vault: Vault) -> None:
    before = files(register)
    old_key = vault.keys.path("visits").read_bytes()
    assert rotate_key(register, vault, "VISITS") == 2
    assert [table.equals(ROWS) for version in (1, 2) for table in read(vault, version)] == [True] * 3
    assert files(register) == before
    vault.keys.path("visits").write_bytes(old_key)
    with pytest.raises(VaultError, match="manifest_damaged"):
        vault.open("visits", 1)  # the old key opens nothing here any more
    sound(register)
    assert refused(lambda: rotate_key(register, vault, "nothing")) == "data_withdrawn"


@pytest.mark.parametrize("at", range(4))
def test_a_dataset_key_half_replaced_is_replaced(vault: Vault, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    rename, steps = os.rename, iter(range(at))

    def kill(*given: str) -> None:
        if next(steps, None) is None:
            raise Killed
        rename(*given)

    with monkeypatch.context() as killing:
        killing.setattr("os.rename", kill)
        with pytest.raises(Killed):
            vault.rotate("visits")
    assert [table.equals(ROWS) for version in (1, 2) for table in read(vault, version)] == [True] * 3
    assert vault.rotate("visits") == 2
    assert len(vault.keys.generations("visits")) == 1
    assert [table.equals(ROWS) for version in (1, 2) for table in read(vault, version)] == [True] * 3


# ── destruction ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def destroyed(register: Register, vault: Vault, version: int | None = None) -> int:
    acts.withdraw_dataset(register, "visits", reason="x", version=version)
    proposal = acts.propose_destruction(register, "visits", version=version, reason="purpose fulfilled", by="wang")
    acts.confirm_destruction(register, vault, proposal, by="chen")
    return proposal


def test_a_dataset_is_destroyed_by_two_and_for_good(register: Register, vault: Vault, tmp_path: Path) -> None:
    assert refused(lambda: acts.propose_destruction(register, "visits", reason="x", by="wang")) == "data_not_withdrawn"
    shutil.copytree(register.settings.vault_dir, tmp_path / "copy")
    acts.withdraw_dataset(register, "visits", reason="x")
    assert refused(lambda: acts.propose_destruction(register, "visits", reason="x", by="op")) == "auth_principal_role"
    proposal = acts.propose_destruction(register, "visits", reason="purpose fulfilled", by="chen")
    for by, code in (("chen", "auth_second_person"), ("wang", "auth_principal_role"), ("system", "auth_second_person")):
        assert refused(lambda by=by: acts.confirm_destruction(register, vault, proposal, by=by)) == code
    assert refused(lambda: acts.confirm_destruction(register, vault, 0, by="zhou")) == "data_destruction_unknown"
    assert read(vault)[0].equals(ROWS)
    done = acts.confirm_destruction(register, vault, proposal, by="zhou")
    assert (done.dataset, done.version, done.proposed_by, done.confirmed_by) == ("visits", None, "chen", "zhou")
    assert files(register) == {}
    assert not vault.keys.path("visits").exists()
    for version in (1, 2):
        with pytest.raises(VaultError, match="destroyed"):
            vault.open("visits", version)
    shutil.rmtree(tmp_path / "copy" / "visits" / "v1")  # a copy of data without keys is noise; here is one with its key
    assert Vault(tmp_path / "copy", (register.settings.keys_dir / "master").read_bytes()).open("visits", 2).parts
    rotate_master(register, open_vault(register.settings))
    retire_masters(register, open_vault(register.settings))
    with pytest.raises(VaultError, match="key_refused"):  # and once the master is replaced, that one is noise too
        Vault(tmp_path / "copy", FolderMasters(register.settings.keys_dir)).open("visits", 2)
    assert refused(lambda: acts.confirm_destruction(register, vault, proposal, by="zhou")) == "data_destruction_over"
    assert refused(lambda: acts.propose_destruction(register, "visits", version=1, reason="x", by="wang")) == "data_destruction_over"
    sound(register)


def test_what_a_destruction_would_take_with_it_is_said_before(register: Register, vault: Vault) -> None:
    def effect(version: int | None) -> tuple[object, ...]:
        found = effect_of(register, vault, "visits", version)
        assert found is not None
        return found.withdrawn, found.reach.ends, found.reach.kept_by, found.reach.keeps

    assert effect(1) == (False, (1,), (2,), ())
    assert effect(2) == (False, (2,), (), (1,))
    assert effect(None) == (False, (1, 2), (), ())
    destroyed(register, vault, 1)
    assert effect(1) == (True, (), (2,), ())
    assert effect(None) == (False, (2,), (), ())
    destroyed(register, vault)
    assert effect(None) == effect(2) == (True, (), (), ())
    assert effect_of(register, vault, "visits", 3) is effect_of(register, vault, "nothing", None) is None


def test_of_a_version_only_what_no_other_keeps_is_destroyed(register: Register, vault: Vault, tmp_path: Path) -> None:
    key, manifest = vault.keys.path("visits").read_bytes(), Folders(register.settings.vault_dir).manifest("visits", 1)
    destroyed(register, vault, 1)
    assert [table.equals(ROWS) for table in read(vault, 2)] == [True, True], "version 2 keeps the part of version 1"
    with pytest.raises(VaultError, match="destroyed"):
        vault.open("visits", 1)
    with pytest.raises(VaultError, match="version_exists"):
        vault.begin("visits", 1, os.urandom)
    (register.settings.vault_dir / "visits" / "v1" / "manifest").write_bytes(manifest)  # what a copy of the data has
    with pytest.raises(VaultError, match="manifest_damaged"):
        vault.open("visits", 1)
    assert vault.keys.path("visits").read_bytes() != key
    sound(register)
    with vault.begin("visits", 3, os.urandom) as draft:
        with draft.part(0, ROWS.schema) as writer:
            writer.write(ROWS)
        draft.commit("3" * 64)
    (register.settings.vault_dir / "visits" / "v1" / "manifest").write_bytes(b"destroyed\n")
    destroy(vault, "visits", 2)
    assert len(files(register)) == 1
    assert read(vault, 3)[0].equals(ROWS)


def test_a_destruction_that_broke_off_is_carried_out(register: Register, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killing:
        killing.setattr(Vault, "destroy", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            destroyed(register, vault)
    assert read(vault)[0].equals(ROWS)
    assert all_destructions(register)[0].since is not None
    assert carry_out(register, vault) == 1
    assert files(register) == {}
    assert carry_out(register, vault) == 0
    sound(register)
