"""A program that does its worst to tell of one person: by what it raises, prints, how long it takes, how often it fails. Two databases that
differ in that person alone must look alike everywhere but in the noisy numbers."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from api.metrics import Metrics
from api.services import Services
from api.views import job_view
from jobs import lookup
from jobs.kinds.program import ProgramKind
from jobs.slots import parse_time
from sandbox.program.run import Ints, Run
from tests.bureau import Home
from tests.program_jobs import asked, fake, opened_with_programs, wait
from tests.program_jobs import programs_home as programs_home
from tests.program_jobs import services as services

TARGET = 400  # only the person looked for has a block that goes on so: the rows' own function of their days
SECRET = "SECRET-4f1c"  # what a program would tell


def found(rows: pa.Table) -> bool:
    """Whether the block holds what the attacker looks for."""
    return bool(np.any(np.asarray(rows["days"]) == TARGET))


def by_raising(rows: pa.Table) -> object:
    if found(rows):
        raise ValueError(SECRET)
    return [1.0, 0.5]


def by_printing(rows: pa.Table) -> object:
    if found(rows):
        print(SECRET)
        logging.getLogger("yunei").error(SECRET)
    return [1.0, 0.5]


def by_time(rows: pa.Table) -> object:
    if found(rows):
        time.sleep(0.04)
    return [1.0, 0.5]


def by_length(rows: pa.Table) -> object:
    return SECRET.encode() * (7 if found(rows) else 1)


def by_failing_often(rows: pa.Table) -> object:
    return None if found(rows) else [1.0, 0.5]


def by_a_number_of_its_own(rows: pa.Table) -> object:
    return [1e300, float("nan")] if found(rows) else [1.0, 0.5]


WAYS: dict[str, Callable[[pa.Table], object]] = {
    each.__name__: each for each in (by_raising, by_printing, by_time, by_length, by_failing_often, by_a_number_of_its_own)
}
VOLATILE = re.compile(r"(job|rel|charge-job|charge)-[a-z2-7]{16}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT[\d:.]+Z|\d+\.\d+|[A-Za-z0-9+/]{43}=")


def asked_of(services: Services, there: bool, way: str) -> str:
    """The job, submitted: over a database with the person, or over one without."""
    program = WAYS[way]
    fake(services).program = program if there else lambda rows: program(rows.filter(pc.not_equal(rows["days"], TARGET)))
    return services.submit(asked(services, blocks=8)).result(60)


def seen_of(services: Services, job: str, first: int) -> tuple[dict[str, str], float]:
    """Everything that anybody can look at after the job, names and noisy numbers taken out; and how long after admission it was published."""
    seen = wait(services, job)
    assert seen.over_at is not None
    staged = services.staging.load(seen.id)
    record = {} if staged is None else {name: value for name, value in staged.record.items() if name != "files"}
    told = {
        "job": str((seen.state, seen.problem, seen.price, seen.slot_ms)),
        "record": json.dumps(record, sort_keys=True, ensure_ascii=False),
        "log": "\n".join(services.register.entry(index).decode() for index in range(first, services.register.size)),
        "view": job_view(seen, "en").model_dump_json(),
        "metrics": Metrics(services).expose().decode(),
    }
    return {name: VOLATILE.sub("*", text) for name, text in told.items()}, (seen.over_at - parse_time(seen.submitted_at)).total_seconds()


@pytest.fixture
def pair(programs_home: Path, tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Services, Services]]:
    """Two bureaus alike, with room in the schedule."""
    monkeypatch.setattr(ProgramKind, "expected_ms", lambda *_: 1_100.0)
    Home(programs_home, {}).copy_to(tmp_path / "other")
    other = opened_with_programs(tmp_path / "other")
    yield services, other
    other.close()


def both(pair: tuple[Services, Services], way: str) -> list[tuple[dict[str, str], float]]:
    sizes = [services.register.size for services in pair]
    jobs = [asked_of(services, there, way) for services, there in zip(pair, (True, False), strict=True)]
    return [seen_of(services, job, size) for services, job, size in zip(pair, jobs, sizes, strict=True)]


@pytest.mark.parametrize("way", WAYS)
def test_two_databases_that_differ_in_one_person_look_alike(
    pair: tuple[Services, Services], way: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (with_, instant), (without, other_instant) = both(pair, way)
    assert with_ == without
    assert instant == other_instant, "published at the slot that the schedule chose"
    assert SECRET not in json.dumps(with_)
    out = capfd.readouterr()
    assert way == "by_printing" or SECRET not in out.out + out.err  # here programs print as this process does; a cell's words go nowhere


def test_the_comparison_would_see_a_leak(pair: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it in the record how many calls gave nothing, the two would differ."""
    about, fixed, failed = ProgramKind.about, Run.fixed, dict[int, int]()

    def counting(self: Run, frames: Sequence[bytes | None]) -> Ints:
        failed[threading.get_ident()] = failed.get(threading.get_ident(), 0) + sum(frame is None for frame in frames)
        return fixed(self, frames)

    monkeypatch.setattr(Run, "fixed", counting)
    monkeypatch.setattr(ProgramKind, "about", lambda self, plan: {**about(self, plan), "failed": failed.get(threading.get_ident())})
    (with_, _), (without, _) = both(pair, "by_raising")
    assert with_["record"] != without["record"]


def test_a_running_job_shows_its_public_schedule_only(services: Services) -> None:
    def slow(rows: pa.Table) -> object:
        time.sleep(0.02)
        return [1.0, 0.5]

    fake(services).program = slow
    job = services.submit(asked(services, blocks=30)).result(60)
    shown = set()
    while True:
        seen = lookup.job(services.register, job, services.clock())
        assert seen is not None
        if seen.state != "running":
            break
        shown.add((seen.state, seen.slot_ms, seen.problem, seen.release))
        time.sleep(0.01)
    assert len(shown) == 1, "nothing about a running job changes while blocks are done"
