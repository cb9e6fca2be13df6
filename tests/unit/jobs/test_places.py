"""A job whose data no node may read is refused before anything is read, and its reservation given back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from sqlalchemy import select

from api.services import ClosablePool
from infra.database import reading
from infra.tables import charges, jobs
from infra.workers import InlineWorkers
from tests.bureau import Home, opened, order


class Elsewhere(InlineWorkers):
    """Workers none of which is where the data is, until one is."""

    is_there = False

    def present(self, datasets: Iterable[str]) -> bool:
        assert list(datasets) == ["visits"]
        return self.is_there


def test_a_job_without_a_node_for_its_data_costs_nothing(bureau_home: Home, tmp_path: Path) -> None:
    bureau_home.copy_to(tmp_path / "home")
    pool = Elsewhere()
    services = opened(tmp_path / "home", workers=cast(ClosablePool, pool))
    try:
        job = services.submit(order()).result(60)
        until = time.monotonic() + 60
        found = None
        while found is None and time.monotonic() < until:
            with reading(services.register.engine) as connection:
                found = connection.execute(select(jobs.c.problem).where(jobs.c.id == job)).scalar_one()
                left = connection.execute(select(charges.c.state)).scalars().all()
            time.sleep(0.02)
        assert "data_place_absent" in str(found)
        assert left == ["released"]
        pool.is_there = True
        assert services.submit(order()).result(60) != job
    finally:
        services.close()
