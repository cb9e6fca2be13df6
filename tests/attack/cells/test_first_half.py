"""Attacks that take more than one block, or somebody outside who watches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.cells import wire
from infra.cells.base import Limits
from infra.cells.bwrap import PIDS, Bwrap
from tests.attack.cells.arena import LIMITS, Arena, Outside

WEAK = frozenset({"seccomp", "landlock", "files"})


def test_a_block_finds_nothing_of_an_earlier_one(warm: Arena) -> None:
    with warm.ring(mark="left-by-one") as ring:
        assert ring.run("files:leave").contained
        found = ring.run("files:look")
        assert found.how in ("nothing", "refused"), found
    with warm.ring(mark="left-by-one") as ring:
        found = ring.run("files:look")
        assert found.how in ("nothing", "refused"), found


def test_a_mark_is_found_where_files_can_be_written(out: Outside) -> None:
    arena = Arena("bwrap", False, out.world, frozenset({*WEAK, "limits"}))
    with arena.ring(mark="left-by-one") as ring:
        ring.run("files:leave")
        assert ring.run("files:look").how == "got"


def test_a_fork_bomb_is_held_by_the_group(out: Outside) -> None:
    """Where system calls are not; and is not where there is no group, either."""
    arena = Arena("bwrap", False, out.world, frozenset({"seccomp"}))
    with arena.ring() as ring:
        held = ring.run("processes:bomb")
    backend = arena.backend()
    assert isinstance(backend, Bwrap)
    assert held.how == "got"
    assert int(held.text.split()[0]) < PIDS
    loose = Loose("bwrap", False, out.world, frozenset({"seccomp"}))
    with loose.ring() as ring:
        assert ring.run("processes:bomb").text == "64 children"


class Loose(Arena):
    """Without a control group."""

    def backend(self) -> Bwrap:
        found = super().backend()
        assert isinstance(found, Bwrap)
        return replace(found, groups=None)


ENDS = (
    "resources:hang",
    "resources:drip",
    "resources:leave",
    "resources:segfault",
    "resources:one_byte_more",
    "resources:one_byte_less",
    "resources:flood",
    "resources:raises",
)


def test_whatever_ends_a_block_looks_the_same(warm: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside: no frame, and the same one byte on the line."""
    said: list[bytes] = []
    receive = wire.Line._receive

    def listen(line: wire.Line, within_s: float) -> bytes:
        said.append(receive(line, within_s))
        return said[-1]

    monkeypatch.setattr(wire.Line, "_receive", listen)
    with warm.ring(Limits(LIMITS.memory_mb, 1, 1.0, LIMITS.output_bytes), mark="seen") as ring:
        for status in (0, 1, 255):
            assert ring.run("resources:leave", status=status).how == "default"
        for name in ENDS:
            assert ring.run(name).how == "default"
        assert ring.run("files:look").contained
    words = [each for each in said if not each.startswith(b"{")]
    assert set(words) <= {b"D"}


def test_what_a_program_says_is_heard_by_nobody(warm: Arena, capfd: pytest.CaptureFixture[str]) -> None:
    with warm.ring(mark="rows-say-so") as ring:
        assert ring.run("resources:raises").how == "default"
        assert ring.run("resources:log_flood").how == "nothing"
    heard = capfd.readouterr()
    assert "rows-say-so" not in heard.out + heard.err
    assert "xxxx" not in heard.out + heard.err
