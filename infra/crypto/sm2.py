"""SM2 signatures (GB/T 32918.2-2016) behind the interface that keys of the log have: raw public key, `sign`, `verify`.

The curve arithmetic is gmalg's, in pure Python: milliseconds per signature, which suits checkpoints and licences, and not constant in time,
which is acceptable for a signer that runs a few times a second on a machine whose root can read the key anyway. A signature is r ‖ s, 64
bytes; a public key x ‖ y, 64 bytes. The signer's distinguishing identifier is the default of GM/T 0009-2012.
"""

from __future__ import annotations

import gmalg
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC

UID = b"1234567812345678"
PUBLIC_BYTES = 64
SIGNATURE_BYTES = 64
ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123  # of the base point, GB/T 32918.5-2017


class Sm2PrivateKey:
    """A key made of 32 secret bytes, always the same from the same bytes. The repr shows nothing of it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise ValueError("an SM2 key is made of 32 bytes")
        scalar = int.from_bytes(secret, "big") % (ORDER - 2) + 1  # 1 … n-2; the bias of the remainder is below 2**-31
        self._secret = scalar.to_bytes(32, "big")
        self._public: bytes = gmalg.SM2(self._secret, UID).generate_pk(self._secret)[1:]  # without the 04 of an uncompressed point

    def __repr__(self) -> str:
        return "Sm2PrivateKey(…)"

    def public_bytes(self) -> bytes:
        return self._public

    def sign(self, message: bytes) -> bytes:
        """r ‖ s. The nonce follows from key and message (HMAC-SM3 with a counter, in the manner of RFC 6979): the same text has the same
        signature, and no random source can give the key away."""
        drawn = 0

        def bits(count: int) -> int:
            nonlocal drawn
            mac = HMAC(self._secret, SM3())
            mac.update(drawn.to_bytes(4, "big") + message)
            drawn += 1
            return int.from_bytes(mac.finalize(), "big") >> (256 - count) if count <= 256 else int.from_bytes(mac.finalize(), "big")

        r: bytes
        s: bytes
        r, s = gmalg.SM2(self._secret, UID, b"\x04" + self._public, rnd_fn=bits).sign(message)
        return r.rjust(32, b"\0") + s.rjust(32, b"\0")


def sm2_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is this key's over `message`; False for anything malformed, a point off the curve too."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        verifier = gmalg.SM2(uid=UID, pk=b"\x04" + public)
        return bool(verifier.verify_pk(b"\x04" + public) and verifier.verify(message, signature[:32], signature[32:]))
    except Exception:  # gmalg has many errors for many malformed things; each of them means no
        return False
