"""The algorithm registry: who may do what to a program, in which state, and what the log and its auditor make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.database import reading
from jobs import acts, events, programs
from jobs.audit import audit
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.problem import Problem
from tests.programs import MAIN, MANIFEST, changed, packed
from tests.small_register import a_register, furnish, title
from yunei.problem import YuneiProblem
from yunei.replay import Book

LATER = "2999-01-01T00:00:00.000000Z"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        furnish(register)
        for name, role in (("li", "reviewer"), ("wang", "reviewer"), ("zhao", "reviewer"), ("chen", "supervisor"), ("op-2", "operator")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # a role, from the table above
        yield register


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def state(register: Register, digest: str) -> str:
    with reading(register.engine) as connection:
        found = programs.program(connection, digest)
    assert found is not None
    return found.state


def replayed(register: Register) -> Book:
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    return book


def sound(register: Register) -> Book:
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []
    return replayed(register)


def version(number: str) -> bytes:
    return changed("program.toml", MANIFEST.replace('version = "1.0"', f'version = "{number}"'))


def approved(register: Register, data: bytes) -> str:
    digest = acts.submit_program(register, data, by="op-1")
    for reviewer in ("li", "wang"):
        acts.review_program(register, digest, "approve", reason="sound", by=reviewer)
    return digest


def test_two_reviewers_approve_a_digest(register: Register) -> None:
    digest = acts.submit_program(register, packed(), by="op-1")
    assert state(register, digest) == "submitted"
    acts.review_program(register, digest, "approve", reason="sound", by="li")
    assert state(register, digest) == "submitted"
    assert refused(lambda: acts.review_program(register, digest, "approve", reason="x", by="li"), register) == "program_own_review"
    acts.review_program(register, digest, "approve", reason="sound", by="wang")
    assert state(register, digest) == "approved"
    assert refused(lambda: acts.review_program(register, digest, "reject", reason="x", by="zhao"), register) == "program_state_conflict"
    with reading(register.engine) as connection:
        package = programs.package(connection, digest)
    assert package is not None
    assert package.digest == digest
    assert package.files["main.py"] == MAIN
    last = register.events(limit=1000)[-1].event
    assert isinstance(last, events.ProgramApproved)
    assert sound(register).programs[digest].state == "approved"


def test_one_rejection_rejects_for_good(register: Register) -> None:
    digest = acts.submit_program(register, packed(), by="op-1")
    acts.review_program(register, digest, "approve", reason="sound", by="li")
    acts.review_program(register, digest, "reject", reason="reads ids", by="wang")
    assert state(register, digest) == "rejected"
    assert refused(lambda: acts.review_program(register, digest, "approve", reason="x", by="zhao"), register) == "program_state_conflict"
    assert refused(lambda: acts.submit_program(register, packed(), by="op-1"), register) == "program_exists"
    sound(register)


def test_a_newer_version_supersedes_and_a_supervisor_makes_invalid(register: Register) -> None:
    first, second = approved(register, packed()), approved(register, version("1.1"))
    assert (state(register, first), state(register, second)) == ("superseded", "approved")
    acts.invalidate_program(register, first, reason="flaw", by="chen")
    acts.invalidate_program(register, second, reason="flaw", by="chen")
    assert (state(register, first), state(register, second)) == ("invalidated", "invalidated")
    assert refused(lambda: acts.invalidate_program(register, first, reason="x", by="chen"), register) == "program_state_conflict"
    third = approved(register, version("1.2"))
    assert state(register, third) == "approved"
    sound(register)


def test_an_author_withdraws_what_is_its_own(register: Register) -> None:
    digest = acts.submit_program(register, packed(), by="op-1")
    assert refused(lambda: acts.withdraw_program(register, digest, reason="x", by="op-2"), register) == "program_not_yours"
    acts.withdraw_program(register, digest, reason="x", by="op-1")
    assert state(register, digest) == "withdrawn"
    assert refused(lambda: acts.withdraw_program(register, digest, reason="x", by="op-1"), register) == "program_state_conflict"
    assert refused(lambda: acts.withdraw_program(register, "0" * 64, reason="x", by="op-1"), register) == "program_unknown"
    sound(register)


def test_who_may_do_what(register: Register) -> None:
    for other in ("li", "chen"):
        assert refused(lambda other=other: acts.submit_program(register, packed(), by=other), register) == "auth_principal_role"
    digest = acts.submit_program(register, packed(), by="op-1")
    for other in ("op-1", "op-2", "chen"):
        act: Callable[[], object] = lambda other=other: acts.review_program(register, digest, "approve", reason="x", by=other)  # noqa: E731
        assert refused(act, register) == "auth_principal_role"
    assert refused(lambda: acts.invalidate_program(register, digest, reason="x", by="li"), register) == "auth_principal_role"
    assert refused(lambda: acts.invalidate_program(register, digest, reason="x", by="chen"), register) == "program_state_conflict"


def test_a_name_and_version_is_used_once_by_one_author(register: Register) -> None:
    acts.submit_program(register, packed(), by="op-1")
    assert refused(lambda: acts.submit_program(register, packed(), by="op-2"), register) == "program_exists"
    other = changed("main.py", MAIN + "\nX = 1\n")
    assert refused(lambda: acts.submit_program(register, other, by="op-1"), register) == "program_exists"
    acts.submit_program(register, other, by="op-2")
    assert [each.author for each in programs.all_programs(register)] == ["op-2", "op-1"]
    assert [each.author for each in programs.all_programs(register, "op-1")] == ["op-1"]


def test_a_bad_package_leaves_nothing(register: Register) -> None:
    assert refused(lambda: acts.submit_program(register, changed("../x.py", ""), by="op-1"), register) == "program_invalid"
    assert programs.all_programs(register) == []


@pytest.mark.parametrize(
    "forge",
    [
        lambda digest: events.ProgramReviewed(by="op-1", program=digest, verdict="approve", reason="x"),
        lambda digest: events.ProgramReviewed(by="li", program=digest, verdict="approve", reason="again"),
        lambda digest: events.ProgramApproved(by="li", program=digest, reviews=(0, 1)),
        lambda digest: events.ProgramInvalidated(by="chen", program=digest, reason="x"),
        lambda digest: events.ProgramReviewed(by="wang", program="0" * 64, verdict="approve", reason="x"),
        lambda digest: events.ProgramSubmitted(by="op-1", program=digest, name="other", version="9", document=digest),
    ],
    ids=["own review", "twice", "approved by one", "invalid before approved", "unknown", "same content twice"],
)
def test_the_tables_and_the_auditor_refuse_what_cannot_be(register: Register, forge: Callable[[str], events.Event]) -> None:
    digest = acts.submit_program(register, packed(), by="op-1")
    acts.review_program(register, digest, "approve", reason="sound", by="li")
    forged = forge(digest)
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(forged)
    with pytest.raises(YuneiProblem):
        replayed(register).apply(register.size, events.canonical(forged, LATER))
