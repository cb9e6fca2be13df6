"""Every family of attacks of the table, in cells of every kind: none gets hold of anything; and each succeeds in a weaker cell."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cells.base import Limits
from tests.attack.cells.arena import LIMITS, Arena, Outcome, Outside, outcomes
from tests.attack.cells.probes.run import WIDTH
from tests.attack.cells.table import Probe, families
from tests.cells import CAMPAIGN

FAMILIES = families()
PROBES = [(family.number, probe) for family in FAMILIES for probe in family.probes]
TESTS = Path(__file__).parents[2]


def carry_out(arena: Arena, probes: list[Probe], limits: Limits = LIMITS, **aim: object) -> dict[str, Outcome]:
    """Those that leave their process whole go together into one block, the others into one each."""
    found: dict[str, Outcome] = {}
    with arena.ring(limits, **aim) as ring:
        together = [probe.name for probe in probes if not probe.alone]
        found.update(zip(together, ring.run_all([(name, {}) for name in together]), strict=True))
        for probe in probes:
            if probe.alone:
                found[probe.name] = ring.run(probe.name)
    return found


def test_no_attack_succeeds(arena: Arena, out: Outside) -> None:
    """A strict cell starts anew for each block: outside of a campaign, it gets the probes that go together into one."""
    visits = len(out.visits)
    tried = [(number, probe) for number, probe in PROBES if not (probe.alone and arena.strict and not CAMPAIGN)]
    found = carry_out(arena, [probe for _, probe in tried])
    holes = [
        f"{number} {probe.name}: {found[probe.name]}"
        for number, probe in tried
        if not found[probe.name].contained
        or (probe.must == "default" and found[probe.name].how != "default")
        or (not probe.alone and found[probe.name].how == "default")  # a block that gave no frame has not refused its probes
    ]
    assert not holes, "\n".join(holes)
    assert out.visits[visits:] == []


def plain(name: str, out: Outside) -> Outcome:
    """A probe in an interpreter of this machine, with nothing around it."""
    code = "import json, sys; from probes.run import carry_out; print(json.dumps(carry_out(sys.argv[1], json.loads(sys.argv[2]))))"
    command = [sys.executable, "-c", code, name, json.dumps(out.world)]
    told = subprocess.run(command, cwd=Path(__file__).parent, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    return outcomes(struct.pack(f"{WIDTH}d", *json.loads(told.stdout)), 1)[0]


WEAKER: dict[str, list[Probe]] = defaultdict(list)
for _, each in PROBES:
    if each.weaker:
        WEAKER[each.weaker].append(each)


@pytest.mark.parametrize("without", WEAKER)
def test_each_succeeds_in_a_weaker_cell(without: str, out: Outside) -> None:
    """Otherwise it is no attack, and its failure above says nothing."""
    if without == "plain":
        found = {probe.name: plain(probe.name, out) for probe in WEAKER[without]}
        assert all(outcome.how == "got" for outcome in found.values()), found
        return
    arena = Arena("unsafe", False, out.world) if without == "unsafe" else Arena("bwrap", False, out.world, frozenset(without.split()))
    found = carry_out(arena, WEAKER[without], replace(LIMITS, wall_s=60.0), weaker=True)
    harmless = [f"{probe.name}: {found[probe.name]}" for probe in WEAKER[without] if found[probe.name].how != "got"]
    assert not harmless, "\n".join(harmless)


def test_all_sixty_families_are_here() -> None:
    assert [family.number for family in FAMILIES] == list(range(1, 61))
    assert not [family.number for family in FAMILIES if not family.probes and not family.tests]


@pytest.mark.parametrize("name", sorted({name for family in FAMILIES for name in family.tests}))
def test_named_tests_are_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert f"def {function}(" in (TESTS / file).read_text()
