"""Cells of every kind, and the world outside of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.cells.arena import Arena, Outside, outside
from tests.cells import CAMPAIGN


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """What lies outside: a secret, listeners. Its folder can be reached by every user."""
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    with outside(folder) as found:
        yield found


WARM, STRICT = ["bwrap", "docker"], ["bwrap strict", "docker strict"]


@pytest.fixture(scope="session", params=[*WARM, *STRICT])
def arena(request: pytest.FixtureRequest, out: Outside) -> Arena:
    """Each kind of cells that takes raw rows."""
    return _arena(request.param, out)


@pytest.fixture(scope="session", params=[*WARM, *(STRICT if CAMPAIGN else [])])
def warm(request: pytest.FixtureRequest, out: Outside) -> Arena:
    """The same for what takes many blocks: strict cells, of which each is started anew, in a campaign only."""
    return _arena(request.param, out)


def _arena(name: str, out: Outside) -> Arena:
    kind, _, strict = name.partition(" ")
    return Arena(kind, strict == "strict", out.world)
