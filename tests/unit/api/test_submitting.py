"""Submitting a job: the answer is made by the thread that carries the job, before that goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from infra.database import reading
from infra.tables import jobs
from tests.bureau import OTHER_SQL, Home, opened, order
from tests.program_jobs import wait


def test_an_answer_is_made_where_the_job_is_carried_and_the_job_goes_on_whatever_came_of_it(bureau_home: Home, tmp_path: Path) -> None:
    bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home")
    asked: list[tuple[str, str]] = []

    def looks(job: str) -> str:
        with reading(services.register.engine) as connection:
            asked.append((threading.current_thread().name, connection.execute(select(jobs.c.state).where(jobs.c.id == job)).scalar_one()))
        raise LookupError(job)

    try:
        with pytest.raises(LookupError) as caught:
            services.submit_and(order(), looks).result(60)
        (thread, state), job = asked[0], str(caught.value.args[0])
        assert thread.startswith("job")
        assert state == "reading", "it is in the register, and has not gone on"
        assert wait(services, job).state == "published"
        assert services.submit_and(order(OTHER_SQL), len).result(60) == len(job)
    finally:
        services.close()
