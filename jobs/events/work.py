"""Events in the life of a job, up to its answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.events.parts import ENTRY_LIMIT as ENTRY_LIMIT
from jobs.events.parts import AccountId as AccountId
from jobs.events.parts import AccountKind as AccountKind
from jobs.events.parts import Amount as Amount
from jobs.events.parts import Code as Code
from jobs.events.parts import Commitment as Commitment
from jobs.events.parts import Cost as Cost
from jobs.events.parts import Digest as Digest
from jobs.events.parts import Event as Event
from jobs.events.parts import Text as Text
from policies.licence import Identifier, JobKind


class JobSubmitted(Event):
    """`request` commits to the whole request, SQL included; `idempotency` is a digest over caller and their Idempotency-Key."""

    kind = "job_submitted"
    job: Identifier
    operator: Identifier
    licence: Identifier
    scenario: Identifier
    job_kind: JobKind = "sql"
    request: Commitment
    idempotency: Digest | None = None


class JobAttached(Event):
    """A job that asks the same question is under way: this one waits for its answer, free. `follows` is that job."""

    kind = "job_attached"
    job: Identifier
    follows: Identifier
    plan_digest: Digest
    question: Digest


class JobAdmitted(Event):
    """`question` identifies the answer (see `question_digest`); `slot_ms` is the public slot, chosen before the run."""

    kind = "job_admitted"
    job: Identifier
    plan_digest: Digest
    question: Digest
    cost: Cost
    policy_digest: Digest | None = None
    slot_ms: int = Field(default=0, ge=0, le=10**12)


class JobRefused(Event):
    """`job` None: refused before it had an id. `codes` are problem codes, `rules` the ids of broken rules of the policy named. A `charge`
    still only reserved is given back with it."""

    kind = "job_refused"
    job: Identifier | None = None
    operator: Identifier | None = None
    codes: tuple[Code, ...] = Field(min_length=1, max_length=64)
    rules: tuple[Code, ...] = Field(default=(), max_length=64)
    policy_digest: Digest | None = None
    charge: Identifier | None = None


class JobCancelled(Event):
    """A `charge` only reserved is given back; one already reading or spent is forfeited."""

    kind = "job_cancelled"
    job: Identifier
    charge: Identifier | None = None


class JobReading(Event):
    """From here on giving up costs the budget. The charge moves with the job: reserved → reading."""

    kind = "job_reading"
    job: Identifier
    charge: Identifier


class JobSpent(Event):
    """All partials are in: reading → spent. Noise is drawn after this."""

    kind = "job_spent"
    job: Identifier
    charge: Identifier


class JobStaged(Event):
    """The noisy table is fixed for ever; its bytes have this digest."""

    kind = "job_staged"
    job: Identifier
    table_sha256: Digest


class JobForfeited(Event):
    """Given up after reading began: the charge counts as spent. `code` is the constant problem its operator is shown: job_failed whatever
    happened in the run, job_withheld when licence or data were stopped meanwhile: then `rules` are those that spoke against it."""

    kind = "job_forfeited"
    job: Identifier
    charge: Identifier
    code: Literal["job_failed", "job_withheld"] = "job_failed"
    rules: tuple[Code, ...] = Field(default=(), max_length=64)
    policy_digest: Digest | None = None
