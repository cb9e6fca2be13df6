"""The bureau's seal on a licence: the canonical document in a signed note (C2SP signed-note), which verifies offline.

    yunei-licence/v1
    version 1
    {"datasets":[…],…}

    — yunei.local/release/licences aGVsbG8…

The third line is the licence as RFC 8785 canonical JSON, the bytes whose SHA-256 the log's entry names as `document`. The key is the
bureau's own, apart from the log's: it follows from the `selection` secret of the key ring, so it does not change when the log's key does,
and every grant names it in the log.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.journal.note import Signer, sign_note
from infra.keys import KeyRing

HEADER = "yunei-licence/v1"


def bureau_signers(key_ring: KeyRing, origin: str) -> tuple[Signer, ...]:
    """The keys that sign licences."""
    return (Signer(f"{origin}/licences", Ed25519PrivateKey.from_private_bytes(key_ring.derive("licences", b"ed25519"))),)


def sealed_licence(document: bytes, version: int, signers: tuple[Signer, ...]) -> bytes:
    """The signed note over a licence's canonical document."""
    return sign_note(f"{HEADER}\nversion {version}\n{document.decode()}\n", *signers).encode()
