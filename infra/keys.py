"""The server's keys: three secrets of 32 bytes in a folder of their own (0700, files 0600); two where the master key is held elsewhere.

Lose `master` and the vault cannot be read; lose `log` and the log cannot be continued under its name; leak `selection` and who knows a
row's unit can tell which of its contributions a bounded answer kept. Back the folder up apart from the vault.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infra.files import sync, write

Random = Callable[[int], bytes]
KEY_BYTES = 32
NAMES = ("log", "master", "selection")
NEXT = "log-next"  # the log's next key, while it takes over


class KeyRingError(Exception):
    """The folder is not as it was left. `code`: keys_missing, keys_malformed or keys_exposed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class KeyRing:
    """The keys, in memory. The repr shows none of them."""

    def __init__(self, secrets: dict[str, bytes], folder: Path | None = None) -> None:
        if not {"log", "selection"} <= set(secrets) <= set(NAMES) or any(len(secret) != KEY_BYTES for secret in secrets.values()):
            raise KeyRingError("keys_malformed", f"a key ring is {', '.join(NAMES)}, {KEY_BYTES} bytes each")
        self._secrets = {name: secret for name, secret in secrets.items() if name != "master"}  # who needs that asks `infra.masters`
        self._folder = folder
        self.log_signer = Ed25519PrivateKey.from_private_bytes(secrets["log"])

    def __repr__(self) -> str:
        return "KeyRing(…)"

    def log_keys(self) -> tuple[Ed25519PrivateKey, ...]:
        """The log's key and, while there is one, its next: read anew, for another process may be changing them."""
        if self._folder is None:
            return (self.log_signer,)
        secrets = [self._read_one(self._folder / name) for name in ("log", NEXT) if name != NEXT or (self._folder / NEXT).exists()]
        return tuple(Ed25519PrivateKey.from_private_bytes(secret) for secret in secrets)

    def make_next_log_key(self, random: Random = os.urandom) -> Ed25519PrivateKey:
        """The log's next key, on disk when this returns; the one already there if an earlier attempt broke off."""
        if self._folder is None:
            raise KeyRingError("keys_missing", "keys without a folder are not replaced")
        if not (self._folder / NEXT).exists():
            aside = self._folder / f".{NEXT}-{os.getpid()}"
            aside.unlink(missing_ok=True)
            write(aside, random(KEY_BYTES))
            aside.rename(self._folder / NEXT)
            sync(self._folder)
        return Ed25519PrivateKey.from_private_bytes(self._read_one(self._folder / NEXT))

    def adopt_next_log_key(self) -> None:
        """The next key takes the place of the present one, which is gone for good."""
        if self._folder is not None and (self._folder / NEXT).exists():
            (self._folder / NEXT).rename(self._folder / "log")
            sync(self._folder)
            self._secrets["log"] = self._read_one(self._folder / "log")
            self.log_signer = Ed25519PrivateKey.from_private_bytes(self._secrets["log"])

    @staticmethod
    def _read_one(path: Path) -> bytes:
        secret = path.read_bytes()
        if len(secret) != KEY_BYTES or stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyRingError("keys_malformed", f"{path} is not {KEY_BYTES} bytes for its owner alone")
        return secret

    def derive(self, label: str, context: bytes) -> bytes:
        """32 bytes that follow from the selection secret, `label` and `context`, and from which none of these follows (HKDF-SHA-256)."""
        name = label.encode()
        info = b"yunei/" + len(name).to_bytes(2, "big") + name + context
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._secrets["selection"])

    @classmethod
    def open_or_create(cls, folder: Path, random: Random = os.urandom, *, master: bool = True) -> KeyRing:
        """Read the folder, or make it with fresh keys when it does not exist. Made aside and renamed: never half a folder, and of several
        processes starting at once all end with the same keys. A folder that lacks a key is refused, never completed. `master`: whether the
        master key is one of them, which `infra.masters` reads."""
        if not folder.exists():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            try:
                for name in _names(master):
                    write(aside / name, random(KEY_BYTES))
                sync(aside)
                aside.rename(folder)
                sync(folder.parent)
            except OSError:
                if not folder.exists():  # else: another process was first
                    raise
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        later = any(folder.glob("master-*"))  # the first was rotated away
        return cls._read(folder, _names(master and not later))

    @classmethod
    def _read(cls, folder: Path, names: tuple[str, ...]) -> KeyRing:
        secrets = {}
        for path in (folder, *(folder / name for name in names)):
            try:
                mode = path.stat().st_mode
                if path != folder:
                    secrets[path.name] = path.read_bytes()
            except FileNotFoundError as error:
                raise KeyRingError(
                    "keys_missing", f"{path} is missing; restore it from the backup, a new key would not fit the data"
                ) from error
            if stat.S_IMODE(mode) & 0o077:
                raise KeyRingError("keys_exposed", f"{path} can be read by others; chmod go= it, and consider whether the keys leaked")
        return cls(secrets, folder)


def _names(master: bool) -> tuple[str, ...]:
    return tuple(name for name in NAMES if master or name != "master")
