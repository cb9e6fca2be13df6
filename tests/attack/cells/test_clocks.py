"""One safeguard against clocks taken away at a time: the others still hold."""

from __future__ import annotations

import pytest

from tests.attack.cells.arena import Arena, Outside


@pytest.mark.parametrize("probe", ["clocks:cycle_counter", "clocks:cycle_counter_in_order"])
def test_without_the_filter_there_is_still_no_counter(out: Outside, probe: str) -> None:
    """A program's own machine code, were it to have any, meets a processor that does not count for it."""
    with Arena("bwrap", False, out.world, frozenset({"seccomp"})).ring() as ring:
        assert ring.run(probe).how == "default"


def test_without_the_filter_there_is_still_no_clock_page(out: Outside) -> None:
    with Arena("bwrap", False, out.world, frozenset({"seccomp"})).ring() as ring:
        assert ring.run("clocks:clock_page_by_address").how == "nothing"


def test_with_clocks_the_filter_still_leaves_no_own_machine_code(out: Outside) -> None:
    with Arena("bwrap", False, out.world, frozenset({"clocks"})).ring() as ring:
        assert [ring.run(f"clocks:{name}").how for name in ("cycle_counter", "interrupts")] == ["refused", "refused"]


def test_blocks_do_not_know_how_many_came_before(warm: Arena) -> None:
    """Neither by numbers of processes nor by those or the times of files."""
    with warm.ring() as ring:
        asked = [
            ring.run_all([(name, {}) for name in ("neighbours:own_numbers", "neighbours:numbers_of_files", "clocks:times_of_any_file")])
            for _ in range(3)
        ]
    assert asked[0] == asked[1] == asked[2]
    assert [outcome.how for outcome in asked[0]] == ["nothing", "refused", "nothing"]
