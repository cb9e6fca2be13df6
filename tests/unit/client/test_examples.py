"""What the client's documentation shows is run: docstrings, and the Python of its README."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

import yunei
from tests.unit.client.server import KEY, Bureau

pytestmark = pytest.mark.enable_socket
FOLDER = Path(str(yunei.__file__)).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    done = doctest.testmod(import_module(f"yunei.{name}"))
    assert done.attempted
    assert not done.failed


def test_readme(bureau: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code.replace("https://yunei.example", bureau.url), {"key": KEY})
    assert capsys.readouterr().out == "ε = 0.5 (δ = 1e-8)\n"


def test_readme_shows_only_commands_that_are() -> None:
    from yunei.cli.verbs import find

    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"yunei (login|whoami|(?:job|release|dataset|licence|account|log) \w+)", text)
    assert len(shown) >= 7
    for words in shown:
        noun, _, verb = words.partition(" ")
        assert find(noun, verb), words
