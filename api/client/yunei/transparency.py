"""The evidence of a log, checked offline: signed checkpoints, inclusion and consistency proofs, receipts. Bytes in, verdict out.

Formats are C2SP's signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles and tlog-proof; hashes are RFC 6962's. Only hashlib and
`cryptography` are needed, no network and no server. Parsing is strict: a byte that changes nothing in meaning still makes a text not
verify, so that two different files are never the same evidence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from yunei.problem import problem

HASH_BYTES = 32
TILE_WIDTH = 256
MAX_SIZE = 2**63 - 1
MAX_NOTE_BYTES = 1 << 20
ED25519, COSIGNATURE, ML_DSA_COSIGNATURE = 0x01, 0x04, 0x06
SM2, SM2_MARK = 0xFF, b"yunei/sm2:"  # the type for private use, and what tells ours from others'
RECEIPT_HEADER = "c2sp.org/tlog-proof@v1"
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def unbase64(text: str) -> bytes | None:
    """Standard base64 in its one canonical spelling, else None."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def natural(text: str) -> int | None:
    """A number in its one decimal spelling, at most 2**63 - 1, else None."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or text != str(int(text)) or int(text) > MAX_SIZE:
        return None
    return int(text)


# --- keys and notes ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier key: `name+hex(id)+base64(type ‖ public key)`."""

    name: str
    id: bytes
    type: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Key:
        """Raises `verify_key` unless the id is the one its name and key give."""
        name, _, rest = text.strip().partition("+")
        id_hex, _, encoded = rest.partition("+")
        raw = unbase64(encoded)
        if not _is_key_name(name) or not raw or len(raw) < 2:
            raise problem("verify_key", key=text.strip()[:80])
        key = cls(name, hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4], raw[0], raw[1:])
        if id_hex != key.id.hex():
            raise problem("verify_key", key=text.strip()[:80])
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.type]) + self.public).decode()}"

    def holds(self, signature: bytes, text: str) -> bool:
        """Whether `signature` (what follows the key id in a note's line) is this key's over a checkpoint's `text`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            if self.type == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
            elif self.type == COSIGNATURE and len(signature) == 72:
                time = struct.unpack(">Q", signature[:8])[0]
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature[8:], f"cosignature/v1\ntime {time}\n{text}".encode())
            elif self.type == ML_DSA_COSIGNATURE and len(signature) == 8 + 2420:
                from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

                checkpoint = Checkpoint.parse(text)
                name, origin = self.name.encode(), checkpoint.origin.encode()
                message = b"subtree/v1\n\x00" + bytes([len(name)]) + name + signature[:8] + bytes([len(origin)]) + origin
                message += struct.pack(">QQ", 0, checkpoint.size) + checkpoint.root
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature[8:], message)
            elif self.type == SM2 and self.readable:
                return _sm2_holds(self.public.removeprefix(SM2_MARK), text.encode(), signature)
            else:
                return False
        except (InvalidSignature, ValueError):
            return False
        return True

    @property
    def readable(self) -> bool:
        """Whether this installation can check signatures of the kind: SM2 needs the package gmalg (`yunei-client[gm]`)."""
        return self.type != SM2 or (self.public.startswith(SM2_MARK) and importlib.util.find_spec("gmalg") is not None)


def _sm2_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """GB/T 32918.2 under the default identifier of GM/T 0009."""
    import gmalg

    if len(public) != 64 or len(signature) != 64:
        return False
    try:
        verifier = gmalg.SM2(uid=b"1234567812345678", pk=b"\x04" + public)
        return bool(verifier.verify_pk(b"\x04" + public) and verifier.verify(message, signature[:32], signature[32:]))
    except Exception:  # gmalg has many errors for many malformed things; each of them means no
        return False


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def split_note(note: str) -> tuple[str, tuple[tuple[str, bytes, bytes], ...]]:
    """The signed text (with its final newline) and the signature lines as (name, key id, signature). Raises `verify_note`."""
    if len(note) > MAX_NOTE_BYTES or any(ord(character) < 32 and character != "\n" for character in note):
        raise problem("verify_note", why="control characters or too long")
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise problem("verify_note", why="no blank line before the signatures, or the last line has no end")
    signatures = []
    for line in tail[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        raw = unbase64(encoded)
        if dash != "\u2014" or not _is_key_name(name) or raw is None or len(raw) < 5:
            raise problem("verify_note", why="a line among the signatures is not one")
        signatures.append((name, raw[:4], raw[4:]))
    if len(signatures) > 100:
        raise problem("verify_note", why="more than 100 signatures")
    return text + "\n", tuple(signatures)


def open_note(note: str, keys: Iterable[Key]) -> tuple[str, tuple[Key, ...]]:
    """The text and which of `keys` signed it, at least one. A failing signature under a known key condemns the note; unknown keys are
    passed over, as the format demands. Raises `verify_note`, `verify_signature`."""
    text, signatures = split_note(note)
    known = {(key.name, key.id): key for key in keys}
    signers: dict[tuple[str, bytes], Key] = {}
    for name, id_, signature in signatures:
        key = known.get((name, id_))
        if key is None:
            continue
        if not key.holds(signature, text):
            raise problem("verify_signature", name=name)
        signers[name, id_] = key
    if not signers:
        raise problem("verify_signature", name=", ".join(sorted({key.name for key in known.values()})))
    return text, tuple(signers.values())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size (entries) and Merkle root (32 bytes) under its origin; `note` is the signed text it was read from, "" if unsigned."""

    origin: str
    size: int
    root: bytes
    note: str = ""

    @classmethod
    def parse(cls, text: str, note: str = "") -> Checkpoint:
        """From `origin\\nsize\\nbase64(root)\\n`, nothing more. Raises `verify_note`."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise problem("verify_note", why="a checkpoint has three lines: origin, size, root")
        size, root = natural(lines[1]), unbase64(lines[2])
        if size is None or root is None or len(root) != HASH_BYTES:
            raise problem("verify_note", why="size or root of the checkpoint is malformed")
        if size == 0 and root != EMPTY_ROOT:
            raise problem("verify_note", why="an empty log has one root only")
        return cls(lines[0], size, root, note)


def open_checkpoint(note: str, key: Key, witnesses: Sequence[Key] = ()) -> Checkpoint:
    """A checkpoint signed by its log and by every one of `witnesses`. Raises `verify_note`, `verify_signature`, `verify_origin`."""
    text, signers = open_note(note, (key, *witnesses))
    for wanted in (key, *witnesses):
        if wanted not in signers:
            raise problem("verify_signature", name=wanted.name)
    checkpoint = Checkpoint.parse(text, note)
    if checkpoint.origin != key.name:
        raise problem("verify_origin", wanted=key.name, got=checkpoint.origin)
    return checkpoint


def signer_of(note: str, keys: Sequence[Key]) -> Key:
    """Which of a log's successive keys to read a note by: the first with a line in it, else the first. Nothing is verified here."""
    lines = {(name, id_) for name, id_, _ in split_note(note)[1]}
    return next((key for key in keys if (key.name, key.id) in lines), keys[0])


# --- the tree ------------------------------------------------------------------------------------------------------------------------


class Accumulator:
    """The root of a growing log in O(log n) memory: one hash per perfect subtree, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return fold_peaks(self.peaks)


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees of falling size."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root that `proof` gives for `leaf` at `index` in a tree of `size`, or None when it has the wrong shape (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def check_inclusion(index: int, leaf: bytes, proof: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Raises `verify_inclusion` unless `leaf` is entry `index` of the log that `checkpoint` states."""
    if root_from_inclusion(index, checkpoint.size, leaf, proof) != checkpoint.root:
        raise problem("verify_inclusion", index=index)


def is_consistent(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the log at `new` begins with the log at `old` (RFC 9162, 2.1.4.2)."""
    if old.size == new.size:
        return not proof and old.root == new.root
    if old.size > new.size:
        return False
    if old.size == 0:
        return not proof and old.root == EMPTY_ROOT
    path = list(proof)
    if old.size & (old.size - 1) == 0:
        path.insert(0, old.root)
    if not path:
        return False
    node, last = old.size - 1, new.size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new_root = node_hash(new_root, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_root == old.root and new_root == new.root


def check_consistency(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises `verify_origin` or `verify_fork` unless `new` extends `old`."""
    if old.origin != new.origin:
        raise problem("verify_origin", wanted=old.origin, got=new.origin)
    if not is_consistent(old, new, proof):
        raise problem("verify_fork", old=old.size, new=new.size)


Subtree = Callable[[int, int], bytes]  # (level, index) -> hash of the perfect subtree over leaves [index << level, (index + 1) << level)


def prove_consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """The consistency proof between two sizes of one log, built from hashes of perfect subtrees (RFC 9162, 2.1.4.1)."""
    if not 0 <= old <= new:
        raise ValueError(f"no proof leads from {old} to {new}")
    return [] if old in (0, new) else _consistency(old, 0, new, True, subtree)


def prove_inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The inclusion proof of entry `index` in a log of `size`, leaf to root."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a log of {size}")
    return _inclusion(index, 0, size, subtree)


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _range_root(first: int, size: int, subtree: Subtree) -> bytes:
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return subtree(level, first >> level)
    left = _split(size)
    return node_hash(_range_root(first, left, subtree), _range_root(first + left, size - left, subtree))


def _inclusion(index: int, first: int, size: int, subtree: Subtree) -> list[bytes]:
    if size == 1:
        return []
    left = _split(size)
    if index < left:
        return [*_inclusion(index, first, left, subtree), _range_root(first + left, size - left, subtree)]
    return [*_inclusion(index - left, first + left, size - left, subtree), _range_root(first, left, subtree)]


def _consistency(old: int, first: int, size: int, whole: bool, subtree: Subtree) -> list[bytes]:
    if old == size:
        return [] if whole else [_range_root(first, size, subtree)]
    left = _split(size)
    if old <= left:
        return [*_consistency(old, first, left, whole, subtree), _range_root(first + left, size - left, subtree)]
    return [*_consistency(old - left, first + left, size - left, False, subtree), _range_root(first, left, subtree)]


# --- receipts ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """A tlog-proof: entry `index` is in the log of the checkpoint `note`. `extra` is whatever its maker added, b"" if nothing."""

    index: int
    proof: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Raises `verify_receipt`."""
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines.pop(0) != RECEIPT_HEADER:
            raise problem("verify_receipt", why=f"it does not begin with {RECEIPT_HEADER}")
        extra: bytes | None = b""
        if lines and lines[0].startswith("extra "):
            extra = unbase64(lines.pop(0).removeprefix("extra "))
        index = natural(lines.pop(0).removeprefix("index ")) if lines and lines[0].startswith("index ") else None
        if extra is None or index is None:
            raise problem("verify_receipt", why="its index or extra line is malformed")
        hashes = [unbase64(line) for line in lines]
        if len(hashes) > 63 or any(value is None or len(value) != HASH_BYTES for value in hashes):
            raise problem("verify_receipt", why="a line of its proof is not a hash")
        return cls(index, tuple(value for value in hashes if value is not None), note, extra)

    def open(self, key: Key, witnesses: Sequence[Key] = ()) -> Checkpoint:
        """The checkpoint the receipt was made under. Raises `verify_*`; whether the entry stands in it, `check` says."""
        checkpoint = open_checkpoint(self.note, key, witnesses)
        if self.index >= checkpoint.size:
            raise problem("verify_inclusion", index=self.index)
        return checkpoint

    def check(self, entry: bytes, checkpoint: Checkpoint) -> None:
        """Raises `verify_inclusion` unless `entry` stands at this index of the log."""
        check_inclusion(self.index, leaf_hash(entry), self.proof, checkpoint)

    def verify(self, entry: bytes, key: Key, witnesses: Sequence[Key] = ()) -> Checkpoint:
        """Both: the signed checkpoint under which `entry` stands in the log. Raises `verify_*`."""
        checkpoint = self.open(key, witnesses)
        self.check(entry, checkpoint)
        return checkpoint
