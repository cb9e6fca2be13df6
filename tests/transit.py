"""A key management service with the transit engine's interface, on loopback, in this process: what `infra.masters.kms` asks, and no more.

It keeps its keys to itself as a real one does, counts what it was asked, and can be told to fail.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.test-token"


class Transit:
    def __init__(self) -> None:
        self.keys = {1: os.urandom(32)}
        self.least = 1  # decrypts from this version on
        self.asked: list[str] = []
        self.fail: int | None = None  # answer everything with this status
        self.garbage: bytes | None = None  # answer everything with this body
        self.url = ""

    def answer(self, method: str, path: str, body: dict[str, Any], token: str | None) -> tuple[int, dict[str, Any]]:
        self.asked.append(f"{method} {path}")
        if self.fail is not None:
            return self.fail, {}
        if token != TOKEN:
            return 403, {}
        verb, _, name = path.removeprefix("/v1/transit/").partition("/")
        key, _, act = name.partition("/")
        if not path.startswith("/v1/transit/") or key != "yunei":
            return 404, {}
        last = max(self.keys)
        if (method, verb, act) == ("GET", "keys", ""):
            return 200, {"latest_version": last, "min_decryption_version": self.least}
        if verb == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + AESGCM(self.keys[last]).encrypt(nonce, _bytes(body["plaintext"]), _bytes(body["associated_data"]))
            return 200, {"ciphertext": f"vault:v{last}:{base64.b64encode(sealed).decode()}", "key_version": last}
        if verb == "decrypt":
            return self._decrypt(body)
        if (method, verb, act) == ("POST", "keys", ""):
            return 204, {}  # it is there: no other is made
        if act == "rotate":
            self.keys[last + 1] = os.urandom(32)
            return 204, {}
        if act == "config":
            self.least = int(body["min_decryption_version"])
            return 204, {}
        if act == "trim":
            least = int(body["min_available_version"])
            if least > self.least:
                return 400, {}
            self.keys = {number: secret for number, secret in self.keys.items() if number >= least}
            return 204, {}
        return 404, {}

    def _decrypt(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            _, version, text = body["ciphertext"].split(":")
            number, sealed = int(version[1:]), _bytes(text)
            if number < self.least:
                return 400, {}
            plain = AESGCM(self.keys[number]).decrypt(sealed[:12], sealed[12:], _bytes(body["associated_data"]))
        except (InvalidTag, KeyError, ValueError):
            return 400, {}
        return 200, {"plaintext": base64.b64encode(plain).decode()}


@contextmanager
def a_transit() -> Iterator[Transit]:
    service = Transit()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve("GET", b"")

        def do_POST(self) -> None:
            self._serve("POST", self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def _serve(self, method: str, body: bytes) -> None:
            status, data = service.answer(method, self.path, json.loads(body or b"{}"), self.headers.get("X-Vault-Token"))
            told = json.dumps({"data": data}).encode() if service.garbage is None else service.garbage
            self.send_response(status)
            self.send_header("Content-Length", str(0 if status == 204 else len(told)))
            self.end_headers()
            self.wfile.write(b"" if status == 204 else told)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
