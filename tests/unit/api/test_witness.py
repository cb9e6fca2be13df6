"""The witness and the register that asks it, over real loopback HTTP: what is cosigned, what is refused, what stops the register."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import metamorphic_log
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as OutsideCheckpoint

from api.witness import WitnessApp
from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import leaf_hash
from infra.journal.note import Signer, VerifierKey, open_note
from infra.journal.proof import Receipt, consistency
from infra.journal.tree import CompactRange, ReadTile
from infra.journal.witness import AddCheckpoint
from infra.witness import Witness, WitnessHomeError
from jobs.events import PrincipalRegistered
from jobs.register import LogForked, Register
from tests.small_register import Ticking, a_register, settings_in, title
from yunei.transparency import Key, open_checkpoint

LOG = Signer("log.example/x", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer("log.example/x", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
LEAVES = [leaf_hash(b"entry-%d" % number) for number in range(60)]
FORK = [*LEAVES[:5], leaf_hash(b"another"), *LEAVES[6:]]


@contextmanager
def listening(witness: Witness) -> Iterator[int]:
    with serving(WitnessApp(witness)) as port:
        yield port


@contextmanager
def serving(app: Any) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", interface="asgi3"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)


@dataclass
class Asked:
    witness: Witness
    port: int

    def post(self, body: bytes, path: str = "/add-checkpoint", method: str = "POST") -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = response.status, response.headers["Content-Type"], response.read().decode()
        connection.close()
        return answer

    def add(self, old: int, size: int, leaves: list[bytes] = LEAVES, **other: object) -> tuple[int, str, str]:
        return self.post(request(old, size, leaves, **other))  # type: ignore[arg-type]  # keywords of `request`


def read(leaves: list[bytes]) -> ReadTile:
    return lambda level, n: leaves[n * 256 : n * 256 + 256] if level == 0 else []


def checkpoint(size: int, leaves: list[bytes]) -> Checkpoint:
    edge = CompactRange()
    for leaf in leaves[:size]:
        edge.append(leaf)
    return Checkpoint("log.example/x", size, edge.root())


def request(old: int, size: int, leaves: list[bytes] = LEAVES, *, signer: Signer = LOG, proof: list[bytes] | None = None) -> bytes:
    path = proof if proof is not None else consistency(old, size, read(leaves)) if 0 < old < size else []
    return AddCheckpoint(old, tuple(path), checkpoint(size, leaves).sign(signer)).encode()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    witness = Witness.open_or_create(tmp_path / "witness", "witness.example/audit", Ticking())
    witness.trust([str(LOG.key)])
    with listening(witness) as port:
        yield Asked(witness, port)


def test_both_cosignatures_verify_by_ours_by_the_clients_and_by_an_outside_verifier(asked: Asked) -> None:
    status, _, lines = asked.add(0, 10)
    note = checkpoint(10, LEAVES).sign(LOG) + lines
    assert status == 200
    keys = [VerifierKey.parse(vkey) for vkey in asked.witness.vkeys]
    assert [key.kind for key in open_note(note, keys)[1]] == [0x04, 0x06]
    assert open_checkpoint(note, Key.parse(str(LOG.key)), [Key.parse(vkey) for vkey in asked.witness.vkeys]).size == 10
    outside = OutsideCheckpoint.from_text(note)
    outside.verify(Vkey.from_string(asked.witness.vkeys[0]))
    assert metamorphic_log.checkpoint_verify(note, [str(LOG.key)]).size == 10
    assert asked.post(b"", "/keys", "GET")[2].splitlines() == list(asked.witness.vkeys)


def test_a_flipped_bit_in_either_cosignature_is_seen(asked: Asked) -> None:
    lines = asked.add(0, 10)[2].splitlines(keepends=True)
    for line, vkey in zip(lines, asked.witness.vkeys, strict=True):
        broken = line[:-20] + ("A" if line[-20] != "A" else "B") + line[-19:]
        with pytest.raises(Exception, match="signature_fails"):
            open_note(checkpoint(10, LEAVES).sign(LOG) + broken, [VerifierKey.parse(vkey)])


def test_a_log_grows_and_the_witness_follows(asked: Asked) -> None:
    assert [asked.add(*sizes)[0] for sizes in ((0, 0), (0, 10), (10, 37), (37, 37), (37, 60))] == [200] * 5


def test_what_the_protocol_refuses(asked: Asked) -> None:
    assert asked.add(0, 37)[0] == 200
    assert asked.add(10, 40) == (409, "text/x.tlog.size", "37\n")  # stale old size
    assert asked.add(0, 40) == (409, "text/x.tlog.size", "37\n")
    assert asked.add(38, 40) == (409, "text/x.tlog.size", "37\n")
    assert asked.add(37, 37, FORK) == (409, "text/x.tlog.size", "37\n")  # another tree of the same size
    assert asked.add(37, 50, FORK)[0] == 422  # a fork, with a proof that is honest about the fork
    assert asked.add(37, 50, proof=[])[0] == 422
    assert asked.add(37, 36)[0] == 400  # backwards
    assert asked.add(37, 50, signer=OTHER)[0] == 403
    unknown = Checkpoint("log.example/y", 1, LEAVES[0]).sign(Signer("log.example/y", Ed25519PrivateKey.generate()))
    assert asked.post(AddCheckpoint(0, (), unknown).encode())[0] == 404
    assert asked.add(37, 50)[0] == 200  # none of it changed what it remembers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n\n",
        b"\xff",
        request(0, 1).replace(b"old 0", b"old 00"),
        request(0, 1).replace(b"old 0", b"old -1"),
        request(0, 1).replace(b"old 0", b"old " + b"9" * 5000),
        request(0, 1).replace(b"old 0\n", b"old 0\n" + b"A" * 44 + b"\n"),
        request(0, 1).replace(b"old 0\n", b"old 0\n" + (b"A" * 43 + b"=\n") * 64),
        request(0, 1).replace(b"log.example/x\n1\n", b"log.example/x\n1\nextension\n"),
    ],
)
def test_a_malformed_request_is_400(asked: Asked, body: bytes) -> None:
    assert asked.post(body)[0] == 400


def test_other_addresses_and_large_bodies_are_refused(asked: Asked) -> None:
    assert asked.post(b"", "/elsewhere")[0] == 404
    assert asked.post(b"", method="GET")[0] == 405
    assert asked.post(b"x" * 70_000)[0] == 413


def test_of_many_at_once_each_step_is_cosigned_by_one(asked: Asked) -> None:
    assert asked.add(0, 10)[0] == 200
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda size=size: statuses.append(asked.add(10, size)[0])) for size in range(20, 36)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 15


def test_what_it_cosigned_outlives_it_and_a_witness_without_memory_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "w"
    first = Witness.open_or_create(home, "witness.example/audit", Ticking())
    first.trust([str(LOG.key)])
    first.add_checkpoint(request(0, 37))
    again = Witness.open_or_create(home, None, Ticking())
    assert again.vkeys == first.vkeys
    with listening(again) as port:
        assert Asked(again, port).add(0, 10)[:2] == (409, "text/x.tlog.size")
    with pytest.raises(WitnessHomeError, match="keeps its name"):
        Witness.open_or_create(home, "witness.example/other", Ticking())
    (home / "state.db").unlink()
    with pytest.raises(WitnessHomeError, match="witness_missing"):
        Witness.open_or_create(home, None, Ticking())
    assert {path.stat().st_mode & 0o077 for path in (home / "keys").iterdir()} == {0}


def test_a_state_that_cannot_be_written_cosigns_nothing(asked: Asked) -> None:
    state = asked.witness._home / "state.db"
    state.write_bytes(b"not a database" * 100)
    assert asked.add(0, 10)[0] == 503


# ── the register that asks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def witnessed(home: Path, asked: Asked, *more: str) -> Iterator[Register]:
    own = " ".join([f"http://127.0.0.1:{asked.port}", *asked.witness.vkeys])
    with a_register(home, witnesses=(own, *more), witness_timeout_s=2 if more else 20, witness_interval_s=0.05) as register:
        asked.witness.trust([register.vkey])
        yield register


def add(register: Register, *names: str) -> None:
    with register.transaction() as act:
        for name in names:
            act.append(PrincipalRegistered(by="system", principal=name, role="builder", title=title(name)))


def keys_of(asked: Asked) -> list[VerifierKey]:
    return [VerifierKey.parse(vkey) for vkey in asked.witness.vkeys]


def test_cosignatures_are_appended_to_the_published_checkpoint_and_carried_by_receipts(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as register:
        add(register, "a", "b")
        assert [outcome.state for outcome in register.witnesses.round()] == ["cosigned"]
        assert len(open_note(register.checkpoint(), keys_of(asked))[1]) == 2
        add(register, "c")
        assert [outcome.state for outcome in register.witnesses.round()] == ["cosigned"]
        add(register, "d")  # the newest checkpoint has no cosignature yet; receipts of what is covered do
        assert len(open_note(Receipt.decode(register.receipt(2)).note, keys_of(asked))[1]) == 2
        assert Checkpoint.peek(Receipt.decode(register.receipt(3)).note).size == 4
        assert Checkpoint.peek(register.files.witnessed() or "").size == 3


def test_in_the_background_every_growth_is_cosigned(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as register:
        register.witnesses.start()
        for name in ("a", "b"):
            add(register, name)
            until = time.monotonic() + 60
            while Checkpoint.peek(register.files.witnessed() or register.checkpoint()).size < register.size or not register.files.witnessed():
                assert time.monotonic() < until
                time.sleep(0.01)


def test_a_witness_that_is_away_holds_nobody_up_and_the_other_still_cosigns(asked: Asked, tmp_path: Path) -> None:
    with socket.socket() as silent:  # takes the connection and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        away = " ".join([f"http://127.0.0.1:{silent.getsockname()[1]}", asked.witness.vkeys[0]])
        with witnessed(tmp_path / "home", asked, away) as register:
            register.witnesses.start()
            began = time.monotonic()
            for number in range(10):
                add(register, f"p{number}")
            assert time.monotonic() - began < 10  # each that waited for the silent witness would take two seconds, its time limit
            assert [outcome.state for outcome in register.witnesses.round()] == ["cosigned", "away"]


def test_one_that_signs_with_another_key_is_not_believed(asked: Asked, tmp_path: Path) -> None:
    stranger = Witness.open_or_create(tmp_path / "stranger", "witness.example/audit", Ticking())
    with a_register(tmp_path / "home", witnesses=(f"http://127.0.0.1:{asked.port} {stranger.vkeys[0]}",)) as register:
        asked.witness.trust([register.vkey])
        add(register, "a")
        assert [(outcome.state, outcome.lines) for outcome in register.witnesses.round()] == [("refused", ())]
        assert register.files.witnessed() is None


def test_a_register_rolled_back_to_an_older_copy_is_found_by_its_witness(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as register:
        add(register, "a")
        register.engine.dispose()
        shutil.copytree(register.settings.home, tmp_path / "older")
        add(register, "b")
        register.witnesses.round()
    with witnessed(tmp_path / "older", asked) as older:
        assert [outcome.state for outcome in older.witnesses.round()] == ["contradicted"]
        with pytest.raises(LogForked, match="cosigned 2 entries, this log has 1"):
            add(older, "c")


def test_a_register_that_went_another_way_is_found_by_its_witness(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as register:
        add(register, "a")
        register.engine.dispose()
        shutil.copytree(register.settings.home, tmp_path / "same")
        shutil.copytree(register.settings.home, tmp_path / "longer")
        add(register, "b")
        register.witnesses.round()
    for name, people in (("same", "x"), ("longer", "xy")):
        with witnessed(tmp_path / name, asked) as other:
            add(other, *people)
            assert [outcome.state for outcome in other.witnesses.round()] == ["contradicted"]
            with pytest.raises(LogForked):
                add(other, "z")


def test_two_processes_of_one_register_do_not_take_each_other_for_a_fork(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as one, witnessed(tmp_path / "home", asked) as two:
        for number in range(3):
            for register in (one, two):
                add(register, f"p{number}-{register is one}")
                assert [outcome.state for outcome in register.witnesses.round()] == ["cosigned"]


def test_a_rolled_back_register_is_found_by_the_cosigned_checkpoint_beside_it(asked: Asked, tmp_path: Path) -> None:
    with witnessed(tmp_path / "home", asked) as register:
        add(register, "a")
        register.engine.dispose()
        shutil.copytree(register.settings.home, tmp_path / "older")
        add(register, "b")
        register.witnesses.round()
        shutil.copy(register.settings.log_dir / "witnessed", tmp_path / "older" / "log" / "witnessed")
    with pytest.raises(LogForked, match="2 entries was cosigned"):
        Register.open(settings_in(tmp_path / "older"), clock=Ticking())


def test_settings_refuse_what_is_no_witness(tmp_path: Path) -> None:
    for wrong in ("http://w.example", f"http://w.example {LOG.key}", "ftp://w.example x+00000000+AA"):
        with pytest.raises(ValueError, match=r"witness|key"):
            settings_in(tmp_path, witnesses=(wrong,))


def test_the_command_serves_until_told_to_stop(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("yunei")), "witness", "serve", "--home", str(tmp_path / "w"), "--port", "0"]
    command += ["--name", "witness.example/audit", "--log", str(LOG.key)]
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if found := re.search(r"ready: http://127.0.0.1:(\d+)", line):
                break
        else:
            raise AssertionError(output)
        witness = Witness(tmp_path / "w", Ticking())
        assert all(vkey in output for vkey in witness.vkeys)
        assert Asked(witness, int(found[1])).add(0, 7)[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_the_state_is_synced_to_disk_before_an_answer(asked: Asked) -> None:
    with asked.witness._state() as state:
        assert state.execute("PRAGMA synchronous").fetchone() == (3,)  # EXTRA: data, journal and folder
        assert state.execute("PRAGMA journal_mode").fetchone() == ("delete",)
