from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.server import KEY, Bureau, serving
from yunei import Client
from yunei.words import say


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the developer's own configuration."""
    for name in (
        "YUNEI_URL",
        "YUNEI_KEY",
        "YUNEI_LANG",
        "YUNEI_STATE",
        "YUNEI_CONFIG",
        "YUNEI_LICENCE",
        "YUNEI_SCENARIO",
        "LC_ALL",
        "LC_MESSAGES",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(say, "language", "en")
    return tmp_path / "config" / "yunei"


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    with serving(tmp_path / "served-log") as found:
        yield found


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(bureau: Bureau, pauses: list[float]) -> Iterator[Client]:
    with Client(bureau.url, KEY, pause=pauses.append) as found:
        yield found
