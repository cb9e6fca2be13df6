"""A machine that lacks a safeguard: no cell opens, unless somebody has named what is missing; and probes find it missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.cells import base, bpf, wire
from infra.cells.base import CellsError
from infra.cells.docker import Docker
from infra.settings import Settings
from tests.attack.cells.arena import LIMITS, Arena, Outside, block, package
from tests.cells import a_backend, a_root

CARGO = base.Cargo(package(), "probes.run:attack")
KINDS = ("bwrap", "docker")


def lacking(monkeypatch: pytest.MonkeyPatch, *calls: str) -> None:
    """A kernel that refuses some calls: as seen from a cell, one that does not have them."""
    numbers = bpf.numbers

    def fewer(machine: Any) -> dict[str, int]:
        return {name: number for name, number in numbers(machine).items() if name not in calls}

    monkeypatch.setattr(bpf, "numbers", fewer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("calls", "feature"),
    [
        (("landlock_create_ruleset",), "landlock"),
        (("setns", "unshare"), "namespaces"),
        (("umount2", "mount"), "proc"),
        (("seccomp",), "seccomp"),
        (("prctl",), "clocks"),
    ],
)
def test_a_cell_without_a_safeguard_does_not_open(kind: str, calls: tuple[str, ...], feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, *calls)
    with pytest.raises(CellsError) as refused, a_backend(kind).open(CARGO, LIMITS):
        pass
    assert refused.value.code in ("cells_refused", "cells_start_failed")
    if refused.value.code == "cells_refused":
        backend: Any = a_backend(kind)
        accepting = replace(backend, accept=frozenset({feature, "proc", "clocks", "seccomp", "namespaces", "landlock"}))
        with accepting.open(CARGO, LIMITS) as cell:
            assert cell.features[feature] is False


def test_without_its_program_there_is_no_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CellsError) as missing:
        base.choose(Settings(cells_backend="bwrap", cells_dir=a_root().path.parents[1]))
    assert (missing.value.code, missing.value.about) == ("cells_unavailable", "bubblewrap")


def test_without_a_daemon_there_is_no_backend(tmp_path: Path) -> None:
    settings = Settings(cells_backend="docker", cells_dir=a_root().path.parents[1], cells_docker=f"unix://{tmp_path}/nothing")
    with pytest.raises(CellsError, match="cells_unavailable"):
        base.choose(settings)


def test_a_daemon_that_goes_away_opens_no_cell(tmp_path: Path) -> None:
    gone = Docker(f"unix://{tmp_path}/nothing", "sha256:0", tmp_path)
    with pytest.raises(CellsError, match="cells_unavailable"), gone.open(CARGO, LIMITS):
        pass
    assert not any(finding.ok for finding in gone.probe())


def test_an_image_that_is_not_there_is_not_fetched() -> None:
    backend: Any = a_backend("docker")
    with pytest.raises(CellsError) as missing, replace(backend, image=f"sha256:{'0' * 64}").open(CARGO, LIMITS):
        pass
    assert (missing.value.code, missing.value.about) == ("cells_unavailable", "docker image")


def test_off_is_off() -> None:
    with pytest.raises(CellsError, match="YUNEI_CELLS_BACKEND"):
        base.choose(Settings())


def test_without_control_groups_the_probes_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cells.bwrap.probe", lambda _: ())
    backend: Any = a_backend("bwrap")
    found = {finding.feature: finding.ok for finding in replace(backend, groups=None).probe()}
    assert [found[f"cgroup_{each}"] for each in ("memory", "pids", "cpu")] == [False] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_probes_find_every_feature_here(kind: str) -> None:
    assert [finding for finding in a_backend(kind).probe() if not finding.ok] == []


def test_every_block_after_a_dead_zygote_has_a_new_one(out: Outside) -> None:
    """One unit's block cannot take the frames of others along."""
    for kind in KINDS:
        with Arena(kind, False, out.world).backend().open(CARGO, LIMITS) as cell:
            assert cell.run(block([("outputs:say", {"text": "before"})])) is not None
            line: wire.Line = cell._line  # type: ignore[attr-defined]
            line._control.shutdown(2)
            assert cell.run(block([("outputs:say", {"text": "lost"})])) is None
            assert cell.run(block([("outputs:say", {"text": "after"})])) is not None
