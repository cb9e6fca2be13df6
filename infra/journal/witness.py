"""The witness protocol (C2SP tlog-witness): what a log sends, what a witness may answer. Bytes in, bytes out.

A witness keeps one thing per log, the newest tree it cosigned, and cosigns another only if that one begins with it. So whoever holds two
cosigned checkpoints of one log knows that the smaller is the beginning of the larger.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import EMPTY_ROOT
from infra.journal.note import ED25519, VerifierKey
from infra.journal.proof import decode_hash, verify_consistency
from infra.journal.tree import JournalError

BODY_LIMIT = 64 * 1024
PROOF_LIMIT = 63
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """Where a witness is asked, and the keys its cosignatures must be under. As a setting: `URL VKEY [VKEY]`."""

    url: str
    keys: tuple[VerifierKey, ...]

    @classmethod
    def parse(cls, text: str) -> WitnessAddress:
        """ValueError for anything else."""
        url, *vkeys = text.split() or [""]
        try:
            keys = tuple(VerifierKey.parse(vkey) for vkey in vkeys)
        except JournalError as error:
            raise ValueError(f"{url}: {error.detail}") from error
        if not url.startswith(("http://", "https://")) or not keys or any(key.kind == ED25519 for key in keys):
            raise ValueError("a witness is an address and one or more cosigning keys: URL VKEY [VKEY]")
        return cls(url.rstrip("/"), keys)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """The body of `POST /add-checkpoint`: the size the log believes this witness cosigned last, the proof from there, the signed note."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def encode(self) -> bytes:
        hashes = "".join(f"{base64.b64encode(value).decode()}\n" for value in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()

    @classmethod
    def decode(cls, body: bytes) -> AddCheckpoint:
        """JournalError for anything but this form."""
        try:
            head, separator, note = body.decode().partition("\n\n")
        except UnicodeDecodeError as error:
            raise JournalError("request_malformed", "not UTF-8") from error
        first, *lines = head.split("\n")
        word, _, number = first.partition(" ")
        if not separator or word != "old" or len(lines) > PROOF_LIMIT:
            raise JournalError("request_malformed", "no line of the old size, or a proof too long")
        if not (number.isascii() and number.isdigit()) or len(number) > 19 or number != str(int(number)):
            raise JournalError("request_malformed", "the old size is not a number")
        return cls(int(number), tuple(decode_hash(line) for line in lines), note)


class Refused(Exception):
    """The witness does not cosign. `status` as the protocol has it; `size`, with 409: what it cosigned last."""

    def __init__(self, status: int, reason: str, size: int | None = None) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.size = size


def claimed(body: bytes) -> tuple[AddCheckpoint, Checkpoint]:
    """What a request asks for, nothing verified. Refused 400."""
    try:
        request = AddCheckpoint.decode(body)
        return request, Checkpoint.peek(request.note)
    except JournalError as error:
        raise Refused(400, error.code) from error


def judge(request: AddCheckpoint, keys: Sequence[VerifierKey], last: tuple[int, bytes]) -> Checkpoint:
    """The checkpoint to cosign, given the keys trusted for its origin and size and root cosigned last ((0, empty root) before the first).
    Refused 403, 400, 409 or 422 in this order, as the protocol has it."""
    try:
        checkpoint = Checkpoint.open(request.note, keys)
    except JournalError as error:
        raise Refused(403, error.code) from error
    size, root = last
    if request.old > checkpoint.size:
        raise Refused(400, "the old size is above the checkpoint's")
    if request.old != size:
        raise Refused(409, "another size was cosigned last", size)
    if 0 < request.old == checkpoint.size and checkpoint.root != root:
        raise Refused(409, "another tree of this size was cosigned", size)
    try:
        verify_consistency(request.old, checkpoint.size, request.proof, root, checkpoint.root)
    except JournalError as error:
        raise Refused(422, error.code) from error
    return checkpoint


NOTHING: tuple[int, bytes] = (0, EMPTY_ROOT)
