"""A long log is read ahead by another process: what the audit finds does not depend on who read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from infra.journal.files import LogFiles
from infra.journal.tiles import decode_entries, encode_entries
from jobs import audit as auditing
from jobs import audit_reading
from jobs.audit_reading import Ahead
from jobs.register import Register

UP_S = 60


class Beside(Ahead):
    """Whose reader is up before the first tile is asked for."""

    begun: Beside

    def __init__(self, files: LogFiles, size: int) -> None:
        super().__init__(files, size)
        assert self._pipe is not None
        assert self._pipe.poll(UP_S)
        Beside.begun = self


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reading, "LONG", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0, 1})


@pytest.mark.parametrize("harm", ["none", "changed", "unreadable", "gone"])
def test_another_reader_finds_the_same(made: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    shutil.copytree(made.settings.log_dir, tmp_path / "log")
    tile = tmp_path / "log/tile/entries/001"
    bodies = decode_entries(tile.read_bytes())
    if harm == "changed":
        bodies[7] = bodies[7].replace(b"a", b"b", 1)
    elif harm == "unreadable":
        bodies[9] = b"[" * 40
    tile.write_bytes(encode_entries(bodies))
    if harm == "gone":
        tile.unlink()
    with monkeypatch.context() as alone:
        alone.setattr(audit_reading, "LONG", 10**9)
        told = auditing.audit(tmp_path / "log", [made.vkey])
    monkeypatch.setattr(auditing, "Ahead", Beside)
    found = auditing.audit(tmp_path / "log", [made.vkey])
    assert [(each.code, each.fields) for each in found.findings] == [(each.code, each.fields) for each in told.findings]
    assert replace(found, findings=[]) == replace(told, findings=[])
    assert Beside.begun._begun, "the other process was not asked"
    assert Beside.begun._reader is None, "the other process was left behind"
    assert told.clean is (harm == "none")


def test_entries_that_say_nothing_are_told_apart_from_those_that_do(made: Register) -> None:
    bodies = LogFiles(made.settings.log_dir).readable_entries(0, 256)
    for spoilt in (b"", b"{}", bodies[3] + b" ", b" " + bodies[3], bodies[3] + bodies[4], b"\xff", b"nothing"):
        tile = audit_reading.read(0, [*bodies[:3], spoilt, *bodies[4:]])
        assert (len(tile.events), len(tile.leaves), tile.readable) == (3, 256, False), spoilt
    assert audit_reading.read(0, bodies).readable


def test_a_reader_that_ends_is_done_without(made: Register) -> None:
    files, size = LogFiles(made.settings.log_dir), 600
    expected = [audit_reading.read(n * 256, files.readable_entries(n, min(256, size - n * 256))) for n in range(3)]
    with Beside(files, size) as ahead:
        assert ahead.tile(0) == expected[0]
        assert ahead._begun
        assert ahead._reader is not None
        ahead._reader.kill()
        ahead._reader.wait()
        assert [ahead.tile(1), ahead.tile(2)] == expected[1:]
    assert ahead._reader is None
