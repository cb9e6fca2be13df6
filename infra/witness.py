"""A witness's home: its name, its keys, the logs it trusts and what it cosigned last of each. Nothing is ever taken back.

    name          the witness's key name, a host and path without scheme
    keys/…        Ed25519 and ML-DSA-44 seeds, 32 bytes each, mode 0600
    logs          verifier keys of the logs it answers, one a line; several of one origin while a log changes its key
    state.db      per origin, size and root cosigned last (SQLite, synced before an answer leaves)

Made whole by one rename. A home whose state is gone is refused: a witness that forgot could cosign a second history. Give it up and make
another under a new name.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from infra.clock import Clock
from infra.files import sync, write
from infra.journal.note import COSIGNATURE, ED25519, ML_DSA_COSIGNATURE, Signer, VerifierKey
from infra.journal.tree import JournalError
from infra.journal.witness import NOTHING, Refused, claimed, judge

SEEDS = ("ed25519", "ml-dsa-44")
_TABLE = "CREATE TABLE cosigned (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL CHECK (length(root) = 32)) STRICT"


class WitnessHomeError(Exception):
    """The home cannot be used. `code`: witness_name, witness_missing or witness_log."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Witness:
    """Safe for several threads and processes on one home."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        try:
            name = (home / "name").read_text("utf-8").strip()
            seeds = [(home / "keys" / seed).read_bytes() for seed in SEEDS]
            with self._state() as state:
                state.execute("SELECT size FROM cosigned").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise WitnessHomeError("witness_missing", f"{home} lacks a part of a witness ({error})") from error
        self.signers = (
            Signer(name, Ed25519PrivateKey.from_private_bytes(seeds[0]), COSIGNATURE),
            Signer(name, MLDSA44PrivateKey.from_seed_bytes(seeds[1]), ML_DSA_COSIGNATURE),
        )

    @classmethod
    def open_or_create(cls, home: Path, name: str | None, clock: Clock, random: Callable[[int], bytes] = os.urandom) -> Witness:
        """The witness at `home`, made under `name` when the folder does not exist. A witness keeps its name."""
        if not home.exists():
            if not name:
                raise WitnessHomeError("witness_name", "a new witness needs a name")
            _create(home, name, random)
        witness = cls(home, clock)
        if name not in (None, witness.name):
            raise WitnessHomeError("witness_name", f"this witness is {witness.name}; a witness keeps its name")
        return witness

    @property
    def name(self) -> str:
        return self.signers[0].key.name

    @property
    def vkeys(self) -> tuple[str, ...]:
        return tuple(str(signer.key) for signer in self.signers)

    def logs(self) -> dict[str, list[VerifierKey]]:
        """The keys trusted, by origin. Read anew each time: a log is added without a restart."""
        trusted: dict[str, list[VerifierKey]] = {}
        path = self._home / "logs"
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            try:
                key = VerifierKey.parse(line)
            except JournalError as error:
                raise WitnessHomeError("witness_log", f"not a log's key: {line[:80]}") from error
            if key.kind != ED25519:
                raise WitnessHomeError("witness_log", f"not a log's key: {line[:80]}")
            trusted.setdefault(key.name, []).append(key)
        return trusted

    def trust(self, vkeys: Sequence[str]) -> None:
        """Answer these logs too."""
        known = {str(key) for keys in self.logs().values() for key in keys}
        fresh = [vkey.strip() for vkey in vkeys if vkey.strip() not in known]
        before = (self._home / "logs").read_text("utf-8") if (self._home / "logs").exists() else ""
        aside = self._home / f".logs-{os.getpid()}"
        aside.write_text(before + "".join(f"{vkey}\n" for vkey in fresh), "utf-8")
        aside.replace(self._home / "logs")
        self.logs()

    def add_checkpoint(self, body: bytes) -> str:
        """The cosignature lines for this request. What is cosigned is on disk before they exist. Refused, sqlite3.Error."""
        request, claim = claimed(body)
        keys = self.logs().get(claim.origin)
        if keys is None:
            raise Refused(404, "this log is not known here")
        with self._state() as state:
            state.execute("BEGIN IMMEDIATE")
            row = state.execute("SELECT size, root FROM cosigned WHERE origin = ?", (claim.origin,)).fetchone()
            checkpoint = judge(request, keys, NOTHING if row is None else (row[0], row[1]))
            state.execute("INSERT OR REPLACE INTO cosigned VALUES (?, ?, ?)", (checkpoint.origin, checkpoint.size, checkpoint.root))
            state.execute("COMMIT")
        now = int(self._clock().timestamp())
        return "".join(signer.cosign(checkpoint.text, now) for signer in self.signers)

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(f"file:{self._home / 'state.db'}?mode=rw", uri=True, isolation_level=None, timeout=10)
        try:
            connection.execute("PRAGMA synchronous=EXTRA")
            yield connection
        finally:
            connection.close()  # rolls back what was not committed


def _create(home: Path, name: str, random: Callable[[int], bytes]) -> None:
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        (aside / "keys").mkdir(mode=0o700)
        parts = {"name": f"{name}\n".encode(), **{f"keys/{seed}": random(32) for seed in SEEDS}}
        Signer(name, Ed25519PrivateKey.from_private_bytes(parts["keys/ed25519"]), COSIGNATURE)  # refuses a name no key can have
        for path, data in parts.items():
            write(aside / path, data)
        state = sqlite3.connect(aside / "state.db")
        state.execute("PRAGMA synchronous=EXTRA")
        state.execute(_TABLE)
        state.close()
        aside.rename(home)
        for folder in (home / "keys", home, home.parent):
            sync(folder)
    except JournalError as error:
        raise WitnessHomeError("witness_name", "a name has no space and no plus") from error
    except OSError:
        if not home.exists():  # else: another process was first
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
