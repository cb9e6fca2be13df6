"""Jobs of kind `program`: refused before anything is read, or run, noised, published and sound under audit; and never telling of blocks."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.services import Services
from infra.cells.base import CellsError, Finding
from jobs import acts, hops, quote, trials
from jobs.cells import CellRoom
from jobs.kinds.program import ProgramKind
from jobs.order import Order
from jobs.queue import Stopping
from policies.problem import Problem
from sandbox.raw import blocks as room
from tests import visits
from tests.fake_cells import FakeCells, FakeRoom
from tests.program_jobs import EXPECTED_MS, PERSONS, ROWS, asked, digest_of, fake, opened_with_programs, program, released, sound, wait
from tests.program_jobs import calm as calm
from tests.program_jobs import programs_home as programs_home
from tests.program_jobs import services as services


def test_a_program_runs_on_every_block_and_its_noisy_mean_is_released(services: Services) -> None:
    (row,) = released(services, asked(services))
    cells = fake(services)
    assert len(cells.blocks) == 12
    assert cells.opened == 1, "one cell for the job"
    assert set(row) == {"days", "days__half_width", "urgent", "urgent__half_width"}
    assert row["urgent"] == pytest.approx(0.4, abs=3 * row["urgent__half_width"])  # six times the noise
    assert row["days__half_width"] == pytest.approx(1.96 * 400 / 12 / np.sqrt(0.1), rel=0.01)
    sound(services)


def test_each_unit_alone(services: Services) -> None:
    rows = released(services, asked(services, "totals", seconds="0.05", tables=[{"dataset": "stays", "columns": ["days"]}]))
    assert len(fake(services).blocks) == PERSONS
    assert [row["busy"] for row in rows] == ["no", "yes"]
    table = visits.rows(ROWS, PERSONS)
    by_person: dict[int, list[int]] = {}
    for person, days in zip(table.column("person_id").to_pylist(), table.column("days").to_pylist(), strict=True):
        by_person.setdefault(person, []).append(days)
    busy = [min(sum(days), 2000) for days in by_person.values() if len(days) > 3]
    assert rows[1]["days"] == pytest.approx(sum(busy) / len(busy), abs=4 * rows[1]["days__half_width"])
    assert rows[1]["days__half_width"] < 60
    sound(services)


@pytest.mark.parametrize("combine", ["median", "winsorised"])
def test_other_ways_to_put_blocks_together(services: Services, combine: str) -> None:
    (row,) = released(services, asked(services, combine=combine, blocks=100, privacy={"rho": "0.1"}))
    assert 0 <= row["days"] <= 400
    assert (row["days__half_width"] is None) == (combine == "median")
    sound(services)


def refused(services: Services, order: Order) -> Problem:
    size = services.register.size
    blocks = len(fake(services).blocks)
    with pytest.raises(Problem) as caught:
        quote.check(services.office, order)
    assert services.register.size == size, "a quote leaves nothing in the log"
    with pytest.raises(Problem) as again:
        services.submit(order).result(60)
    assert again.value.code == caught.value.code
    assert len(fake(services).blocks) == blocks, "no block was made"
    return caught.value


@pytest.mark.parametrize(
    ("changes", "code", "at"),
    [
        ({"parameters": {"scale": 3}}, "program_request_invalid", "parameters.scale"),
        ({"parameters": {}}, "program_request_invalid", "parameters.scale"),
        ({"parameters": {"scale": 1, "x": 1}}, "program_request_invalid", "parameters.x"),
        ({"parameters": {"scale": "one"}}, "program_request_invalid", "parameters.scale"),
        ({"ranges": {"days": {"low": -1, "high": 10}}}, "program_request_invalid", "ranges.days"),
        ({"ranges": {"other": {"low": 0, "high": 1}}}, "program_request_invalid", "ranges.other"),
        ({"weights": {"other": 2}}, "program_request_invalid", "weights.other"),
        ({"combine": "sum"}, "program_request_invalid", "combine"),
        ({"edges": 9}, "program_request_invalid", "edges"),
        ({"seconds": 21}, "program_request_invalid", "seconds"),
        ({"tables": [{"dataset": "none", "columns": ["a"]}]}, "program_tables_refused", "tables[0](none)"),
        ({"tables": [{"dataset": "stays", "columns": ["zzz"]}]}, "program_tables_refused", "tables[0](stays).columns"),
        ({"tables": [{"dataset": "visits", "columns": ["days"]}]}, "licence_refused", "licence_catalogue_use"),
        ({"program": "0" * 64}, "program_unknown", ""),
        ({"privacy": {"rho": "90"}}, "licence_refused", ""),
        ({"scenario": "other"}, "licence_refused", ""),
        ({"licence": "L-1"}, "licence_refused", "licence_job_kind"),
        ({"by": "operator-2"}, "licence_refused", ""),
    ],
)
def test_what_is_refused_is_refused_before_data_and_located(calm: Services, changes: dict[str, Any], code: str, at: str) -> None:
    problem = refused(calm, asked(calm, **changes))
    assert problem.code == code
    if at:
        assert at in [part.fields.get("path", part.code) for part in problem.parts]


def test_a_program_that_is_not_approved_any_more_does_not_run(services: Services) -> None:
    acts.invalidate_program(services.register, digest_of(services), reason="错误", by="supervisor")
    assert refused(services, asked(services)).code == "program_state_conflict"


def test_rows_are_refused_while_a_probe_fails_and_what_it_found_is_in_the_log(services: Services) -> None:
    fake(services).findings = (Finding("clocks", False), Finding("files", True))
    room_of = FakeRoom(services.settings, services.register, services.clock)
    room_of.fake = fake(services)
    services.office.cells.__dict__.update(room_of.__dict__)
    with pytest.raises(Problem) as caught:
        services.submit(asked(services)).result(60)
    assert caught.value.code == "program_cells_unavailable"
    assert not fake(services).blocks
    probed = [event for event in services.register.events(limit=1000) if event.kind == "cells_probed"]
    assert probed[-1].event.missing == ("clocks",)  # type: ignore[attr-defined]
    sound(services)


def test_a_job_that_lost_its_server_after_reading_meets_the_same_blocks_again(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = ProgramKind.drawn

    def dies(*_: Any) -> Any:
        raise Stopping

    monkeypatch.setattr(ProgramKind, "drawn", dies)
    job = services.submit(asked(services)).result(60)
    until = time.monotonic() + 60
    while len(fake(services).blocks) < 12 and time.monotonic() < until:
        time.sleep(0.02)
    first = sorted(fake(services).blocks)
    services.close()
    monkeypatch.setattr(ProgramKind, "drawn", drawn)
    again = opened_with_programs(services.settings.home)
    try:
        seen = wait(again, job)
        assert seen.state == "published"
        assert len(first) == 12
        assert sorted(fake(again).blocks) == first, "the job's own seed deals units alike"
        assert [event.kind for event in again.register.events(limit=1000)].count("charge_reserved") == 1
        sound(again)
        other = wait(again, again.submit(asked(again, seconds="0.06")).result(60))
        assert other.state == "published"
        assert sorted(fake(again).blocks[12:]) != first, "another job deals otherwise"
    finally:
        again.close()


@pytest.mark.parametrize(("isolates", "synthetic"), [(False, False), (False, True), (True, False)])
def test_only_invented_rows_go_where_nothing_isolates(services: Services, isolates: bool, synthetic: bool) -> None:
    fake(services).isolates = isolates
    table = {"dataset": "invented" if synthetic else "stays", "columns": ["days", "urgent"]}
    told = services.submit(asked(services, tables=[table]))
    if isolates or synthetic:
        assert wait(services, told.result(60)).state == "published"
    else:
        with pytest.raises(Problem) as caught:
            told.result(60)
        assert caught.value.code == "program_cells_unavailable"
        assert not fake(services).blocks


def test_a_cancelled_job_gives_its_workers_back_between_tasks(services: Services) -> None:
    def slow(rows: Any) -> list[float]:
        time.sleep(0.05)
        return [1.0, 0.5]

    fake(services).program = slow
    job = services.submit(asked(services, blocks=40, seconds=5)).result(60)
    until = time.monotonic() + 60
    while not fake(services).blocks and time.monotonic() < until:
        time.sleep(0.01)
    hops.cancel(services.office, job, "operator-1")
    assert wait(services, job).state == "cancelled"
    services.crew.close()
    assert 0 < len(fake(services).blocks) < 40
    sound(services)


def trial(services: Services) -> trials.Trial:
    run = {"tables": [{"dataset": "stays", "columns": ["days", "urgent"]}], "parameters": {"scale": 1}}
    return trials.tried(services.office, program(), run)


def test_a_trial_tells_its_author_everything_and_leaves_nothing(services: Services) -> None:
    size = services.register.size
    found = trial(services)
    assert found.digest == digest_of(services)
    assert all(call.values is not None and 0 <= call.values[1] <= 1 for call in found.calls)
    fake(services).program = lambda rows: rows["no such column"]
    assert all(call.values is None and "no such column" in call.text for call in trial(services).calls)
    assert services.register.size == size


@pytest.mark.parametrize("why", ["nothing isolates", "a probe fails", "a cell does not come up"])
def test_nobody_runs_what_nobody_reviewed_where_it_could_reach_something(services: Services, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(services).isolates = why != "nothing isolates"
    if why == "a probe fails":
        fake(services).findings = (Finding("files", False),)
        services.office.cells._probed_at = None  # as after the interval
    if why == "a cell does not come up":

        def broken(*_: Any, **__: Any) -> Any:
            raise CellsError("cells_start_failed", "bwrap")

        monkeypatch.setattr(FakeCells, "open", broken)
        with pytest.raises(Problem, match="program_cells_unavailable"):
            quote.dummy(services.office, asked(services))
    with pytest.raises(Problem, match="program_cells_unavailable"):
        trial(services)
    assert not fake(services).blocks


def test_where_programs_are_switched_off_none_is_promised_anything(services: Services) -> None:
    services.office.cells.__class__ = CellRoom  # the real one, whose backend is what the settings name
    object.__setattr__(services.office.cells, "_settings", services.settings.model_copy(update={"cells_backend": "off"}))
    problem = refused(services, asked(services))
    assert (problem.code, problem.fields["feature"]) == ("program_cells_unavailable", "YUNEI_CELLS_BACKEND")


WORST = {
    "raises": lambda rows: 1 / 0,
    "gives nothing": lambda rows: None,
    "gives too much": lambda rows: np.zeros(9),
    "gives NaN": lambda rows: np.full(2, np.nan),
    "gives text": lambda rows: "secret",
    "gives bytes of no frame": lambda rows: b"secret",
}


@pytest.mark.parametrize("name", WORST)
def test_however_a_program_fails_the_outcome_has_one_form(services: Services, name: str) -> None:
    """A frame of defaults counts like any other: state, columns, half-widths and schedule are as for a program that works."""
    fake(services).program = WORST[name]
    (row,) = released(services, asked(services, blocks=50))
    assert row["days"] == pytest.approx(200, abs=5 * row["days__half_width"])
    assert row["days__half_width"] == pytest.approx(1.96 * 400 / 50 / np.sqrt(0.1), rel=0.01)


def test_a_worker_that_fails_fails_the_job_and_says_nothing(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("row of 太原")

    monkeypatch.setattr(room, "dealt", broken)
    seen = wait(services, services.submit(asked(services)).result(60))
    assert seen.state == "failed"
    assert list(seen.problem) == ["job_failed"]
    assert "太原" not in str(seen)
    sound(services)


def test_the_dummy_run_shows_the_answers_form_on_invented_rows(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "decrypted", lambda *_: pytest.fail("rows were read"))
    answer = quote.dummy(services.office, asked(services, privacy={"rho": "0.1"}))
    assert answer.table.column_names == ["days", "days__half_width", "urgent", "urgent__half_width"]
    assert 0 < len(fake(services).blocks) <= 8


def test_the_quote_advises_on_blocks_and_reserves_the_schedule_for_the_worst(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgramKind, "expected_ms", EXPECTED_MS)
    quoted = quote.check(services.office, asked(services, blocks=None, seconds="2"))
    advice = quoted.explanation["advice"]
    assert quoted.explanation["blocks"] == advice["blocks"]
    assert quoted.slot_ms >= advice["blocks"] / services.settings.workers * 2_000
    assert not fake(services).blocks
    assert threading.active_count() < 200
