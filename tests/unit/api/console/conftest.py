"""One furnished house for the console's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs import acts
from tests import lane
from tests.bureau import Bureau, licence, opened, set_up
from tests.furnished import KINDS, NASTY, Furnished, furnish


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    home = tmp_path_factory.mktemp("console") / "home"
    keys = set_up(home)
    services = opened(home)
    bureau = Bureau(services, keys)
    acts.grant_licence(services.register, licence(KINDS, job_kinds=("sql", "model", "synthetic", "program")))
    lane.prepare(bureau)
    acts.set_freeze(services.register, "operator", "operator-2", reason=NASTY, by="supervisor")
    yield furnish(bureau)
    services.close()
