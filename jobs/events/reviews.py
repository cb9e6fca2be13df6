"""Events of the human lane: who is on duty, what is held for review, votes, decisions, views, standing approvals.

Nothing exact stands here, nor anything that depends on an exact number before people have decided: a held table is named by the SHA-256 of
its sealed bytes, a vote is two commitments until all votes that decide are in.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from jobs.events.parts import Commitment, Digest, Event, Text
from jobs.events.people import Moment
from policies.catalogue import Model
from policies.licence import Identifier
from policies.review import Reason, Verdict

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]


def day(text: str) -> date:
    return date.fromisoformat(text)


class DutySet(Event):
    """By a supervisor: a reviewer is on duty on these days of China, both included."""

    kind = "duty_set"
    duty: Identifier
    reviewer: Identifier
    since: Day
    until: Day


class DutyEnded(Event):
    """By a supervisor, at once; votes cast before stand."""

    kind = "duty_ended"
    duty: Identifier
    reason: Text


class ConflictDeclared(Event):
    """By the reviewer or a supervisor: the reviewer has nothing to do with this operator's requests from here on."""

    kind = "conflict_declared"
    reviewer: Identifier
    operator: Identifier
    reason: Text


class ConflictLifted(Event):
    """By a supervisor."""

    kind = "conflict_lifted"
    reviewer: Identifier
    operator: Identifier
    reason: Text


class ReleaseHeld(Event):
    """An exact table, sealed, waits for people. `shape` is the digest of its plan without the data's versions, `pack` names the rules that it
    is to be checked by, `sealed_sha256` is of the encrypted bytes."""

    kind = "release_held"
    job: Identifier
    shape: Digest
    pack: Digest
    sealed_sha256: Digest


class ReviewRequested(Event):
    """By the author: tables of one licence, reviewed as one, to be decided by `due_at`. `manifest` commits to what the author says of them."""

    kind = "review_requested"
    review: Identifier
    licence: Identifier
    jobs: tuple[Identifier, ...] = Field(min_length=1, max_length=20)
    manifest: Commitment
    due_at: Moment


class VoteCast(Event):
    """By a reviewer on duty. `verdict` commits to verdict and codes, `reasons` to words that stay with the bureau."""

    kind = "vote_cast"
    review: Identifier
    verdict: Commitment
    reasons: Commitment


class ReviewReferred(Event):
    """The first two votes differ: a third reviewer is asked. What they were stays sealed until that vote is in."""

    kind = "review_referred"
    review: Identifier
    votes: tuple[int, int] = Field(description="entries of the two votes")
    due_at: Moment


class OpenedVote(Model):
    """A vote opened: its entry, what it was, and the salt with which the commitment is recomputed."""

    entry: int = Field(ge=0)
    reviewer: Identifier
    verdict: Verdict
    codes: tuple[Reason, ...] = Field(max_length=12)
    salt: Digest


def vote_content(review: str, vote: OpenedVote) -> bytes:
    """What the commitment of a vote is over: RFC 8785 of review, reviewer, verdict and codes."""
    told = {"review": review, "reviewer": vote.reviewer, "verdict": vote.verdict, "codes": list(vote.codes)}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class ReviewDecided(Event):
    """All votes that decide are in, and open from here on. The outcome follows from them (`policies.review.outcome`)."""

    kind = "review_decided"
    review: Identifier
    outcome: Verdict
    votes: tuple[OpenedVote, ...] = Field(min_length=2, max_length=3)


class ReviewWithdrawn(Event):
    """By the author, before a decision; the tables stay held. By "system" when a table in it was cancelled or its data was."""

    kind = "review_withdrawn"
    review: Identifier


class OutputViewed(Event):
    """Somebody was shown a sealed table: before the first byte was sent. `evidence` commits to what the rules said of it at that time."""

    kind = "output_viewed"
    job: Identifier
    review: Identifier | None = None
    evidence: Commitment


class ReleaseApproved(Event):
    """A held table may go out as these bytes, under a review that decided so, or under a standing approval. The rules ran once more just
    before, against everything released by then: `evidence`."""

    kind = "release_approved"
    job: Identifier
    review: Identifier | None = None
    standing: Identifier | None = None
    pack: Digest
    evidence: Commitment
    table_sha256: Digest


class ReleaseReturned(Event):
    """A held table that people approved, and that may not go out after all: something was released, or stopped, meanwhile. The author may ask
    for another review."""

    kind = "release_returned"
    job: Identifier
    codes: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ...] = Field(min_length=1, max_length=64)


class StandingProposed(Event):
    """By a reviewer on duty: this shape, under this licence and these rules, may go out on new data until `until` (a day of China, included)
    as long as nothing new is found. `review` is the one that let it out before; `known` is the digest of what was found then."""

    kind = "standing_proposed"
    standing: Identifier
    licence: Identifier
    review: Identifier
    job: Identifier
    shape: Digest
    pack: Digest
    mends: Digest
    known: Commitment
    until: Day


class StandingConfirmed(Event):
    """By a second reviewer on duty, naming the first one's entry."""

    kind = "standing_confirmed"
    standing: Identifier
    proposal: int = Field(ge=0)


class StandingEnded(Event):
    """By any reviewer on duty or a supervisor: stopping takes one."""

    kind = "standing_ended"
    standing: Identifier
    reason: Text
