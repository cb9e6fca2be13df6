"""What a first job needs is tried on nothing once the server is ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from api import services as room
from tests.bureau import Home, opened


def test_a_rehearsal_that_fails_stops_nobody(bureau_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []

    def broken() -> None:
        tried.append(True)
        raise ValueError("no parser")

    monkeypatch.setattr(room, "rehearse", broken)
    bureau_home.copy_to(tmp_path / "home")
    services = opened(tmp_path / "home")
    try:
        assert tried
        assert services.ready.is_set()
    finally:
        services.close()
