"""Datasets in the register: how far their registration is, what a version was made of, and taking them back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs import acts, directory
from jobs import events as ev
from jobs.acts import Lineage, Source
from jobs.audit import audit
from jobs.projections import DoesNotFit
from jobs.register import Register
from policies.catalogue import REGISTRATIONS, Snapshot
from policies.problem import Problem
from tests.small_register import a_licence, a_register, a_snapshot, furnish


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path) as register:
        yield register


def refused(act: Callable[[], object], register: Register) -> str:
    size = register.size
    with pytest.raises(Problem) as caught:
        act()
    assert register.size == size, "a refused act left something in the log"
    return caught.value.code


def changed(snapshot: Snapshot, **values: Any) -> Snapshot:
    return snapshot.model_copy(update={"dataset": snapshot.dataset.model_copy(update=values)})


def whole(register: Register) -> None:
    report = audit(register.settings.log_dir, [register.vkey], register.engine)
    assert report.findings == []


def test_registration_goes_step_by_step_and_only_coded_data_is_licensed(register: Register) -> None:
    furnish(register)
    acts.register_dataset(register, changed(a_snapshot("labs"), registration="applied"))
    grant = a_licence("L-2", datasets=("labs",))
    for number, state in enumerate(REGISTRATIONS[1:], 1):
        assert refused(lambda: acts.grant_licence(register, grant), register) == "licence_data_uncoded"
        for wrong in (*REGISTRATIONS[:number], *REGISTRATIONS[number + 1 :]):
            assert refused(lambda wrong=wrong: acts.move_registration(register, "labs", wrong), register) == "data_registration_order"
        acts.move_registration(register, "LABS", state, by="li")
    acts.grant_licence(register, grant)
    assert refused(lambda: acts.move_registration(register, "ghosts", "coded"), register) == "data_registration_order"
    whole(register)


def test_lineage_is_kept_sealed_and_names_files_and_forerunners(register: Register) -> None:
    files = (Source("visits.csv", "ab" * 32, 1234),)
    acts.register_dataset(register, a_snapshot(), by="zhao", lineage=Lineage(files))
    acts.register_dataset(register, a_snapshot("hospitals", space=None))
    acts.register_dataset(register, a_snapshot(version=2), by="sun", lineage=Lineage(files, parents=(("hospitals", 1), ("ghosts", 1))))
    with register.engine.connect() as connection:
        first, second = directory.versions_of(connection, "Visits")
    assert (first.ingested_by, second.ingested_by) == ("zhao", "sun")
    assert first.lineage is not None
    assert second.lineage is not None
    opened = json.loads(register.opening(second.lineage) or b"")
    assert opened == {
        "by": "sun",
        "sources": [{"name": "visits.csv", "sha256": "ab" * 32, "bytes": 1234}],
        "parents": [
            {"dataset": "visits", "version": 1, "digest": f"{1:064x}"},
            {"dataset": "hospitals", "version": 1, "digest": f"{1:064x}"},
        ],
    }
    log = b"".join(path.read_bytes() for path in register.settings.log_dir.rglob("*") if path.is_file())
    assert b"ab" * 32 not in log, "the digest of raw bytes could be guessed: it stays out of the log"
    whole(register)


def test_a_withdrawn_dataset_is_gone_for_good(register: Register) -> None:
    furnish(register)
    before = register.catalogue()
    acts.withdraw_dataset(register, "VISITS", reason="error at the source", by="zhao")
    assert list(register.catalogue()) == ["hospitals"]
    with register.engine.connect() as connection:
        assert list(directory.standing_in(connection, before)) == ["hospitals"]
    assert register.snapshot("visits", 1) == a_snapshot()  # what was answered from it can still be explained
    assert refused(lambda: acts.withdraw_dataset(register, "visits", reason="again"), register) == "data_withdrawn"
    assert refused(lambda: acts.register_dataset(register, a_snapshot(version=2)), register) == "data_withdrawn"
    assert refused(lambda: acts.grant_licence(register, a_licence("L-2")), register) == "licence_data_missing"
    whole(register)


def test_a_withdrawn_version_waits_for_the_next(register: Register) -> None:
    furnish(register)
    old = register.catalogue()
    acts.register_dataset(register, a_snapshot(version=2))
    acts.withdraw_dataset(register, "visits", version=2, reason="wrong month")
    assert list(register.catalogue()) == ["hospitals"]
    with register.engine.connect() as connection:
        assert list(directory.standing_in(connection, old)) == ["hospitals"], "no job goes on with an older version meanwhile"
    for version in (2, 7):
        assert refused(lambda version=version: acts.withdraw_dataset(register, "visits", version=version, reason="x"), register)
    acts.register_dataset(register, a_snapshot(version=3))
    assert register.catalogue()["visits"].version == 3
    with register.engine.connect() as connection:
        assert sorted(directory.standing_in(connection, old)) == ["hospitals", "visits"]
        assert [(each.version, each.state) for each in directory.versions_of(connection, "visits")] == [
            (1, "current"), (2, "withdrawn"), (3, "current"),
        ]  # fmt: skip
    whole(register)


def test_events_that_contradict_the_catalogue_do_not_fit(register: Register) -> None:
    furnish(register)
    acts.withdraw_dataset(register, "hospitals", reason="x")
    for event in (
        ev.RegistrationMoved(by="li", dataset="visits", to="coded"),
        ev.RegistrationMoved(by="li", dataset="visits", to="applied"),
        ev.DatasetWithdrawn(by="zhao", dataset="hospitals", reason="again"),
        ev.DatasetWithdrawn(by="zhao", dataset="visits", version=9, reason="x"),
        ev.VersionIngested(by="zhao", dataset="hospitals", version=2, digest="a" * 64, document="a" * 64),
    ):
        with pytest.raises(DoesNotFit), register.transaction() as act:
            act.append(event)
