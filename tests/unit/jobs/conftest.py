from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bureau import Bureau, Home, opened


@pytest.fixture
def bureau(bureau_home: Home, tmp_path: Path) -> Iterator[Bureau]:
    """A bureau of one's own that carries jobs in this process."""
    keys = bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home")
    yield Bureau(services, keys)
    services.close()
