"""The register: one order of events, projected as they happen, published as tiles and a signed checkpoint."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import metamorphic_log
import pytest
from sqlalchemy import delete, select, update

from infra.database import reading, writing
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.note import VerifierKey
from infra.journal.proof import Receipt, verify_consistency, verify_inclusion
from infra.tables import entries, log_head, principals
from jobs.audit import audit
from jobs.events import LicenceSuspended, PrincipalRegistered
from jobs.projections import DoesNotFit
from jobs.register import Register
from jobs.sequencer import LogForked
from policies.problem import Problem
from tests.processes import forking
from tests.small_register import Ticking, a_register, settings_in, title


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        yield register


def person(name: str) -> PrincipalRegistered:
    return PrincipalRegistered(by="system", principal=name, role="operator", title=title(name))


def add(register: Register, *names: str, publish: bool = True) -> list[int]:
    with register.transaction(publish=publish) as act:
        return [act.append(person(name)) for name in names]


def test_an_event_is_in_the_log_and_in_the_tables_or_in_neither(register: Register) -> None:
    assert add(register, "a", "b") == [0, 1]

    def fail() -> None:
        with register.transaction() as act:
            act.append(person("c"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert register.size == 2
    assert [found.id for found in register.principals()] == ["a", "b"]
    assert add(register, "d") == [2]
    assert register.event(2).event == person("d")


def test_an_event_that_does_not_fit_spoils_its_transaction(register: Register) -> None:
    add(register, "a")

    def go_on_regardless() -> None:
        with register.transaction() as act:
            act.append(person("b"))
            with pytest.raises(DoesNotFit):  # noqa: PT012  # at once, or before the next thing is read
                act.append(person("a"))
                act.connection  # noqa: B018

    with pytest.raises(RuntimeError, match="cannot be committed"):
        go_on_regardless()
    assert [found.id for found in register.principals()] == ["a"]
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(LicenceSuspended(by="system", licence="none", reason="x"))


def test_acts_that_are_undone_leave_the_connection_as_it_was(register: Register) -> None:
    """psycopg, left to itself, forgets every statement prepared on a connection when it rolls back."""

    def undone() -> None:
        with register.transaction() as act:
            act.append(person("gone"))
            for _ in range(10):  # often enough for a driver to prepare it
                act.connection.execute(select(entries.c.position).where(entries.c.position == act.size)).all()
            raise ZeroDivisionError

    for name in ("a", "b", "c"):
        with pytest.raises(ZeroDivisionError):
            undone()
        with pytest.raises(RuntimeError, match="cannot be committed"):
            spoilt(register)
        register.engine.dispose() if name == "c" else None
        add(register, name)
    assert [found.id for found in register.principals()] == ["a", "b", "c"]


def spoilt(register: Register) -> None:
    """A commit that fails as a whole: the transaction is rolled back, not only a piece of it."""
    with register.transaction() as act:
        act.append(person("x"))
        with pytest.raises(DoesNotFit):  # noqa: PT012
            act.append(person("x"))
            act.connection  # noqa: B018


def test_a_transaction_inside_a_transaction_is_a_bug(register: Register) -> None:
    with pytest.raises(RuntimeError, match="inside"), register.transaction(), register.transaction():
        pass
    add(register, "a")  # and leaves the register usable


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 520])
def test_every_receipt_verifies_offline_and_outside(register: Register, size: int) -> None:
    add(register, *(f"p{number}" for number in range(size)))
    for index in {0, size // 2, size - 1}:
        receipt = Receipt.decode(register.receipt(index))
        checkpoint = Checkpoint.open(receipt.note, [VerifierKey.parse(register.vkey)])
        leaf = leaf_hash(register.entry(index))
        verify_inclusion(receipt.index, checkpoint.size, leaf, receipt.path, checkpoint.root)
        metamorphic_log.checkpoint_verify_inclusion(receipt.note, [register.vkey], index, leaf, list(receipt.path))


def test_checkpoints_follow_from_one_another(register: Register) -> None:
    notes = []
    for number in range(12):
        add(register, *(f"p{number}-{each}" for each in range(number * 7 + 1)))
        notes.append(Checkpoint.peek(register.checkpoint()))
    for before, after in pairwise(notes):
        verify_consistency(before.size, after.size, register.consistency(before.size, after.size), before.root, after.root)


def test_a_checkpoint_may_wait_and_then_covers_everything(register: Register) -> None:
    empty = Checkpoint.peek(register.checkpoint())
    add(register, "a", publish=False)
    assert Checkpoint.peek(register.files.checkpoint() or "") == empty
    add(register, "b")
    assert Checkpoint.peek(register.files.checkpoint() or "").size == 2
    add(register, "c", publish=False)
    assert Receipt.decode(register.receipt(2)).index == 2  # a receipt brings its own checkpoint
    assert Checkpoint.peek(register.files.checkpoint() or "").size == 3


def test_an_unknown_entry_is_a_problem_with_a_remedy(register: Register) -> None:
    add(register, "a")
    for index in (1, -1, 10**6):
        for ask in (register.entry, register.receipt):
            with pytest.raises(Problem) as caught:
                ask(index)
            assert caught.value.code == "log_entry_unknown"


def test_time_in_the_log_never_runs_backwards(tmp_path: Path) -> None:
    times = iter([datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)])
    register = Register.open(settings_in(tmp_path), clock=lambda: next(times))
    for name in "abc":
        add(register, name)
    assert [recorded.at[:10] for recorded in register.events()] == ["2026-01-02", "2026-01-02", "2026-01-03"]
    register.close()


def test_events_are_listed_after_an_index_and_by_kind(register: Register) -> None:
    add(register, "a", "b", "c")
    assert [recorded.index for recorded in register.events(after=0, limit=1)] == [1]
    assert register.events(kinds=("key_issued",)) == []
    assert len(register.events(kinds=("principal_registered",))) == 3


def test_sealed_content_opens_only_here_and_the_same_content_seals_differently(register: Register) -> None:
    with register.transaction() as act:
        first, second = act.seal(b"SELECT 1"), act.seal(b"SELECT 1")
        attached = act.attach(b"public")
        act.append(person("a"))
    assert first != second
    assert register.opening(first) == register.opening(second) == b"SELECT 1"
    assert register.document(attached) == b"public"
    assert register.opening("0" * 64) is register.document("0" * 64) is None
    assert register.files.has_document(attached)
    held = b"".join(path.read_bytes() for path in register.settings.log_dir.rglob("*") if path.is_file())
    assert b"SELECT 1" not in held


def test_the_log_files_can_be_made_again(register: Register) -> None:
    with register.transaction() as act:
        act.attach(b"public")
        for number in range(300):
            act.append(person(f"p{number}"))
    note = register.checkpoint()
    kept = {path.relative_to(register.settings.log_dir): path.read_bytes() for path in register.settings.log_dir.rglob("*") if path.is_file()}
    shutil.rmtree(register.settings.log_dir)
    again = Register.open(register.settings, clock=Ticking())
    assert again.checkpoint() == note
    made = {path.relative_to(register.settings.log_dir): path.read_bytes() for path in register.settings.log_dir.rglob("*") if path.is_file()}
    assert made == kept
    again.close()


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
@pytest.mark.parametrize("damage", ["missing", "short", "empty"])
def test_an_edge_that_a_power_cut_left_short_is_mended_at_the_next_start(register: Register, path: str, damage: str) -> None:
    add(register, *(f"p{number}" for number in range(300)))
    target = register.settings.log_dir / path
    whole = target.read_bytes()
    target.unlink() if damage == "missing" else target.write_bytes(whole[:-1] if damage == "short" else b"")
    Register.open(register.settings, clock=Ticking()).close()
    assert target.read_bytes() == whole


def test_a_full_disk_under_the_log_undoes_nothing_and_heals(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: LogFiles, note: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LogFiles, "put_checkpoint", full)
        assert add(register, "a") == [0]
        with pytest.raises(OSError, match="space"):
            register.checkpoint()
    assert Checkpoint.peek(register.checkpoint()).size == 1
    assert audit(register.settings.log_dir, [register.vkey], register.engine).clean


def test_a_database_from_an_older_backup_is_found_before_anything_is_signed(register: Register, request: pytest.FixtureRequest) -> None:
    add(register, "a")
    if register.engine.dialect.name != "sqlite":
        register.engine.dispose()
        older = request.getfixturevalue("postgres").clone(register.settings.database_url)
        add(register, "b")
        with pytest.raises(LogForked, match="2 entries was published; the database has 1"):
            Register.open(register.settings.model_copy(update={"database_url": older}), clock=Ticking())
        return
    backup = register.settings.home / "backup.db"
    with (
        contextlib.closing(sqlite3.connect(register.settings.home / "register.db")) as source,
        contextlib.closing(sqlite3.connect(backup)) as target,
    ):
        source.backup(target)
    add(register, "b")
    note = register.checkpoint()
    register.close()
    for suffix in ("", "-wal", "-shm"):
        (register.settings.home / f"register.db{suffix}").unlink(missing_ok=True)
    backup.rename(register.settings.home / "register.db")
    with pytest.raises(LogForked, match="2 entries was published; the database has 1"):
        Register.open(register.settings, clock=Ticking())
    assert register.files.checkpoint() == note


def test_an_edited_past_is_found_before_anything_is_signed(register: Register) -> None:
    add(register, "a", "b")
    note = register.checkpoint()
    with writing(register.engine) as connection:
        connection.execute(update(entries).where(entries.c.position == 0).values(leaf=bytes(32)))
    with pytest.raises(LogForked, match="not those that were published"):
        Register.open(register.settings, clock=Ticking())
    with writing(register.engine) as connection:
        connection.execute(delete(entries))
        connection.execute(update(log_head).values(size=2))
    with pytest.raises(LogForked, match="lacks entries"):
        Register.open(register.settings, clock=Ticking())
    assert register.files.checkpoint() == note


def test_after_a_fork_is_found_the_register_takes_no_more_acts(register: Register) -> None:
    add(register, "a")
    with writing(register.engine) as connection:
        connection.execute(update(log_head).values(edge=bytes(32)))
    with pytest.raises(LogForked, match="do not lead"):
        add(register, "b")
    with pytest.raises(LogForked):
        add(register, "c")
    with reading(register.engine) as connection:
        assert connection.execute(select(principals.c.id).where(principals.c.id == "c")).all() == []


def test_a_checkpoint_of_another_key_in_the_folder_is_not_continued(register: Register, tmp_path: Path) -> None:
    add(register, "a")
    with a_register(tmp_path / "other") as other:
        shutil.copy(other.settings.log_dir / "checkpoint", register.settings.log_dir / "checkpoint")
    with pytest.raises(LogForked, match="not one this log signed"):
        Register.open(register.settings, clock=Ticking())


def test_a_checkpoint_swapped_while_the_register_runs_is_found_before_the_next_is_signed(register: Register) -> None:
    add(register, "a")
    forged = Checkpoint("log.example/register", 1, bytes(32)).sign(register._sequencer.signer)
    (register.settings.log_dir / "checkpoint").write_text(forged)
    with pytest.raises(LogForked, match="not those that were published"):
        add(register, "b")


def test_threads_share_one_order(register: Register) -> None:
    indices: list[int] = []

    def work(number: int) -> None:
        for each in range(5):
            indices.extend(add(register, f"t{number}-{each}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(indices) == list(range(40))
    assert audit(register.settings.log_dir, [register.vkey], register.engine).clean


def _work(home: Path, database_url: str, number: int) -> None:
    with a_register(home, database_url=database_url) as register:
        for each in range(10):
            add(register, f"w{number}-{each}", publish=each % 3 > 0)


def test_processes_share_one_order_and_one_log(register: Register) -> None:
    context = forking()
    workers = [context.Process(target=_work, args=(register.settings.home, register.settings.database_url, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    add(register, "mine")
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert Checkpoint.peek(register.checkpoint()).size == 31
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.clean, report.findings
