"""Which keys sign the log: read from the log itself.

The next key is announced in the log, under the present one; both sign for a while; then the present one retires. Who trusts the first key
follows the chain: `keys/0`, `keys/1`, … beside the log are receipts, each signed by the key it follows, of the entry that announces the
next. Which keys sign a checkpoint follows from the entries below its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from sqlalchemy import Connection, select

from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.leaf import leaf_hash
from infra.journal.note import VerifierKey
from infra.journal.proof import Receipt, verify_inclusion
from infra.journal.tree import JournalError
from infra.tables import documents, entries
from jobs.events import LogKeyAnnounced, LogKeyRetired, UnreadableEntry, read_entry

KEY_KINDS = (LogKeyAnnounced.kind, LogKeyRetired.kind)


@dataclass(frozen=True, slots=True)
class Succession:
    """One announcement: where it stands, its bytes, the key and the one it follows, and the receipt kept when the older one retired."""

    position: int
    entry: bytes
    vkey: str
    under: str
    document: str | None


def successions(connection: Connection, size: int) -> list[Succession]:
    """Every announcement among the first `size` entries, oldest first."""
    query = select(entries.c.position, entries.c.body).where(entries.c.kind.in_(KEY_KINDS), entries.c.position < size)
    rows = connection.execute(query.order_by(entries.c.position)).all()
    events = [(row.position, bytes(row.body), read_entry(row.position, bytes(row.body)).event) for row in rows]
    retired = {event.vkey: event.document for _, _, event in events if isinstance(event, LogKeyRetired)}
    return [
        Succession(position, body, event.vkey, event.under, retired.get(event.under))
        for position, body, event in events
        if isinstance(event, LogKeyAnnounced)
    ]


def active(chain: list[Succession], first: str) -> list[str]:
    """The keys that sign after `chain`, oldest first; `first` when there is no chain."""
    if not chain:
        return [first]
    keys = [chain[0].under, *(each.vkey for each in chain)]
    gone = {each.under for each in chain if each.document is not None}
    return [key for key in keys if key not in gone]


def followed(files: LogFiles, trusted: Sequence[VerifierKey]) -> tuple[list[VerifierKey], list[Checkpoint]]:
    """The keys that follow from the trusted ones, which stand first, and the checkpoints that prove it: each signed by the key before, over
    the entry that announces the next. Nothing is taken from the folder but what a key trusted by then has signed. JournalError for a
    receipt of such a key that does not hold."""
    keys, proofs = list(trusted), list[Checkpoint]()
    for number in count():
        text = files.succession(number)
        if text is None:
            return keys, proofs
        receipt = Receipt.decode(text)
        try:
            event = read_entry(receipt.index, receipt.extra).event
        except UnreadableEntry as error:
            raise JournalError("receipt_malformed", f"keys/{number} announces no key") from error
        under = next((key for key in keys if isinstance(event, LogKeyAnnounced) and str(key) == event.under), None)
        if under is None or not isinstance(event, LogKeyAnnounced):
            continue  # of a key before those we trust
        checkpoint = Checkpoint.open(receipt.note, [under])
        verify_inclusion(receipt.index, checkpoint.size, leaf_hash(receipt.extra), receipt.path, checkpoint.root)
        following = VerifierKey.parse(event.vkey)
        if following.name != under.name:
            raise JournalError("receipt_malformed", f"keys/{number} announces the key of another log")
        keys += [] if following in keys else [following]
        proofs.append(checkpoint)
    raise AssertionError("counting does not end")


def kept_receipt(connection: Connection, digest: str) -> str | None:
    """The receipt that a retirement names."""
    body = connection.execute(select(documents.c.body).where(documents.c.digest == digest)).scalar_one_or_none()
    return None if body is None else bytes(body).decode()
