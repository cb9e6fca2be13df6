"""A small house: shared to be read, or one's own to be written to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.register import Register
from tests.money import licensed, tariff
from tests.reports import furnish


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    with licensed(tmp_path_factory.mktemp("reports"), tariff()) as register:
        furnish(register)
        yield register


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Register]:
    """A register to write to."""
    with licensed(tmp_path, tariff()) as register:
        furnish(register)
        yield register
