"""Staged bytes are whole, durable, first come first kept, and never served damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.staging import Staging, StagingDamaged

FILES = {"table.csv": b"a,b\n1,2\n", "table.json": b"[]"}


def test_what_was_staged_is_read_back(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "staging")
    staging.stage("job-1", FILES, {"rows": 1})
    staged = Staging(tmp_path / "staging").load("job-1")
    assert staged is not None
    assert {name: staged.read(name) for name in staged.digests} == FILES
    assert staged.record == {"rows": 1}


def test_the_first_stage_wins(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    staging.stage("job-1", FILES, {"draw": 1})
    again = staging.stage("job-1", {"table.csv": b"another draw", "table.json": b"{}"}, {"draw": 2})
    assert again.record == {"draw": 1}
    assert again.read("table.csv") == FILES["table.csv"]


@pytest.mark.parametrize("fails_at", range(4))
def test_a_crash_while_staging_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Power is cut at the n-th fsync: the job is not staged; the next server stages it, and sweeps what was left."""
    staging = Staging(tmp_path)
    calls = 0
    real = os.fsync

    def cut(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > fails_at:
            raise KeyboardInterrupt
        real(handle)

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(KeyboardInterrupt):
        staging.stage("job-1", FILES, {})
    monkeypatch.undo()
    assert staging.load("job-1") is None
    staging.stage("job-1", FILES, {"second": True})
    staging.sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-1"]


def test_damaged_bytes_are_not_served(tmp_path: Path) -> None:
    staged = Staging(tmp_path).stage("job-1", FILES, {})
    path = tmp_path / "job-1" / "table.csv"
    path.write_bytes(b"a,b\n1,3\n")
    with pytest.raises(StagingDamaged):
        staged.read("table.csv")
    path.unlink()
    with pytest.raises(StagingDamaged):
        staged.read("table.csv")


@pytest.mark.parametrize("job_id", ["", "../up", "a/b", ".hidden"])
def test_a_job_id_is_not_a_path(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        Staging(tmp_path).load(job_id)


def test_nobody_else_on_the_machine_reads_staged_bytes(tmp_path: Path) -> None:
    Staging(tmp_path / "staging").stage("job-1", FILES, {})
    for path in [tmp_path / "staging", *(tmp_path / "staging").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
