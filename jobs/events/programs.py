"""Events in the life of a program of the algorithm registry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.events.parts import Digest, Event, Text
from policies.licence import Identifier


class ProgramSubmitted(Event):
    """`program` is the digest of the package's content, however it was packed; `document` its source with the manifest, kept beside the log."""

    kind = "program_submitted"
    program: Digest
    name: Identifier
    version: Identifier
    document: Digest


class ProgramReviewed(Event):
    """One reviewer's verdict; never the author's own. One rejection rejects."""

    kind = "program_reviewed"
    program: Digest
    verdict: Literal["approve", "reject"]
    reason: Text


class ProgramApproved(Event):
    """Two reviewers agreed: this digest may be run. `reviews` are their entries; `supersedes` the author's version approved before;
    `libraries` the digest of the locked library set that they were shown."""

    kind = "program_approved"
    program: Digest
    reviews: tuple[int, int] = Field(description="entries of the two approvals")
    supersedes: Digest | None = None
    libraries: Digest | None = None


class ProgramWithdrawn(Event):
    """By its author."""

    kind = "program_withdrawn"
    program: Digest
    reason: Text


class ProgramInvalidated(Event):
    """By a supervisor: an approved program that must not run any more."""

    kind = "program_invalidated"
    program: Digest
    reason: Text


class CellsProbed(Event):
    """The cells attacked themselves: `missing` are safeguards that did not hold, `accepted` those among them that the administrator does
    without. With others missing, programs are given no rows. Logged at start and whenever another probe finds something else."""

    kind = "cells_probed"
    backend: Text
    missing: tuple[Text, ...] = Field(max_length=100)
    accepted: tuple[Text, ...] = Field(max_length=100)
    libraries: Digest
