from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.register import Register
from tests.money import licensed, tariff
from tests.small_register import a_register


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a register with a licence that charges, to be copied."""
    home = tmp_path_factory.mktemp("made") / "home"
    with licensed(home, tariff()):
        pass
    return home


@pytest.fixture
def register(made: Path, tmp_path: Path) -> Iterator[Register]:
    shutil.copytree(made, tmp_path / "home")
    with a_register(tmp_path / "home") as register:
        yield register
