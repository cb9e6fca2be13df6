"""A sign-in under way, from the browser's first request to the session: what is remembered between, and what may be handed in once.

Between setting out and coming back, everything is in a cookie of the browser, authenticated with a key of this home, so that strangers who set
out and never come back cost nothing. The command line gets a code on a loopback address (RFC 8252, 7.3), good for one minute and once, and only
with the verifier whose hash it set out with (RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select

from api.signin.oidc import SIGN_IN_FAILED, challenge_of
from api.signin.tokens import base64url
from infra.clock import Clock
from infra.database import insert_ignoring, writing
from infra.keys import KeyRing, Random
from infra.tables import once
from jobs.events import rfc3339

FLOW_S = 600
CODE_S = 60
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,500}")
CHALLENGE = r"^[A-Za-z0-9_-]{43}$"


@dataclass(frozen=True, slots=True)
class Flow:
    """`return_to`: a path of this site, for a browser; `port` and `challenge`: for a command line waiting on 127.0.0.1, with its own `mark`."""

    state: str
    nonce: str
    verifier: str
    ends: float
    return_to: str = "/"
    port: int | None = None
    challenge: str | None = None
    mark: str = ""


class Flows:
    def __init__(self, engine: Engine, key_ring: KeyRing, clock: Clock, random: Random) -> None:
        self._engine = engine
        self._secret = key_ring.derive("sign-in", b"flow")
        self._clock = clock
        self._random = random

    def begin(self, return_to: str = "/", port: int | None = None, challenge: str | None = None, mark: str = "") -> Flow:
        """A return address that is not a path of this site becomes `/`: a link cannot send people elsewhere."""
        state, nonce, verifier = (base64url(self._random(32)) for _ in range(3))
        ends = self._clock().timestamp() + FLOW_S
        return Flow(state, nonce, verifier, ends, return_to if _PATH.fullmatch(return_to) else "/", port, challenge, mark)

    def to_cookie(self, flow: Flow) -> str:
        body = base64url(json.dumps(asdict(flow)).encode())
        return f"{body}.{self._mac(body)}"

    def from_cookie(self, cookie: str, state: str) -> Flow:
        """SIGN_IN_FAILED unless the cookie is one of ours, of the last minutes, and the state the one it set out with."""
        body, _, mac = cookie.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(body).encode()):
            raise SIGN_IN_FAILED(why="cookie")
        flow = Flow(**json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))
        if flow.ends < self._clock().timestamp() or not hmac.compare_digest(flow.state.encode(), state.encode()):
            raise SIGN_IN_FAILED(why="state")
        return flow

    def _mac(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()

    def give_code(self, principal: str, challenge: str) -> str:
        """A code for the command line that waits on this machine."""
        code, now = base64url(self._random(32)), self._clock()
        row = {"id": _digest(code), "body": json.dumps({"principal": principal, "challenge": challenge})}
        with writing(self._engine) as connection:
            connection.execute(delete(once).where(once.c.expires_at < rfc3339(now)))
            insert_ignoring(connection, once, {**row, "expires_at": rfc3339(now + timedelta(seconds=CODE_S))})
        return code

    def take_code(self, code: str, verifier: str) -> str:
        """Whose code it is. It is used up by the first who hands it in, whatever they know. SIGN_IN_FAILED."""
        with writing(self._engine) as connection:
            row = connection.execute(select(once).where(once.c.id == _digest(code))).one_or_none()
            used = connection.execute(delete(once).where(once.c.id == _digest(code))).rowcount == 1
        if row is None or not used or datetime.fromisoformat(row.expires_at) <= self._clock():
            raise SIGN_IN_FAILED(why="code")
        body = json.loads(row.body)
        if not hmac.compare_digest(body["challenge"].encode(), challenge_of(verifier).encode()):
            raise SIGN_IN_FAILED(why="code_verifier")
        return str(body["principal"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
