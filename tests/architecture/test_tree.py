"""Rules over the tree that import-linter cannot see."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "infra", "jobs", "policies", "sandbox")


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout, whether or not committed yet; ignored ones are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, check=True, capture_output=True
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_registry_or_a_machine() -> None:
    # spelled in pieces so that this file does not contain what it looks for
    forbidden = re.compile(
        "|".join(("pypi" + r"\.org", "python" + "hosted", "index" + "-url +http", "npm" + "js", r"(?<![\w.-])/(?:work|farm|root|home)/"))
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix not in {".png", ".parquet"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []
    assert not [path for path in tracked() if path.name == "uv.lock"]


def test_the_lock_holds_hashes_for_every_package() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+(?:\[[a-z0-9,_-]+\])?)==\S+ ?(\\?)$", text, re.M)
    assert len(pinned) > 50
    assert all(tail for _, tail in pinned), "a pin without a hash"


def test_every_direct_dependency_is_locked() -> None:
    locked = {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.M)}
    asked: list[str] = []
    for file in ("pyproject.toml", "api/client/pyproject.toml"):
        project = tomllib.loads((ROOT / file).read_text())["project"]
        asked += project["dependencies"]
        for extra in project.get("optional-dependencies", {}).values():
            asked += extra
    names = {re.match(r"[A-Za-z0-9._-]+", item).group().lower() for item in asked} - {"yunei-client"}  # type: ignore[union-attr]
    assert names <= locked, names - locked


@pytest.mark.parametrize("room", ROOMS)
def test_modules_stay_readable(room: str) -> None:
    long = {str(path.relative_to(ROOT)): count for path in tracked(f"{room}/*.py") if (count := len(path.read_text().splitlines())) > 400}
    assert long == {}, "past 400 lines: split it"


def test_nothing_is_promised_for_later() -> None:
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")) + r")\b")
    found = [str(path.relative_to(ROOT)) for path in tracked("*.py") if marks.search(path.read_text())]
    assert found == []


def test_the_client_needs_none_of_the_server() -> None:
    heavy = re.compile(r"^\s*(?:import|from)\s+(ray|duckdb|opendp|sqlglot|sqlalchemy|fastapi|sandbox|jobs|policies|infra|api)\b", re.M)
    modules = tracked("api/client/yunei/**/*.py", "api/client/yunei/*.py")
    found = {str(path.relative_to(ROOT)) for path in modules if heavy.search(path.read_text())}
    assert modules
    assert found == set()


def test_settings_alone_reads_the_environment() -> None:
    environment = re.compile(r"\bos\.(environ|getenv)\b")
    allowed = {
        "infra/settings.py",
        "infra/workers/environment.py",  # Ray takes its settings from nowhere else
    }
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in tracked(f"{room}/*.py", f"{room}/**/*.py")
        if environment.search(path.read_text()) and not str(path.relative_to(ROOT)).startswith(("api/client/", "api/demo/"))
    }
    assert found <= allowed, found - allowed
