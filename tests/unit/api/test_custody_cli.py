"""The verbs of those who keep the log: rotate, backup, restore, witness ask; and a server that is started on an older copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from api.app import create_app
from api.services import Services
from infra.witness import Witness
from infra.workers import InlineWorkers
from jobs.register import LogForked
from jobs.rotation import announce_log_key, retire_log_key
from tests.small_register import Ticking, a_register, furnish, settings_in
from tests.unit.api.test_witness import Asked, add, listening, serving
from yunei import Client, cli
from yunei.transparency import Key, open_checkpoint


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YUNEI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YUNEI_LOG_ORIGIN", "log.example/register")
    with a_register(tmp_path / "home") as register:
        furnish(register)
    return tmp_path


def yunei(*words: str | Path) -> int:
    return cli.main([*map(str, words), "--lang", "en"])


def test_the_key_is_changed_and_the_copy_audited_under_the_old_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with a_register(home / "home") as register:
        old = register.vkey
    assert yunei("log", "rotate") == 0
    new = capsys.readouterr().out.strip()
    assert yunei("log", "rotate") == 1
    assert "--finish" in capsys.readouterr().err
    assert yunei("log", "rotate", "--finish") == 0
    assert capsys.readouterr().out.strip() == new != old
    assert yunei("audit") == 0
    capsys.readouterr()
    assert yunei("log", "audit", "--dir", home / "home" / "log", "--key", old) == 0
    output = capsys.readouterr().out
    assert new in output
    assert "verified" in output.splitlines()


def test_a_backup_is_restored(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("backup", home / "b.tar", "--keys") == 0
    assert yunei("restore", home / "b.tar", "--home", home / "new") == 1
    assert "--unwitnessed" in capsys.readouterr().err
    shutil.copy(home / "home" / "log" / "checkpoint", home / "kept")
    assert yunei("restore", home / "b.tar", "--home", home / "new", "--since", home / "kept") == 0
    assert yunei("audit", "--home", home / "new") == 0
    assert yunei("restore", home / "b.tar", "--home", home / "new", "--since", home / "kept") == 1


def test_witnesses_are_asked_on_demand(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert yunei("witness", "ask") == 4  # none is configured
    witness = Witness.open_or_create(home / "witness", "witness.example/audit", Ticking())
    with a_register(home / "home") as register:
        witness.trust([register.vkey])
    with listening(witness) as port:
        monkeypatch.setenv("YUNEI_WITNESSES", " ".join([f"http://127.0.0.1:{port}", *witness.vkeys]))
        assert yunei("witness", "ask") == 0
    assert "cosigned" in capsys.readouterr().out
    note = (home / "home" / "log" / "checkpoint").read_text()
    assert note.count("witness.example/audit") == 2
    assert yunei("witness", "ask") == 4  # it is away now


def test_a_server_started_on_an_older_copy_takes_no_work(home: Path) -> None:
    witness = Witness.open_or_create(home / "witness", "witness.example/audit", Ticking())
    with listening(witness) as port:
        asked = Asked(witness, port)
        named = (" ".join([f"http://127.0.0.1:{asked.port}", *witness.vkeys]),)
        shutil.copytree(home / "home", home / "older")
        with a_register(home / "home", witnesses=named) as register:
            witness.trust([register.vkey])
            add(register, "later")
            register.witnesses.round()
        services = Services.open(settings_in(home / "older", witnesses=named))
        try:
            with pytest.raises(LogForked, match="contradicts this log"):
                services.start(InlineWorkers(64 * 2**20))
            assert not services.ready.is_set()
        finally:
            services.close()


def test_over_http_a_client_follows_the_change_and_sees_the_cosignatures(home: Path) -> None:
    witness = Witness.open_or_create(home / "witness", "witness.example/audit", Ticking())
    with listening(witness) as port:
        named = (" ".join([f"http://127.0.0.1:{port}", *witness.vkeys]),)
        services = Services.open(settings_in(home / "home", witnesses=named))
        register = services.register
        witness.trust([register.vkey])
        try:
            with serving(create_app(services)) as server, Client(f"http://127.0.0.1:{server}", state=home / "trust.json") as client:
                first = client.head().key
                new = announce_log_key(register)
                witness.trust([new])
                retire_log_key(register)
                add(register, "later")
                register.witnesses.round()
                head = client.head(witnesses=[Key.parse(vkey) for vkey in witness.vkeys])
                assert (str(head.key), head.checkpoint.size) == (new, register.size)
                assert head.key != first
                assert head.since is not None
                note = client.log.read("witnessed")
                assert note is not None
                assert open_checkpoint(note.decode(), head.key, [Key.parse(vkey) for vkey in witness.vkeys]).size == register.size
                assert client.log.read("keys/1") is None
        finally:
            services.close()
