"""Checkpoints (C2SP tlog-checkpoint): origin, size and root of the tree, signed as a note."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from infra.journal.note import Signer, VerifierKey, open_note, sign_note, split_note
from infra.journal.proof import decode_hash
from infra.journal.tree import JournalError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, *signers: Signer) -> str:
        return sign_note(self.text, *signers)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:  # this log never writes extension lines
            raise JournalError("checkpoint_malformed", "a checkpoint is three lines")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or (size != "0" and size.startswith("0")):
            raise JournalError("checkpoint_malformed", "the size is not a number")
        return cls(origin, int(size), decode_hash(root))

    @classmethod
    def peek(cls, note: str) -> Checkpoint:
        """What a note claims, signatures unchecked."""
        return cls.parse(split_note(note)[0])

    @classmethod
    def open(cls, note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
        """A checkpoint its own log signed: a trusted plain key named as the origin must be among the signers."""
        text, signed = open_note(note, keys)
        checkpoint = cls.parse(text)
        if all(key.name != checkpoint.origin for key in signed):
            raise JournalError("signature_missing", f"the log {checkpoint.origin} did not sign its checkpoint")
        return checkpoint
