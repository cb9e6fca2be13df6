"""Where an audit begins: checkpoints under keys that are trusted, or that follow from trusted ones by what those have signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.journal.checkpoint import Checkpoint
from infra.journal.files import LogFiles
from infra.journal.note import VerifierKey, open_note
from infra.journal.tree import JournalError
from jobs import findings as found
from jobs.log_keys import followed
from policies.problem import Problem


class Untrusted(Exception):
    """Nothing can be trusted; `finding` says why."""

    def __init__(self, finding: Problem) -> None:
        super().__init__(finding.code)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Signed:
    """The log's checkpoint, those it must extend (one remembered, and those by which its key follows from a trusted one), and the keys on
    it."""

    now: Checkpoint
    older: list[Checkpoint]
    signers: tuple[str, ...]


def checkpoints(files: LogFiles, vkeys: Sequence[str], remembered: str | None) -> Signed:
    """Signatures checked, sizes too. Raises Untrusted."""
    keys = []
    for vkey in vkeys:
        try:
            keys.append(VerifierKey.parse(vkey))
        except JournalError as error:
            raise Untrusted(found.CHECKPOINT(which="vkey", reason=error.code)) from error
    try:
        keys, older = followed(files, keys)
    except (JournalError, UnicodeDecodeError, OSError) as error:
        raise Untrusted(found.CHECKPOINT(which="keys", reason=error.code if isinstance(error, JournalError) else "unreadable")) from error
    try:
        note = files.checkpoint()
    except (OSError, UnicodeDecodeError):
        note = ""
    if note is None:
        raise Untrusted(found.CHECKPOINT(which="checkpoint", reason="checkpoint_missing"))
    now = _opened("checkpoint", note, keys)
    older += [] if remembered is None else [_opened("remembered", remembered, keys)]
    for each in older:
        if each.origin != now.origin or each.size > now.size:
            raise Untrusted(found.TRUNCATED(size=now.size, remembered=each.size))
    return Signed(now, older, tuple(str(key) for key in open_note(note, keys)[1]))


def _opened(which: str, note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    try:
        return Checkpoint.open(note, keys)
    except JournalError as error:
        raise Untrusted(found.CHECKPOINT(which=which, reason=error.code)) from error
