"""Go's own transparency-log verifiers (golang.org/x/mod/sumdb) read what the register writes: notes, proofs, tiles, entries."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.journal.checkpoint import Checkpoint
from infra.journal.note import COSIGNATURE
from infra.journal.proof import Receipt
from infra.journal.tree import range_at
from infra.witness import Witness
from jobs.events import PrincipalRegistered
from jobs.register import Register
from jobs.sequencer import tile_reader
from tests.small_register import Ticking, a_register, title

GOPATH = Path("/usr/share/gocode")
OLD, INDEX = 300, 411


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier, compiled once."""
    go = shutil.which("go")
    if go is None or not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.fail(
            "Go's verifiers are not installed: apt-get install --no-install-recommends golang-go golang-golang-x-mod-dev (make test does)"
        )
    folder = tmp_path_factory.mktemp("go")
    environment = {"PATH": "/usr/bin:/bin", "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0"}
    source = Path(__file__).with_name("verify.go")
    built = subprocess.run([go, "build", "-o", folder / "verify", source], env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "verify"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Register, dict[str, Any]]]:
    """A log of 600 entries, cosigned, and what it claims: two full tiles, a partial one, two levels."""
    folder = tmp_path_factory.mktemp("log")
    witness = Witness.open_or_create(folder / "witness", "witness.example/audit", Ticking())
    with a_register(folder / "home") as register:
        with register.transaction() as act:
            for number in range(600):
                act.append(PrincipalRegistered(by="system", principal=f"p{number}", role="builder", title=title("p" * (number % 7 + 1))))
        witness.trust([register.vkey])
        note = register.checkpoint()
        checkpoint = Checkpoint.peek(note)
        register._sequencer.cosigned(checkpoint.text, witness.add_checkpoint(f"old 0\n\n{note}".encode()).splitlines(keepends=True))
        with register.engine.connect() as connection:
            old_root = range_at(OLD, tile_reader(connection, OLD)).root()
        yield (
            register,
            {
                "Keys": [register.vkey],
                "Witness": witness.vkeys[0],
                "Unknown": 1,  # the ML-DSA line, which Go 1.19 cannot read
                "Index": INDEX,
                "Entry": _text(register.entry(INDEX)),
                "Inclusion": [_text(value) for value in Receipt.decode(register.receipt(INDEX)).path],
                "Old": OLD,
                "OldRoot": _text(old_root),
                "Consistent": [_text(value) for value in register.consistency(OLD, checkpoint.size)],
            },
        )
        assert witness.signers[0].key.kind == COSIGNATURE


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def told(verify: Path, log: Path, claims: dict[str, Any], folder: Path) -> tuple[int, str]:
    (folder / "claims.json").write_text(json.dumps(claims))
    done = subprocess.run([verify, log, folder / "claims.json"], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.strip() or done.stderr


def test_go_reads_the_log_and_every_proof(verify: Path, made: tuple[Register, dict[str, Any]], tmp_path: Path) -> None:
    register, claims = made
    assert told(verify, register.settings.log_dir, claims, tmp_path) == (0, "ok 600")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Index": INDEX + 1}, "CheckRecord"),
        ({"Entry": _text(b"another")}, "CheckRecord"),
        ({"OldRoot": _text(bytes(32))}, "CheckTree"),
        ({"Old": OLD - 1}, "CheckTree"),
        ({"Unknown": 0}, "signatures"),
        ({"Witness": ""}, "signatures"),
    ],
)
def test_go_refuses_what_is_not_so(
    verify: Path, made: tuple[Register, dict[str, Any]], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    register, claims = made
    code, output = told(verify, register.settings.log_dir, {**claims, **change}, tmp_path)
    assert (code, output.partition(":")[0]) == (1, said)


@pytest.mark.parametrize(
    ("path", "at", "said"),
    [
        ("checkpoint", 25, "note.Open"),
        ("tile/0/001", 40, "from tiles"),
        ("tile/0/002.p/88", 40, "from tiles"),
        ("tile/1/000.p/2", 40, "from tiles"),
        ("tile/entries/001", 60, "replay"),
    ],
)
def test_go_refuses_a_flipped_byte(verify: Path, made: tuple[Register, dict[str, Any]], tmp_path: Path, path: str, at: int, said: str) -> None:
    register, claims = made
    shutil.copytree(register.settings.log_dir, tmp_path / "log")
    file = tmp_path / "log" / path
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    code, output = told(verify, tmp_path / "log", claims, tmp_path)
    assert code == 1
    assert output.partition(":")[0].endswith(said)  # a bad tile is found when it is read, or by the proof made of it
