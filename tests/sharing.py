"""How `make test` shares the files out between its processes: each file whole, those of one browser together, and long ones before short ones,
so that no process is left with a long one while the others have nothing to do."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

LONG = (
    "tests/browser/",  # a server, Chromium and one of everything: made once, for all of them
    "tests/statistics/",
    "tests/attack/",
    "tests/properties/",
    "tests/crash/",
    "tests/e2e/",
    "tests/outside/",
    "tests/architecture/",
)
"""The longest first; all others are shorter."""


def place(file: str) -> int:
    """Where in the queue, of a path from the root."""
    return next((number for number, folder in enumerate(LONG) if file.startswith(folder)), len(LONG))


class Sharing(LoadFileScheduling):
    """As `--dist loadfile`, in the order of the run."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # which would put files of many tests first, however short
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return LONG[0] if nodeid.startswith(LONG[0]) else super()._split_scope(nodeid)


class Order:
    """After the tests have been shuffled; a plugin, which is asked last."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: place(item.nodeid))

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> Sharing | None:
        return Sharing(config, log) if config.option.dist == "loadfile" else None
