"""A backup and a newer copy of the log make a register that has forgotten no budget, and says what it could not bring back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.journal.checkpoint import Checkpoint
from infra.witness import Witness
from jobs import acts, admission, ledger
from jobs.audit import audit
from jobs.backup import backup, restore
from jobs.events import question_digest
from jobs.mirror import close_lost
from jobs.register import Register
from policies.loss import Loss
from policies.problem import Problem
from tests.small_register import Ticking, a_licence, a_register, furnish, run, stage, submit
from tests.unit.api.test_witness import Asked, listening
from tests.unit.jobs.test_backup import elsewhere, everything

LOSS = Loss(1_000, 1)
QUESTION = question_digest("a" * 64, ("b" * 64,))


def mirrored(register: Register, tmp_path: Path, name: str = "mirror") -> Path:
    """What any web server or auditor has of the log."""
    register.publish()
    return Path(shutil.copytree(register.settings.log_dir, tmp_path / name))


def test_what_came_after_the_backup_comes_back_from_the_log(tmp_path: Path, database_url: str) -> None:
    witness = Witness.open_or_create(tmp_path / "witness", "witness.example/audit", Ticking())
    with listening(witness) as port:
        named = (" ".join([f"http://127.0.0.1:{Asked(witness, port).port}", *witness.vkeys]),)
        with a_register(tmp_path / "home", witnesses=named, database_url=database_url) as register:
            witness.trust([register.vkey])
            furnish(register)
            run(register, "kept", LOSS)
            backup(register, tmp_path / "b.tar")
            before = register.size
            acts.grant_licence(register, a_licence("L-2"))  # names a document of its own
            run(register, "published", LOSS, question=QUESTION)
            submit(register, "waiting", LOSS)
            submit(register, "begun", LOSS)
            with register.transaction() as act:
                ledger.reading(act, "c-begun", by="system")
            stage(register, "staged", LOSS)
            register.witnesses.round()
            mirror = mirrored(register, tmp_path)
            balances, size, granted = ledger.balances(register), register.size, register.licence("L-2")
        older = elsewhere(register, tmp_path, "older", witnesses=named)
        with pytest.raises(Problem, match="log_restore_older"):
            restore(tmp_path / "b.tar", older)
        restored = restore(tmp_path / "b.tar", older, mirror=mirror)
    assert [each.state for each in restored.outcomes] == ["cosigned"]
    assert (restored.entries, restored.size) == (size, size)
    assert restored.caught is not None
    assert restored.caught.entries == size - before
    assert restored.caught.releases == ("r-published",)
    assert set(restored.caught.jobs) == {"waiting", "begun", "staged"}
    with a_register(older.home) as again:
        assert ledger.balances(again) == balances
        assert again.licence("L-2") == granted
        with again.transaction() as act:
            assert admission._same_question(act, QUESTION) is None  # nobody is given an answer that is lost
        assert sorted(close_lost(again)) == ["begun", "staged", "waiting"]
        assert close_lost(again) == []
        for now, then in zip(ledger.balances(again), balances, strict=True):
            if then.account in ledger.accounts_of(space="person", datasets=["visits"], licence="L-1", operator="op-1"):
                assert (now.reserved.pico_rho, now.spent.pico_rho) == (0, 4_000), "what was not read came back, what was read did not"
        run(again, "after", LOSS)
        again.publish()
        assert audit(again.settings.log_dir, [again.vkey], again.engine).findings == []
        assert Checkpoint.peek(again.checkpoint()).size > size


@pytest.mark.parametrize("fault", ["shorter", "another log", "an entry changed", "no checkpoint", "an entry missing"])
def test_what_is_no_continuation_is_refused_and_changes_nothing(tmp_path: Path, fault: str) -> None:
    with a_register(tmp_path / "home") as register:
        furnish(register)
        early = mirrored(register, tmp_path, "early")
        run(register, "a", LOSS)
        backup(register, tmp_path / "b.tar")
        run(register, "b", LOSS)
        mirror = mirrored(register, tmp_path)
        kept = register.checkpoint()
    settings = elsewhere(register, tmp_path)
    if fault == "shorter":
        mirror = early
    elif fault == "another log":
        with a_register(tmp_path / "other") as other:
            furnish(other)
            for name in ("x", "y", "z"):
                run(other, name, LOSS)
            mirror = mirrored(other, tmp_path, "theirs")
    elif fault == "no checkpoint":
        (mirror / "checkpoint").unlink()
    else:
        (newest,) = sorted((mirror / "tile/entries/000.p").iterdir(), key=lambda path: int(path.name))[-1:]
        body = newest.read_bytes()
        newest.write_bytes(body.replace(b'"rows":3', b'"rows":4') if fault == "an entry changed" else body[:-9])
    before = everything(settings.home)
    with pytest.raises(Problem) as caught:
        restore(tmp_path / "b.tar", settings, since=kept, mirror=mirror)
    assert caught.value.code == ("log_restore_failed" if fault == "an entry changed" else "log_restore_mirror")
    assert everything(settings.home) == before
