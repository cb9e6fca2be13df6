"""Rows out of a real PostgreSQL and a real MariaDB: every declared type, one snapshot, faults told as of files, and no word about a row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pyarrow as pa
import pytest

from infra.extract import Origin, OriginMalformed, Tls, extract, origin_of
from infra.extract import mysql as mysql_module
from infra.vault import Vault
from policies.catalogue import Catalogue, Dataset
from policies.problem import Problem
from sandbox.raw.ingest import IngestReport, Query, ingest
from tests.mariadb import MariaDb, a_mariadb
from tests.postgres import Postgres
from tests.visits import CITIES, column, dataset

OFF = Tls("off")
COLUMNS = (
    column("person_id", "integer", uses=("filter",)),
    column("city", "text", domain=CITIES),
    column("fee", "decimal", decimals=2, low=Decimal(0), high=Decimal(1000)),
    column("score", "number"),
    column("born", "date"),
    column("seen", "timestamp"),
    column("urgent", "boolean"),
    column("note", "text", max_length=12),
)
EXPECTED = [
    (1, "太原", Decimal("12.50"), 0.25, date(1980, 2, 29), datetime.fromisoformat("2025-01-02T03:04:05.678900"), True, 'a,"b\n'),
    (2, None, None, None, None, None, None, None),
    (2**62, "大同", Decimal("0.01"), -1e-7, date(2025, 6, 1), datetime.fromisoformat("2025-06-01"), False, ""),
]


class Server(Protocol):
    origin: Origin

    def run(self, *statements: str) -> None: ...


@dataclass
class OnPostgres:
    origin: Origin
    url: str
    moment: str = "timestamptz"

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@dataclass
class OnMariaDb:
    origin: Origin
    server: MariaDb
    moment: str = "datetime(6)"

    def run(self, *statements: str) -> None:
        with self.server.root() as connection, connection.cursor() as cursor:
            cursor.execute(f"USE {self.origin.database}")
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with a_mariadb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest) -> Server:
    """With a table `visits`, empty."""
    made: Any
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.database()
        made = OnPostgres(Origin("postgresql", str(postgres.folder), 5432, url.rpartition("@/")[2].partition("?")[0], "postgres", OFF), url)
    else:
        mariadb: MariaDb = request.getfixturevalue("mariadb")
        name = f"d{os.urandom(4).hex()}"
        with mariadb.root() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        made = OnMariaDb(Origin("mysql", str(mariadb.socket), 3306, name, "root", OFF), mariadb)
    made.run(
        "CREATE TABLE visits (person_id bigint, city varchar(20), fee numeric(12, 2), score double precision, born date, "
        f"seen {made.moment}, urgent boolean, note text)"
    )
    return made


def filled(server: Server) -> Server:
    zone = "+00" if server.origin.system == "postgresql" else ""
    server.run(
        f"INSERT INTO visits VALUES (1, '太原', 12.5, 0.25, '1980-02-29', '2025-01-02 03:04:05.6789{zone}', true, 'a,\"b\n'), "
        f"(2, null, null, null, null, null, null, null), ({2**62}, '大同', 0.01, -1e-7, '2025-06-01', '2025-06-01 00:00:00{zone}', false, '')"
    )
    return server


def put(vault: Vault, server: Server, declared: Dataset | None = None, query: str = "SELECT * FROM visits", **more: Any) -> IngestReport:
    source = Query(more.pop("origin", server.origin), query)
    return ingest(declared or dataset(COLUMNS), [source], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, **more)


def stored(vault: Vault) -> list[tuple[Any, ...]]:
    table = pa.concat_tables([part.read() for part in vault.open("visits", 1).parts])
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True))


def refusal(vault: Vault, server: Server, *given: Any, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        put(vault, server, *given, **more)
    assert caught.value.__cause__ is None
    assert vault.versions("visits") == ()
    return caught.value


def test_every_type_comes_as_declared(vault: Vault, server: Server) -> None:
    report = put(vault, filled(server))
    assert stored(vault) == sorted(EXPECTED)
    assert report.ignored_columns == ()


def test_other_declarations_that_fit(vault: Vault, server: Server) -> None:
    """A moment at midnight is a day; a whole float an integer; a number a decimal."""
    columns = (column("person_id", "integer", uses=("filter",)), column("seen", "date"), column("score", "integer"), column("fee", "number"))
    server.run("INSERT INTO visits (person_id, seen, score, fee) VALUES (1, '2025-06-01', 3, 1.5)")
    put(vault, server, dataset(columns))
    assert stored(vault) == [(1, date(2025, 6, 1), 3, 1.5)]


def test_a_query_may_say_more_than_a_table(vault: Vault, server: Server) -> None:
    columns = (column("person_id", "integer", uses=("filter",)), column("n", "integer"))
    report = put(vault, filled(server), dataset(columns), "SELECT person_id, count(*) AS n, max(note) AS x FROM visits GROUP BY person_id; ")
    assert stored(vault) == [(1, 1), (2, 1), (2**62, 1)]
    assert report.ignored_columns == ("x",)


def test_no_rows_are_rows_too(vault: Vault, server: Server) -> None:
    assert put(vault, server).rows == 0


def test_faults_are_told_as_of_files(vault: Vault, server: Server) -> None:
    filled(server).run("INSERT INTO visits (person_id, city, fee) VALUES (null, '北京', 5000)")
    problem = refusal(vault, server)
    assert [(part.code, part.fields["column"], part.fields["row"], part.fields["file"]) for part in problem.parts] == [
        ("data_unit_null", "person_id", "4", server.origin.label),
        ("data_domain", "city", "4", server.origin.label),
        ("data_range", "fee", "4", server.origin.label),
    ]
    assert "北京" not in str(problem)


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("SELECT person_id FROM visits", "data_column_missing", "city"),
        ("SELECT v.*, 1 AS city FROM visits v", None, ""),
        ("SELECT * FROM nothing_there", "data_database_refused", "nothing_there"),
        ("SELECT * FROM visits) AS x; DROP TABLE visits; SELECT * FROM (SELECT 1", "data_database_refused", ""),
        ("DELETE FROM visits", "data_database_refused", ""),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_row_is_read(vault: Vault, server: Server, query: str, code: str | None, said: str) -> None:
    problem = refusal(vault, filled(server), query=query)
    assert problem.code in ({code} if code else {"data_column_twice", "data_database_refused"})
    assert said in str(problem)
    assert put(vault, server).rows == 3  # nothing was dropped or deleted


def test_types_are_held_to_the_declaration(vault: Vault, server: Server) -> None:
    columns = (column("person_id", "integer", uses=("filter",)), column("note", "integer"))
    assert refusal(vault, server, dataset(columns)).code == "data_column_type"
    server.run("CREATE TABLE odd (person_id bigint, note " + ("bytea" if server.origin.system == "postgresql" else "blob") + ")")
    columns = (column("person_id", "integer", uses=("filter",)), column("note", "text"))
    assert refusal(vault, server, dataset(columns), "SELECT * FROM odd").code == "data_column_type"


def test_the_transaction_changes_nothing_and_sees_one_moment(server: Server) -> None:
    filled(server)
    with extract(server.origin, "SELECT * FROM visits") as asked:
        server.run("INSERT INTO visits (person_id) VALUES (99)", "UPDATE visits SET note = 'later'")
        rows = [value for batch in asked.batches(["person_id", "note"]) for value in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
    assert len(rows) == 3
    assert "later" not in {note for _, note in rows}


def test_an_error_among_rows_quotes_none(vault: Vault, server: Server) -> None:
    columns = (column("person_id", "integer", uses=("filter",)),)
    if server.origin.system == "postgresql":
        query = "SELECT CASE WHEN person_id > 5 THEN (note || 'SECRET')::bigint ELSE person_id END AS person_id FROM visits"
    else:
        query = "SELECT CASE WHEN person_id > 5 THEN person_id * 9 ELSE person_id END AS person_id FROM visits"
    problem = refusal(vault, filled(server), dataset(columns), query)
    assert problem.code == "data_database_lost"
    assert "SECRET" not in str(problem)
    assert problem.fields["reason"] in ("22P02", "1690")


def test_memory_is_a_batch(vault: Vault, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_module, "BATCH_ROWS", 1000)
    monkeypatch.setattr("infra.extract.postgresql._BLOCK_BYTES", 4096)
    server.run(
        "INSERT INTO visits (person_id, note) SELECT 7, 'x' FROM "
        + ("generate_series(1, 5000)" if server.origin.system == "postgresql" else "seq_1_to_5000")
    )
    sizes = []
    with extract(server.origin, "SELECT * FROM visits") as asked:
        for batch in asked.batches(["person_id", "score"]):
            sizes.append(batch.num_rows)
    assert sum(sizes) == 5000
    assert max(sizes) < 5000


def test_a_wrong_password_is_refused_without_it(vault: Vault, mariadb: MariaDb) -> None:
    with mariadb.root() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'correct' REQUIRE SSL")
        cursor.execute("GRANT SELECT ON mysql.* TO reader@'127.0.0.1'")
    origin = Origin("mysql", "127.0.0.1", mariadb.port, "mysql", "reader", Tls("verify", mariadb.ca), "wr0ng")
    with pytest.raises(Problem) as caught:
        ingest(dataset(COLUMNS), [Query(origin, "SELECT 1")], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom)
    assert caught.value.code == "data_database_refused"
    assert "wr0ng" not in str(caught.value) + repr(origin)
    with extract(replace(origin, password="correct"), "SELECT user FROM mysql.user") as asked:
        assert [field.name.lower() for field in asked.fields] == ["user"]


@pytest.mark.parametrize("how", ["another authority", "another name", "in the clear"])
def test_a_server_that_cannot_show_who_it_is_gets_no_password(mariadb: MariaDb, tmp_path: Path, how: str) -> None:
    from infra.extract import ExtractFailed
    from tests.mariadb import authority

    authority(tmp_path)
    with mariadb.root() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'correct' REQUIRE SSL")
    tls = Tls("off") if how == "in the clear" else Tls("verify", tmp_path / "ca.pem" if how == "another authority" else mariadb.ca)
    host = "localhost" if how == "another name" else "127.0.0.1"
    with pytest.raises(ExtractFailed):
        extract(Origin("mysql", host, mariadb.port, "mysql", "reader", tls, "correct"), "SELECT 1")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:secret@host/db", "password"),
        ("oracle://me@host/db", "not one of"),
        ("postgresql://me@host/db?sslmode=disable", "options"),
        ("postgresql://host/db", "user"),
        ("mysql://me@host", "user"),
        ("mysql://me@host:no/db", "URL"),
    ],
)
def test_addresses_that_are_refused(url: str, why: str) -> None:
    with pytest.raises(OriginMalformed, match=why) as caught:
        origin_of(url, Tls(), "")
    assert "secret" not in str(caught.value)


def test_addresses_that_are_understood() -> None:
    origin = origin_of("mariadb://me%40x@db.example/visits", Tls(), "p")
    assert (origin.system, origin.host, origin.port, origin.database, origin.user) == ("mysql", "db.example", 3306, "visits", "me@x")
    assert origin_of("postgresql://me@/visits?socket=/run/pg", Tls(), "").local
    assert origin.label == "mysql://db.example:3306/visits"
