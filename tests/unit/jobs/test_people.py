"""People's acts: terms of keys, rotation, appointments by two, subjects and sessions; and the auditor's rules over the same log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra.database import reading
from jobs import acts, credentials
from jobs.events import AppointmentProposed, KeyIssued, PrincipalRegistered, SubjectLinked
from jobs.register import Register
from policies.problem import Problem
from policies.roles import APPOINTED, ROLES
from tests.small_register import Ticking, a_register, title
from yunei.problem import YuneiProblem
from yunei.replay import Book

SUBJECT = "ab" * 32
IDP = "https://id.example"


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        for name, role in (("root", "admin"), ("li", "supervisor"), ("wang", "supervisor"), ("op-1", "operator")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # written out above
        yield register


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def key(register: Register, secret: str) -> credentials.KeyRecord:
    return next(key for key in register.api_keys() if key.prefix == secret.split("_")[1])


def replayed(register: Register) -> Book:
    """The log as an auditor plays it again."""
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    return book


def later(register: Register, **time: float) -> None:
    clock = register.clock
    assert isinstance(clock, Ticking)
    clock.now += timedelta(**time)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_ends_when_its_time_is_over(register: Register) -> None:
    secret = acts.issue_key(register, "op-1", expires_at=register.clock() + timedelta(days=2))
    assert register.holder_of(secret) is not None
    later(register, days=1)
    assert register.holder_of(secret) is not None
    later(register, days=1)
    assert register.holder_of(secret) is None
    assert key(register, secret).status == "expired"
    assert replayed(register).keys[secret.split("_")[1]] == "active"  # that it ended is for the clock to say


@pytest.mark.parametrize("days", [-1, 0, 4000])
def test_an_expiry_lies_in_the_future_and_not_too_far(register: Register, days: int) -> None:
    assert refused(lambda: acts.issue_key(register, "op-1", expires_at=register.clock() + timedelta(days=days)), register) == "auth_key_expiry"


def test_scopes_are_acts_of_the_role(register: Register) -> None:
    secret = acts.issue_key(register, "op-1", scopes=("job_check", "job_list"))
    with reading(register.engine) as connection:
        found = credentials.credential_of(connection, secret, register.clock())
    assert found is not None
    assert found.scopes == {"job_check", "job_list"}
    for scope in ("licence_grant", "nonsense"):
        assert refused(lambda scope=scope: acts.issue_key(register, "op-1", scopes=(scope,)), register) == "auth_key_scope"


def test_rotation_keeps_the_terms_and_lets_both_work_for_a_while(register: Register) -> None:
    old = acts.issue_key(register, "op-1", scopes=("job_list",), certificate="cd" * 32, expires_at=register.clock() + timedelta(days=90))
    later(register, days=30)
    new = acts.rotate_key(register, old.split("_")[1], overlap=timedelta(hours=24), by="op-1", holder="op-1")
    before, after = key(register, old), key(register, new)
    assert (after.scopes, after.certificate, after.replaces) == (("job_list",), "cd" * 32, before.prefix)
    assert after.expires_at is not None
    assert after.expires_at > (before.expires_at or "")
    assert register.holder_of(old) is not None
    assert register.holder_of(new) is not None
    later(register, hours=25)
    assert register.holder_of(old) is None
    assert register.holder_of(new) is not None
    later(register, days=89)
    assert register.holder_of(new) is None
    replayed(register)


def test_a_key_is_rotated_and_revoked_by_its_holder_only(register: Register) -> None:
    secret = acts.issue_key(register, "op-1")
    prefix = secret.split("_")[1]
    rotate = lambda holder: lambda: acts.rotate_key(register, prefix, overlap=timedelta(0), by=holder, holder=holder)  # noqa: E731
    assert refused(rotate("li"), register) == "auth_key_unknown"
    revoke = lambda: acts.revoke_key(register, prefix, reason="x", by="li", holder="li")  # noqa: E731
    assert refused(revoke, register) == "auth_key_unknown"
    acts.revoke_key(register, prefix, reason="mine", by="op-1", holder="op-1")
    assert refused(rotate("op-1"), register) == "auth_key_unknown"


def test_the_day_of_last_use_is_known_and_nothing_closer(register: Register) -> None:
    secret = acts.issue_key(register, "op-1")
    assert key(register, secret).used_on is None
    size = register.size
    for _ in range(3):
        with reading(register.engine) as connection:
            found = credentials.credential_of(connection, secret, register.clock())
        assert found is not None
        credentials.note_use(register.engine, found, register.clock())
    assert key(register, secret).used_on == "2026-11-22"
    later(register, days=1)
    credentials.note_use(register.engine, found, register.clock())
    assert key(register, secret).used_on == "2026-11-23"
    assert register.size == size


# ── appointments ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ROLES)
def test_an_administrator_alone_makes_operators_and_builders_and_no_others(register: Register, role: str) -> None:
    attempt = lambda: acts.register_principal(register, "new", role=role, title=title("new"), by="root")  # type: ignore[arg-type]  # noqa: E731
    issue = lambda: acts.issue_key(register, "new", by="root")  # noqa: E731
    link = lambda: acts.link_subject(register, "new", IDP, SUBJECT, by="root")  # noqa: E731
    if role in APPOINTED:
        assert refused(attempt, register) == "auth_appointed_by_two"
        acts.register_principal(register, "new", role=role, title=title("new"))  # type: ignore[arg-type]
        assert refused(issue, register) == refused(link, register) == "auth_appointed_by_two"
    else:
        attempt()
        assert register.holder_of(issue()) is not None
        link()
    replayed(register)


def test_an_appointment_is_proposed_by_one_and_confirmed_by_another(register: Register) -> None:
    person = AppointmentProposed(by="root", act="principal_register", principal="zhao", role="reviewer", title=title("zhao"))
    proposal = acts.propose_appointment(register, person)
    for by in ("root", "op-none"):
        assert refused(lambda by=by: acts.confirm_appointment(register, proposal, by=by), register) == "auth_second_person"
    assert acts.confirm_appointment(register, proposal, by="li") == (person.model_copy(update={"by": "li"}), None)
    assert refused(lambda: acts.confirm_appointment(register, proposal, by="li"), register) == "auth_principal_exists"
    proposal = acts.propose_appointment(register, AppointmentProposed(by="root", act="key_issue", principal="zhao", scopes=("me_show",)))
    _, secret = acts.confirm_appointment(register, proposal, by="li")
    holder = register.holder_of(secret or "")
    assert holder is not None
    assert (holder.id, holder.role) == ("zhao", "reviewer")
    assert refused(lambda: acts.confirm_appointment(register, proposal, by="wang"), register) == "auth_second_person"  # good for one key
    link = AppointmentProposed(by="root", act="subject_link", principal="zhao", issuer=IDP, subject=SUBJECT)
    acts.confirm_appointment(register, acts.propose_appointment(register, link), by="li")
    with reading(register.engine) as connection:
        assert [subject.subject for subject in credentials.subjects_of(connection, "zhao")] == [SUBJECT]
    replayed(register)


def test_nobody_acts_in_their_own_affairs(register: Register) -> None:
    own = AppointmentProposed(by="root", act="key_issue", principal="root")
    assert refused(lambda: acts.propose_appointment(register, own), register) == "auth_own_act"
    proposal = acts.propose_appointment(register, AppointmentProposed(by="root", act="key_issue", principal="li"))
    assert refused(lambda: acts.confirm_appointment(register, proposal, by="li"), register) == "auth_own_act"
    assert acts.confirm_appointment(register, proposal, by="wang")[1] is not None
    for act in (acts.suspend_principal, acts.resume_principal, acts.close_principal):
        assert refused(lambda act=act: act(register, "root", reason="x", by="root"), register) == "auth_own_act"


def test_a_closed_principal_stays_closed(register: Register) -> None:
    secret = acts.issue_key(register, "op-1")
    acts.close_principal(register, "op-1", reason="left", by="root")
    holder = register.holder_of(secret)
    assert holder is not None
    assert holder.status == "closed"  # the door turns it away
    assert refused(lambda: acts.resume_principal(register, "op-1", reason="x"), register) == "auth_principal_unknown"
    again = lambda: acts.register_principal(register, "op-1", role="operator", title=title("x"))  # noqa: E731
    assert refused(again, register) == "auth_principal_exists"
    replayed(register)


# ── subjects and sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_subject_is_one_principal(register: Register) -> None:
    acts.link_subject(register, "op-1", IDP, SUBJECT)
    assert refused(lambda: acts.link_subject(register, "li", IDP, SUBJECT), register) == "auth_subject_taken"
    assert refused(lambda: acts.unlink_subject(register, "li", SUBJECT, reason="x"), register) == "auth_subject_unknown"
    acts.unlink_subject(register, "op-1", SUBJECT, reason="left")
    acts.link_subject(register, "li", IDP, SUBJECT)
    with reading(register.engine) as connection:
        found = credentials.subject(connection, SUBJECT)
    assert found is not None
    assert found.principal == "li"
    assert replayed(register).subjects == {SUBJECT: "linked"}


def test_a_subject_is_named_by_a_keyed_hash(register: Register, tmp_path: Path) -> None:
    digest = acts.subject_digest(register.key_ring, IDP, "zhang@example")
    assert digest == acts.subject_digest(register.key_ring, IDP, "zhang@example")
    assert digest != acts.subject_digest(register.key_ring, IDP + "z", "hang@example")
    with a_register(tmp_path / "other") as elsewhere:
        assert digest != acts.subject_digest(elsewhere.key_ring, IDP, "zhang@example")


def test_a_session_opens_until_it_is_closed_ends_or_lies_idle(register: Register) -> None:
    def good(secret: str, idle: timedelta | None = None) -> bool:
        with reading(register.engine) as connection:
            return credentials.credential_of(connection, secret, register.clock(), idle) is not None

    id, secret = acts.open_session(register, "li", "browser", lifetime=timedelta(hours=8))
    assert good(secret)
    assert not good(secret[:-1] + ("a" if secret[-1] != "a" else "b"))
    later(register, minutes=31)
    assert good(secret)
    assert not good(secret, timedelta(minutes=30))
    with reading(register.engine) as connection:
        found = credentials.credential_of(connection, secret, register.clock())
    assert found is not None
    credentials.note_use(register.engine, found, register.clock())
    assert good(secret, timedelta(minutes=30))
    assert refused(lambda: acts.close_session(register, id, reason="x", by="op-1", holder="op-1"), register) == "auth_session_unknown"
    acts.close_session(register, id, reason="signed out", by="li", holder="li")
    assert not good(secret)
    id, secret = acts.open_session(register, "li", "command_line", lifetime=timedelta(hours=1))
    later(register, hours=1)
    assert not good(secret)
    replayed(register)


# ── the auditor's rules find what the acts would have refused ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "forged",
    [
        PrincipalRegistered(by="root", principal="fake", role="supervisor", title=title("fake")),
        PrincipalRegistered(by="li", principal="fake", role="supervisor", title=title("fake"), proposal=0),
        KeyIssued(by="root", principal="li", prefix="aaaa", secret_sha256="a" * 64),
        KeyIssued(by="op-1", principal="op-1", prefix="aaaa", secret_sha256="a" * 64, replaces="none"),
        SubjectLinked(by="root", principal="li", issuer=IDP, subject=SUBJECT),
    ],
)
def test_a_forged_appointment_does_not_replay(register: Register, forged: PrincipalRegistered | KeyIssued | SubjectLinked) -> None:
    replayed(register)
    with register.transaction() as act:
        act.append(forged)
    with pytest.raises(YuneiProblem) as caught:
        replayed(register)
    assert caught.value.code == "verify_replay"
