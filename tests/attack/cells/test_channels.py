"""Two cells at once, or two blocks in turn: what one does must make no difference to the other."""

from __future__ import annotations

import json
import random
import threading

import pytest

from infra.cells.base import Cargo, Limits
from tests.attack.cells.arena import LIMITS, Arena, Outcome, Outside, Ring, block, package

BITS = "10110"
TELLINGS = 10  # of a one that was not heard: on a busy machine the listener may sleep through it


def across(arena: Arena, tell: str, hear: str, tellings: int = 1, limits: Limits = LIMITS) -> list[Outcome]:
    """What the second of two cells hears while the first tells each bit. A one that is not heard is told again, `tellings` times in all."""
    heard: list[Outcome] = []
    with arena.two_rings(limits) as (teller, listener):
        for bit in BITS:
            told = Outcome("nothing")
            for _ in range(tellings if bit == "1" else 1):
                told = listened(teller, listener, tell, hear, bit)
                if told.how == "got":
                    break
            heard.append(told)
    return heard


def listened(teller: Ring, listener: Ring, tell: str, hear: str, bit: str) -> Outcome:
    speaking = threading.Thread(target=teller.run, args=(tell,), kwargs={"bit": bit == "1"})
    speaking.start()
    told = Outcome("nothing")
    while speaking.is_alive() and told.how != "got":
        told = listener.run(hear)
    speaking.join()
    return told


CHANNELS = [("neighbours:tell_by_lock", "neighbours:hear_by_lock"), ("neighbours:tell_by_waiting", "neighbours:hear_by_waking")]


@pytest.mark.parametrize(("tell", "hear"), CHANNELS)
def test_no_bit_gets_across(warm: Arena, tell: str, hear: str) -> None:
    heard = across(warm, tell, hear)
    assert all(outcome.contained for outcome in heard), heard


@pytest.mark.parametrize(("tell", "hear"), CHANNELS)
def test_every_bit_gets_across_where_calls_are_not_filtered(out: Outside, tell: str, hear: str) -> None:
    heard = across(Arena("bwrap", False, out.world, frozenset({"seccomp"})), tell, hear, TELLINGS)
    assert "".join("1" if outcome.how == "got" else "0" for outcome in heard) == BITS


def test_load_cannot_be_heard(warm: Arena) -> None:
    """A neighbour that keeps processors and caches busy, or does not: all clocks there are stand still."""
    assert {said for _, said in under_load(warm, warm.trials)} == {under_load(warm, 1)[0][1]}


def test_load_is_heard_where_there_are_clocks(out: Outside) -> None:
    weak = under_load(Arena("bwrap", False, out.world, frozenset({"seccomp", "clocks"})), 20)
    assert len({said for _, said in weak}) > 10


def under_load(arena: Arena, trials: int) -> list[tuple[bool, str]]:
    draw = random.Random(7)
    heard: list[tuple[bool, str]] = []
    with arena.two_rings() as (teller, listener):
        for _ in range(trials):
            bit = draw.random() < 0.5
            speaking = threading.Thread(target=teller.run, args=("neighbours:tell_by_load",), kwargs={"bit": bit})
            speaking.start()
            heard.append((bit, listener.run("neighbours:hear_by_work").text))
            speaking.join()
    return heard


def test_blocks_answer_alike_whatever_a_neighbour_does(warm: Arena) -> None:
    """Numbers that the kernel counts up, memory that is used up: the same program on the same block gives the same frame each time."""
    probes = block(
        [(name, {"text": "x"}) for name in ("neighbours:own_numbers", "clocks:times_of_any_file", "clocks:time_calls", "outputs:say")]
    )
    with warm.two_rings() as (noisy, quiet):
        stop = threading.Event()

        def disturb() -> None:
            while not stop.is_set():
                noisy.run("neighbours:tell_by_load", bit=True)

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        frames = {quiet.cell.run(probes) for _ in range(warm.trials)}
        stop.set()
        disturbing.join()
    assert len(frames) == 1
    assert None not in frames


def test_nothing_is_left_for_the_next_block(warm: Arena) -> None:
    """Modules, built-in names, signal handlers, exit hooks, the harness itself: changed in one block, as they were in the next."""
    with warm.ring() as ring:
        for round_ in range(2):
            assert ring.run("state:change_everything").how in ("nothing", "default"), round_
            found = ring.run("state:look_for_changes")
            assert found.how == "nothing", found


def test_what_is_changed_can_be_seen_in_the_same_block(out: Outside) -> None:
    """The probe of the test above finds what it is to find."""
    with Arena("bwrap", False, out.world).ring() as ring:
        _, found = ring.run_all([("state:change_everything", {"gently": True}), ("state:look_for_changes", {})])
        assert found.how == "got"


def test_two_operators_share_nothing(warm: Arena) -> None:
    """Each cell has its own program, parameters and blocks; neither finds the other's in memory or files."""
    canaries = [f"OPERATOR-{number}-{'x' * 20}" for number in range(2)]

    def of(number: int) -> Cargo:
        return Cargo(package(), "probes.run:attack", json.dumps({**warm.world, "mine": canaries[number]}).encode())

    long = Limits(memory_mb=256, cpu_s=30, wall_s=60.0, output_bytes=LIMITS.output_bytes)  # a search takes its time
    with warm.backend().open(of(0), long) as first, warm.backend().open(of(1), long) as second:
        rings = [Ring(first), Ring(second)]
        for ring in rings:
            assert ring.run("outputs:say", text="here").text == "here"
        for number, ring in enumerate(rings):
            found = ring.run("memory:search", prefix="OPERATOR-", suffix=canaries[1 - number][9:])
            assert found.how == "nothing", found
            mine = ring.run("memory:search", prefix="OPERATOR-", suffix=canaries[number][9:])
            assert mine.how == "got", "the probe finds what is there"
