"""A log in which an exact table left without two people does not fit the tables, and is refused by the carried audit on its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select

from infra.tables import jobs
from jobs import acts, ledger
from jobs import events as ev
from jobs.acts import duty
from jobs.lane import packs
from jobs.projections import DoesNotFit
from jobs.register import Act, Register
from policies.loss import Loss
from tests import small_register
from yunei.problem import YuneiProblem
from yunei.replay import Book

DAY, PACK, SHAPE, TABLE = "2026-11-22", "c" * 64, "d" * 64, "e" * 64


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    """With an exact job held. No test here commits anything."""
    with small_register.a_register(tmp_path_factory.mktemp("forged")) as made:
        small_register.furnish(made)
        for name in ("r-1", "r-2", "r-3"):
            acts.issue_key(made, name, "reviewer", title=small_register.title(name))
        today = made.clock().date()
        for name in ("r-1", "r-2"):
            duty.set_duty(made, name, today, today, by="system")
        held(made)
        yield made


def held(register: Register, job: str = "job-1") -> None:
    """An exact job, sealed and held."""
    with register.transaction() as act:
        request = act.seal(b"select " + job.encode())
        act.append(
            ev.JobSubmitted(by="op-1", job=job, operator="op-1", licence="L-1", scenario="city-health", job_kind="exact", request=request)
        )
        ledger.reserve(act, charge=f"c-{job}", job=job, accounts=small_register.ACCOUNTS, loss=Loss(0), by="system")
        cost = ev.Cost.of(Loss(0))
        question = hashlib.sha256(job.encode()).hexdigest()
        act.append(ev.JobAdmitted(by="system", job=job, plan_digest="a" * 64, question=question, cost=cost, slot_ms=50))
    with register.transaction() as act:
        if packs.document_in_force(act.connection) is None:
            act.append(ev.PackAdopted(by="system", pack=PACK, name="general", version=1, document=act.attach(b"a pack")))
        ledger.reading(act, f"c-{job}", by="system")
        ledger.spend(act, f"c-{job}", by="system")
        act.append(ev.JobStaged(by="system", job=job, table_sha256="b" * 64))
        act.append(ev.ReleaseHeld(by="system", job=job, shape=SHAPE, pack=PACK, sealed_sha256="b" * 64))


Step = Callable[[Act], None]
SALT = bytes(32)


def request(act: Act, review: str = "rev-1", by: str = "op-1") -> None:
    act.append(ev.ReviewRequested(by=by, review=review, licence="L-1", jobs=("job-1",), manifest=act.seal(b"{}"), due_at=act.at))


def opened(entry: int, reviewer: str, verdict: Any = "release") -> ev.OpenedVote:
    return ev.OpenedVote(entry=entry, reviewer=reviewer, verdict=verdict, codes=(), salt=SALT.hex())


def vote(act: Act, by: str, verdict: Any = "release") -> ev.OpenedVote:
    told = opened(act.size, by, verdict)
    content = ev.commitment(SALT, ev.vote_content("rev-1", told))
    act.append(ev.VoteCast(by=by, review="rev-1", verdict=content, reasons=act.seal(b"")))
    return told


def decide(act: Act, *votes: ev.OpenedVote, outcome: Any = "release") -> None:
    act.append(ev.ReviewDecided(by="system", review="rev-1", outcome=outcome, votes=votes))


def approve(act: Act, table: str = TABLE, review: str | None = "rev-1", standing: str | None = None) -> None:
    told = {"review": review, "standing": standing, "pack": PACK, "table_sha256": table}
    act.append(ev.ReleaseApproved(by="system", job="job-1", evidence=act.seal(b"x"), **told))


def publish(act: Act, table: str = TABLE) -> None:
    told = {"operator": "op-1", "licence": "L-1", "question": hashlib.sha256(b"job-1").hexdigest(), "plan_digest": "a" * 64}
    size = {"rows": 3, "bytes": 10, "cost": ev.Cost.of(Loss(0)), "visible_at": act.at}
    record = act.seal(b"r")
    act.append(
        ev.ReleasePublished(by="system", release="rel-1", job="job-1", charge="c-job-1", record=record, table_sha256=table, **told, **size)
    )


def honest(act: Act) -> None:
    request(act)
    decide(act, vote(act, "r-1"), vote(act, "r-2"))
    approve(act)
    publish(act)


def one_vote(act: Act) -> None:
    request(act)
    first = vote(act, "r-1")
    decide(act, first, first)


def another_vote(act: Act) -> None:
    """Opened as something else than was cast."""
    request(act)
    first, second = vote(act, "r-1"), vote(act, "r-2", "reject")
    decide(act, first, opened(second.entry, "r-2", "release"))


def other_outcome(act: Act) -> None:
    request(act)
    decide(act, vote(act, "r-1", "return"), vote(act, "r-2", "return"))


def off_duty(act: Act) -> None:
    request(act)
    vote(act, "r-1")
    vote(act, "r-3")


def twice(act: Act) -> None:
    request(act)
    vote(act, "r-1")
    vote(act, "r-1")


def author(act: Act) -> None:
    request(act)
    vote(act, "op-1")


def undecided(act: Act) -> None:
    request(act)
    vote(act, "r-1")
    vote(act, "r-2")
    approve(act)


def unapproved(act: Act) -> None:
    act.append(ev.JobStaged(by="system", job="job-1", table_sha256=TABLE))
    publish(act)


def other_table(act: Act) -> None:
    request(act)
    decide(act, vote(act, "r-1"), vote(act, "r-2"))
    approve(act)
    publish(act, "f" * 64)


def no_standing(act: Act) -> None:
    approve(act, review=None, standing="std-1")


def others_request(act: Act) -> None:
    request(act, by="op-2")


def both_at_once(act: Act) -> None:
    request(act)
    request(act, "rev-2")


FORGED: list[Step] = [one_vote, another_vote, other_outcome, off_duty, twice, author, undecided, unapproved, other_table, no_standing]
FORGED += [others_request, both_at_once]


def replayed(register: Register, forged: Step | None) -> None:
    """What the carried audit says of the log and of entries appended to it that no server would write."""
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    if forged is not None:
        act = Forger(register)
        forged(act)  # type: ignore[arg-type]  # as much of an Act as steps need
        for index, body in enumerate(act.bodies, register.size):
            book.apply(index, body)
    book.finish()


class Forger:
    """Writes entries without asking the tables."""

    def __init__(self, register: Register) -> None:
        self.at = ev.rfc3339(register.clock())
        self.size = register.size
        self.bodies: list[bytes] = []

    def append(self, event: ev.Event) -> int:
        self.bodies.append(ev.canonical(event, self.at))
        self.size += 1
        return self.size - 1

    def seal(self, content: bytes) -> str:
        return hashlib.sha256(content + str(self.size).encode()).hexdigest()


class Undone(Exception):
    """So that the transaction is."""


def test_an_honest_review_fits_both(register: Register) -> None:
    replayed(register, honest)
    with suppress(Undone), register.transaction() as act:
        honest(act)
        assert act.connection.execute(select(jobs.c.state).where(jobs.c.id == "job-1")).scalar_one() == "published"
        raise Undone


@pytest.mark.parametrize("forged", FORGED, ids=lambda step: step.__name__)
def test_a_forged_one_fits_neither(register: Register, forged: Step) -> None:
    with pytest.raises(DoesNotFit), register.transaction() as act:
        forged(act)
    with pytest.raises(YuneiProblem, match="verify_replay"):
        replayed(register, forged)
