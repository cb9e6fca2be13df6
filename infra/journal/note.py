"""Signed notes (C2SP signed-note): a text and lines of signatures by named keys.

Kinds of key: Ed25519 over the text itself (0x01); SM2 likewise (0xff, the type for private use, told from others by `SM2_MARK` before the
public key); and a witness's over time and checkpoint (tlog-cosignature), Ed25519 (0x04) or ML-DSA-44 (0x06, FIPS 204). Lines by other keys
are ignored, as the format demands; a failing line by a known key rejects the whole note.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from infra.crypto.sm2 import Sm2PrivateKey, sm2_verify
from infra.journal.tree import JournalError

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA_COSIGNATURE = 0x06
SM2_LINE = 0xFF
SM2_MARK = b"yunei/sm2:"
PUBLIC_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA_COSIGNATURE: 1312, SM2_LINE: len(SM2_MARK) + 64}
SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 8 + 64, ML_DSA_COSIGNATURE: 8 + 2420, SM2_LINE: 64}  # a cosignature begins with its time
_LINE = re.compile(r"\u2014 (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/=]+)")
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key one trusts, by name. As text (vkey): `name+hex8(key id)+base64(type ‖ public key)`."""

    name: str
    kind: int
    public_key: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public_key).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        parts = text.strip().split("+", 2)
        try:
            name, key_id, encoded = parts
            data = base64.b64decode(encoded, validate=True)
            key = cls(name, data[0], data[1:])
            marked = key.kind != SM2_LINE or key.public_key.startswith(SM2_MARK)
            well_formed = (
                marked and _NAME.fullmatch(name) and bytes.fromhex(key_id) == key.id and len(key.public_key) == PUBLIC_BYTES.get(key.kind)
            )
        except (ValueError, IndexError) as error:
            raise JournalError("key_malformed", "not a verifier key") from error
        if not well_formed:
            raise JournalError("key_malformed", "not a verifier key of a known kind, or its id does not match")
        return key

    def verify(self, text: str, signature: bytes) -> None:
        """JournalError unless `signature` (without the key id) is this key's over `text`."""
        if len(signature) != SIGNATURE_BYTES[self.kind]:
            raise JournalError("signature_fails", f"signature of {self.name} has {len(signature)} bytes")
        try:
            if self.kind == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
            elif self.kind == SM2_LINE:
                if not sm2_verify(self.public_key.removeprefix(SM2_MARK), text.encode(), signature):
                    raise InvalidSignature
            elif self.kind == COSIGNATURE:
                message = cosigned(self, text, int.from_bytes(signature[:8], "big"))
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature[8:], message)
            else:
                message = cosigned(self, text, int.from_bytes(signature[:8], "big"))
                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature[8:], message)
        except InvalidSignature as error:
            raise JournalError("signature_fails", f"signature of {self.name} does not match") from error


def cosigned(key: VerifierKey, text: str, unix_time: int) -> bytes:
    """The bytes a witness signs over a checkpoint's text. JournalError when the text is no checkpoint and the kind needs one."""
    if key.kind == COSIGNATURE:
        return f"cosignature/v1\ntime {unix_time}\n{text}".encode()
    try:
        origin, size, root, end = text.split("\n")
        tree = struct.pack(">QQ", 0, int(size)) + base64.b64decode(root, validate=True)
        names = [bytes([len(name)]) + name for name in (key.name.encode(), origin.encode())]
    except (ValueError, struct.error) as error:
        raise JournalError("checkpoint_malformed", "only a checkpoint of three lines can be cosigned") from error
    if end or len(tree) != 16 + 32:
        raise JournalError("checkpoint_malformed", "only a checkpoint of three lines can be cosigned")
    return b"subtree/v1\n\x00" + names[0] + struct.pack(">Q", unix_time) + names[1] + tree


class Signer:
    """A named key of one of the kinds. The private key is not shown by repr."""

    def __init__(self, name: str, key: Ed25519PrivateKey | MLDSA44PrivateKey | Sm2PrivateKey, kind: int = ED25519) -> None:
        if not _NAME.fullmatch(name):
            raise JournalError("key_malformed", "a key name has no space and no plus")
        if isinstance(key, MLDSA44PrivateKey) != (kind == ML_DSA_COSIGNATURE) or isinstance(key, Sm2PrivateKey) != (kind == SM2_LINE):
            raise JournalError("key_malformed", "the key is not of its kind")
        public = SM2_MARK + key.public_bytes() if isinstance(key, Sm2PrivateKey) else key.public_key().public_bytes_raw()
        self.key = VerifierKey(name, kind, public)
        self._private = key

    def __repr__(self) -> str:
        return f"Signer({self.key})"

    def line(self, text: str) -> str:
        """The signature line of a plain key over `text`, which ends in a newline."""
        if self.key.kind not in (ED25519, SM2_LINE) or not text.endswith("\n"):
            raise JournalError("note_malformed", "a plain key signs a text that ends in a newline")
        return self._line(self._private.sign(text.encode()))

    def sign(self, message: bytes) -> bytes:
        """A plain key's signature over other bytes than a note's. What they are must be told by their beginning."""
        if self.key.kind not in (ED25519, SM2_LINE):
            raise JournalError("note_malformed", "a cosigning key signs checkpoints alone")
        return self._private.sign(message)

    def cosign(self, text: str, unix_time: int) -> str:
        """The cosignature line of a witness that saw `text` at `unix_time` (seconds)."""
        if self.key.kind in (ED25519, SM2_LINE) or not text.endswith("\n"):
            raise JournalError("note_malformed", "a cosigning key signs a text that ends in a newline")
        return self._line(unix_time.to_bytes(8, "big") + self._private.sign(cosigned(self.key, text, unix_time)))

    def _line(self, signature: bytes) -> str:
        return f"\u2014 {self.key.name} {base64.b64encode(self.key.id + signature).decode()}\n"


def sign_note(text: str, *signers: Signer) -> str:
    return f"{text}\n{''.join(signer.line(text) for signer in signers)}"


def add_lines(note: str, lines: Iterable[str]) -> str:
    """The note with further signature lines, those it has already left out."""
    have = set(split_note(note)[1].splitlines(keepends=True))
    return note + "".join(line for line in dict.fromkeys(lines) if line not in have)


def split_note(note: str) -> tuple[str, str]:
    """Text (with its final newline) and signature lines, split at the last blank line, nothing verified."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise JournalError("note_malformed", "no signatures after a blank line")
    return text + "\n", signatures


def open_note(note: str, keys: Sequence[VerifierKey]) -> tuple[str, tuple[VerifierKey, ...]]:
    """The text and which of `keys` signed it, at least one. JournalError when none did, or a known key's signature fails."""
    text, signatures = split_note(note)
    known = {(key.name, key.id): key for key in keys}
    signed: dict[VerifierKey, None] = {}
    for line in signatures.removesuffix("\n").split("\n"):
        match = _LINE.fullmatch(line)
        try:
            data = base64.b64decode(match["signature"], validate=True) if match else b""
        except binascii.Error as error:
            raise JournalError("note_malformed", "a signature is not base64") from error
        if match is None or len(data) < 5:
            raise JournalError("note_malformed", "a signature line is not one")
        key = known.get((match["name"], data[:4]))
        if key is not None:
            key.verify(text, data[4:])
            signed[key] = None
    if not signed:
        raise JournalError("signature_missing", "no trusted key signed this")
    return text, tuple(signed)
