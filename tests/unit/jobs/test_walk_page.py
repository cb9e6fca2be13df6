"""docs/walk.md cannot lie: every place it names exists, its diagram is the table of states, its order is the function's."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from jobs import release as walk
from jobs.states import diagram

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")


def names_in(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def test_every_place_exists() -> None:
    places = re.findall(r"`([a-z_/]+\.py)(?::([A-Za-z_.]+))?`", PAGE)
    assert len(places) > 25
    for file, name in places:
        assert (ROOT / file).is_file(), file
        assert not name or name in names_in(ROOT / file), f"{file}:{name}"


def test_the_diagram_is_the_table() -> None:
    assert diagram() in PAGE


def test_the_page_goes_through_the_function_in_its_order() -> None:
    source = inspect.getsource(walk.release)
    rows = [line.split(" | ")[2] for line in PAGE.splitlines() if re.match(r"\| \d", line)]
    called = [re.search(r":(?:\w+\.)?(\w+)`", row) for row in rows]
    aliases = {"check": "kind.check"}
    places = [
        source.find(f"{aliases.get(name, name)}(")
        for match in called
        if match
        for name in [match.group(1)]
        if name not in {"authenticate", "Slots"}
    ]
    places = [place for place in places if place >= 0]
    assert len(places) >= 11
    assert places == sorted(places)
