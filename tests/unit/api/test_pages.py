"""A server says how many of its processes may be swapped to a disk in plaintext, and does not serve where that is not put up with."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.metrics import Metrics
from api.services import Services
from infra.workers.inline import InlineWorkers
from policies.problem import Problem
from tests.small_register import settings_in


@pytest.fixture
def swapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with swap, whose processes may not lock memory."""
    monkeypatch.setattr("infra.memory.plaintext_swap", lambda: ("/dev/sda2",))
    monkeypatch.setattr("infra.memory.swap_forbidden", lambda: False)


def test_a_server_that_must_not_be_swapped_does_not_start(tmp_path: Path, swapping: None) -> None:
    services = Services.open(settings_in(tmp_path / "home", refuse_swap=True))
    try:
        with pytest.raises(Problem, match="server_swap_in_plaintext") as refused:
            services.start(InlineWorkers())
        assert refused.value.fields["count"] == "2", "itself, and its one worker"
        assert not services.ready.is_set()
    finally:
        services.close()


@pytest.mark.parametrize(("forbidden", "said"), [(False, b"yunei_swappable_processes 2.0"), (True, b"yunei_swappable_processes 0.0")])
def test_one_that_may_be_says_how_many_processes(
    tmp_path: Path, swapping: None, monkeypatch: pytest.MonkeyPatch, forbidden: bool, said: bytes
) -> None:
    monkeypatch.setattr("infra.memory.swap_forbidden", lambda: forbidden)
    services = Services.open(settings_in(tmp_path / "home"))
    try:
        services._look_at_pages(InlineWorkers())
        assert said in Metrics(services).expose().splitlines()
    finally:
        services.close()
