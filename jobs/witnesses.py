"""Asking witnesses to cosign: in the background, on a schedule and on demand. A witness that is away delays nobody.

A witness that answers, but has seen another history of this log or a longer one, is another matter: then this register was rolled back or
forked, and it takes no new work until a person has looked. Cosignatures are appended to the checkpoint they are over; the newest checkpoint
that has any is also kept as the file `witnessed`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import structlog

from infra.journal.checkpoint import Checkpoint
from infra.journal.note import VerifierKey, open_note, split_note
from infra.journal.tree import JournalError
from infra.journal.witness import SIZE_TYPE, AddCheckpoint, WitnessAddress
from infra.post import post
from infra.rounds import Rounds

State = Literal["cosigned", "away", "refused", "overtaken", "contradicted"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one witness did. `size`: what it says it cosigned last, if it says so."""

    witness: WitnessAddress
    state: State
    detail: str = ""
    lines: tuple[str, ...] = ()
    size: int | None = None


def ask(witness: WitnessAddress, note: str, prove: Callable[[int, int], Sequence[bytes]], *, old: int, timeout_s: float) -> Outcome:
    """Have one witness cosign `note`. `old` is a guess: the witness corrects it. `prove(old, new)`: consistency proofs of this log."""
    checkpoint = Checkpoint.peek(note)
    for _ in range(2):
        try:
            request = AddCheckpoint(old, tuple(prove(old, checkpoint.size)), note)
            answer = post(f"{witness.url}/add-checkpoint", request.encode(), timeout_s=timeout_s)
        except OSError as error:
            return Outcome(witness, "away", type(error).__name__)
        if answer.status == 200:
            return _cosigned(witness, note, answer.body)
        told = answer.body.strip()
        if answer.status == 409 and answer.kind == SIZE_TYPE and told.isdigit() and len(told) < 20:
            size = int(told)
            if size > checkpoint.size:
                return Outcome(witness, "overtaken", "it cosigned more entries", size=size)
            if size == old:
                return Outcome(witness, "contradicted", f"it cosigned another tree of {size} entries", size=size)
            old = size
            continue
        if answer.status == 422:
            return Outcome(witness, "contradicted", f"its tree of {old} entries is not the beginning of this one", size=old)
        return Outcome(witness, "refused", f"status {answer.status}")
    return Outcome(witness, "overtaken", "it is being asked by others at the same time")


def _cosigned(witness: WitnessAddress, note: str, body: bytes) -> Outcome:
    text = split_note(note)[0]
    try:
        lines = body.decode()
        open_note(f"{text}\n{lines}", witness.keys)
    except (UnicodeDecodeError, JournalError):
        return Outcome(witness, "refused", "its cosignature does not verify")
    known = {(key.name, key.id) for key in witness.keys}
    kept = [line for line in lines.splitlines(keepends=True) if _whose(text, line, witness.keys) in known]
    return Outcome(witness, "cosigned", lines=tuple(kept), size=Checkpoint.peek(note).size)


def _whose(text: str, line: str, keys: Sequence[VerifierKey]) -> tuple[str, bytes] | None:
    try:
        signed = open_note(f"{text}\n{line}", keys)[1]
    except JournalError:  # a line under a key we were not told of
        return None
    return signed[0].name, signed[0].id


class Witnesses(Rounds):
    """One per process. `publish` gives the newest checkpoint, `keep(text, lines)` stores cosignatures, `halt(why)` stops new work."""

    def __init__(
        self,
        witnesses: Sequence[WitnessAddress],
        *,
        publish: Callable[[], str],
        prove: Callable[[int, int], Sequence[bytes]],
        keep: Callable[[str, Sequence[str]], None],
        halt: Callable[[str], None],
        interval_s: float,
        timeout_s: float,
    ) -> None:
        super().__init__("witnesses", interval_s=interval_s, at_once=False)
        self._witnesses = tuple(witnesses)
        self._publish, self._prove, self._keep, self._halt = publish, prove, keep, halt
        self._timeout_s = timeout_s
        self._sizes: dict[str, int] = {}
        self._turn = threading.Lock()
        self._log = structlog.get_logger("witnesses")

    def round(self) -> list[Outcome]:
        """Send the newest checkpoint to every witness that lacks it, all at once; store what they sign."""
        if not self._witnesses:
            return []
        with self._turn:
            note = self._publish()
            checkpoint = Checkpoint.peek(note)
            with ThreadPoolExecutor(len(self._witnesses), thread_name_prefix="witness") as pool:
                outcomes = list(pool.map(lambda witness: self._ask(witness, note), self._witnesses))
            lines = [line for outcome in outcomes for line in outcome.lines]
            if lines:
                self._keep(checkpoint.text, lines)
            return [self._weighed(outcome) for outcome in outcomes]

    def _ask(self, witness: WitnessAddress, note: str) -> Outcome:
        return ask(witness, note, self._prove, old=self._sizes.get(witness.url, 0), timeout_s=self._timeout_s)

    def _weighed(self, outcome: Outcome) -> Outcome:
        url, size = outcome.witness.url, outcome.size
        if outcome.state == "overtaken" and size is not None and size > (own := Checkpoint.peek(self._publish()).size):
            detail = f"it cosigned {size} entries, this log has {own}"
            outcome = Outcome(outcome.witness, "contradicted", detail, size=size)
        if size is not None and outcome.state in ("cosigned", "overtaken"):
            self._sizes[url] = size
        if outcome.state == "contradicted":
            self._log.error("witness_contradicts", url=url, detail=outcome.detail)
            self._halt(f"the witness {outcome.witness.keys[0].name} contradicts this log: {outcome.detail}")
        elif outcome.state != "cosigned":
            self._log.warning("witness_missing", url=url, state=outcome.state, detail=outcome.detail)
        return outcome

    def start(self) -> None:
        """Ask in the background from now on, whenever the log has grown or a witness is behind."""
        if self._witnesses:
            super().start()

    def stop(self, patience_s: float | None = None) -> None:
        super().stop(self._timeout_s + 1 if patience_s is None else patience_s)

    def once(self) -> None:
        """The register's own faults are told where it is used."""
        size = Checkpoint.peek(self._publish()).size
        if any(self._sizes.get(witness.url, -1) < size for witness in self._witnesses):
            self.round()
