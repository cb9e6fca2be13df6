"""Master keys whose bytes are in this process: what the folder and handed-over files have in common."""

from __future__ import annotations

from collections.abc import Mapping

from infra.crypto import SealBroken, Suite, envelope_of
from infra.masters.base import KEY_BYTES, MasterKeyError, Random, Wrapped, of_kind


class MemoryMasters:
    """Versions by name, oldest first. Wrapped in AES key wrap (RFC 3394) or, in the suite `gm`, SM4-GCM; the context is not bound in: the
    manifest, which the dataset's key opens, says whose it is."""

    kind = "memory"

    def __init__(self, secrets: Mapping[str, bytes], suite: Suite = "international", *, kind: str | None = None) -> None:
        self.kind = kind or self.kind
        if not secrets or any(len(secret) != KEY_BYTES for secret in secrets.values()):
            raise ValueError(f"a master key is {KEY_BYTES} bytes")
        self._secrets = dict(secrets)
        self._envelope = envelope_of(suite)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._secrets)})"

    @property
    def current(self) -> str:
        return list(self._secrets)[-1]

    def first(self) -> bytes | None:
        """Of the folder: the first version, while it is there. What was derived before anything was rotated follows from it."""
        return self._secrets.get("1") if self.kind == "folder" else None

    def create(self) -> str:
        return self.current

    def versions(self) -> tuple[str, ...]:
        return tuple(self._secrets)

    def wrap(self, secret: bytes, context: bytes, random: Random) -> Wrapped:
        name = self.current
        return Wrapped(self.kind, name, self._envelope.wrap(self._secrets[name], secret, random))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        of_kind(self.kind, wrapped)
        secret = self._secrets.get(wrapped.version)
        if secret is None:
            raise MasterKeyError("keys_version_unknown", f"{self.kind}:{wrapped.version}")
        try:
            return self._envelope.unwrap(secret, wrapped.body)
        except SealBroken:
            raise MasterKeyError("keys_refused", f"{self.kind}:{wrapped.version}") from None

    def rotate(self, random: Random) -> str:
        name = str(len(self._secrets) + 1)
        self._secrets[name] = random(KEY_BYTES)
        return name

    def retire(self, version: str) -> None:
        if version == self.current:
            raise MasterKeyError("keys_unsupported", f"{self.kind}:{version} is the current version")
        self._secrets.pop(version, None)
