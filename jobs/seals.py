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

from infra.crypto.sm2 import Sm2PrivateKey
from infra.journal.note import SM2_LINE, Signer, sign_note
from infra.keys import KeyRing
from infra.settings import Settings

HEADER = "yunei-licence/v1"


def bureau_signers(key_ring: KeyRing, settings: Settings) -> tuple[Signer, ...]:
    """The keys that sign licences: Ed25519, and SM2 beside it in the suite `gm`."""
    name = f"{settings.log_origin}/licences"
    plain = Signer(name, Ed25519PrivateKey.from_private_bytes(key_ring.derive("licences", b"ed25519")))
    if settings.crypto_suite != "gm":
        return (plain,)
    return (plain, Signer(name, Sm2PrivateKey(key_ring.derive("licences", b"sm2")), SM2_LINE))


def gm_signers(key_ring: KeyRing, settings: Settings) -> tuple[Signer, ...]:
    """The SM2 key that signs checkpoints beside the log's own, in the suite `gm`. It does not change when the log's key does."""
    if settings.crypto_suite != "gm":
        return ()
    return (Signer(settings.log_origin, Sm2PrivateKey(key_ring.derive("log", b"sm2")), SM2_LINE),)


def product_signers(key_ring: KeyRing, settings: Settings) -> tuple[Signer, ...]:
    """The keys that sign manifests of products; each version's entry in the log names them."""
    name = f"{settings.log_origin}/products"
    plain = Signer(name, Ed25519PrivateKey.from_private_bytes(key_ring.derive("products", b"ed25519")))
    if settings.crypto_suite != "gm":
        return (plain,)
    return (plain, Signer(name, Sm2PrivateKey(key_ring.derive("products", b"sm2")), SM2_LINE))


def sealed_licence(document: bytes, version: int, signers: tuple[Signer, ...]) -> bytes:
    """The signed note over a licence's canonical document."""
    return sign_note(f"{HEADER}\nversion {version}\n{document.decode()}\n", *signers).encode()


def report_signers(key_ring: KeyRing, settings: Settings) -> tuple[Signer, ...]:
    """The keys that sign statements about reports; the entry of each report issued names them."""
    name = f"{settings.log_origin}/reports"
    plain = Signer(name, Ed25519PrivateKey.from_private_bytes(key_ring.derive("reports", b"ed25519")))
    if settings.crypto_suite != "gm":
        return (plain,)
    return (plain, Signer(name, Sm2PrivateKey(key_ring.derive("reports", b"sm2")), SM2_LINE))
