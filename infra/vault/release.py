"""Keys for one job: sealed for the worker that needs them, opened in its memory, wiped when the call is over.

The server draws a fresh key for a job, wraps the keys of the files that each task reads under it, and seals it for every worker's public
key: X25519 and HKDF-SHA-256, AES key wrap (the shape of RFC 9180's base mode). What travels, and what Ray keeps of a task to run it again,
is ciphertext. The worker's private key is made when its process starts and never leaves it. `infra.vault` only; the part that talks to
workers is `sandbox.raw.released`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

KEY_BYTES = 32
_held: ContextVar[Mapping[str, bytearray] | None] = ContextVar("released file keys", default=None)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Keys of some files, by the SHA-256 of the file, under the job's key; and that key, sealed for each worker by its public key."""

    job: Mapping[bytes, bytes] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)


class JobKeys:
    """The server's side: one for each job and stage of it. Threads do not share it."""

    def __init__(self) -> None:
        self._key = bytearray(os.urandom(KEY_BYTES))
        self._sealed: dict[bytes, bytes] = {}

    def seal(self, files: Mapping[str, bytearray], workers: list[bytes]) -> Sealed:
        """For these workers alone. The keys given are wiped."""
        for worker in workers:
            if worker not in self._sealed:
                self._sealed[worker] = _seal(worker, self._key)
        wrapped = {}
        for name, key in files.items():
            wrapped[name] = aes_key_wrap(self._key, key)
            wipe(key)
        return Sealed({worker: self._sealed[worker] for worker in workers}, wrapped)

    def forget(self) -> None:
        """The job is over: what was sealed opens here no more."""
        wipe(self._key)


class Lock:
    """The worker's side: a key pair for as long as the process lives."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self.public = self._private.public_key().public_bytes_raw()

    def opens(self, sealed: Sealed) -> bool:
        return self.public in sealed.job

    @contextmanager
    def holding(self, sealed: Sealed) -> Iterator[None]:
        """While the context lasts, parts of this thread find their keys. ValueError when it was sealed for another or changed."""
        keys: dict[str, bytearray] = {}
        job = bytearray()
        try:
            job = bytearray(_opened(self._private, sealed.job[self.public]))
            for name, wrapped in sealed.files.items():
                keys[name] = bytearray(aes_key_unwrap(job, wrapped))
        except (InvalidUnwrap, KeyError):
            for key in keys.values():
                wipe(key)
            raise ValueError("keys sealed for another worker") from None
        finally:
            wipe(job)
        token = _held.set(keys)
        try:
            yield
        finally:
            _held.reset(token)
            for key in keys.values():
                wipe(key)


def released_key(sha256: str) -> bytearray | None:
    """A copy of what this call was given for a file, to be wiped after use."""
    held = _held.get()
    key = None if held is None else held.get(sha256)
    return None if key is None else bytearray(key)


def wipe(key: bytearray) -> None:
    """Zeros over a key."""
    key[:] = bytes(len(key))


@contextmanager
def plain(key: bytearray) -> Iterator[bytes]:
    """The key as `bytes`, which some libraries insist on, wiped at the end of the context: it must not outlive it anywhere. CPython's objects
    of bytes are meant to stay as they are, so this one is made here and shown to nobody else."""
    copy = bytes(key)
    try:
        yield copy
    finally:
        ctypes.memset(id(copy) + bytes.__basicsize__ - 1, 0, len(copy))


def _seal(public: bytes, secret: bytearray) -> bytes:
    own = X25519PrivateKey.generate()
    shared = own.exchange(X25519PublicKey.from_public_bytes(public))
    mine = own.public_key().public_bytes_raw()
    return mine + aes_key_wrap(_wrapping(shared, mine, public), secret)


def _opened(private: X25519PrivateKey, sealed: bytes) -> bytes:
    theirs = sealed[:KEY_BYTES]
    shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
    return aes_key_unwrap(_wrapping(shared, theirs, private.public_key().public_bytes_raw()), sealed[KEY_BYTES:])


def _wrapping(shared: bytes, sender: bytes, receiver: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"yunei/vault/job-key" + sender + receiver).derive(shared)
