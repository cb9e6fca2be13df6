"""One supervisor freezes at once, two thaw; nothing of what is frozen is admitted, published or delivered, whatever was under way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from infra.database import reading
from jobs import acts, admission, deliveries, events, freezes, hops, ledger, lookup
from jobs.audit import audit
from jobs.lookup import ReleaseSeen
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.freeze import SCOPES, Scope
from policies.licence import DatasetGrant
from policies.problem import Problem
from sandbox import steps
from tests.bureau import LICENCE, OTHER_SQL, SCENARIO, Bureau, licence, order
from tests.unit.jobs.test_release import ended, wait
from tests.unit.jobs.test_waited import waited
from yunei.problem import YuneiProblem
from yunei.replay import Book

ACCOUNTS = ("population:person", "dataset:visits", f"licence:{LICENCE}", "operator:operator-1@visits")
SUBJECTS: dict[Scope, str] = {"everything": "", "operator": "operator-1", "licence": LICENCE, "dataset": "Visits"}


def freeze(bureau: Bureau, scope: Scope = "everything", subject: str | None = None) -> str:
    return acts.set_freeze(bureau.services.register, scope, SUBJECTS[scope] if subject is None else subject, reason="演练", by="supervisor")


def thaw(bureau: Bureau, frozen: str) -> None:
    register = bureau.services.register
    if register.principal("supervisor-2") is None:
        acts.issue_key(register, "supervisor-2", "supervisor")
    proposal = acts.propose_thaw(register, frozen, reason="处置完毕", by="supervisor")
    acts.thaw(register, frozen, proposal=proposal, by="supervisor-2")


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def replayed(register: Register) -> Book:
    """The whole log by the auditor's own rules."""
    book = Book()
    for index in range(register.size):
        book.apply(index, register.entry(index))
    book.finish()
    return book


def sound(bureau: Bureau) -> Book:
    register = bureau.services.register
    assert audit(bureau.services.settings.log_dir, [register.vkey], register.engine).findings == []
    return replayed(register)


def used(bureau: Bureau) -> set[tuple[int, int]]:
    return {(b.reserved.pico_rho, b.spent.pico_rho) for b in ledger.balances(bureau.services.register, ACCOUNTS)}


RULE: dict[Scope, str] = {
    "everything": "licence_everything_frozen",
    "operator": "licence_operator_frozen",
    "licence": "licence_frozen",
    "dataset": "licence_dataset_frozen",
}


@pytest.mark.parametrize("scope", SCOPES)
def test_frozen_things_are_not_admitted_until_two_thaw_them(bureau: Bureau, scope: Scope) -> None:
    frozen = freeze(bureau, scope)
    with pytest.raises(Problem) as caught:
        ended(bureau, order())
    assert [part.code for part in caught.value.parts] == [RULE[scope]]
    (last,) = [each.event for each in bureau.services.register.events(limit=1000) if isinstance(each.event, events.JobRefused)]
    assert last.rules == (RULE[scope],)
    assert last.policy_digest == caught.value.fields["policy"]
    assert used(bureau) == {(0, 0)}
    thaw(bureau, frozen)
    assert ended(bureau, order()).state == "published"
    assert sound(bureau).freezes == {frozen: "thawed"}


@pytest.mark.parametrize(
    ("scope", "subject"), [("operator", "operator-2"), ("licence", "L-2"), ("dataset", "other")], ids=["operator", "licence", "dataset"]
)
def test_a_freeze_stops_nobody_else(bureau: Bureau, scope: Scope, subject: str) -> None:
    register = bureau.services.register
    acts.grant_licence(register, licence("L-2", "operator-2"))
    if scope == "dataset":
        with register.transaction() as act:
            act.append(events.FreezeSet(by="supervisor", freeze="frz-1", scope="dataset", subject="other", reason="x"))
    else:
        freeze(bureau, scope, subject)
    assert ended(bureau, order()).state == "published"
    sound(bureau)


def test_who_may_freeze_and_thaw(bureau: Bureau) -> None:
    register = bureau.services.register
    for other in ("reviewer", "admin", "operator-1", "auditor"):
        assert refused(lambda other=other: acts.set_freeze(register, "everything", reason="x", by=other), register) == "auth_principal_role"
    assert refused(lambda: acts.set_freeze(register, "everything", reason="x", by="nobody"), register) == "auth_principal_unknown"
    frozen = freeze(bureau)
    proposal = acts.propose_thaw(register, frozen, reason="x", by="supervisor")
    acts.issue_key(register, "supervisor-2", "supervisor")
    for by, code in (("supervisor", "auth_second_person"), ("reviewer", "auth_principal_role"), ("system", "auth_second_person")):
        assert refused(lambda by=by: acts.thaw(register, frozen, proposal=proposal, by=by), register) == code
    for wrong in (proposal + 1, proposal - 1, 0, 10**9):
        assert refused(lambda wrong=wrong: acts.thaw(register, frozen, proposal=wrong, by="supervisor-2"), register) == "auth_second_person"
    acts.suspend_principal(register, "supervisor", reason="left")
    assert refused(lambda: acts.thaw(register, frozen, proposal=proposal, by="supervisor-2"), register) == "auth_second_person"
    acts.resume_principal(register, "supervisor", reason="back")
    newer = acts.propose_thaw(register, frozen, reason="again", by="supervisor")
    assert refused(lambda: acts.thaw(register, frozen, proposal=proposal, by="supervisor-2"), register) == "auth_second_person"
    acts.thaw(register, frozen, proposal=newer, by="supervisor-2")
    assert refused(lambda: acts.thaw(register, frozen, proposal=newer, by="supervisor-2"), register) == "freeze_thawed_already"
    assert refused(lambda: acts.propose_thaw(register, frozen, reason="x", by="supervisor"), register) == "freeze_thawed_already"
    assert refused(lambda: acts.propose_thaw(register, "frz-none", reason="x", by="supervisor"), register) == "freeze_unknown"
    (seen,) = freezes.all_freezes(register)
    assert (seen.state, seen.proposal, seen.proposed_by, seen.thawed_by) == ("thawed", newer, "supervisor", "supervisor-2")
    assert freezes.all_freezes(register, standing=True) == []
    sound(bureau)


@pytest.mark.parametrize(
    ("scope", "subject"),
    [("everything", "x"), ("operator", ""), ("operator", "nobody"), ("operator", "auditor"), ("licence", "L-9"), ("dataset", "ghosts")],
)
def test_what_is_not_there_cannot_be_frozen(bureau: Bureau, scope: Scope, subject: str) -> None:
    assert refused(lambda: freeze(bureau, scope, subject), bureau.services.register) == "freeze_subject_unknown"


def test_two_freezes_of_one_thing_are_thawed_one_by_one(bureau: Bureau) -> None:
    first, second = freeze(bureau, "dataset"), freeze(bureau, "dataset")
    thaw(bureau, first)
    with pytest.raises(Problem):
        ended(bureau, order())
    thaw(bureau, second)
    assert ended(bureau, order()).state == "published"


HOPS: list[tuple[Any, str, Scope]] = [
    (hops, "totals", "dataset"),
    (hops, "spend", "licence"),
    (steps, "draw", "operator"),
    (hops, "stage", "everything"),
    *((hops, "publish", scope) for scope in SCOPES),
]


@pytest.mark.parametrize(("place", "hop", "scope"), HOPS, ids=[f"{name} {scope}" for _, name, scope in HOPS])
def test_a_job_that_runs_is_not_published_and_its_charge_stays(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch, place: Any, hop: str, scope: Scope
) -> None:
    original, once = getattr(place, hop), threading.Lock()
    ids: list[str] = []

    def frozen_first(*arguments: Any, **options: Any) -> Any:
        if once.acquire(blocking=False):
            ids.append(freeze(bureau, scope))
        return original(*arguments, **options)

    monkeypatch.setattr(place, hop, frozen_first)
    seen = ended(bureau, order())
    assert (seen.state, seen.problem, seen.release) == ("failed", ("job_withheld",), None)
    assert seen.price is not None
    assert used(bureau) == {(0, seen.price.pico_rho)}
    (withheld,) = [each.event for each in bureau.services.register.events(limit=1000) if isinstance(each.event, events.JobForfeited)]
    assert withheld.rules == (RULE[scope],)
    assert withheld.policy_digest is not None
    thaw(bureau, ids[0])
    assert wait(bureau, seen.id).state == "failed"  # a thaw brings nothing back
    assert sound(bureau).kinds.get("release_published", 0) == 0


def test_a_job_that_waits_is_refused_and_its_reservation_given_back(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, cost = waited(bureau, monkeypatch, lambda _: freeze(bureau))
    assert (seen.state, seen.problem[0]) == ("refused", "licence_refused")
    assert used(bureau) == {(0, cost)}
    sound(bureau)


def test_a_stored_answer_is_not_handed_out_while_it_is_frozen(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the freeze comes between the first look and the transaction that answers."""
    ended(bureau, order())
    original = admission.admit
    monkeypatch.setattr(admission, "admit", lambda *given: (freeze(bureau, "dataset"), original(*given))[1])
    with pytest.raises(Problem) as caught:
        ended(bureau, order())
    assert caught.value.code == "licence_refused"
    assert sound(bureau).kinds.get("release_reused", 0) == 0


def released(bureau: Bureau, **asked: Any) -> ReleaseSeen:
    seen = ended(bureau, order(**asked))
    found = lookup.release(bureau.services.register, str(seen.release), bureau.services.clock())
    assert found is not None
    return found


def takes(bureau: Bureau, release: ReleaseSeen, reader: str, role: str) -> bool:
    codes: list[str] = []
    try:
        deliveries.may_take(bureau.services.register, release, reader, role)
    except Problem as problem:
        codes.append(problem.code)
    assert codes in ([], ["freeze_holds"])
    return not codes


@pytest.mark.parametrize("scope", SCOPES)
def test_a_table_is_not_served_while_it_is_frozen_but_supervisors_may_look(bureau: Bureau, scope: Scope) -> None:
    release = released(bureau)
    readers = [("operator-1", "operator"), ("supervisor", "supervisor")]
    assert [takes(bureau, release, *reader) for reader in readers] == [True, True]
    frozen = freeze(bureau, scope)
    assert [takes(bureau, release, *reader) for reader in readers] == [False, True]
    thaw(bureau, frozen)
    assert [takes(bureau, release, *reader) for reader in readers] == [True, True]
    sound(bureau)


def test_a_builder_may_be_frozen_and_others_go_on(bureau: Bureau) -> None:
    release = released(bureau)
    freeze(bureau, "operator", "builder")
    assert not takes(bureau, release, "builder", "builder")
    assert takes(bureau, release, "operator-1", "operator")
    assert ended(bureau, order(OTHER_SQL)).state == "published"


def test_an_answer_had_under_two_licences_is_held_back_when_both_are_frozen(bureau: Bureau) -> None:
    register = bureau.services.register
    acts.grant_licence(register, licence("L-2"))
    release = released(bureau)
    assert released(bureau, licence="L-2", scenario=SCENARIO).id == release.id
    freeze(bureau, "licence", LICENCE)
    assert takes(bureau, release, "operator-1", "operator")
    freeze(bureau, "licence", "L-2")
    assert not takes(bureau, release, "operator-1", "operator")


@pytest.mark.parametrize("scope", SCOPES)
def test_the_tables_and_the_auditor_refuse_a_log_in_which_something_frozen_leaves(bureau: Bureau, scope: Scope) -> None:
    """Whatever a faulty server does: its own projections say no, and so does the auditor's replay of a log that was written without them."""
    register = bureau.services.register
    release = released(bureau)
    book = replayed(register)
    frozen = freeze(bureau, scope)
    delivery = events.ProductDelivered(
        by="builder", release=release.id, recipient="builder", format="csv", sha256=release.record["digests"]["table.csv"]
    )
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(delivery)
    book.apply(register.size - 1, register.entry(register.size - 1))
    with pytest.raises(YuneiProblem) as caught:
        book.apply(register.size, events.canonical(delivery, "2999-01-01T00:00:00.000000Z"))
    assert frozen in str(caught.value)


def test_the_auditor_refuses_a_thaw_by_one(bureau: Bureau) -> None:
    register = bureau.services.register
    frozen = freeze(bureau)
    proposal = acts.propose_thaw(register, frozen, reason="x", by="supervisor")
    alone = events.FreezeThawed(by="supervisor", freeze=frozen, proposal=proposal)
    with pytest.raises(DoesNotFit), register.transaction() as act:
        act.append(alone)
    with pytest.raises(YuneiProblem):
        replayed(register).apply(register.size, events.canonical(alone, "2999-01-01T00:00:00.000000Z"))


@pytest.mark.parametrize("by", ["operator-1", "reviewer", "nobody"])
def test_the_auditor_refuses_a_freeze_by_whom_it_is_not_given_to(bureau: Bureau, by: str) -> None:
    """The server's own tables do not know roles of acts; the auditor's rules do."""
    register = bureau.services.register
    forged = events.FreezeSet(by=by, freeze="frz-1", scope="everything", reason="denial of service")
    with pytest.raises(YuneiProblem) as caught:
        replayed(register).apply(register.size, events.canonical(forged, "2999-01-01T00:00:00.000000Z"))
    assert "not an active supervisor" in str(caught.value)


def test_what_is_frozen_is_read_in_the_transaction(bureau: Bureau) -> None:
    register = bureau.services.register
    freeze(bureau, "dataset")
    freeze(bureau, "operator")
    with reading(register.engine) as connection:
        assert freezes.frozen(connection) == {"dataset:visits", "operator:operator-1"}


def test_an_answer_first_had_under_a_licence_now_frozen_is_for_others_who_may_ask(bureau: Bureau) -> None:
    """What is stopped is the licence, not the numbers: who asks now, under which licence, is what counts, to the auditor too."""
    acts.grant_licence(bureau.services.register, licence("L-2", "operator-2"))
    release = released(bureau)
    frozen = freeze(bureau, "licence", LICENCE)
    freeze(bureau, "operator", "operator-1")
    seen = ended(bureau, order(by="operator-2", licence="L-2"))
    assert (seen.reused, seen.release) == (True, release.id)
    assert takes(bureau, release, "operator-2", "operator")
    book = sound(bureau)
    assert set(book.frozen) > {frozen}
    reused = [each for each in bureau.services.register.events(limit=1000) if isinstance(each.event, events.ReleaseReused)]
    assert isinstance(reused[0].event, events.ReleaseReused)
    assert reused[0].event.policy_digest is not None
    assert book.asked == {}


def test_a_licence_of_other_data_goes_on(bureau: Bureau) -> None:
    grant = DatasetGrant(dataset="visits", consent="同意 1 号")
    acts.grant_licence(bureau.services.register, licence("L-3", datasets=(grant,)))
    freeze(bureau, "licence", LICENCE)
    assert ended(bureau, order(licence="L-3")).state == "published"
