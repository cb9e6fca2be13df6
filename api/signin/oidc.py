"""Signing in at an OpenID Connect provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700).

Authlib speaks the protocol; what it may accept is decided here: one issuer, asymmetric algorithms from the settings, a nonce that fits the
browser that set out. What a provider says otherwise (names, mail addresses, groups) is neither asked for nor kept: who somebody is here is
what an administrator linked the subject to.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.signin.tokens import base64url
from infra.clock import Clock
from infra.settings import Settings
from policies.problem import declare

if TYPE_CHECKING:  # most servers have no provider, and need not wait for what speaks to one
    import httpx2
    from authlib.integrations.httpx_client import OAuth2Client

SIGN_IN_OFF = declare(
    "auth_sign_in_off",
    zh=("未启用统一登录", "本服务没有配置身份提供方。", "请使用访问密钥；启用方法见 docs/how-to/sign-in.md。"),
    en=(
        "Single sign-on is not enabled",
        "No identity provider is configured on this server.",
        "Use an access key. To enable sign-on, see docs/how-to/sign-in.md.",
    ),
)
SIGN_IN_FAILED = declare(
    "auth_sign_in_failed",
    zh=("登录未完成", "登录未能完成：{why}。", "请从本站重新登录；一直失败时请联系管理员。"),
    en=(
        "Sign-in did not complete",
        "Sign-in could not be completed: {why}.",
        "Sign in again from this site. If it keeps failing, contact the administrator.",
    ),
)
PROVIDER = declare(
    "auth_provider",
    zh=("身份提供方不可用", "身份提供方没有按约定应答（{why}）。", "请稍后再试，或使用访问密钥；持续出现时请联系管理员。"),
    en=(
        "The identity provider is not available",
        "The identity provider did not answer as expected ({why}).",
        "Try again later, or use an access key. If this goes on, contact the administrator.",
    ),
)

LEEWAY_S = 60
METADATA_S = 3_600
KEYS_S = 60  # its keys are not asked for more often than this, whatever tokens come


class Provider:
    """One provider. `transport` is for tests; None: the network."""

    def __init__(self, settings: Settings, clock: Clock, transport: httpx2.BaseTransport | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._lock = threading.Lock()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    @property
    def issuer(self) -> str:
        return self._settings.oidc_issuer

    @property
    def redirect_uri(self) -> str:
        return f"{self._settings.public_url}/v1/sign-in/callback"

    def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent. SIGN_IN_OFF, PROVIDER."""
        metadata = self._discovered()
        with self._client() as client:
            url, _ = client.create_authorization_url(metadata["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier)
            return str(url)

    def subject(self, *, code: str, verifier: str, nonce: str) -> str:
        """Who signed in: the subject of an ID token that is the provider's, for us, of now, and with our nonce. SIGN_IN_FAILED, PROVIDER."""
        import httpx2
        from authlib.integrations.base_client import OAuthError

        metadata = self._discovered()
        try:
            with self._client() as client:
                token = client.fetch_token(metadata["token_endpoint"], code=code, code_verifier=verifier, grant_type="authorization_code")
        except OAuthError:  # what the provider says of it is not for the page
            raise SIGN_IN_FAILED(why="code") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise PROVIDER(why=type(error).__name__) from None
        text = token.get("id_token")
        if not isinstance(text, str):
            raise PROVIDER(why="id_token")
        return self._claims(text, nonce, token.get("access_token"))

    def _claims(self, text: str, nonce: str, access_token: object) -> str:
        from authlib.oidc.core import CodeIDToken

        try:
            decoded = self._decoded(text)
            options: Any = {
                "iss": {"essential": True, "value": self.issuer},
                "aud": {"essential": True, "value": self._settings.oidc_client_id},
            }
            params = {"nonce": nonce, "client_id": self._settings.oidc_client_id, "access_token": access_token}
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now=int(self._clock().timestamp()), leeway=LEEWAY_S)
            subject = claims["sub"]
        except (JoseError, ValueError, KeyError, TypeError):
            raise SIGN_IN_FAILED(why="id_token") from None
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise SIGN_IN_FAILED(why="sub")
        return subject

    def _decoded(self, text: str) -> jwt.Token:
        """Verified with the provider's keys; with its newest ones, if those known here do not fit: providers change them."""
        algorithms = list(self._settings.oidc_algorithms)
        known = self._keys
        if known is not None:
            try:
                return jwt.decode(text, known[1], algorithms=algorithms)
            except (JoseError, ValueError):
                if self._clock().timestamp() - known[0] < KEYS_S:
                    raise
        return jwt.decode(text, self._fetched_keys(), algorithms=algorithms)

    def _fetched_keys(self) -> KeySet:
        with self._lock:
            found: Any = self._get(self._discovered()["jwks_uri"])
            keys = KeySet.import_key_set(found)
            self._keys = (self._clock().timestamp(), keys)
        return keys

    def _discovered(self) -> dict[str, Any]:
        """OpenID Connect Discovery 1.0; the issuer it names must be the one asked."""
        if not self.issuer:
            raise SIGN_IN_OFF()
        now = self._clock().timestamp()
        if self._metadata is None or now - self._metadata[0] > METADATA_S:
            found = self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if found.get("issuer") != self.issuer or not all(isinstance(found.get(name), str) for name in wanted):
                raise PROVIDER(why="issuer")
            self._metadata = (now, found)
        return self._metadata[1]

    def _get(self, url: str) -> dict[str, Any]:
        import httpx2

        try:
            with httpx2.Client(timeout=self._settings.oidc_timeout_s, transport=self._transport, trust_env=False) as client:
                answer = client.get(url, headers={"Accept": "application/json"})
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise PROVIDER(why=type(error).__name__) from None
        if not isinstance(found, dict):
            raise PROVIDER(why="JSON")
        return found

    def _client(self) -> OAuth2Client:
        from authlib.integrations.httpx_client import OAuth2Client

        settings = self._settings
        secret = None
        if settings.oidc_client_secret_file is not None:
            try:
                secret = settings.oidc_client_secret_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise PROVIDER(why="YUNEI_OIDC_CLIENT_SECRET_FILE") from None
        return OAuth2Client(
            settings.oidc_client_id,
            secret,
            token_endpoint_auth_method="none" if secret is None else "client_secret_basic",
            scope=settings.oidc_scopes,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            timeout=settings.oidc_timeout_s,
            transport=self._transport,
            trust_env=False,
        )


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of RFC 7636, 4.2."""
    return base64url(hashlib.sha256(verifier.encode()).digest())
