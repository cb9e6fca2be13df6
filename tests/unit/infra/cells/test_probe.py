"""A backend finds its own holes: none in a whole cell, the right ones in a weaker cell, all of them in none."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.cells import probe
from infra.cells.base import Cargo, CellsError, Finding
from infra.cells.bwrap import WEAKER, Bwrap
from infra.cells.probe import ATTACKS, FEATURES
from infra.cells.unsafe import Unsafe
from tests.cells import a_backend


def missing(found: tuple[Finding, ...]) -> set[str]:
    return {finding.feature for finding in found if not finding.ok}


def whole() -> Bwrap:
    backend = a_backend("bwrap")
    assert isinstance(backend, Bwrap)
    return backend


def test_a_whole_cell_holds() -> None:
    found = whole().probe()
    assert [finding for finding in found if not finding.ok] == []
    assert {finding.feature for finding in found} == set(FEATURES)
    assert len({finding.feature for finding in found}) == len(found)


def test_attacks_succeed_where_nothing_stops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cell without any safeguard but bubblewrap itself, the wall clock and the frame, which cannot be left out."""
    monkeypatch.setattr(probe, "LIMITS", replace(probe.LIMITS, wall_s=4.0))
    backend = replace(whole(), without=WEAKER, accept=frozenset(FEATURES))
    text = " ".join(finding.detail for finding in backend.probe())
    told = {attack.name for attack in ATTACKS if attack.name in text.replace(",", " ").split()}
    assert {attack.name for attack in ATTACKS} - told == {"hangs", "spins", "says_more", "says_less", "was_here"}


ALONE = {
    "network": {"connects", "connects_by_name"},
    "files": {"connects_by_path", "reads_the_machine", "writes"},
    "proc": {"looks_at_processes"},
    "landlock": {"connects", "reads_the_machine", "lists_the_root", "writes", "looks_at_processes"},
    "capabilities": {"has_capabilities", "mounts"},
    "descriptors": {"holds_a_file"},
    "clocks": {"counts_cycles"},
    "limits": {"takes_memory"},
    "seccomp": {attack.name for attack in ATTACKS if attack.about in ("network", "neighbours", "processes", "seccomp")},
}


@pytest.mark.parametrize("wall", ALONE)
def test_each_wall_holds_by_itself(wall: str) -> None:
    """With all the others gone, so that none of them hides that it has a hole."""
    tried = sorted(ALONE[wall])
    backend = replace(whole(), without=WEAKER - {wall}, accept=frozenset(FEATURES))
    cargo = Cargo(probe._package(), "attacks:run", b"")
    with probe._prey() as aim, backend.open(replace(cargo, parameters=json.dumps(aim).encode()), probe.LIMITS) as cell:
        got = [name for name in tried if probe._values(cell, [name])[0] == 1.0]
        assert probe._values(cell, []) == (0.0,) * 32
    assert got == []


def test_a_safeguard_left_out_is_missing() -> None:
    backend = replace(whole(), without=frozenset({"landlock", "network"}), groups=None)
    assert missing(backend.probe()) == {"landlock", "network", "cgroup_memory", "cgroup_pids", "cgroup_cpu"}


def test_no_cell_is_missing_everything_it_could_have() -> None:
    assert missing(Unsafe().probe()) >= {"network", "files", "clocks", "seccomp", "landlock"}


def test_what_does_not_start_holds_nothing(tmp_path: Path) -> None:
    found = replace(whole(), root=tmp_path).probe()
    assert missing(found) >= {attack.about for attack in ATTACKS}
    assert any("cells_start_failed" in finding.detail for finding in found)


def test_silence_is_no_proof() -> None:
    """A cell that never gives a frame has not refused anything."""

    class Silent:
        name, isolates = "silent", True

        @contextmanager
        def open(self, *_: Any, **__: Any) -> Any:
            yield self

        def run(self, _block: bytes) -> bytes | None:
            return None

        def probe(self) -> tuple[Finding, ...]:
            return probe.probe(self)  # type: ignore[arg-type]

    assert missing(Silent().probe()) >= {"network", "files", "neighbours", "frame"}


def test_a_backend_that_cannot_be_opened_is_a_finding() -> None:
    class Closed:
        name, isolates = "closed", True

        def open(self, *_: Any, **__: Any) -> Any:
            raise CellsError("cells_start_failed", "no bubblewrap")

    found = probe.probe(Closed())  # type: ignore[arg-type]
    assert missing(found) == {attack.about for attack in ATTACKS}
    assert all(finding.detail == "cells_start_failed: no bubblewrap" for finding in found)
