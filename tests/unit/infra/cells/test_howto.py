"""The how-to says of Docker and the launcher what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from infra.cells import dockerd, frames
from infra.settings import PREFIX, Settings

TEXT = (Path(__file__).parents[4] / "docs/how-to/cells.md").read_text()


def test_the_daemon_has_the_flags_that_tests_run_it_with() -> None:
    unit = TEXT.split("ExecStart=/usr/sbin/dockerd ")[1].split("\nDelegate")[0].replace("\\\n", " ").split()
    ours = dockerd.command(Path("/x"))[1:]
    places = ("--data-root", "--exec-root", "--pidfile", "--host", "--group")
    assert {flag for flag in unit if not flag.startswith(places)} == {flag for flag in ours if not flag.startswith(places)}
    assert {flag.split("=")[0] for flag in ours} <= {flag.split("=")[0] for flag in unit}


def test_every_setting_it_names_is_one() -> None:
    named = set(re.findall(rf"{PREFIX}([A-Z0-9_]+)", TEXT))
    assert named
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_every_message_is_in_its_table() -> None:
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == list(frames.REQUESTS)
