"""What an attacker who got SQL of their own past the compiler would find behind the wall: rows they may count, and nothing to do with them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from infra.vault import Vault
from infra.workers import Workers
from policies.problem import Problem
from sandbox.plan.model import Key, Part, Total
from sandbox.raw import engine, ingest
from sandbox.raw.run import exact_totals, run_shard, shard_tasks, totals_of_tables
from tests.visits import CITIES, by_city, column, dataset, ingested, plan, scan

MARKER = "MARKER-5f1d8c"
ROWS = pa.table({"a": [1, 2]})

HOSTILE = {
    "read a file": "SELECT * FROM read_text('/etc/passwd')",
    "read a file as csv": "SELECT * FROM read_csv('/etc/passwd')",
    "read a file by its name": "SELECT * FROM '/etc/passwd'",
    "read a blob": "SELECT * FROM read_blob('/proc/self/environ')",
    "read parquet": "SELECT * FROM read_parquet('{vault}/**/*.parquet')",
    "read what a database in memory calls its own": "SELECT * FROM read_text(':memory:')",
    "list files": "SELECT * FROM glob('/*')",
    "read a page": "SELECT * FROM read_text('http://127.0.0.1/')",
    "write a file": "COPY (SELECT * FROM t) TO '{folder}/out.csv'",
    "write parquet": "COPY t TO '{folder}/out.parquet' (FORMAT parquet)",
    "export": "EXPORT DATABASE '{folder}/out'",
    "attach": "ATTACH '{folder}/out.db' AS out",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "spill somewhere": "SET temp_directory='{folder}'",
    "open the outside": "SET enable_external_access=true",
    "more memory": "SET memory_limit='100GB'",
    "unlock": "SET lock_configuration=false",
    "reset": "RESET temp_directory",
    "a secret": "CREATE SECRET s (TYPE http)",
    "keep a table": "CREATE TABLE kept AS SELECT * FROM t",
    "keep a view": "CREATE VIEW kept AS SELECT 1",
    "keep a macro": "CREATE MACRO kept() AS 1",
    "set a variable": "SET VARIABLE kept = 1",
    "two statements": "SELECT 1; COPY (SELECT * FROM t) TO '{folder}/out.csv'",
    "a variable of the process": "SELECT * FROM ROWS",
    "the environment": "SELECT getenv('HOME')",
    "pragma": "PRAGMA enable_profiling='json'",
    "profile to a file": "SET profiling_output='{folder}/out.json'",
    "log to a file": "SET log_query_path='{folder}/out.log'",
    "explain": "EXPLAIN ANALYZE SELECT * FROM t",
    "delete": "DELETE FROM t",
    "checkpoint": "CHECKPOINT",
    "nothing": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "outside"
    made.mkdir()
    yield made
    assert list(made.iterdir()) == []  # nothing was ever written


@pytest.mark.parametrize("sql", HOSTILE.values(), ids=HOSTILE.keys())
def test_sql_reaches_nothing_but_its_tables(folder: Path, tmp_path: Path, sql: str) -> None:
    with pytest.raises((duckdb.Error, ValueError)):
        engine.query(sql.format(folder=folder, vault=tmp_path / "vault"), {"t": ROWS})


@pytest.mark.parametrize("name", ["read a file", "read parquet", "list files", "a variable of the process", "write a file"])
def test_nor_does_it_on_a_worker(vault: Vault, tmp_path: Path, folder: Path, workers: Workers, name: str) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    made = by_city(snapshot, HOSTILE[name].format(folder=folder, vault=tmp_path / "vault"))
    (task,) = shard_tasks(made, vault, 1, 2**20)
    assert workers.map(run_shard, [task]) == [None]
    with pytest.raises(Problem) as caught:
        exact_totals(made, vault, workers, 1)
    assert (caught.value.code, caught.value.fields) == ("job_failed", {})


def test_the_database_is_locked_as_promised() -> None:
    wanted = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "temp_directory": "",
        "threads": "1",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_persistent_secrets": "false",
        "python_enable_replacements": "false",
        "allowed_directories": "[]",
        "allowed_paths": "[]",
    }
    found = engine.query("SELECT name, value FROM duckdb_settings()", {}).to_pylist()
    settings = {row["name"]: row["value"] for row in found}
    assert {name: settings[name] for name in wanted} == wanted


def test_not_even_its_own_files_may_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Past the check for one SELECT: straight to the database, in a folder it takes for its own."""
    monkeypatch.chdir(tmp_path)
    database = engine.locked_database(2**26)
    for path in (":memory:", ":memory:.wal", str(tmp_path / ":memory:"), ".tmp/x", "x"):
        with pytest.raises(duckdb.PermissionException):
            database.execute(f"COPY (SELECT 1) TO '{path}' (FORMAT csv)")
    database.close()
    assert list(tmp_path.iterdir()) == []


def test_one_query_leaves_nothing_for_the_next() -> None:
    engine.query("SELECT * FROM mine", {"mine": ROWS})
    with pytest.raises(duckdb.CatalogException):
        engine.query("SELECT * FROM mine", {})
    leftovers = engine.query("SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal", {})
    assert leftovers.num_rows == 0


def test_a_query_too_large_fails_and_does_not_spill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "MEMORY_BYTES", 32 * 2**20)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(duckdb.OutOfMemoryException):
        engine.query("SELECT n, COUNT(*) FROM range(5000000) AS r(n) GROUP BY n ORDER BY hash(n)", {})
    assert list(tmp_path.iterdir()) == []


def marked() -> pa.Table:
    """Rows that carry the marker in text, as a unit and as a number."""
    count = 4000
    return pa.table(
        {
            "pid": [f"{MARKER}-{n % 700}" for n in range(count)],
            "city": [CITIES[n % 3] for n in range(count)],
            "note": [f"{MARKER}{n}" for n in range(count)],
            "fee": pa.array([Decimal("8675309.42")] * count, pa.decimal128(12, 2)),
        }
    )


MARKED = dataset(
    (
        column("pid", "text", uses=("filter",)),
        column("city", "text", domain=CITIES),
        column("note", "text"),
        column("fee", "decimal", decimals=2, low=Decimal(0), high=Decimal(10**7)),
    ),
    unit="pid",
    rows=8,
)


def by_marker(snapshot_plan_sql: str, vault: Vault, tmp_path: Path) -> Part:
    snapshot = ingested(vault, tmp_path, marked(), MARKED, shard_rows=1).snapshot
    (tmp_path / "source-1.parquet").unlink()
    return plan([scan(snapshot, ("pid", "city", "note"))], [Key("k0", "text", CITIES)], [Total("t0", "count", 0, 1, 3)], snapshot_plan_sql)


def places(workers: Workers, tmp_path: Path) -> list[Path]:
    """Everywhere this program or its libraries may have written."""
    roots = [tmp_path, *(folder for folder in workers.folders if folder), *Path(tempfile.gettempdir()).glob("*duckdb*"), Path(".tmp")]
    return [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]


def assert_unmarked(files: list[Path]) -> None:
    assert files
    for path in files:
        data = path.read_bytes()
        assert MARKER.encode() not in data, path
        assert MARKER.encode("utf-16-le") not in data, path


def test_decrypted_rows_are_never_on_disk(vault: Vault, tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while rows wait in scratch files, not in the vault, not in what Ray and DuckDB leave about."""
    monkeypatch.setattr("sandbox.raw.shards.WAITING_BYTES", 1000)
    monkeypatch.setattr("sandbox.raw.sources.BATCH_ROWS", 500)
    seen: list[Path] = []
    source = tmp_path / "source-1.parquet"

    def look(done: int, total: int | None) -> None:
        files = [path for path in (tmp_path / "vault").rglob("*") if path.is_file()]
        seen.extend(path for path in files if path.parent.name.startswith(".scratch-"))
        # Open writers have buffers: what has reached the disk so far is what counts.
        assert not [path for path in files if MARKER.encode() in path.read_bytes()]

    monkeypatch.setattr("tests.visits.ingest", lambda *given, **more: ingest.ingest(*given, **more, progress=look))
    made = by_marker("SELECT city AS k0, COUNT(DISTINCT note) AS t0 FROM v GROUP BY city", vault, tmp_path)
    assert seen
    assert not source.exists()
    totals = exact_totals(made, vault, workers, 1).table
    assert sum(totals.column("t0").to_pylist()) == 4000
    assert_unmarked(places(workers, tmp_path))


def test_a_failure_that_quotes_data_is_written_nowhere(
    vault: Vault, tmp_path: Path, workers: Workers, capfd: pytest.CaptureFixture[str]
) -> None:
    made = by_marker("SELECT city AS k0, SUM(CAST(note AS BIGINT)) AS t0 FROM v GROUP BY city", vault, tmp_path)
    with pytest.raises(duckdb.ConversionException, match=MARKER):  # the attack is real: DuckDB does quote the value
        engine.query(made.shard_sql, {"v": marked()})
    with pytest.raises(Problem) as remote:
        exact_totals(made, vault, workers, 1)
    with pytest.raises(Problem) as local:
        totals_of_tables(made, {"v": marked()}, 1)
    for caught in (remote, local):
        shown = f"{caught.value} {caught.value.as_data()} {caught.value.__cause__} {caught.value.__context__} {caught.value.args}"
        assert MARKER not in shown
    printed = capfd.readouterr()
    assert MARKER not in printed.out + printed.err
    assert_unmarked(places(workers, tmp_path))


def test_no_key_is_in_ray_s_folders(vault: Vault, tmp_path: Path, workers: Workers) -> None:
    made = by_marker("SELECT city AS k0, COUNT(*) AS t0 FROM v GROUP BY city", vault, tmp_path)
    exact_totals(made, vault, workers, 1)
    keys = [bytes(part.key.open()) for part in vault.open("visits", 1).parts if part.key is not None]
    assert len(set(keys)) == 8
    for folder in workers.folders:
        assert folder is not None
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert not [key for key in keys if key in data or key.hex().encode() in data]


def test_failing_and_succeeding_leave_the_same_number_of_files_open(vault: Vault, tmp_path: Path) -> None:
    snapshot = ingested(vault, tmp_path).snapshot
    (good,) = shard_tasks(by_city(snapshot), vault, 1, 0)
    (bad,) = shard_tasks(by_city(snapshot, "SELECT 1"), vault, 1, 0)
    run_shard(good)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert run_shard(good) is not None
        assert run_shard(bad) is None
    assert len(os.listdir("/proc/self/fd")) <= before + 1
