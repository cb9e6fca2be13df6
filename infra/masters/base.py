"""What a provider of master keys does, and what a wrapped key looks like."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from infra.keys import KeyRingError

Random = Callable[[int], bytes]
KEY_BYTES = 32
_HEADER = re.compile(rb"yunei-key/1 ([a-z0-9]{1,16}) ([!-~]{1,200})\n")


class MasterKeyError(KeyRingError):
    """A provider cannot do what was asked; nothing was changed and no key is had. `code`: keys_missing, keys_malformed, keys_exposed;
    keys_away (no answer, no token), keys_denied (PIN, token or policy), keys_version_unknown (wrapped under a version that is not there,
    or not there any more), keys_refused (not wrapped under that version, or for another place), keys_unsupported (not this provider's to do).
    `detail` names files, addresses and versions, never a value."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A 32-byte key under version `version` of the master key of a `kind` of provider. `body` is the provider's own."""

    kind: str
    version: str
    body: bytes

    @property
    def under(self) -> str:
        return f"{self.kind}:{self.version}"

    def __bytes__(self) -> bytes:
        return f"yunei-key/1 {self.kind} {self.version}\n".encode() + self.body

    @classmethod
    def read(cls, data: bytes) -> Wrapped:
        """What `bytes` wrote. A file without the line was written before versions had names: the folder's first."""
        found = _HEADER.match(data)
        if found is None:
            return cls("folder", "1", data)
        return cls(found[1].decode(), found[2].decode(), data[found.end() :])


class MasterKeys(Protocol):
    """All versions of one master key. Every method may raise MasterKeyError, and does so rather than guess: a provider that does not answer
    is an error, never an empty list. Threads may share it."""

    @property
    def kind(self) -> str:
        """folder, handed, pkcs11 or kms."""
        ...

    @property
    def current(self) -> str:
        """The version that wraps from now on."""
        ...

    def create(self) -> str:
        """The first version where there is none; the current one's name."""
        ...

    def versions(self) -> tuple[str, ...]:
        """Every version that can still unwrap, oldest first, `current` last."""
        ...

    def wrap(self, secret: bytes, context: bytes, random: Random) -> Wrapped:
        """32 bytes under the current version. `context` says what the key is for; a provider that can binds it in."""
        ...

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes: ...

    def rotate(self, random: Random) -> str:
        """Make a new version, current from now on; returns its name. Older ones go on unwrapping."""
        ...

    def retire(self, version: str) -> None:
        """Destroy an old version: what is wrapped under it, wherever a copy lies, opens no more. One that is gone is no error; the current one
        is."""
        ...


def of_kind(kind: str, wrapped: Wrapped) -> None:
    """Raises keys_version_unknown for a key that another kind of provider wrapped."""
    if wrapped.kind != kind:
        raise MasterKeyError("keys_version_unknown", f"wrapped under {wrapped.kind}:{wrapped.version}; the settings name {kind}")
