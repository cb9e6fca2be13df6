"""Master keys in a key management service over HTTP: the transit engine's interface of HashiCorp Vault and OpenBao.

Encrypt, decrypt, rotate, configure and trim (`/v1/<mount>/…/<key>`) are all that is asked; the key stays with the service. What a key is
for goes along as associated data, so the service refuses it elsewhere. A service that does not answer, or answers strangely, is an error.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from infra.masters.base import KEY_BYTES, MasterKeyError, Random, Wrapped, of_kind

ANSWER_LIMIT = 1 << 20
_CODES = {400: "keys_refused", 401: "keys_denied", 403: "keys_denied", 404: "keys_missing"}


class KmsMasters:
    """`url`: of the service, https unless it is on this machine. `token`: read anew for each call, for agents renew it in place."""

    kind = "kms"

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        *,
        mount: str = "transit",
        key: str = "yunei",
        timeout_s: float = 5,
        authority: Path | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._https, self._host, self._port, self._base = parts.scheme == "https", parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._token, self._mount, self._key, self._timeout_s = token, mount.strip("/"), key, timeout_s
        self._context = ssl.create_default_context(cafile=None if authority is None else str(authority)) if self._https else None

    def __repr__(self) -> str:
        return f"KmsMasters({self._host!r}, {self._mount}/{self._key})"

    @property
    def current(self) -> str:
        return self.versions()[-1]

    def versions(self) -> tuple[str, ...]:
        data = self._ask("GET", f"keys/{quote(self._key, safe='')}")
        try:
            last, first = int(data["latest_version"]), max(1, int(data["min_decryption_version"]))
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None
        if not 0 < first <= last < first + 1_000_000:
            raise self._strange()
        return tuple(str(number) for number in range(first, last + 1))

    def create(self) -> str:
        self._ask("POST", f"keys/{quote(self._key, safe='')}", {"type": "aes256-gcm96"})
        return self.current

    def wrap(self, secret: bytes, context: bytes, random: Random) -> Wrapped:
        answer = self._ask("POST", f"encrypt/{quote(self._key, safe='')}", {"plaintext": _text(secret), "associated_data": _text(context)})
        text = answer.get("ciphertext")
        prefix, _, rest = str(text).partition(":v")
        version = rest.partition(":")[0]
        if not isinstance(text, str) or not prefix or not version.isdecimal() or not text.isascii() or not text.isprintable():
            raise self._strange()
        return Wrapped(self.kind, version, text.encode())

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        of_kind(self.kind, wrapped)
        question = {"ciphertext": wrapped.body.decode("ascii", "replace"), "associated_data": _text(context)}
        try:
            answer = self._ask("POST", f"decrypt/{quote(self._key, safe='')}", question)
        except MasterKeyError as error:
            if error.code == "keys_refused" and wrapped.version not in self.versions():
                raise MasterKeyError("keys_version_unknown", f"{self.kind}:{wrapped.version}") from None
            raise
        try:
            secret = base64.b64decode(answer["plaintext"], validate=True)
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None
        if len(secret) != KEY_BYTES:
            raise self._strange()
        return secret

    def rotate(self, random: Random) -> str:
        self._ask("POST", f"keys/{quote(self._key, safe='')}/rotate", {})
        return self.current

    def retire(self, version: str) -> None:
        """Versions are kept from a number on, so what is older than `version` goes too: retire in order. Trimmed, they cannot come back."""
        present = self.versions()
        if version == present[-1]:
            raise MasterKeyError("keys_unsupported", f"{self.kind}:{version} is the current version")
        least = int(version) + 1
        if int(present[0]) < least:
            self._ask("POST", f"keys/{quote(self._key, safe='')}/config", {"min_decryption_version": least, "min_encryption_version": least})
        self._ask("POST", f"keys/{quote(self._key, safe='')}/trim", {"min_available_version": least})

    def _strange(self) -> MasterKeyError:
        return MasterKeyError("keys_away", f"{self._host}: an answer that is not the transit engine's")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's `data`; one try more when the connection fails, for each of these calls may be made twice but `rotate`."""
        for attempt in (0, 1):
            try:
                status, told = self._once(method, f"{self._base}/v1/{self._mount}/{path}", body)
                break
            except (OSError, http.client.HTTPException, ValueError) as error:
                if attempt or path.endswith("/rotate") or isinstance(error, ssl.SSLError):
                    raise MasterKeyError("keys_away", f"{self._host}: {type(error).__name__}") from None
        if status not in (200, 204):
            raise MasterKeyError(_CODES.get(status, "keys_away"), f"{self._host} answers {status} for {self._mount}/{path}")
        return told

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            data = None if body is None else json.dumps(body).encode()
            headers = {"X-Vault-Token": self._token(), "Content-Type": "application/json", "Connection": "close"}
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read(ANSWER_LIMIT)
            told = json.loads(text) if text and response.status == 200 else {}
        finally:
            connection.close()
        found = told.get("data") if isinstance(told, dict) else None
        return response.status, found if isinstance(found, dict) else {}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
