"""A job whose data no node may read is refused before anything is read or reserved."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from api.services import ClosablePool
from infra.database import reading
from infra.tables import charges
from infra.workers import InlineWorkers
from jobs import quote
from policies.problem import Problem
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
        with pytest.raises(Problem) as caught:
            services.submit(order()).result(60)
        assert caught.value.code == "data_place_absent"
        with pytest.raises(Problem) as quoted:
            quote.check(services.office, order())
        assert quoted.value.code == "data_place_absent"
        with reading(services.register.engine) as connection:
            assert connection.execute(select(charges.c.state)).all() == []
        pool.is_there = True
        assert services.submit(order()).result(60)
    finally:
        services.close()
