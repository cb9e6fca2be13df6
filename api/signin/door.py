"""The door: from a request to who is asking, or a refusal that tells a stranger nothing.

In order: the caller's address and certificate; whether it is locked out; what it carries (key, session, access token, cookie); whether that is
good, bound to another certificate, or somebody's who left. Every failure is counted (`limits`) and told in the log (`tally`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request

from api.signin.limits import Limits
from api.signin.peer import BadPeer, Peer, Proxies
from api.signin.tally import Refused, Tally
from api.signin.tokens import BadToken, Claims, Tokens
from infra.clock import Clock
from infra.database import reading
from infra.settings import Settings
from jobs import credentials
from jobs.credentials import Credential, note_use
from jobs.directory import Principal
from jobs.events import rfc3339
from jobs.register import Register
from policies.problem import Kind, Problem, declare

AUTH_MISSING = declare(
    "auth_missing",
    zh=("缺少密钥", "请求没有带访问密钥，也没有登录。", "请在请求头加上 Authorization: Bearer 密钥；密钥由数据主管部门签发。"),
    en=(
        "No key",
        "The request carries no API key, access token or session.",
        "Send the header Authorization: Bearer KEY; the bureau issues keys.",
    ),
)
AUTH_UNKNOWN = declare(
    "auth_unknown",
    zh=(
        "密钥无效",
        "密钥、令牌或会话不存在、已撤销、已过期或格式有误。",
        "请核对密钥；令牌过期的，请用密钥换取新令牌；如已撤销，请向数据主管部门申请新密钥。",
    ),
    en=(
        "The key is not valid",
        "The key, token or session is unknown, revoked, expired or malformed.",
        "Check the key. If a token has expired, get a new one with the key; if the key was revoked, ask the bureau for another.",
    ),
)
AUTH_LOCKED = declare(
    "auth_locked",
    zh=("尝试次数过多", "此地址或此密钥失败次数过多，{seconds} 秒内不再受理。", "请稍后再试，并核对密钥；原因不明时请联系数据主管部门。"),
    en=(
        "Too many attempts",
        "This address or key failed too often; no attempt is accepted for {seconds} seconds.",
        "Try again later, and check the key. Contact the bureau if you do not know the cause.",
    ),
)
AUTH_CERTIFICATE = declare(
    "auth_certificate",
    zh=("客户端证书不符", "此密钥或令牌绑定了客户端证书，请求所带证书缺失或不符。", "请使用绑定的客户端证书连接。"),
    en=(
        "Wrong client certificate",
        "The key or token is bound to a client certificate, which this request does not carry.",
        "Connect with the client certificate that the key is bound to.",
    ),
)
AUTH_CSRF = declare(
    "auth_csrf",
    zh=("请求来源无法确认", "用会话 Cookie 改动任何内容，须带本会话的防伪令牌，且来自本站页面。", "请从本站页面重新提交；程序请用访问密钥。"),
    en=(
        "The origin of the request cannot be confirmed",
        "To change anything with a session cookie, send the session's CSRF token from a page of this site.",
        "Submit again from a page of this site. Programs should use an access key.",
    ),
)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf_token"
MOST_NOTED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody the door let in. `scopes`: the only acts the key or token is good for; `via`: what it came with; `secret`: the session's, when
    it came with the cookie."""

    credential: Credential
    scopes: frozenset[str] | None
    via: Literal["key", "token", "cookie"]
    peer: Peer
    secret: str = ""

    @property
    def principal(self) -> Principal:
        return self.credential.principal


class Door:
    """One per server. `authenticate` blocks for a database read: call it in a thread."""

    def __init__(self, settings: Settings, register: Register, clock: Clock, tokens: Tokens, limits: Limits, tally: Tally) -> None:
        self._settings = settings
        self._register = register
        self._clock = clock
        self.tokens = tokens
        self.limits = limits
        self.tally = tally
        self.proxies = Proxies(settings.trusted_proxies)
        self._idle = timedelta(minutes=settings.session_idle_minutes)
        self._noted: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The session cookie's name. `__Host-` makes browsers hold it to this host, over TLS (RFC 6265bis, 4.1.3.2)."""
        return "__Host-yunei" if self.secure else "yunei"

    @property
    def secure(self) -> bool:
        return self._settings.public_url.startswith("https://")

    def authenticate(self, request: Request) -> Caller:
        """Who asks. AUTH_MISSING, AUTH_LOCKED, AUTH_UNKNOWN, AUTH_CERTIFICATE."""
        try:
            peer = self.proxies.peer(request)
        except BadPeer:
            raise AUTH_CERTIFICATE() from None
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._bearer(secret.strip(), peer)
        cookie = request.cookies.get(self.cookie)
        if cookie and not scheme:
            return self._secret(cookie, peer, "cookie")
        raise AUTH_MISSING()

    def _bearer(self, secret: str, peer: Peer) -> Caller:
        if secret.count(".") == 2:
            return self._token(secret, peer)
        return self._secret(secret, peer, "key")

    def _secret(self, secret: str, peer: Peer, via: Literal["key", "cookie"]) -> Caller:
        known = credentials.parse(secret)
        prefix = None if known is None else known[1]
        seconds = self.limits.locked(peer.address, prefix)
        if seconds:
            raise self._refuse(AUTH_LOCKED, peer, prefix, seconds=seconds)
        with reading(self._register.engine) as connection:
            found = credentials.credential_of(connection, secret, self._clock(), self._idle)
        if found is None or found.principal.status == "closed" or (via == "cookie" and found.kind != "session"):
            raise self._failed(AUTH_UNKNOWN, peer, prefix)
        if found.certificate is not None and found.certificate != peer.certificate:
            raise self._failed(AUTH_CERTIFICATE, peer, prefix)
        self._note(found)
        return Caller(found, found.scopes, via, peer, secret if via == "cookie" else "")

    def _token(self, text: str, peer: Peer) -> Caller:
        """A good token is let in whatever its address did: it was had with the right key."""
        try:
            claims = self.tokens.verify(text)
        except BadToken:
            raise self._failed(AUTH_UNKNOWN, peer, None) from None
        with reading(self._register.engine) as connection:
            found = credentials.credential_named(connection, *claims.credential, self._clock(), self._idle)
        if found is None or found.principal.id != claims.principal or found.principal.status == "closed":
            raise self._failed(AUTH_UNKNOWN, peer, claims.credential[1])
        if not _bound(claims, found, peer):
            raise self._failed(AUTH_CERTIFICATE, peer, found.id)
        self._note(found)
        scopes = found.scopes if claims.scopes is None else claims.scopes if found.scopes is None else claims.scopes & found.scopes
        return Caller(found, scopes, "token", peer)

    @contextmanager
    def guessing(self, request: Request) -> Iterator[None]:
        """Around what a stranger may hand in instead of a key: a problem inside counts as a failure of the address. AUTH_LOCKED."""
        try:
            peer = self.proxies.peer(request)
        except BadPeer:
            raise AUTH_CERTIFICATE() from None
        seconds = self.limits.locked(peer.address, None)
        if seconds:
            raise self._refuse(AUTH_LOCKED, peer, None, seconds=seconds)
        try:
            yield
        except Problem as problem:
            self._failed(problem.kind, peer, None, **problem.fields)
            raise

    def source(self, address: str) -> str:
        """What the log calls an address: a keyed hash, the same each time."""
        return self._register.key_ring.derive("address", address.encode()).hex()

    def _failed(self, kind: Kind, peer: Peer, prefix: str | None, **fields: object) -> Problem:
        seconds, fresh = self.limits.failed(peer.address, prefix)
        problem = self._refuse(kind, peer, prefix, locked=fresh, **fields)
        if fresh:
            self.tally.hurry()
        return AUTH_LOCKED(seconds=seconds) if seconds and not fresh else problem

    def _refuse(self, kind: Kind, peer: Peer, prefix: str | None, *, locked: bool = False, **fields: object) -> Problem:
        """The problem, counted. A prefix stands in the log only if there is such a key: strangers do not write there."""
        known = None
        if prefix is not None:
            now = self._clock()
            with reading(self._register.engine) as connection:
                held = [credentials.credential_named(connection, each, prefix, now) for each in credentials.SCHEMES.values()]
            known = next((prefix for each in held if each is not None), None)
        self.tally.note(Refused(kind.code, source=self.source(peer.address), prefix=known), locked=locked)
        return kind(**fields)

    def _note(self, used: Credential) -> None:
        grain = rfc3339(self._clock())[: 10 if used.kind == "key" else 16]
        if self._noted.get(used.id) != grain:
            if len(self._noted) >= MOST_NOTED:
                self._noted.clear()
            self._noted[used.id] = grain
            note_use(self._register.engine, used, self._clock())

    def csrf_token(self, secret: str) -> str:
        """What a page of the session sends back: follows from the session's secret, which no other site knows."""
        return hmac.new(secret.encode(), b"yunei csrf", hashlib.sha256).hexdigest()

    async def require_own_page(self, request: Request, secret: str) -> None:
        """AUTH_CSRF unless an unsafe request with the session's cookie comes from a page of this site: the session's token, in the header
        X-CSRF-Token or the form field csrf_token, and no Origin or Sec-Fetch-Site that says otherwise."""
        if request.method in SAFE_METHODS:
            return
        given = request.headers.get(CSRF_HEADER, "")
        if not given and request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            given = parse_qs((await request.body()).decode("utf-8", "replace")).get(CSRF_FIELD, [""])[0]
        same = hmac.compare_digest(given.encode(), self.csrf_token(secret).encode())
        if not same or not self.from_own_page(request):
            raise AUTH_CSRF()

    def from_own_page(self, request: Request) -> bool:
        """Whether nothing the browser says of where the request comes from names another site."""
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none") and self._own_origin(request)

    def _own_origin(self, request: Request) -> bool:
        origin = request.headers.get("origin")
        if origin is None:
            return True
        if self._settings.public_url:
            return origin == self._settings.public_url
        return urlsplit(origin).netloc == request.headers.get("host", "")


def _bound(claims: Claims, found: Credential, peer: Peer) -> bool:
    """A bound token comes with its certificate; a bound key's token is always bound."""
    if claims.thumbprint is not None and claims.thumbprint != peer.thumbprint:
        return False
    return found.certificate is None or found.certificate == peer.certificate
