"""Signing in through the bureau's identity provider: a browser does the talking, this machine waits on a loopback address for the result.

RFC 8252 (7.3) with PKCE (RFC 7636): what comes back to the loopback address is a code of one minute, good once, and only with the verifier that
never left this process; the server hands the session out for the two together.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from yunei.problem import problem
from yunei.transport import Http
from yunei.words import Language, pick

PATIENCE_S = 300.0


def sign_in(connection: Http, show: Callable[[str], object], *, patience_s: float = PATIENCE_S) -> Mapping[str, Any]:
    """The session: `secret`, `principal`, `expires_at`. `show` is handed the address to open in a browser. Raises `client_sign_in` when nobody
    comes back in time, and the server's problems."""
    verifier = _text(48)
    mark = _text(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    with _Listener(mark, connection.language) as listener:
        query = urlencode({"port": listener.server_port, "challenge": challenge, "mark": mark})
        show(f"{connection.url}/v1/sign-in?{query}")
        until = time.monotonic() + patience_s
        while listener.code is None and time.monotonic() < until:
            listener.handle_request()
        if listener.code is None:
            raise problem("client_sign_in", language=connection.language, seconds=f"{patience_s:g}")
        found = connection.json("POST", "/v1/sign-in/session", body={"code": listener.code, "verifier": verifier}, repeat="unsent")
    if not isinstance(found, dict) or not isinstance(found.get("secret"), str):
        raise problem("client_not_yunei", language=connection.language, status=200)
    return found


def _text(size: int) -> str:
    return secrets.token_urlsafe(size)


class _Listener(http.server.HTTPServer):
    """Waits for one request that knows the mark; others are told nothing."""

    timeout = 0.5

    def __init__(self, mark: str, language: Language) -> None:
        super().__init__(("127.0.0.1", 0), _Back)
        self.mark = mark
        self.language: Language = language
        self.code: str | None = None


class _Back(http.server.BaseHTTPRequestHandler):
    server: _Listener
    timeout = 5

    def do_GET(self) -> None:
        given = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        known = hmac.compare_digest(given.get("mark", "").encode(), self.server.mark.encode()) and bool(given.get("code"))
        if known:
            self.server.code = given["code"]
        words = pick(self.server.language, "已登录，可以关闭此页。", "Signed in. You may close this page.")
        body = f"<!doctype html><meta charset=utf-8><title>yunei</title><p>{words}".encode() if known else b""
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the address holds a code."""
