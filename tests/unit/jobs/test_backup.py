"""Backups: whole while the register is written to, refused when damaged, and never a way back to budgets already spent."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.journal.checkpoint import Checkpoint
from infra.settings import Settings
from infra.witness import Witness
from jobs import ledger
from jobs.audit import audit
from jobs.backup import backup, restore
from jobs.events import PrincipalRegistered
from jobs.register import Register
from jobs.rotation import announce_log_key
from policies.loss import Loss
from policies.problem import Problem
from tests.postgres import Postgres
from tests.small_register import Ticking, a_register, furnish, run, settings_in, title
from tests.unit.api.test_witness import Asked, listening


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path / "home") as register:
        furnish(register)
        run(register, "a", Loss(1_000, 1))
        (register.settings.staging_dir / "a").mkdir(parents=True)
        (register.settings.staging_dir / "a" / "table.arrow").write_bytes(b"table")
        yield register


def elsewhere(register: Register, tmp_path: Path, name: str = "restored", *, keys: bool = True, **more: object) -> Settings:
    """A home with the keys alone, as kept apart."""
    if keys:
        shutil.copytree(register.settings.keys_dir, tmp_path / name / "keys")
    return settings_in(tmp_path / name, **more)


def add(register: Register, name: str) -> None:
    with register.transaction() as act:
        act.append(PrincipalRegistered(by="system", principal=name, role="builder", title=title(name)))


def refused(code: str, *arguments: object, **named: object) -> Problem:
    with pytest.raises(Problem, match=code) as caught:
        restore(*arguments, **named)  # type: ignore[arg-type]  # a test helper
    return caught.value


def everything(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_what_is_restored_is_what_was_backed_up(register: Register, tmp_path: Path) -> None:
    announce_log_key(register)
    done = backup(register, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    settings = elsewhere(register, tmp_path)
    restored = restore(tmp_path / "b.tar", settings, since=register.checkpoint())
    assert (restored.size, restored.entries) == (done.size, register.size)
    with a_register(settings.home) as again:
        assert ledger.balances(again) == ledger.balances(register)
        assert again.checkpoint() == register.checkpoint()
        assert again.vkeys == register.vkeys
        assert again.files.succession(0) == register.files.succession(0)
        assert (settings.staging_dir / "a" / "table.arrow").read_bytes() == b"table"
        add(again, "after")
        assert audit(settings.log_dir, [again.vkey], again.engine).clean
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("before", "after"), [("postgresql", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "postgresql")])
def test_a_backup_goes_back_into_either_database(postgres: Postgres, tmp_path: Path, before: str, after: str) -> None:
    urls = {number: {"database_url": postgres.database()} if kind == "postgresql" else {} for number, kind in enumerate((before, after))}
    with a_register(tmp_path / "home", **urls[0]) as register:
        furnish(register)
        run(register, "a", Loss(1_000, 1))
        backup(register, tmp_path / "b.tar", keys=True)
        settings = settings_in(tmp_path / "restored", **urls[1])
        restore(tmp_path / "b.tar", settings, since=register.checkpoint())
        assert (settings.home / "register.db").exists() == (after == "sqlite")
        with a_register(settings.home, **urls[1]) as again:
            assert ledger.balances(again) == ledger.balances(register)
            assert again.checkpoint() == register.checkpoint()
            add(again, "after")
            assert audit(settings.log_dir, [again.vkey], again.engine).clean
    for what in ("log", "staging", "keys"):
        if (settings.home / what).exists():
            shutil.rmtree(settings.home / what)
    if after == "postgresql":
        assert "entries" in str(refused("log_restore_occupied", tmp_path / "b.tar", settings, unwitnessed=True))
        assert not (settings.home / "log").exists()


def test_a_database_that_cannot_be_filled_leaves_the_home_as_it_was(
    register: Register, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(register, tmp_path / "b.tar")
    settings = elsewhere(register, tmp_path, database_url=postgres.database())
    before = everything(settings.home)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.backup.transfer", full)
    with pytest.raises(OSError, match="No space"):
        restore(tmp_path / "b.tar", settings, since=register.checkpoint())
    assert everything(settings.home) == before
    monkeypatch.undo()
    restore(tmp_path / "b.tar", settings, since=register.checkpoint())


def test_a_backup_taken_under_load_is_one_moment(register: Register, tmp_path: Path) -> None:
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            add(register, f"p{len(written)}")
            written.append("")

    threads = [threading.Thread(target=write)]
    threads[0].start()
    try:
        for number in range(4):
            before = len(written)
            backup(register, tmp_path / f"{number}.tar")
            while len(written) < before + 3:
                assert threads[0].is_alive()
    finally:
        stop.set()
        threads[0].join()
    sizes = []
    for number in range(4):
        restored = restore(tmp_path / f"{number}.tar", elsewhere(register, tmp_path, f"r{number}"), unwitnessed=True)
        assert restored.entries >= restored.size
        sizes.append(restored.size)
    assert sizes == sorted(set(sizes))


def test_keys_are_in_it_only_if_asked_for(register: Register, tmp_path: Path) -> None:
    backup(register, tmp_path / "without.tar")
    backup(register, tmp_path / "with.tar", keys=True)
    secrets = [path.read_bytes() for path in register.settings.keys_dir.iterdir()]
    assert not any(secret in (tmp_path / "without.tar").read_bytes() for secret in secrets)
    bare = settings_in(tmp_path / "bare")
    refused("log_restore_keys", tmp_path / "without.tar", bare, unwitnessed=True)
    assert not bare.home.exists()
    restore(tmp_path / "with.tar", bare, unwitnessed=True)
    with a_register(bare.home) as again:
        assert again.vkey == register.vkey


def test_nothing_is_overwritten(register: Register, tmp_path: Path) -> None:
    backup(register, tmp_path / "b.tar")
    with pytest.raises(Problem, match="log_backup_exists"):
        backup(register, tmp_path / "b.tar")
    refused("log_restore_occupied", tmp_path / "b.tar", register.settings, unwitnessed=True)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            data = old.extractfile(member)
            assert data is not None
            for name, body in change(member.name, data.read()):
                info = tarfile.TarInfo(name)
                info.size = len(body)
                new.addfile(info, io.BytesIO(body))


def flip(wanted: str) -> Callable[[str, bytes], list[tuple[str, bytes]]]:
    return lambda name, body: [(name, body[:50] + bytes([body[50] ^ 1]) + body[51:] if name.startswith(wanted) else body)]


CHANGES: dict[str, Callable[[str, bytes], list[tuple[str, bytes]]]] = {
    "database": flip("register.db"),
    "tile": flip("log/tile/entries"),
    "left out": lambda name, body: [] if name == "staging/a/table.arrow" else [(name, body)],
    "added": lambda name, body: [(name, body), *([("staging/b/x", b"y")] if name == "register.db" else [])],
    "no manifest": lambda name, body: [] if name == "manifest.json" else [(name, body)],
    "outside": lambda name, body: [("log/../../escaped" if name == "staging/a/table.arrow" else name, body)],
    "absolute": lambda name, body: [("/escaped" if name == "staging/a/table.arrow" else name, body)],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_backup_changes_nothing(register: Register, tmp_path: Path, change: str) -> None:
    backup(register, tmp_path / "b.tar")
    rewritten(tmp_path / "b.tar", tmp_path / "c.tar", CHANGES[change])
    settings = elsewhere(register, tmp_path)
    before = everything(settings.home)
    refused("log_restore_damaged", tmp_path / "c.tar", settings, unwitnessed=True)
    assert everything(settings.home) == before
    assert not (tmp_path / "escaped").exists()


def test_a_backup_cut_short_is_damaged(register: Register, tmp_path: Path) -> None:
    backup(register, tmp_path / "b.tar")
    data = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "c.tar").write_bytes(data[: len(data) // 2])
    refused("log_restore_damaged", tmp_path / "c.tar", elsewhere(register, tmp_path), unwitnessed=True)


def test_one_whose_digests_were_mended_still_fails_the_audit(register: Register, tmp_path: Path) -> None:
    """Whoever can rewrite the manifest cannot sign the log: a spent budget made smaller in the database is found."""
    import hashlib
    import sqlite3

    backup(register, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as archive:
        data = archive.extractfile("register.db")
        assert data is not None
        (tmp_path / "x.db").write_bytes(data.read())
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("UPDATE accounts SET spent_pico_rho = 0")
    connection.commit()
    connection.close()
    body = (tmp_path / "x.db").read_bytes()

    def mend(name: str, old: bytes) -> list[tuple[str, bytes]]:
        if name == "register.db":
            return [(name, body)]
        if name == "manifest.json":
            told = json.loads(old)
            told["members"]["register.db"] = hashlib.sha256(body).hexdigest()
            return [(name, json.dumps(told).encode())]
        return [(name, old)]

    rewritten(tmp_path / "b.tar", tmp_path / "c.tar", mend)
    settings = elsewhere(register, tmp_path)
    problem = refused("log_restore_failed", tmp_path / "c.tar", settings, unwitnessed=True)
    assert [part.code for part in problem.parts] == ["log_table_differs"]
    assert sorted(path.name for path in settings.home.iterdir()) == ["keys"]


# ── an older copy ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_any_witness_a_person_must_answer_for_it(register: Register, tmp_path: Path) -> None:
    backup(register, tmp_path / "b.tar")
    settings = elsewhere(register, tmp_path)
    refused("log_restore_unwitnessed", tmp_path / "b.tar", settings)
    restore(tmp_path / "b.tar", settings, unwitnessed=True)


def test_a_copy_older_than_a_checkpoint_kept_elsewhere_is_refused(register: Register, tmp_path: Path) -> None:
    backup(register, tmp_path / "b.tar")
    run(register, "b", Loss(1_000, 1))
    problem = refused("log_restore_failed", tmp_path / "b.tar", elsewhere(register, tmp_path), since=register.checkpoint(), unwitnessed=True)
    assert [part.code for part in problem.parts] == ["log_truncated"]


def test_a_copy_older_than_the_witness_has_seen_is_refused(tmp_path: Path) -> None:
    witness = Witness.open_or_create(tmp_path / "witness", "witness.example/audit", Ticking())
    with listening(witness) as port:
        asked = Asked(witness, port)
        named = (" ".join([f"http://127.0.0.1:{asked.port}", *witness.vkeys]),)
        with a_register(tmp_path / "home", witnesses=named) as register:
            witness.trust([register.vkey])
            furnish(register)
            register.witnesses.round()
            run(register, "a", Loss(1_000, 1))
            backup(register, tmp_path / "b.tar")  # ahead of what the witness has: it will cosign this
            newest = elsewhere(register, tmp_path, "newest", witnesses=named)
            assert [each.state for each in restore(tmp_path / "b.tar", newest).outcomes] == ["cosigned"]
            run(register, "b", Loss(1_000, 1))  # more budget is spent, and witnessed
            register.witnesses.round()
            seen = Checkpoint.peek(register.files.witnessed() or "").size
            older = elsewhere(register, tmp_path, "older", witnesses=named)
            problem = refused("log_restore_older", tmp_path / "b.tar", older)
            assert problem.fields["seen"] == str(seen)
            refused("log_restore_older", tmp_path / "b.tar", older, unwitnessed=True)  # a witness that speaks is not overruled
            assert sorted(path.name for path in older.home.iterdir()) == ["keys"]


def test_a_witness_that_is_away_does_not_count(register: Register, tmp_path: Path) -> None:
    witness = Witness.open_or_create(tmp_path / "witness", "witness.example/audit", Ticking())
    backup(register, tmp_path / "b.tar")
    settings = elsewhere(register, tmp_path, witnesses=(f"http://127.0.0.1:1 {witness.vkeys[0]}",))
    refused("log_restore_unwitnessed", tmp_path / "b.tar", settings)


def test_vault_versions_that_did_not_come_back_are_named(register: Register, tmp_path: Path) -> None:
    version = register.settings.vault_dir / "visits" / "v1"
    version.mkdir(parents=True)
    (version / "manifest").write_bytes(b"sealed")
    backup(register, tmp_path / "b.tar")
    settings = elsewhere(register, tmp_path)
    assert restore(tmp_path / "b.tar", settings, unwitnessed=True).missing == ("visits/v1",)
