"""Access tokens: JWTs (RFC 9068) signed with Ed25519 (RFC 9864), short-lived, issued for a key or session and worth no more than that.

The signing key changes every day by itself: it follows from a secret of the home, the day and the generation set in the settings, so every
process of one home has the same and nothing is stored. A token is verified with today's or yesterday's; the algorithm is not the
token's to choose. A token names its key or session, which is looked up with every request: revoking that, or suspending its holder, ends
the token at once, so there is nothing to introspect. `cnf` (RFC 8705, 3.1) binds it to the client certificate it was asked for with.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from infra.clock import Clock
from infra.keys import KeyRing, Random
from jobs.credentials import Credential, Kind
from policies.roles import ACTS

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
DAY_S = 86_400
LONGEST_S = 3_600  # no setting lets a token last longer, so none that claims to was issued here
_KINDS: dict[str, Kind] = {"key": "key", "session": "session"}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. `credential`: kind and id of what it was issued for; `thumbprint`: of the certificate it is bound to."""

    principal: str
    credential: tuple[Kind, str]
    scopes: frozenset[str] | None
    thumbprint: str | None
    id: str


class BadToken(Exception):
    """Malformed, tampered with, expired, of another server, or signed in another way. Why is nobody's business."""


class Tokens:
    """Issues and verifies the tokens of one home. `name` (the log's origin) is issuer and audience."""

    def __init__(self, key_ring: KeyRing, clock: Clock, random: Random, *, name: str, lifetime_s: int, generation: int) -> None:
        self._key_ring = key_ring
        self._clock = clock
        self._random = random
        self._lifetime_s = lifetime_s
        self._generation = generation
        self._keys: dict[int, OKPKey] = {}
        self.issuer = f"yunei:{name}"
        self.audience = f"yunei:{name}/v1"

    def issue(self, credential: Credential, scopes: frozenset[str] | None, thumbprint: str | None) -> tuple[str, int]:
        """A token, and the seconds it lasts: never longer than what it was issued for."""
        now = int(self._clock().timestamp())
        expires = now + self._lifetime_s
        if credential.expires_at is not None:
            expires = min(expires, int(datetime.fromisoformat(credential.expires_at).timestamp()))
        key = self._key(now // DAY_S)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": credential.principal.id,
            "client_id": f"{credential.kind}:{credential.id}",
            "iat": now,
            "nbf": now,
            "exp": expires,
            "jti": self._random(16).hex(),
        }
        if scopes is not None:
            claims["scope"] = " ".join(act for act in ACTS if act in scopes)
        if thumbprint is not None:
            claims["cnf"] = {"x5t#S256": thumbprint}
        token = jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])
        return token, expires - now

    def verify(self, text: str) -> Claims:
        """BadToken for anything but a token issued here that is still good by itself; what it was issued for is the caller's to look up."""
        now = int(self._clock().timestamp())
        try:
            token = jwt.decode(text, self.key_set(now), algorithms=[ALGORITHM])
            if token.header != {"alg": ALGORITHM, "typ": TYPE, "kid": token.header.get("kid")} or not isinstance(token.header.get("kid"), str):
                raise BadToken
            claims = token.claims
            required: Any = {name: {"essential": True} for name in ("iss", "aud", "sub", "client_id", "iat", "nbf", "exp", "jti")}
            required["iss"] = {"essential": True, "value": self.issuer}
            jwt.JWTClaimsRegistry(now=now, **required).validate(claims)
            if claims["aud"] != self.audience or not 0 <= claims["exp"] - claims["iat"] <= LONGEST_S:
                raise BadToken
            kind, _, id = claims["client_id"].partition(":")
            scope, bound = claims.get("scope"), claims.get("cnf", {}).get("x5t#S256")
            return Claims(claims["sub"], (_KINDS[kind], id), None if scope is None else frozenset(scope.split()), bound, claims["jti"])
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadToken from error

    def key_set(self, now: int | None = None) -> KeySet:
        """The keys that verify now: today's and yesterday's."""
        day = (int(self._clock().timestamp()) if now is None else now) // DAY_S
        return KeySet([self._key(day), self._key(day - 1)])

    def jwks(self) -> dict[str, Any]:
        """Their public halves (RFC 7517), for a gateway that wants to look for itself."""
        return {"keys": [{**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig"} for key in self.key_set().keys]}

    def _key(self, day: int) -> OKPKey:
        if day not in self._keys:
            secret = self._key_ring.derive("token-signer", self._generation.to_bytes(8, "big") + day.to_bytes(8, "big", signed=True))
            public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "d": base64url(secret), "x": base64url(public)})
            key.ensure_kid()
            for old in [known for known in self._keys if abs(known - day) > 1]:
                self._keys.pop(old, None)
            self._keys[day] = key
        return self._keys[day]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
