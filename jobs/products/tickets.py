"""Tickets: links to one delivery's bytes, good for a few minutes, to be followed without a key.

A ticket is the index of the delivery and the second it ends, under an HMAC of this server's; it names nothing else and cannot be made by
anybody else. Whoever holds it can fetch that delivery, and no other, until then.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from datetime import UTC, datetime, timedelta

from infra.clock import Clock
from infra.keys import KeyRing
from policies.problem import declare

_SHAPE = struct.Struct(">QQ")
_MAC_BYTES = 24

REQUEST_TICKET = declare(
    "request_ticket",
    zh=("下载链接无效或已过期", "此下载链接不是本服务签发的，或已过期。", "请重新申请交付以取得新的链接。"),
    en=(
        "The download link is not valid or has expired",
        "This download link was not issued by this server, or it has expired.",
        "Request the delivery again to get a new link.",
    ),
)


class Tickets:
    def __init__(self, key_ring: KeyRing, clock: Clock, *, lifetime_s: int) -> None:
        self._key = key_ring.derive("files", b"tickets")
        self._clock = clock
        self._lifetime_s = lifetime_s

    def issue(self, entry: int) -> tuple[str, datetime]:
        """The ticket, as text for an address, and when it ends."""
        ends = (self._clock() + timedelta(seconds=self._lifetime_s)).replace(microsecond=0)
        said = _SHAPE.pack(entry, int(ends.timestamp()))
        return base64.urlsafe_b64encode(said + self._mac(said)).decode(), ends

    def read(self, ticket: str) -> int:
        """The delivery's entry. REQUEST_TICKET."""
        try:
            raw = base64.b64decode(ticket, altchars=b"-_", validate=True)
            said, mac = raw[: _SHAPE.size], raw[_SHAPE.size :]
            entry, ends = _SHAPE.unpack(said)
        except (binascii.Error, ValueError, struct.error):
            raise REQUEST_TICKET() from None
        if not hmac.compare_digest(mac, self._mac(said)) or self._clock() >= datetime.fromtimestamp(ends, UTC):
            raise REQUEST_TICKET()
        return int(entry)

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_MAC_BYTES]
