"""HTTP as the client needs it: one place that retries, one place that turns answers into values or problems.

A request is sent again only if that cannot do harm: GET and HEAD, the two free questions (`check`, `dummy`), and a submission, which
carries an Idempotency-Key. Anything else is sent again only when the connection was never made. Redirects are not followed: a key is
for one host.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2

from yunei.problem import YuneiProblem, from_response, problem
from yunei.tls import Tls
from yunei.words import Language

AGAIN = frozenset({429, 502, 503, 504})
LONGEST_PAUSE_S = 30.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
AS_IS = {"Accept-Encoding": "identity"}  # digests and ranges are about the bytes themselves
EXCHANGED = ("yk_", "ys_")  # keys and sessions: what a server gives an access token for
EARLY_S = 30.0  # a token is replaced this long before it ends, so that none ends on its way
Repeat = Literal["safe", "unsent"]


def checked_url(url: str, *, has_key: bool, allow_http: bool, language: Language) -> str:
    """The base address without a trailing slash. Raises `client_bad_url`, and `client_plain_http` before a key would cross a network."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.query or parts.fragment:
        raise problem("client_bad_url", language=language, url=url.split("@")[-1])
    if parts.scheme == "http" and has_key and not allow_http and host not in LOOPBACK:
        raise problem("client_plain_http", language=language, url=f"http://{host}")
    return url.strip().rstrip("/")


class Http:
    """`timeout` is seconds per attempt; `retries` how often one is repeated; `pause` sleeps (seconds), passed in for tests."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        language: Language,
        timeout: float,
        retries: int,
        pause: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        tls: Tls | None = None,
    ) -> None:
        self.url = url
        self.language: Language = language
        self._timeout = timeout
        self._retries = retries
        self._pause = pause
        headers = {"Accept-Language": "zh-CN" if language == "zh" else "en", "User-Agent": "yunei-client/0.1.0"}
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
            raise problem("client_bad_key", language=language)
        self._key = key
        self._clock = clock
        self._token: tuple[str, float] | None = None
        self._keys_only = key is None or not key.startswith(EXCHANGED)  # no tokens: another kind of secret, or a server that has none
        context = tls.context(language) if tls is not None and url.startswith("https:") else None
        self._client = httpx2.Client(headers=headers, timeout=timeout, transport=transport, verify=True if context is None else context)

    @property
    def attempts(self) -> int:
        return self._retries + 1

    def close(self) -> None:
        self._client.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        extra_s: float = 0.0,
        repeat: Repeat = "safe",
        key_itself: bool = False,
    ) -> Any:
        """A JSON answer, None for an empty one. `extra_s` is how long the server may hold the request back; `key_itself`: send no token in its
        place. Raises `YuneiProblem` for anything else."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        options: dict[str, Any] = {"params": params, "content": content, "headers": headers, "extra_s": extra_s, "repeat": repeat}
        with self.open(method, path, key_itself=key_itself, **options) as response:
            if response.status_code >= 300:
                raise self.refusal(response)
            if response.status_code == 204:
                return None
            try:
                return json.loads(response.content)
            except ValueError as error:
                raise problem("client_not_yunei", language=self.language, status=response.status_code) from error

    def content(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """The bytes of a file, as the server has them. Raises `YuneiProblem` for any status but 200."""
        with self.open("GET", path, params=params, headers=AS_IS) as response:
            if response.status_code != 200:
                raise self.refusal(response)
            return response.content

    def text(self, path: str) -> str:
        try:
            return self.content(path).decode()
        except UnicodeDecodeError as error:
            raise problem("client_not_yunei", language=self.language, status=200) from error

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        extra_s: float = 0.0,
        repeat: Repeat = "safe",
        stream: bool = False,
        key_itself: bool = False,
    ) -> Iterator[httpx2.Response]:
        """A response, read unless `stream`. Statuses that mean "later" have been waited out; other statuses are the caller's business. A token
        that ended early (its server was restarted with other keys) is replaced once."""
        token = None if key_itself else self._access()
        bearer = token or self._key

        def request_with(bearer: str | None) -> httpx2.Request:
            return self._client.build_request(
                method,
                self.url + path,
                params=dict(params) if params else None,
                content=content,
                headers={
                    **({"Content-Type": "application/json"} if content is not None else {}),
                    **(headers or {}),
                    **({"Authorization": f"Bearer {bearer}"} if bearer is not None else {}),
                },
                timeout=httpx2.Timeout(self._timeout, read=self._timeout + extra_s),
            )

        response = self._send(request_with(bearer), repeat, stream)
        if response.status_code == 401 and token is not None:
            response.close()
            self._token = None
            response = self._send(request_with(self._access() or self._key), repeat, stream)
        try:
            yield response
        finally:
            response.close()

    def _access(self) -> str | None:
        """A short-lived token in place of the key, so that the key itself travels once in a while only. None: send the key."""
        if self._keys_only:
            return None
        now = self._clock()
        if self._token is None or now >= self._token[1]:
            request = self._client.build_request(
                "POST",
                f"{self.url}/v1/token",
                content=b"{}",
                headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
                timeout=self._timeout,
            )
            response = self._send(request, "safe", False)
            try:
                if response.status_code in (404, 405):  # a server of before there were tokens
                    self._keys_only = True
                    return None
                if response.status_code >= 300:
                    raise self.refusal(response)
                given = json.loads(response.content)
                self._token = str(given["access_token"]), now + max(0.0, float(given["expires_in"]) - EARLY_S)
            except (ValueError, KeyError, TypeError) as error:
                raise problem("client_not_yunei", language=self.language, status=response.status_code) from error
            finally:
                response.close()
        return self._token[0]

    def _send(self, request: httpx2.Request, repeat: Repeat, stream: bool) -> httpx2.Response:
        attempt = 0
        while True:
            last = attempt == self._retries
            try:
                response = self._client.send(request, stream=stream)
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
                if last or not (repeat == "safe" or unsent):
                    raise problem("client_unreachable", language=self.language, url=self.url, why=str(error) or type(error).__name__) from error
                self._pause(_backoff(attempt, None))
            else:
                if response.status_code not in AGAIN or repeat != "safe" or last:
                    return response
                response.close()
                self._pause(_backoff(attempt, response.headers.get("retry-after")))
            attempt += 1

    def refusal(self, response: httpx2.Response) -> YuneiProblem:
        """The problem that a response carries, whatever it is."""
        try:
            body: object = json.loads(response.read())
        except (ValueError, httpx2.TransportError):
            body = None
        return from_response(response.status_code, body, self.language)


def _backoff(attempt: int, retry_after: str | None) -> float:
    """Seconds: what the server asks for, else doubling from 0.2 with jitter, so that many clients do not come back together."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_PAUSE_S)
    return random.uniform(0.5, 1.0) * min(0.2 * (1 << attempt), LONGEST_PAUSE_S)  # noqa: S311  # jitter, not a secret
