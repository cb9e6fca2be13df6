from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.register import Register
from tests.audited import fill
from tests.small_register import Ticking, a_register, settings_in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Register]:
    with a_register(tmp_path_factory.mktemp("made")) as register:
        fill(register)
        yield register


@pytest.fixture
def copy(made: Register, tmp_path: Path) -> Iterator[Register]:
    """A register of its own to tamper with."""
    made.engine.dispose()
    shutil.copytree(made.settings.home, tmp_path / "home")
    register = Register.open(settings_in(tmp_path / "home"), clock=Ticking())
    yield register
    register.close()
