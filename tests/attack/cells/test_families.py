"""Every family of attacks of the table, in cells of every kind: none gets hold of anything; and each succeeds in a weaker cell."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.attack.cells.arena import Arena, Outcome, Outside
from tests.attack.cells.table import Probe, families

FAMILIES = families()
PROBES = [(family.number, probe) for family in FAMILIES for probe in family.probes]
TESTS = Path(__file__).parents[2]


def carry_out(arena: Arena, probes: list[Probe], **aim: object) -> dict[str, Outcome]:
    """Those that leave their process whole go together into one block, the others into one each."""
    found: dict[str, Outcome] = {}
    with arena.ring(**aim) as ring:
        together = [probe.name for probe in probes if not probe.alone]
        found.update(zip(together, ring.run_all([(name, {}) for name in together]), strict=True))
        for probe in probes:
            if probe.alone:
                found[probe.name] = ring.run(probe.name)
    return found


def test_no_attack_succeeds(arena: Arena, out: Outside) -> None:
    visits = len(out.visits)
    found = carry_out(arena, [probe for _, probe in PROBES])
    holes = [
        f"{number} {probe.name}: {found[probe.name]}"
        for number, probe in PROBES
        if not found[probe.name].contained or (probe.must == "default" and found[probe.name].how != "default")
    ]
    assert not holes, "\n".join(holes)
    assert out.visits[visits:] == []


WEAKER: dict[str, list[Probe]] = defaultdict(list)
for _, each in PROBES:
    if each.weaker:
        WEAKER[each.weaker].append(each)


@pytest.mark.parametrize("without", WEAKER)
def test_each_succeeds_in_a_weaker_cell(without: str, out: Outside) -> None:
    """Otherwise it is no attack, and its failure above says nothing."""
    arena = Arena("unsafe", False, out.world) if without == "unsafe" else Arena("bwrap", False, out.world, frozenset(without.split()))
    found = carry_out(arena, WEAKER[without], weaker=True)
    harmless = [f"{probe.name}: {found[probe.name]}" for probe in WEAKER[without] if found[probe.name].how != "got"]
    assert not harmless, "\n".join(harmless)


def test_all_sixty_families_are_here() -> None:
    assert [family.number for family in FAMILIES] == list(range(1, 61))
    assert not [family.number for family in FAMILIES if not family.probes and not family.tests]


@pytest.mark.parametrize("name", sorted({name for family in FAMILIES for name in family.tests}))
def test_named_tests_are_there(name: str) -> None:
    file, _, function = name.partition("::")
    assert f"def {function}(" in (TESTS / file).read_text()
