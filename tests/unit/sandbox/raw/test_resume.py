"""An ingest that was killed, or told to stop, goes on where it was, and ends with what it would have had."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from infra.vault import Vault
from policies.catalogue import Bounds, Catalogue, Dataset
from policies.problem import Problem
from sandbox.raw import shards, sources
from sandbox.raw.ingest import IngestReport, ingest
from sandbox.raw.rules import Rules
from tests.conftest import MASTER_KEY
from tests.visits import column, dataset, rows

ROWS = 3000
SAID = "written-in-the-clear"  # begins every note: so long that ciphertext does not hold it by chance
DECLARED = dataset((column("person_id", "integer", uses=("filter",)), column("days", "integer"), column("note", "text", max_length=28)), rows=8)
KILLED = """
import os, signal, sys
from pathlib import Path
from infra.vault import Vault
from tests.unit.sandbox.raw import test_resume as here
from sandbox.raw import shards, sources
shards.WAITING_BYTES, sources.BATCH_ROWS = 4000, 64
folder, kill = Path(sys.argv[1]), int(sys.argv[2])
def progress(done, total):
    if done >= kill:
        os.kill(os.getpid(), signal.SIGKILL)
here.put(Vault(folder / "vault", here.MASTER_KEY), [Path(path) for path in sys.argv[3:]], progress=progress)
"""


def put(vault: Vault, paths: list[Path], declared: Dataset = DECLARED, **more: Any) -> IngestReport:
    return ingest(declared, paths, vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=1, **more)


@pytest.fixture(autouse=True)
def _little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "WAITING_BYTES", 4000)
    monkeypatch.setattr(sources, "BATCH_ROWS", 64)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    notes = pa.array([None if i % 7 == 0 else f"{SAID}-{i}" for i in range(ROWS)])
    table = rows(ROWS, 300).select(["person_id", "days"]).append_column("note", notes)
    first, second, third = (tmp_path / name for name in ("a.parquet", "b.csv", "c.parquet"))
    pq.write_table(table.slice(0, 1000), first, row_group_size=300)
    csv.write_csv(table.slice(1000, 1000), second)
    pq.write_table(table.slice(2000), third)
    return [first, second, third]


def killed(folder: Path, paths: list[Path], at: int) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(at), *map(str, paths)], check=False)
    assert ended.returncode == -signal.SIGKILL


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    apply = Rules.apply
    monkeypatch.setattr(Rules, "apply", lambda self, batch, *more: seen.append(batch.rows.num_rows) or apply(self, batch, *more))
    return seen


def left(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in (folder / "vault" / "visits").iterdir())


@pytest.mark.parametrize("at", [700, 2500])
def test_a_killed_ingest_goes_on(tmp_path: Path, files: list[Path], at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(tmp_path, files, at)
    assert ".scratch" in left(tmp_path)
    assert Vault(tmp_path / "vault", MASTER_KEY).versions("visits") == ()
    kept = [path.read_bytes() for path in (tmp_path / "vault").rglob("*") if path.is_file()]
    assert kept
    assert not any(SAID.encode() in each for each in kept)
    seen = counted(monkeypatch)
    done: list[int] = []
    report = put(Vault(tmp_path / "vault", MASTER_KEY), files, progress=lambda rows, _: done.append(rows))
    assert at - 500 < report.resumed < ROWS  # the batch that was being counted when it was killed may be in already
    assert sum(seen) == ROWS - report.resumed
    assert (report.rows, done[-1]) == (ROWS, ROWS)
    assert left(tmp_path) == ["dataset.key", "v1"]
    fresh = put(Vault(tmp_path / "fresh", MASTER_KEY), files)
    assert fresh.snapshot.digest == report.snapshot.digest
    assert fresh.resumed == 0


def stopped(vault: Vault, paths: list[Path], at: int, declared: Dataset = DECLARED, **more: Any) -> None:
    """Told to stop after so many rows, in this process."""

    def progress(done: int, total: int | None) -> None:
        if done >= at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(vault, paths, declared, progress=progress, **more)


def test_counts_and_uniqueness_are_of_all_rows(vault: Vault, tmp_path: Path) -> None:
    ids = column("id", "integer", uses=("filter",), unique=True)
    days = column("days", "integer", low="0", high="5", out_of_range="clamp")
    declared = dataset((ids, days), unit="id", rows=4, on_null="drop").model_copy(
        update={"bounds": Bounds(groups_per_unit=1, rows_per_group=1, rows_per_unit=1)}
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": pa.array([None if i % 10 == 0 else i for i in range(2000)]), "days": [i % 9 for i in range(2000)]}), path)
    stopped(vault, [path], 1500, declared)
    again = put(vault, [path], declared)
    assert again.resumed > 0
    fresh = put(Vault(tmp_path / "fresh", os.urandom(32)), [path], declared)
    assert (again.clamped, again.dropped_null_units, again.rows) == (fresh.clamped, fresh.dropped_null_units, fresh.rows)
    twice = tmp_path / "b.parquet"
    pq.write_table(pa.table({"id": pa.array([1, *range(1, 2000)]), "days": [1] * 2000}), twice)
    other = Vault(tmp_path / "other", os.urandom(32))
    stopped(other, [twice], 1500, declared)
    with pytest.raises(Problem) as caught:
        put(other, [twice], declared)
    assert "data_not_unique" in {part.code for part in caught.value.parts}


OTHERWISE: dict[str, Callable[[Path], dict[str, Any]]] = {
    "asked to": lambda path: {"resume": False},
    "a touched file": lambda path: os.utime(path, ns=(1, 1)) or {},
    "another declaration": lambda path: {"declared": DECLARED.model_copy(update={"registration_no": "2"})},
    "another encoding": lambda path: {"csv_encoding": "gb18030"},
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_anything_else_than_the_same_starts_again(vault: Vault, tmp_path: Path, files: list[Path], how: str) -> None:
    stopped(vault, files, 2000)
    assert ".scratch" in left(tmp_path)
    assert put(vault, files, **OTHERWISE[how](files[0])).resumed == 0
    assert left(tmp_path) == ["dataset.key", "v1"]


def test_a_refusal_leaves_nothing_to_go_on_with(vault: Vault, tmp_path: Path, files: list[Path]) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("person_id,days,note\n1,x,a\n")
    with pytest.raises(Problem):
        put(vault, [files[0], bad])
    assert left(tmp_path) == ["dataset.key"]


def test_scratch_that_was_tampered_with_fails_and_is_cleared_away(vault: Vault, tmp_path: Path, files: list[Path]) -> None:
    stopped(vault, files, 2500)
    runs = sorted((tmp_path / "vault").rglob("run-*"))
    runs[0].write_bytes(runs[1].read_bytes())
    with pytest.raises(Problem) as caught:
        put(vault, files)
    assert (caught.value.code, caught.value.fields["reason"]) == ("data_storage_failed", "scratch_damaged")
    assert put(vault, files).rows == ROWS


def test_appending_is_gone_on_with_too(vault: Vault, tmp_path: Path, files: list[Path]) -> None:
    first = put(vault, files[:1]).snapshot

    def second(**more: Any) -> IngestReport:
        return ingest(
            DECLARED, files[1:], vault, version=2, catalogue_public=Catalogue(()), random=os.urandom, shard_rows=1, after=first, **more
        )

    def progress(done: int, total: int | None) -> None:
        if done > 1500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        second(progress=progress)
    report = second()
    assert report.resumed > 1000
    assert (report.rows, report.added) == (ROWS, 2000)
