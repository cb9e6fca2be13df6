"""Units under other names: identifiers are nowhere, tables of a space still join, and kinds of names never mix."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from pydantic import ValidationError

from infra.vault import Vault
from infra.workers import InlineWorkers
from policies.catalogue import Bounds, Catalogue, Dataset, Snapshot, Unit, Via
from policies.problem import Problem
from sandbox.plan import compile_job
from sandbox.plan.ask import Ask, Privacy
from sandbox.program.ask import RunTable
from sandbox.program.compile import _tables
from sandbox.raw import shards
from sandbox.raw.between import units_between
from sandbox.raw.ingest import IngestReport, ingest
from sandbox.raw.pseudonyms import Pseudonyms, _integers, _texts
from sandbox.raw.run import exact_totals
from tests.visits import WORDS, column, dataset, parquet

KEY = bytes(range(32))
JOINED = ("join", "distinct")
N = column("n", "integer", low=Decimal(0), high=Decimal(9))
CITY = column("city", "text", domain=("a", "b"))


def visits(kind: str = "integer", *, coded: bool = True, name: str = "visits") -> Dataset:
    return dataset((column("pid", kind, uses=JOINED), CITY, N), unit="pid", rows=4, name=name, pseudonym=coded)


def people(kind: str = "integer", *, coded: bool = True) -> Dataset:
    made = dataset((column("pid", kind, uses=JOINED, unique=True), N), unit="pid", rows=2, name="people", pseudonym=coded)
    return made.model_copy(update={"bounds": Bounds(groups_per_unit=2, rows_per_group=3, rows_per_unit=1)})


def put(vault: Vault, tmp_path: Path, table: pa.Table, declared: Dataset, *known: Snapshot, **more: Any) -> IngestReport:
    path = parquet(tmp_path / f"{declared.name}.parquet", table)
    given = {"version": 1, "catalogue_public": Catalogue(known), "random": os.urandom, "shard_rows": 1} | more
    return ingest(declared, [path], vault, **given)


def stored(vault: Vault, name: str, column: str) -> list[Any]:
    return pa.concat_tables([part.read([column]) for part in vault.open(name, 1).parts]).column(0).to_pylist()


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def test_integers_are_a_cmac_and_text_an_hmac() -> None:
    numbers = [0, 1, -1, 2**63 - 1, -(2**63), 140_105_198_001_010_011]
    wanted = []
    for number in numbers:
        code = CMAC(algorithms.AES(KEY))
        code.update(bytes(8) + number.to_bytes(8, "big", signed=True))
        wanted.append(int.from_bytes(code.finalize()[:8], "little", signed=True))
    assert _integers(pa.chunked_array([numbers[:2], numbers[2:]]), KEY).to_pylist() == wanted
    assert _integers(pa.chunked_array([pa.array([None, 1], pa.int64())]), KEY).to_pylist() == [None, wanted[1]]
    texts = ["14010519800101001X", "", "山西"]
    hashed = [base64.urlsafe_b64encode(hmac.new(KEY, text.encode(), hashlib.sha256).digest()[:16]).decode()[:22] for text in texts]
    assert _texts(pa.chunked_array([[*texts, None, texts[0]]]), KEY).to_pylist() == [*hashed, None, hashed[0]]


def test_many_integers_share_no_code() -> None:
    codes = _integers(pa.chunked_array([pa.array(range(100_000), pa.int64())]), KEY)
    assert len(codes.unique()) == 100_000


@pytest.mark.parametrize("kind", ["integer", "text"])
def test_identifiers_are_not_stored_and_each_table_has_the_same_codes(
    vault: Vault, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[Any] = [f"P{i}" if kind == "text" else 10**12 + i for i in range(200)]
    spilled: list[pa.Table] = []
    monkeypatch.setattr(shards, "WAITING_BYTES", 100)
    spill = shards.Scratch.spill
    monkeypatch.setattr(
        shards.Scratch, "spill", lambda self, rows, state: spilled.extend(t for ts in rows.values() for t in ts) or spill(self, rows, state)
    )
    put(vault, tmp_path, pa.table({"pid": ids, "city": ["a"] * 200, "n": [1] * 200}), visits(kind))
    put(vault, tmp_path, pa.table({"pid": ids, "n": [1] * 200}), people(kind))
    codes = stored(vault, "visits", "pid")
    assert sorted(codes) == sorted(stored(vault, "people", "pid"))
    assert len(set(codes)) == 200
    assert not set(codes) & set(ids)
    assert spilled
    assert not {value for table in spilled for value in table.column("pid").to_pylist()} & set(ids)
    derived = Pseudonyms.of(visits(kind), Catalogue(()), vault)
    other = visits(kind).model_copy(update={"unit": Unit(column="pid", space="firm", title=WORDS, pseudonym=True)})
    elsewhere = Pseudonyms.of(other, Catalogue(()), vault)
    assert derived is not None
    assert elsewhere is not None
    assert derived.key != elsewhere.key != vault.derive("partition/person")


def test_answers_are_those_of_identifiers(vault: Vault, other_vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    table = pa.table(
        {"pid": [i * 7 % 40 for i in range(160)], "city": [("a", "b")[i % 2] for i in range(160)], "n": [i % 10 for i in range(160)]}
    )
    register = pa.table({"pid": list(range(30)), "n": [i % 10 for i in range(30)]})
    sql = "SELECT city, COUNT(*) AS c, COUNT(DISTINCT v.pid) AS p, SUM(v.n) AS s FROM visits v JOIN people p ON v.pid = p.pid GROUP BY city"
    found = []
    for where, coded in ((vault, True), (other_vault, False)):
        catalogue = Catalogue(
            (put(where, tmp_path, table, visits(coded=coded)).snapshot, put(where, tmp_path, register, people(coded=coded)).snapshot)
        )
        (part,) = compile_job(sql, catalogue, Ask(privacy=Privacy(epsilon=Decimal(1)))).parts
        found.append(exact_totals(part, where, inline_workers, 1).table.to_pylist())
    assert found[0] == found[1]
    assert found[0][0]["t1"] > 0


def test_references_find_codes(vault: Vault, tmp_path: Path) -> None:
    """To the unit column itself: then the reference is coded too. To another key: it stays, and the unit comes coded from there."""
    register = put(vault, tmp_path, pa.table({"pid": [1, 2, 3], "n": [1, 2, 3]}), people()).snapshot
    via = Via(column="who", references="people.pid")
    calls = Dataset.model_validate(
        dict(dataset((column("who", "integer", uses=JOINED), N), unit=None, name="calls"))
        | {"unit": Unit(column="owner", space="person", title=WORDS, via=via), "bounds": Bounds(groups_per_unit=1, rows_per_group=1)}
    )
    report = put(vault, tmp_path, pa.table({"who": [3, 1, 3], "n": [1, 2, 3]}), calls, register)
    unit = report.snapshot.dataset.unit
    assert unit is not None
    assert unit.pseudonym
    codes = set(stored(vault, "people", "pid"))
    assert stored(vault, "calls", "owner") == stored(vault, "calls", "who")
    assert set(stored(vault, "calls", "owner")) < codes
    bills = dataset(
        (column("bill", "integer", unique=True, uses=JOINED), column("pid", "integer", uses=JOINED)), unit="pid", name="bills", pseudonym=True
    )
    parent = put(vault, tmp_path, pa.table({"bill": [10, 11], "pid": [1, 2]}), bills).snapshot
    items = Dataset.model_validate(
        dict(dataset((column("bill", "integer", uses=JOINED), N), unit=None, name="items"))
        | {
            "unit": Unit(column="owner", space="person", title=WORDS, via=Via(column="bill", references="bills.bill")),
            "bounds": Bounds(groups_per_unit=1, rows_per_group=1),
        }
    )
    put(vault, tmp_path, pa.table({"bill": [11, 10], "n": [1, 2]}), items, parent)
    assert sorted(stored(vault, "items", "bill")) == [10, 11]
    assert set(stored(vault, "items", "owner")) == set(stored(vault, "bills", "pid")) < codes


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT city, COUNT(*) AS c FROM visits v JOIN people p ON v.pid = p.pid GROUP BY city",
        "SELECT COUNT(*) AS c FROM (SELECT pid, n FROM visits UNION ALL SELECT pid, n FROM people) AS t",
        "SELECT COUNT(*) AS c FROM visits WHERE pid IN (SELECT pid FROM people)",
    ],
)
def test_one_person_is_never_two_units_of_one_query(vault: Vault, tmp_path: Path, sql: str) -> None:
    """A union of coded and plain rows would count a person twice over."""
    coded = put(vault, tmp_path, pa.table({"pid": [1], "city": ["a"], "n": [1]}), visits()).snapshot
    plain = put(vault, tmp_path, pa.table({"pid": [1], "n": [1]}), people(coded=False)).snapshot
    problem = refusal(lambda: compile_job(sql, Catalogue((coded, plain)), Ask(privacy=Privacy(epsilon=Decimal(1)))))
    assert (problem.code, problem.fields["tables"]) == ("plan_unit_names", "people")


def test_nor_of_one_run_or_one_comparison(vault: Vault, tmp_path: Path, inline_workers: InlineWorkers) -> None:
    coded = put(vault, tmp_path, pa.table({"pid": [1], "city": ["a"], "n": [1]}), visits()).snapshot
    plain = put(vault, tmp_path, pa.table({"pid": [1], "n": [1]}), people(coded=False)).snapshot
    tables = [RunTable(dataset=name, columns=("n",)) for name in ("visits", "people")]
    problem = refusal(lambda: _tables(tables, Catalogue((coded, plain))))
    assert problem.code == "program_tables_refused"
    (one,), _, _ = _tables(tables[:1], Catalogue((coded, plain)))
    (other,), _, _ = _tables(tables[1:], Catalogue((coded, plain)))
    plans: Any = tuple(SimpleNamespace(scans=(scan,)) for scan in (one, other))
    with pytest.raises(ValueError, match="names"):
        units_between(plans, [], vault, inline_workers, 1)


def test_an_existing_dataset_moves_by_a_new_version_and_not_by_appending(vault: Vault, tmp_path: Path) -> None:
    table = pa.table({"pid": [1, 2], "city": ["a", "b"], "n": [1, 2]})
    first = put(vault, tmp_path, table, visits(coded=False)).snapshot
    assert refusal(lambda: put(vault, tmp_path, table, visits(), version=2, after=first)).code == "data_append_refused"
    second = put(vault, tmp_path, table, visits(), version=2).snapshot
    assert put(vault, tmp_path, table, visits(), version=3, after=second).rows == 4


@pytest.mark.parametrize("declared", [{"uses": ("filter",)}, {"uses": JOINED, "low": Decimal(0), "high": Decimal(9)}, {"uses": ("key",)}])
def test_what_is_coded_is_neither_filtered_by_nor_shown(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        dataset((column("pid", "integer", **declared), N), unit="pid", pseudonym=True)


def test_faults_are_of_identifiers(vault: Vault, tmp_path: Path) -> None:
    """Rules are about what came: too long a text, no unit, twice the same."""
    declared = dataset((column("pid", "text", uses=JOINED, max_length=3, unique=True), N), unit="pid", rows=4, pseudonym=True)
    problem = refusal(lambda: put(vault, tmp_path, pa.table({"pid": ["abcd", None], "n": [1, 1]}), declared))
    assert {part.code for part in problem.parts} == {"data_length", "data_unit_null"}
    problem = refusal(lambda: put(vault, tmp_path, pa.table({"pid": ["abc", "abc"], "n": [1, 1]}), declared))
    assert {part.code for part in problem.parts} == {"data_not_unique"}
