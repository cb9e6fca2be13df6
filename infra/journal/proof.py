"""Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2; verification by RFC 9162) and the receipt that carries one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from infra.journal.leaf import EMPTY_ROOT, HASH_BYTES, node_hash
from infra.journal.tree import JournalError, ReadTile, range_root, split_point

HEADER = "c2sp.org/tlog-proof@v1"


def inclusion(index: int, size: int, read: ReadTile) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise JournalError("index_outside", f"{index} is not below {size}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + split_point(end - start)
        if index < middle:
            path.append(range_root(middle, end, read))
            end = middle
        else:
            path.append(range_root(start, middle, read))
            start = middle
    return path[::-1]


def consistency(old: int, new: int, read: ReadTile) -> list[bytes]:
    """The hashes that show the first `old` of `new` leaves to be what they were."""
    if not 0 <= old <= new:
        raise JournalError("size_outside", f"{old} is above {new}")
    if old in (0, new):
        return []
    start, end, path = 0, new, []
    whole = True  # the old tree is exactly [0, end): its root is known to the verifier
    while old != end:
        middle = start + split_point(end - start)
        if old <= middle:
            path.append(range_root(middle, end, read))
            end = middle
        else:
            path.append(range_root(start, middle, read))
            start, whole = middle, False
    if not whole:
        path.append(range_root(start, end, read))
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that this path implies. JournalError when the path has the wrong length."""
    if not 0 <= index < size:
        raise JournalError("index_outside", f"{index} is not below {size}")
    at, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise JournalError("proof_malformed", "the path is too long")
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise JournalError("proof_malformed", "the path is too short")
    return result


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """JournalError unless the leaf stands at `index` of the tree with this size and root."""
    if root_from_inclusion(index, size, leaf, path) != root:
        raise JournalError("proof_fails", f"leaf {index} is not in the tree of size {size}")


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """JournalError unless the tree (new, new_root) begins with the tree (old, old_root)."""
    if not 0 <= old <= new:
        raise JournalError("size_outside", f"{old} is above {new}")
    if old in (0, new):
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise JournalError("proof_fails", f"trees of size {old} and {new} do not agree")
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        raise JournalError("proof_malformed", "the path is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = hashes[0]
    for value in hashes[1:]:
        if last == 0:
            raise JournalError("proof_malformed", "the path is too long")
        if at & 1 or at == last:
            before, after = node_hash(value, before), node_hash(value, after)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, value)
        at, last = at >> 1, last >> 1
    if last or before != old_root or after != new_root:
        raise JournalError("proof_fails", f"the tree of size {new} does not begin with that of size {old}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A `.tlog-proof`: where the entry stands, the path to the root, and the signed checkpoint with that root."""

    index: int
    path: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    def encode(self) -> str:
        extra = f"extra {base64.b64encode(self.extra).decode()}\n" if self.extra else ""
        hashes = "".join(f"{base64.b64encode(value).decode()}\n" for value in self.path)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.note}"

    @classmethod
    def decode(cls, text: str) -> Receipt:
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        extra = b""
        if len(lines) > 1 and lines[1].startswith("extra "):
            try:
                extra = base64.b64decode(lines.pop(1).removeprefix("extra "), validate=True)
            except (binascii.Error, ValueError) as error:
                raise JournalError("receipt_malformed", "the extra line is not base64") from error
        if not separator or len(lines) < 2 or lines[0] != HEADER or len(lines) > 65:
            raise JournalError("receipt_malformed", "not a tlog-proof")
        word, _, number = lines[1].partition(" ")
        if word != "index" or not (number.isascii() and number.isdigit()) or (number != "0" and number.startswith("0")):
            raise JournalError("receipt_malformed", "no index line")
        return cls(int(number), tuple(decode_hash(line) for line in lines[2:]), note, extra)


def decode_hash(line: str) -> bytes:
    """32 bytes from one line of base64. JournalError for anything else, other spellings of the same bytes included."""
    try:
        value = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise JournalError("hash_malformed", "not base64") from error
    if len(value) != HASH_BYTES or base64.b64encode(value).decode() != line:
        raise JournalError("hash_malformed", "not a hash in canonical base64")
    return value
