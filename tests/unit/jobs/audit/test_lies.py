"""Signed, in order, and not true: what only replaying the events finds."""

from __future__ import annotations

import pytest

from jobs import acts
from jobs.audit import audit
from jobs.events import (
    Event,
    PrincipalRegistered,
    VersionIngested,
    canonical,
)
from jobs.register import Register
from tests.audited import LIES, charge, codes, published, raised, sign_behind_the_registers_back, whole
from tests.small_register import a_snapshot, title


def test_what_the_lies_below_are_bent_from_is_true(copy: Register) -> None:
    with copy.transaction() as act:
        act.append(published())
        act.append(charge())
        act.append(raised())
    assert whole(copy).clean


@pytest.mark.parametrize("event", [event for lies in LIES.values() for event in lies], ids=list(LIES))
def test_a_signed_lie_is_found_by_replaying_it(copy: Register, event: Event | None) -> None:
    """A server that was replaced signs an overdraft: the tree is perfect, the story is not."""
    body = canonical(event, "2027-01-01T00:00:00.000000Z") if event else b'{"kind":"nothing"}'
    sign_behind_the_registers_back(copy, body)
    report = audit(copy.settings.log_dir, [copy.vkey])
    assert codes(report) == ["log_entry_impossible"]
    assert report.findings[0].fields["index"] == "600"


def test_a_version_below_the_current_one_is_found(copy: Register) -> None:
    acts.register_dataset(copy, a_snapshot(version=3))
    event = VersionIngested(by="system", dataset="visits", version=2, digest="a" * 64, document="a" * 64)
    sign_behind_the_registers_back(copy, canonical(event, "2027-01-01T00:00:00.000000Z"))
    assert codes(audit(copy.settings.log_dir, [copy.vkey])) == ["log_entry_impossible"]


def test_an_entry_dated_before_its_forerunner_is_found(copy: Register) -> None:
    event = PrincipalRegistered(by="system", principal="early", role="builder", title=title("p"))
    sign_behind_the_registers_back(copy, canonical(event, "2020-01-01T00:00:00.000000Z"))
    assert codes(audit(copy.settings.log_dir, [copy.vkey])) == ["log_time_backwards"]
