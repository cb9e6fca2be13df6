"""Master keys in a PKCS#11 token: SoftHSM for trials, a hardware module for real. The key is made inside and never leaves.

Versions are AES-256 keys on the token, labelled LABEL.1, LABEL.2 …; sensitive, not extractable. A dataset's key is wrapped by CKM_AES_GCM
(PKCS#11 v2.40, 2.12.7) under a nonce of the token's own generator, bound to what it is for. Nothing but the 32 bytes to wrap, and later
those unwrapped, crosses the interface.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from infra.masters.base import KEY_BYTES, MasterKeyError, Random, Wrapped, of_kind

Result = TypeVar("Result")
_NONCE_BYTES = 12
_TAG_BYTES = 16
_DENIED = frozenset({
    "PinIncorrect", "PinExpired", "PinInvalid", "PinLenRange", "PinLocked", "UserNotLoggedIn", "UserPinNotInitialized", "FunctionRejected",
})  # fmt: skip
_REFUSED = frozenset({"EncryptedDataInvalid", "EncryptedDataLenRange", "DataInvalid", "GeneralError", "FunctionFailed"})


class TokenMasters:
    """One session, one call at a time. `module`: the vendor's library; `label` names both token and keys unless `key` says otherwise."""

    kind = "pkcs11"

    def __init__(self, module: Path, token: str, pin: Callable[[], str], key: str = "yunei") -> None:
        self._module, self._token, self._pin, self._key = module, token, pin, key
        self._lock = threading.Lock()
        self._session: Any = None

    def __repr__(self) -> str:
        return f"TokenMasters({self._token!r}, {self._key!r})"

    @property
    def current(self) -> str:
        return self.versions()[-1]

    def versions(self) -> tuple[str, ...]:
        with self._using("versions") as session:
            found = self._found(session)
        if not found:
            raise MasterKeyError("keys_missing", f"token {self._token} has no key {self._key}.1; `yunei vault create-key` makes one")
        return tuple(str(number) for number in found)

    def create(self) -> str:
        """The first version, when the token has none; else the current one."""
        with self._using("create") as session:
            found = self._found(session)
            if not found:
                self._make(session, 1)
        return str(found[-1]) if found else "1"

    def wrap(self, secret: bytes, context: bytes, random: Random) -> Wrapped:
        from pkcs11 import GCMParams, Mechanism

        version = self.current
        with self._using("wrap") as session:
            nonce = bytes(session.generate_random(8 * _NONCE_BYTES))
            key = self._one(session, version)
            body = key.encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context, 8 * _TAG_BYTES))
        return Wrapped(self.kind, version, nonce + bytes(body))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        from pkcs11 import GCMParams, Mechanism

        of_kind(self.kind, wrapped)
        if len(wrapped.body) != _NONCE_BYTES + KEY_BYTES + _TAG_BYTES:
            raise MasterKeyError("keys_refused", f"{self.kind}:{wrapped.version}")
        nonce, sealed = wrapped.body[:_NONCE_BYTES], wrapped.body[_NONCE_BYTES:]
        with self._using("unwrap", refused=f"{self.kind}:{wrapped.version}") as session:
            key = self._one(session, wrapped.version)
            return bytes(key.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context, 8 * _TAG_BYTES)))

    def rotate(self, random: Random) -> str:
        version = int(self.current) + 1
        with self._using("rotate") as session:
            self._make(session, version)
        return str(version)

    def retire(self, version: str) -> None:
        if version == self.current:
            raise MasterKeyError("keys_unsupported", f"{self.kind}:{version} is the current version")
        with self._using("retire") as session:
            for key in self._keys(session, f"{self._key}.{version}"):
                key.destroy()

    def close(self) -> None:
        """End the session; the next use opens another."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                session.close()

    def _make(self, session: Any, version: int) -> None:
        from pkcs11 import Attribute, KeyType

        rights = {
            Attribute.TOKEN: True, Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False,
            Attribute.ENCRYPT: True, Attribute.DECRYPT: True, Attribute.WRAP: False, Attribute.UNWRAP: False,
            Attribute.SIGN: False, Attribute.VERIFY: False, Attribute.DERIVE: False,
        }  # fmt: skip
        session.generate_key(KeyType.AES, 8 * KEY_BYTES, label=f"{self._key}.{version}", store=True, template=rights)

    def _found(self, session: Any) -> list[int]:
        from pkcs11 import Attribute

        names = (str(key[Attribute.LABEL]) for key in self._keys(session, None))
        numbers = (name.removeprefix(f"{self._key}.") for name in names if name.startswith(f"{self._key}."))
        return sorted({int(number) for number in numbers if number.isdecimal()})

    def _one(self, session: Any, version: str) -> Any:
        found = self._keys(session, f"{self._key}.{version}")
        if len(found) != 1:
            raise MasterKeyError("keys_version_unknown", f"{self.kind}:{version}")
        return found[0]

    def _keys(self, session: Any, label: str | None) -> list[Any]:
        from pkcs11 import Attribute, KeyType, ObjectClass

        wanted: dict[Any, Any] = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES}
        if label is not None:
            wanted[Attribute.LABEL] = label
        return list(session.get_objects(wanted))

    @contextmanager
    def _using(self, doing: str, refused: str | None = None) -> Iterator[Any]:
        """The open session. What the library raises becomes one of our codes: its own texts may name slots and handles, never keys."""
        with self._lock:
            try:
                session = self._session = self._session or self._opened()
                yield session
            except MasterKeyError:
                raise
            except Exception as error:
                name = type(error).__name__
                if name not in _REFUSED or refused is None:
                    self._session = None  # a token pulled out: the next use tries anew
                if name in _DENIED:
                    raise MasterKeyError("keys_denied", f"token {self._token}: {name}") from None
                if name in _REFUSED and refused is not None:
                    raise MasterKeyError("keys_refused", refused) from None
                raise MasterKeyError("keys_away", f"token {self._token}, {doing}: {name}") from None

    def _opened(self) -> Any:
        import pkcs11
        from pkcs11.exceptions import UserAlreadyLoggedIn

        token = pkcs11.lib(str(self._module)).get_token(token_label=self._token)
        try:
            return token.open(rw=True, user_pin=self._pin())
        except UserAlreadyLoggedIn:  # by another session of this process
            return token.open(rw=True)
