"""Scratch: encrypted, gone on with after a kill when it is the same ingest, and nobody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from infra.crypto import envelope_of
from infra.scratch import Scratch, ScratchLost

TABLE = pa.table({"id": [1, 2, 3], "name": ["MARKER-one", "MARKER-two", None]})
OTHER = pa.table({"id": [7, 8, 9], "name": ["a", "b", "c"]})
KEY = bytes(range(32))


def opened(folder: Path, identity: str = "same", key: bytes = KEY, *, resume: bool = True) -> Scratch:
    return Scratch.open(folder, key, envelope_of("international"), TABLE.schema, os.urandom, identity=identity, resume=resume)


def rows(scratch: Scratch, shard: int) -> list[int]:
    return [value for table in scratch.read(shard) for value in table.column("id").to_pylist()]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_spilled_is_read_by_shard_in_order(tmp_path: Path) -> None:
    scratch = opened(tmp_path)
    assert scratch.state is None
    scratch.spill({0: [TABLE], 5: [OTHER, TABLE]}, 1)
    scratch.spill({5: [OTHER], 2: []}, 2)
    assert (rows(scratch, 0), rows(scratch, 5), rows(scratch, 2)) == ([1, 2, 3], [7, 8, 9, 1, 2, 3, 7, 8, 9], [])
    assert [table.column_names for table in scratch.read(0, ["name"])] == [["name"]]
    assert sum(table.num_rows for table in scratch.everything(["id"])) == 12
    for path in files(tmp_path):
        assert b"MARKER" not in path.read_bytes()
        assert b"name" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0 or path.name.startswith("run-")  # in a folder that only its owner enters
    scratch.remove()
    assert not list(tmp_path.iterdir())


def test_what_a_dead_process_left_is_gone_on_with(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.spill({0: [TABLE]}, {"row": 3})
    first.leave()
    again = opened(tmp_path)
    assert again.state == {"row": 3}
    again.spill({0: [OTHER]}, {"row": 6})
    assert rows(again, 0) == [1, 2, 3, 7, 8, 9]
    again.leave()
    assert rows(opened(tmp_path), 0) == [1, 2, 3, 7, 8, 9]


def test_a_run_that_no_checkpoint_counts_is_as_if_never_written(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.spill({0: [TABLE]}, 1)
    (folder,) = tmp_path.iterdir()
    checkpoint = (folder / "checkpoint").read_bytes()
    first.spill({0: [OTHER]}, 2)
    first.leave()
    (folder / "checkpoint").write_bytes(checkpoint)  # killed between the run and its checkpoint
    again = opened(tmp_path)
    assert (again.state, rows(again, 0)) == (1, [1, 2, 3])
    assert not (folder / "run-00001").exists()


@pytest.mark.parametrize("how", ["identity", "key", "damaged", "lost", "unwanted", "early"])
def test_anything_else_starts_afresh_and_clears_away(tmp_path: Path, how: str) -> None:
    first = opened(tmp_path)
    if how != "early":
        first.spill({0: [TABLE]}, 1)
    first.leave()
    (folder,) = tmp_path.iterdir()
    if how == "damaged":
        data = bytearray((folder / "checkpoint").read_bytes())
        data[-1] ^= 1
        (folder / "checkpoint").write_bytes(data)
    if how == "lost":
        (folder / "run-00000").unlink()
    again = opened(tmp_path, "other" if how == "identity" else "same", os.urandom(32) if how == "key" else KEY, resume=how != "unwanted")
    assert again.state is None
    assert rows(again, 0) == []
    assert not folder.exists()


def test_a_living_process_keeps_its_own(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.spill({0: [TABLE]}, 1)
    second = opened(tmp_path)
    assert second.state is None
    assert rows(first, 0) == [1, 2, 3]
    look = "import sys, fcntl, os; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    for folder in tmp_path.iterdir():
        assert subprocess.run([sys.executable, "-c", look, str(folder)], check=False, capture_output=True).returncode == 1


def test_a_run_that_was_changed_is_not_read(tmp_path: Path) -> None:
    scratch = opened(tmp_path)
    scratch.spill({0: [TABLE]}, 1)
    scratch.spill({0: [OTHER]}, 2)
    (folder,) = tmp_path.iterdir()
    shutil.copyfile(folder / "run-00001", folder / "run-00000")
    with pytest.raises(ScratchLost):
        list(scratch.read(0))
