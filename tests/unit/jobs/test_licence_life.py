"""The life of a licence in the register: who says what, in which order, what the clock does, and what is done at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from infra.database import reading
from infra.journal.note import VerifierKey, open_note
from infra.tables import jobs as jobs_table
from jobs import acts, ledger, papers
from jobs.audit import audit, rebuild
from jobs.documents import licence_document, read_licence
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.catalogue import Share
from policies.licence import DatasetGrant, Decision, Degree, Disposal, Licence
from policies.life import LIFE, STATES, LicenceState
from policies.loss import Loss
from policies.problem import Problem
from tests.small_register import Ticking, a_licence, a_register, a_snapshot, furnish, run, settings_in, submit, title
from yunei.auditing import _seals, audit_folder
from yunei.problem import YuneiProblem
from yunei.transparency import Key

DECISION = Decision(number="晋数决〔2026〕7号", digest="ab" * 32)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        furnish(register)
        for name, role in (("li", "supervisor"), ("wang", "supervisor"), ("zhao", "steward"), ("sun", "steward")):
            acts.register_principal(register, name, role=role, title=title(name))  # type: ignore[arg-type]  # roles, as text
        acts.register_dataset(register, conditional("wards", steward="zhao"))
        acts.register_dataset(register, conditional("labs"))
        yield register


def conditional(name: str, **changes: Any) -> Any:
    snapshot = a_snapshot(name)
    share = Share(attribute="conditional", reason=title("on request"), basis="art. 12")
    return snapshot.model_copy(update={"dataset": snapshot.dataset.model_copy(update={"share": share, **changes})})


def asked(**changes: Any) -> Licence:
    return Licence.model_validate(dict(a_licence("L-9", datasets=("wards", "labs"))) | {"decision_document": None, **changes})


def state(register: Register, licence: str = "L-9") -> LicenceState:
    record = register.licence(licence)
    assert record is not None
    return record.state_at(clock(register).now)


def clock(register: Register) -> Ticking:
    return cast(Ticking, register.clock)


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def kinds(register: Register, after: int) -> list[str]:
    return [recorded.kind for recorded in register.events(after=after, limit=1000)]


def whole(register: Register) -> None:
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []


def test_from_application_over_consents_to_a_signed_grant(register: Register) -> None:
    acts.apply_licence(register, asked(), by="op-1")
    assert state(register) == "applied"
    assert refused(lambda: acts.apply_licence(register, asked(), by="op-1"), register) == "licence_exists"
    grant = acts.application(register, "L-9", decision=DECISION)
    assert refused(lambda: acts.grant_licence(register, grant, by="li"), register) == "licence_consent_missing"

    def consent(dataset: str, by: str) -> None:
        acts.consent_licence(register, "L-9", dataset, reference=f"{dataset}〔2026〕1号", by=by)

    assert refused(lambda: consent("wards", "sun"), register) == "licence_consent_needless"  # not hers to give
    assert refused(lambda: consent("visits", "zhao"), register) == "licence_consent_needless"  # not of this licence
    consent("wards", "zhao")
    assert state(register) == "applied"
    assert refused(lambda: consent("wards", "zhao"), register) == "licence_consent_needless"
    consent("labs", "sun")
    assert state(register) == "consented"
    acts.grant_licence(register, grant, by="li")
    record = register.licence("L-9")
    assert record is not None
    assert (record.state, record.version, record.licence.decision_document) == ("active", 1, DECISION)
    assert {each.dataset: each.consent for each in record.licence.datasets} == {"wards": "wards〔2026〕1号", "labs": "labs〔2026〕1号"}
    assert {balance.account for balance in ledger.balances(register)} >= {"licence:L-9", "operator:op-1@wards", "operator:op-1@labs"}
    told = papers.history(register, "L-9")
    assert [each.kind for each in told.events] == ["licence_applied", "licence_consented", "licence_consented", "licence_granted"]
    assert [(each.version, each.by) for each in told.versions] == [(1, "li")]
    whole(register)


def test_the_seal_verifies_offline_and_any_change_breaks_it(register: Register) -> None:
    paper = papers.paper(register, "L-1", clock(register).now)
    assert paper is not None
    note = paper.standing.note
    assert note is not None
    keys = [VerifierKey.parse(vkey) for vkey in papers.bureau_keys(register)]
    text, signed = open_note(note, keys)
    header, version, document, end = text.split("\n")
    assert (header, version, end, list(signed)) == ("yunei-licence/v1", "version 1", "", keys)
    assert read_licence(document.encode()) == paper.licence == a_licence(datasets=("visits", "hospitals"))
    assert document.encode() == licence_document(paper.licence)
    for forged in (note.replace("op-1", "op-2"), note.replace("version 1", "version 2")):
        with pytest.raises(Exception, match="signature_fails"):
            open_note(forged, keys)
    granted = papers.history(register, "L-1").events[-1].event
    assert getattr(granted, "vkeys", ()) == papers.bureau_keys(register)  # the log names the keys


def test_an_application_carries_nothing_that_is_the_bureaus_to_say(register: Register) -> None:
    claims = tuple(DatasetGrant(dataset=name, consent="forged", second_approval="forged") for name in ("wards", "labs"))
    acts.apply_licence(register, asked(datasets=claims, decision_document=DECISION), by="op-1")
    record = register.licence("L-9")
    assert record is not None
    assert record.licence == asked()
    assert "forged" not in "".join(str(each.event) for each in papers.history(register, "L-9").events)


def test_declined_is_for_good(register: Register) -> None:
    acts.apply_licence(register, asked(), by="op-1")
    acts.decline_licence(register, "L-9", reason="not needed", by="zhao")
    assert state(register) == "declined"
    grant = asked(decision_document=DECISION)
    for act in (
        lambda: acts.grant_licence(register, grant, by="li"),
        lambda: acts.apply_licence(register, asked(), by="op-1"),
    ):
        assert refused(act, register) == "licence_exists"
    assert refused(lambda: acts.decline_licence(register, "L-9", reason="again", by="li"), register) == "licence_state_conflict"


def test_what_a_grant_needs(register: Register) -> None:
    over = {"valid_from": datetime(2025, 1, 1, tzinfo=UTC), "valid_until": datetime(2026, 1, 1, tzinfo=UTC)}
    plain = a_licence("L-7")
    for licence, code in (
        (plain.model_copy(update={"decision_document": None}), "licence_decision_missing"),
        (plain.model_copy(update=over), "licence_term_over"),
        (asked(decision_document=DECISION), "licence_consent_missing"),
        (plain.model_copy(update={"renews": "L-0"}), "licence_invalid"),
    ):
        assert refused(lambda licence=licence: acts.grant_licence(register, licence, by="li"), register) == code


def test_a_term_begins_and_ends_by_the_clock_and_both_are_written_down(register: Register) -> None:
    now = clock(register).now
    term = {"valid_from": now + timedelta(days=1), "valid_until": now + timedelta(days=2)}
    acts.grant_licence(register, a_licence("L-2").model_copy(update=term), by="li")
    assert state(register, "L-2") == "granted"
    assert refused(lambda: acts.suspend_licence(register, "L-2", reason="x"), register) == "licence_state_conflict"
    before = register.size
    assert acts.sweep_licences(register) == ()
    assert register.size == before
    clock(register).now = now + timedelta(days=1)
    assert state(register, "L-2") == "active"  # nobody has written it yet
    acts.sweep_licences(register)
    acts.sweep_licences(register)
    clock(register).now = now + timedelta(days=2)
    assert state(register, "L-2") == "expired"
    for act in (acts.suspend_licence, acts.revoke_licence):  # the clock is believed before the sweep
        assert refused(lambda act=act: act(register, "L-2", reason="x"), register) == "licence_state_conflict"
    acts.sweep_licences(register)
    acts.sweep_licences(register)
    assert kinds(register, before - 1) == ["licence_activated", "licence_expired", "licence_disposed"]
    whole(register)


def test_suspending_writes_down_first_that_the_term_began(register: Register) -> None:
    now = clock(register).now
    acts.grant_licence(register, a_licence("L-2").model_copy(update={"valid_from": now + timedelta(days=1)}), by="li")
    clock(register).now = now + timedelta(days=1)
    before = register.size
    acts.suspend_licence(register, "L-2", reason="inspection")
    assert kinds(register, before - 1) == ["licence_activated", "licence_suspended"]


def test_the_end_cancels_what_waits_and_disposes_as_agreed(register: Register) -> None:
    disposal = Disposal(products="withdraw", keys="revoke")
    acts.amend_licence(register, a_licence(datasets=("visits", "hospitals")).model_copy(update={"disposal": disposal}), reason="terms")
    run(register, "a", Loss(10))
    submit(register, "b", Loss(10))
    assert not papers.withdrawn(register, "r-a", "op-1")
    before = register.size
    assert acts.revoke_licence(register, "L-1", reason="breach", by="li") == ("b",)
    assert kinds(register, before - 1) == ["licence_revoked", "job_cancelled", "key_revoked", "licence_disposed"]
    assert [key.status for key in register.api_keys()] == ["revoked"]
    assert papers.withdrawn(register, "r-a", "op-1")
    assert papers.withdrawn(register, "r-a", None)
    with reading(register.engine) as connection:
        assert dict(connection.execute(select(jobs_table.c.id, jobs_table.c.state)).all()) == {"a": "published", "b": "cancelled"}  # type: ignore[arg-type]  # rows of two
    assert ledger.balances(register, ["licence:L-1"])[0].spent == Loss(10)  # what was spent stays spent, what waited is given back
    assert ledger.balances(register, ["licence:L-1"])[0].reserved == Loss(0)
    whole(register)


def test_keys_stay_while_another_licence_is_open_and_products_when_so_agreed(register: Register) -> None:
    licence = a_licence("L-2").model_copy(update={"disposal": Disposal(keys="revoke")})
    acts.grant_licence(register, licence, by="li")
    run(register, "a", Loss(10))
    acts.revoke_licence(register, "L-2", reason="x", by="li")  # L-1 is still in force
    assert [key.status for key in register.api_keys()] == ["active"]
    acts.revoke_licence(register, "L-1", reason="x", by="li")
    assert not papers.withdrawn(register, "r-a", "op-1")
    assert [key.status for key in register.api_keys()] == ["active"]  # L-1 says keep


def test_an_amendment_keeps_accounts_and_makes_a_version(register: Register) -> None:
    run(register, "a", Loss(10))
    present = a_licence(datasets=("visits", "hospitals"))
    longer = present.model_copy(update={"valid_until": datetime(2030, 1, 1, tzinfo=UTC)})
    assert acts.amend_licence(register, longer, reason="renewal", by="li") == 2
    record = register.licence("L-1")
    assert record is not None
    assert (record.version, record.state, record.licence) == (2, "active", longer)
    assert ledger.balances(register, ["licence:L-1"])[0].spent == Loss(10)
    for version, document in ((1, present), (2, longer), (None, longer)):
        paper = papers.paper(register, "L-1", clock(register).now, version)
        assert paper is not None
        assert paper.licence == document
    assert papers.paper(register, "L-1", clock(register).now, 3) is None
    whole(register)


def test_what_an_amendment_may_not_do(register: Register) -> None:
    present = a_licence(datasets=("visits", "hospitals"))
    acts.issue_key(register, "op-2", "operator")
    lower = Degree(pico_rho=present.per_job.pico_rho // 2, atto_delta=present.per_job.atto_delta)
    acts.suspend_licence(register, "L-1", reason="amended while suspended, it stays so")
    for change, code in (
        ({}, "licence_amendment_refused"),
        ({"operator": "op-2"}, "licence_amendment_refused"),
        ({"total": lower, "per_job": lower}, "licence_amendment_refused"),
        ({"datasets": (DatasetGrant(dataset="wards"),)}, "licence_consent_missing"),
        ({"datasets": (DatasetGrant(dataset="ghosts"),)}, "licence_data_missing"),
        ({"valid_until": datetime(2026, 11, 1, tzinfo=UTC)}, "licence_term_over"),
        ({"id": "L-8"}, "licence_state_conflict"),
    ):
        wanted = present.model_copy(update=change)
        assert refused(lambda wanted=wanted: acts.amend_licence(register, wanted, reason="x", by="li"), register) == code
    acts.amend_licence(register, present.model_copy(update={"scenarios": ("city-health", "insurance")}), reason="x", by="li")
    assert state(register, "L-1") == "suspended"


def test_a_higher_total_takes_two_people_and_raises_the_cap(register: Register) -> None:
    present = a_licence(datasets=("visits", "hospitals"))
    more = a_licence(datasets=("visits", "hospitals"), rho=Decimal(2)).model_copy(update={"per_job": present.per_job})
    assert refused(lambda: acts.amend_licence(register, more, reason="x", by="wang"), register) == "auth_second_person"
    proposal = acts.propose_licence(register, more, by="li")
    assert refused(lambda: acts.amend_licence(register, more, reason="x", by="li", proposal=proposal), register) == "auth_second_person"
    acts.amend_licence(register, more, reason="more work", by="wang", proposal=proposal)
    assert ledger.balances(register, ["licence:L-1"])[0].cap == more.total.loss
    whole(register)


def test_the_end_is_the_same_on_either_database_and_when_replayed(database_url: str, tmp_path: Path) -> None:
    register = Register.open(settings_in(tmp_path / "home", database_url=database_url), clock=Ticking())
    try:
        furnish(register)
        run(register, "a", Loss(10))
        submit(register, "b", Loss(10))
        soon = clock(register).now + timedelta(seconds=30)
        changes = {"valid_until": soon, "disposal": Disposal(products="withdraw", keys="revoke")}
        acts.amend_licence(register, a_licence(datasets=("visits", "hospitals")).model_copy(update=changes), reason="terms")
        clock(register).now = soon
        assert acts.sweep_licences(register) == ("b",)
        acts.withdraw_dataset(register, "visits", reason="error at the source")
        whole(register)
        rebuild(register.engine)
        whole(register)
        assert papers.withdrawn(register, "r-a", "op-1")
        assert list(register.catalogue()) == ["hospitals"]
    finally:
        register.close()


def test_events_that_contradict_the_life_do_not_fit(register: Register) -> None:
    from jobs import events as ev

    for event in (
        ev.LicenceActivated(by="system", licence="L-1"),
        ev.LicenceExpired(by="system", licence="L-1"),  # its term is not over
        ev.LicenceDisposed(by="system", licence="L-1", products="keep", keys_revoked=0, jobs_cancelled=0),
        ev.LicenceConsented(by="zhao", licence="L-1", dataset="wards", reference="x", complete=True),
        ev.LicenceApplied(by="op-1", licence="L-1", operator="op-1", document="0" * 64),
    ):
        with pytest.raises(DoesNotFit), register.transaction() as act:
            act.append(event)


def test_every_state_is_reached_and_left_as_the_table_says() -> None:
    assert {step.after for step in LIFE if step.after} == set(STATES)
    from jobs.events import EVENT_KINDS

    assert {kind for kind in EVENT_KINDS if kind.startswith("licence_")} == {step.kind for step in LIFE} | {"licence_proposed"}


def test_the_carried_audit_holds_each_licence_to_its_seal(register: Register) -> None:
    acts.amend_licence(register, a_licence(datasets=("visits",)), reason="less")
    folder, key = register.settings.log_dir, Key.parse(register.vkey)
    assert len(audit_folder(folder, key).book.seals) == 2
    signed = [version.signed for version in papers.history(register, "L-1").versions]
    first, second = (folder / "documents" / digest[:2] / digest for digest in signed)
    kept = second.read_bytes()
    for content in (kept.replace(b"op-1", b"op-2"), first.read_bytes(), b""):
        second.chmod(0o600)
        second.write_bytes(content)
        with pytest.raises(YuneiProblem, match="verify_replay"):
            audit_folder(folder, key)
    second.write_bytes(kept)
    book = audit_folder(folder, key).book
    index, _, document, version, vkeys = book.seals[1]
    for forged in (
        (index, signed[0], document, version, vkeys),  # another's seal
        (index, signed[1], "0" * 64, version, vkeys),
        (index, signed[1], document, 3, vkeys),
    ):
        book.seals = [forged]
        with pytest.raises(YuneiProblem, match="verify_replay"):
            _seals(folder, book)
    book.seals = [(index, signed[1], document, version, (register.vkey,))]
    with pytest.raises(YuneiProblem, match="verify_signature"):
        _seals(folder, book)
