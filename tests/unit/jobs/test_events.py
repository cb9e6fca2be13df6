"""Events: one spelling each, nothing unreadable, nothing unprojected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.tables import PROJECTIONS, metadata
from jobs.documents import licence_document, read_licence, read_snapshot, snapshot_document
from jobs.events import (
    EVENT_KINDS,
    AccountOpened,
    Cost,
    Event,
    FeeLine,
    FeePosted,
    FeeShare,
    JobAdmitted,
    LicenceSuspended,
    Recorded,
    UnreadableEntry,
    canonical,
    commitment,
    question_digest,
    read_entry,
    rfc3339,
)
from jobs.events.handed import packed, unpacked
from jobs.projections import PROJECTED
from policies.loss import Loss
from tests.small_register import a_licence, a_snapshot

AT = "2026-11-22T08:00:00.000000Z"
OPENED = AccountOpened(by="system", account="dataset:访问", account_kind="dataset", subject="访问", cap=Cost(pico_rho=10**18, atto_delta=0))


def test_every_kind_is_projected_and_nothing_else_is() -> None:
    assert set(PROJECTED) == set(EVENT_KINDS)
    assert len(EVENT_KINDS) == len(Event.__subclasses__())


def test_every_table_is_the_log_a_projection_or_named_here() -> None:
    others = {"entries", "log_head", "log_hashes", "documents", "openings", "leases", "credential_uses", "lockouts", "once"}
    others |= {"webhooks", "webhook_messages", "webhook_attempts", "webhook_cursor", "watch_cursor", "watch_notes"}  # working notes
    assert {table.name for table in metadata.sorted_tables} == others | {table.name for table in PROJECTIONS}


def test_an_entry_is_canonical_json_with_exact_amounts() -> None:
    body = canonical(OPENED, AT)
    assert body == rfc8785.dumps(json.loads(body))
    assert json.loads(body) == {
        "account": "dataset:访问",
        "account_kind": "dataset",
        "at": AT,
        "by": "system",
        "cap": {"atto_delta": "0", "pico_rho": "1000000000000000000"},
        "kind": "account_opened",
        "subject": "访问",
    }
    recorded = read_entry(7, body)
    assert (recorded.index, recorded.at, recorded.event) == (7, AT, OPENED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"by":', b'"by" :'),
        (b"account_opened", b"account_closed"),
        (b'"1000000000000000000"', b'"01000000000000000000"'),
        (b'"1000000000000000000"', b"1000000000000000000"),
        (b'"1000000000000000000"', b'"1000000000000000001"'),
        (b'"0"', b'"-0"'),
        (b"08:00:00.000000Z", b"08:00:00Z"),
        (b"000000Z", b"000000+00:00"),
        (b'"by":"system",', b'"by":"system","extra":1,'),
        (b'{"account"', b'[{"account"'),
        ("访问".encode(), "访问".encode("gbk")),
    ],
)
def test_any_other_spelling_is_unreadable(old: bytes, new: bytes) -> None:
    body = canonical(OPENED, AT)
    assert old in body
    with pytest.raises(UnreadableEntry):
        read_entry(0, body.replace(old, new))


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[]", b'{"kind":"x","at":"y"}', b"[" * 100_000])
def test_what_is_no_event_at_all_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        read_entry(0, body)


def test_events_come_out_of_another_process_as_they_went_in() -> None:
    fee = FeePosted(
        by="system", cause="release", licence="L-1", operator="acme", release="rel-1", scenario="s", period="2026-11",
        tariff="0" * 64, licence_document="1" * 64, datasets=("visits",), free=False, fen=3,
        lines=(FeeLine(item="call", measure="call", quantity=1, fen=3),), shares=(FeeShare(body="hospital", fen=3),),
    )  # fmt: skip
    events = [read_entry(7 + at, canonical(event, AT)) for at, event in enumerate((OPENED, fee))]
    handed = unpacked(7, packed(events))
    assert handed == events == [Recorded(7, AT, OPENED), Recorded(8, AT, fee)]
    for went, came in zip(events, handed, strict=True):
        assert type(came.event) is type(went.event)
        assert canonical(came.event, AT) == canonical(went.event, AT)
        assert came.event.model_fields_set == went.event.model_fields_set
        with pytest.raises(ValidationError):
            came.event.by = "other"  # type: ignore[misc]  # still frozen


def test_an_entry_that_would_not_fit_its_tile_is_refused() -> None:
    opened = OPENED.model_copy(update={"subject": "x" * 66_000})
    with pytest.raises(ValueError, match="65535"):
        canonical(opened, AT)


@pytest.mark.parametrize("amount", [-1, 10**18 + 1, 1.0, "1.0", " 1", "٣", True])
def test_an_amount_is_a_whole_number_in_range(amount: object) -> None:
    with pytest.raises(ValidationError):
        Cost.model_validate({"pico_rho": amount, "atto_delta": 0})
    assert Cost.of(Loss(3, 4)).loss == Loss(3, 4)


def test_nothing_unnamed_gets_into_an_event() -> None:
    with pytest.raises(ValidationError):
        LicenceSuspended.model_validate({"by": "a", "licence": "L", "reason": "r", "sql": "SELECT 1"})


def test_times_are_utc_of_one_width() -> None:
    there = datetime(2026, 11, 22, 16, 0, tzinfo=timezone(timedelta(hours=8)))
    assert rfc3339(there) == rfc3339(datetime(2026, 11, 22, 8, 0, tzinfo=UTC)) == AT
    with pytest.raises(ValueError, match="zone"):
        rfc3339(datetime(2026, 11, 22))  # noqa: DTZ001  # what is tested


def test_a_question_is_plan_and_content_in_any_order() -> None:
    assert question_digest("a", ("1", "2")) == question_digest("a", ("2", "1"))
    assert len({question_digest("a", ("1",)), question_digest("b", ("1",)), question_digest("a", ("1", "1")), question_digest("a", ())}) == 4


def test_a_commitment_hides_behind_its_salt() -> None:
    assert commitment(bytes(32), b"x") != commitment(b"\x01" + bytes(31), b"x") != commitment(b"\x01" + bytes(31), b"y")
    with pytest.raises(ValueError, match="32"):
        commitment(b"", b"x")


def test_documents_give_back_what_was_put_in() -> None:
    for snapshot in (a_snapshot(), a_snapshot("labs", version=3, space=None)):
        body = snapshot_document(snapshot)
        assert read_snapshot(body) == snapshot
        assert snapshot_document(read_snapshot(body)) == body == rfc8785.dumps(json.loads(body))
    body = licence_document(a_licence())
    assert read_licence(body) == a_licence()
    assert licence_document(read_licence(body)) == body == rfc8785.dumps(json.loads(body))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
@example('\u0000\u0007\b\t\n\u000b\f\r\u001b"\\/\u007f\u0080\u2028\u2029\ufeff\U0001f600')
def test_text_is_spelled_as_rfc_8785_says(text: str) -> None:
    event = LicenceSuspended(by="system", licence="L-1", reason=text)
    body = canonical(event, AT)
    assert body == rfc8785.dumps({**event.model_dump(mode="json"), "kind": event.kind, "at": AT})
    assert read_entry(0, body).event == event


def test_a_number_that_others_might_round_is_not_written() -> None:
    usual = {"by": "system", "job": "j", "plan_digest": "a" * 64, "question": "b" * 64, "cost": Cost(pico_rho=1, atto_delta=0)}
    canonical(JobAdmitted(**usual, slot_ms=10**12), AT)
    with pytest.raises(ValueError, match="round"):
        canonical(JobAdmitted.model_construct(**usual, slot_ms=2**53), AT)
