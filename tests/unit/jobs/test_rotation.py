"""The log's key changes: both sign for a while, the old one retires, and whoever trusted the first follows the chain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import leaf_hash
from infra.journal.note import Signer, VerifierKey, open_note
from infra.journal.proof import Receipt, verify_inclusion
from infra.keys import NEXT, KeyRing
from jobs.audit import audit
from jobs.events import LogKeyAnnounced, PrincipalRegistered, read_entry
from jobs.register import LogForked, Register
from jobs.rotation import announce_log_key, retire_log_key
from policies.problem import Problem
from tests.small_register import Ticking, a_register, settings_in, title


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path / "home") as register:
        add(register, "a")
        yield register


def add(register: Register, name: str) -> None:
    with register.transaction() as act:
        act.append(PrincipalRegistered(by="system", principal=name, role="builder", title=title(name)))


def signed_by(note: str, *vkeys: str) -> list[str]:
    return [str(key) for key in open_note(note, [VerifierKey.parse(vkey) for vkey in vkeys])[1]]


def test_both_keys_sign_from_the_announcement_to_the_retirement(register: Register) -> None:
    old = register.vkey
    new = announce_log_key(register)
    assert (register.vkeys, register.vkey) == ((old, new), new)
    assert signed_by(register.checkpoint(), old, new) == [old, new]
    add(register, "b")
    assert signed_by(register.checkpoint(), old, new) == [old, new]
    assert retire_log_key(register) == new
    assert signed_by(register.checkpoint(), old, new) == [new]
    add(register, "c")
    assert signed_by(register.checkpoint(), old, new) == [new]
    assert not (register.settings.keys_dir / NEXT).exists()
    assert audit(register.settings.log_dir, [new], register.engine).clean


def test_the_chain_of_receipts_leads_from_the_first_key_to_the_last(register: Register) -> None:
    first = current = register.vkey
    for _ in range(3):
        announce_log_key(register)
        retire_log_key(register)
    for number in range(3):
        receipt = Receipt.decode(register.files.succession(number) or "")
        checkpoint = Checkpoint.open(receipt.note, [VerifierKey.parse(current)])
        entry = register.entry(receipt.index)
        verify_inclusion(receipt.index, checkpoint.size, leaf_hash(entry), receipt.path, checkpoint.root)
        event = read_entry(receipt.index, entry).event
        assert isinstance(event, LogKeyAnnounced)
        assert event.under == current
        current = event.vkey
    assert current == register.vkey != first


def test_one_change_at_a_time(register: Register) -> None:
    with pytest.raises(Problem, match="log_key_not_pending"):
        retire_log_key(register)
    announce_log_key(register)
    with pytest.raises(Problem, match="log_key_pending"):
        announce_log_key(register)


def test_another_process_signs_with_the_new_key_as_soon_as_it_is_announced(register: Register) -> None:
    with a_register(register.settings.home) as other:
        old = other.vkey
        new = announce_log_key(other)
        add(register, "b")
        assert signed_by(register.checkpoint(), old, new) == [old, new]
        retire_log_key(other)
        add(register, "c")
        assert signed_by(register.checkpoint(), old, new) == [new]


def test_a_change_that_breaks_off_is_taken_up(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = register.key_ring.make_next_log_key()  # a first attempt died before its entry
    new = announce_log_key(register)
    assert VerifierKey.parse(new).public_key == prepared.public_key().public_bytes_raw()
    with monkeypatch.context() as broken:
        broken.setattr(KeyRing, "adopt_next_log_key", lambda _ring: None)  # died after its last entry
        retire_log_key(register)
    with a_register(register.settings.home) as again:
        assert again.vkeys == (new,)
        add(again, "b")
        announce_log_key(again)
        assert again.vkeys[0] == new
        assert len(again.vkeys) == 2


def test_a_log_folder_that_was_lost_is_written_again_with_its_chain(register: Register) -> None:
    announce_log_key(register)
    retire_log_key(register)
    announce_log_key(register)
    kept = [register.files.succession(0), Receipt.decode(register.files.succession(1) or "").index]
    shutil.rmtree(register.settings.log_dir)
    with a_register(register.settings.home) as again:
        assert [again.files.succession(0), Receipt.decode(again.files.succession(1) or "").index] == kept


def test_an_older_folder_of_keys_cannot_continue_the_log(register: Register, tmp_path: Path) -> None:
    shutil.copytree(register.settings.keys_dir, tmp_path / "older")
    announce_log_key(register)
    retire_log_key(register)
    shutil.rmtree(register.settings.keys_dir)
    shutil.copytree(tmp_path / "older", register.settings.keys_dir)
    with pytest.raises(LogForked, match="not in the folder of keys"):
        Register.open(settings_in(register.settings.home), clock=Ticking())


def test_the_audit_follows_the_chain_from_a_key_that_has_retired(register: Register) -> None:
    first = register.vkey
    for name in ("b", "c"):
        announce_log_key(register)
        add(register, name)
        retire_log_key(register)
    add(register, "d")
    report = audit(register.settings.log_dir, [first], register.engine)
    assert report.findings == []
    assert report.signed_by == [register.vkey]
    assert audit(register.settings.log_dir, [register.vkey]).clean


def test_a_chain_that_does_not_hold_is_found(register: Register, tmp_path: Path) -> None:
    first = register.vkey
    announce_log_key(register)
    retire_log_key(register)
    folder, text = register.settings.log_dir, register.files.succession(0) or ""
    (folder / "keys/0").write_text(text.replace("index ", "index 1", 1))
    assert [finding.code for finding in audit(folder, [first]).findings] == ["log_checkpoint_invalid"]
    (folder / "keys/0").unlink()
    assert [finding.code for finding in audit(folder, [first]).findings] == ["log_checkpoint_invalid"]
    (folder / "keys/0").write_text(text)
    with a_register(tmp_path / "other", log_origin=register.settings.log_origin) as other:  # another log under the same name
        assert [finding.code for finding in audit(folder, [other.vkey]).findings] == ["log_checkpoint_invalid"]


def test_a_retired_key_signs_nothing_more(register: Register, tmp_path: Path) -> None:
    """Whoever kept a copy of it cannot sign for the log: an audit that trusts it follows the chain, and wants the newest."""
    old = KeyRing.open_or_create(shutil.copytree(register.settings.keys_dir, tmp_path / "keys")).log_keys()[0]
    signer = Signer(register.settings.log_origin, old)
    announce_log_key(register)
    retire_log_key(register)
    checkpoint = Checkpoint.peek(register.checkpoint())
    (register.settings.log_dir / "checkpoint").write_text(checkpoint.sign(signer))
    findings = audit(register.settings.log_dir, [str(signer.key)]).findings
    assert [(finding.code, finding.fields["reason"]) for finding in findings] == [("log_checkpoint_invalid", "key_retired")]
