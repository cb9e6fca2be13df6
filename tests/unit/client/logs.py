"""A log written the slow, obvious way (RFC 6962 by recursion), for the client's verifier to read: none of the client's code is used."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "log.example/release"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = "log.example/release+5531598f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_VKEY = "witness.example/audit+ecf07fad+BHm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk"
VECTOR = """log.example/release
7
kTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=

— log.example/release VTFZj1im4ijscup9vZC4nuX3nAc1e9VX3eMI5Wj2f08CG8hR5hliGfUEukLXv66Of/wjnusibiLU155rHJ7P5Ap9NQc=
— witness.example/audit 7PB/rQAAAABq/YbATVNRW6mE4EjLZXN8RlyU309S1M72sSzAb9/HwW58uEp5S168R/BoX1zly2Y1CTmDjENDK9Nz781m6pPtsy+jCg==
"""


def hash_leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    left = split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:left]) + root(leaves[left:])).digest()


def split(size: int) -> int:
    left = 1
    while left * 2 < size:
        left *= 2
    return left


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    left = split(len(leaves))
    if index < left:
        return [*inclusion(index, leaves[:left]), root(leaves[left:])]
    return [*inclusion(index - left, leaves[left:]), root(leaves[:left])]


def consistency(old: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    left = split(len(leaves))
    if old <= left:
        return [*consistency(old, leaves[:left], whole), root(leaves[left:])]
    return [*consistency(old - left, leaves[left:], False), root(leaves[:left])]


def sign(leaves: Sequence[bytes], signer: Ed25519PrivateKey = SIGNER, origin: str = ORIGIN) -> str:
    text = f"{origin}\n{len(leaves)}\n{base64.b64encode(root(leaves)).decode()}\n"
    public = signer.public_key().public_bytes_raw()
    key_id = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    return f"{text}\n\u2014 {origin} {base64.b64encode(key_id + signer.sign(text.encode())).decode()}\n"


def vkey(signer: Ed25519PrivateKey, origin: str = ORIGIN) -> str:
    raw = b"\x01" + signer.public_key().public_bytes_raw()
    key_id = hashlib.sha256(origin.encode() + b"\n" + raw).digest()[:4].hex()
    return f"{origin}+{key_id}+{base64.b64encode(raw).decode()}"


def receipt(index: int, leaves: Sequence[bytes], extra: bytes = b"") -> str:
    lines = ["c2sp.org/tlog-proof@v1", *([f"extra {base64.b64encode(extra).decode()}"] if extra else []), f"index {index}"]
    lines += [base64.b64encode(value).decode() for value in inclusion(index, leaves)]
    return "\n".join(lines) + "\n\n" + sign(leaves)


def write(folder: Path, entries: Sequence[bytes]) -> Path:
    """checkpoint and tiles of a log of `entries` in `folder`."""
    leaves = [hash_leaf(entry) for entry in entries]
    bundles = [len(entry).to_bytes(2, "big") + entry for entry in entries]
    level, hashes = 0, leaves
    while hashes:
        for number in range(-(-len(hashes) // 256)):
            part = hashes[number * 256 : (number + 1) * 256]
            put(folder, f"tile/{level}", number, len(part), b"".join(part))
            if level == 0:
                put(folder, "tile/entries", number, len(part), b"".join(bundles[number * 256 : (number + 1) * 256]))
        hashes = [root(hashes[number * 256 : (number + 1) * 256]) for number in range(len(hashes) // 256)]
        level += 1
    (folder / "checkpoint").write_text(sign(leaves), encoding="utf-8")
    return folder


def put(folder: Path, kind: str, number: int, width: int, data: bytes) -> None:
    name = f"{number % 1000:03d}"
    assert number < 1000
    path = folder / kind / (name if width == 256 else f"{name}.p/{width}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
