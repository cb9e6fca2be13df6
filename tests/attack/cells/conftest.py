"""Cells of every kind, and the world outside of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.cells.arena import Arena, Outside, outside


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """What lies outside: a secret, listeners. Its folder can be reached by every user."""
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    with outside(folder) as found:
        yield found


@pytest.fixture(scope="session", params=["bwrap", "bwrap strict", "docker", "docker strict"])
def arena(request: pytest.FixtureRequest, out: Outside) -> Arena:
    """Each kind of cells that takes raw rows."""
    kind, _, strict = request.param.partition(" ")
    return Arena(kind, strict == "strict", out.world)
