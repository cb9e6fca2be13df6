"""Appending: only new rows are read and written, and what is declared of the whole dataset is held over old and new rows together."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.vault import Draft, Vault, Version
from policies.catalogue import Bounds, Catalogue, Dataset, Snapshot, Via
from policies.problem import Problem
from sandbox.plan.model import Scan
from sandbox.raw import blocks
from sandbox.raw.ingest import IngestReport, ingest
from tests.visits import COLUMNS, column, dataset, parquet, rows

ID = column("id", "integer", uses=("filter",))
N = column("n", "integer", low=Decimal(0), high=Decimal(9))


def put(vault: Vault, tmp_path: Path, table: pa.Table, declared: Dataset, after: Snapshot | None = None, *known: Snapshot) -> IngestReport:
    version = 1 if after is None else after.version + 1
    path = parquet(tmp_path / f"{declared.name}-{version}.parquet", table)
    return ingest(declared, [path], vault, version=version, catalogue_public=Catalogue(known), random=os.urandom, shard_rows=1, after=after)


def bounded(most: int, over: str = "refuse", **more: Any) -> Dataset:
    bounds = Bounds(groups_per_unit=1, rows_per_group=1, rows_per_unit=most, over_rows=over)  # type: ignore[arg-type]  # spelt by tests
    return dataset((ID, N), unit="id", **more).model_copy(update={"bounds": bounds})


def table(*pairs: tuple[int, int]) -> pa.Table:
    return pa.table({"id": pa.array([one for one, _ in pairs], pa.int64()), "n": pa.array([other for _, other in pairs], pa.int64())})


def opened(vault: Vault, report: IngestReport) -> Version:
    return vault.open(report.snapshot.dataset.name, report.snapshot.version)


def stored(vault: Vault, report: IngestReport) -> list[tuple[int, int]]:
    every = pa.concat_tables([part.read() for part in opened(vault, report).parts])
    return list(zip(*(column.to_pylist() for column in every.columns), strict=True))


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    assert caught.value.__cause__ is None
    return caught.value


def test_old_files_stay_and_each_unit_stays_in_its_shard(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, rows(400, 60), dataset(rows=8))
    before = {path: path.read_bytes() for path in (tmp_path / "vault" / "visits" / "v1").iterdir()}
    second = put(vault, tmp_path, rows(300, 90), dataset(rows=10**9), first.snapshot)
    third = put(vault, tmp_path, rows(5, 5), dataset(rows=8), second.snapshot)
    assert before == {path: path.read_bytes() for path in before}
    assert (third.rows, third.added, third.shards) == (705, 5, 8)
    version = opened(vault, third)
    assert [len(shard) for shard in version.shards] == [3] * 8  # a shard that got no new row has a file as well: their number says nothing
    homes: dict[int, int] = {}
    for place, shard in enumerate(version.shards):
        for part in shard:
            for unit in part.read(["person_id"]).column(0).to_pylist():
                assert homes.setdefault(unit, place) == place
    assert len(homes) == 90


def test_the_digest_follows_from_old_and_new_rows(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, rows(100, 60), dataset(rows=4))
    second = put(vault, tmp_path, rows(50, 20), dataset(rows=4), first.snapshot)
    again = Vault(tmp_path / "again", bytes(range(32)))
    other = put(again, tmp_path, rows(50, 20), dataset(rows=4), put(again, tmp_path, rows(100, 60), dataset(rows=4)).snapshot)
    assert other.snapshot.digest == second.snapshot.digest != first.snapshot.digest


def test_digests_of_parts_from_before_there_were_any_are_made_up_for(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = put(vault, tmp_path, rows(100, 60), dataset(rows=4))
    second = put(vault, tmp_path, rows(50, 20), dataset(rows=4), first.snapshot)
    old = Vault(tmp_path / "old", bytes(range(32)))
    with monkeypatch.context() as patched:
        commit = Draft.commit
        patched.setattr("infra.vault.Draft.commit", lambda draft, digest, contents: commit(draft, digest))
        early = put(old, tmp_path, rows(100, 60), dataset(rows=4))
    assert {part.content for part in opened(old, early).parts} == {""}
    assert put(old, tmp_path, rows(50, 20), dataset(rows=4), early.snapshot).snapshot.digest == second.snapshot.digest


def test_rows_per_unit_are_counted_over_the_whole(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, table((1, 1), (1, 2), (2, 1)), bounded(3, rows=4))
    problem = refusal(lambda: put(vault, tmp_path, table((1, 3), (1, 4), (2, 2), (3, 1)), bounded(3, rows=4), first.snapshot))
    assert [(part.code, part.fields["count"]) for part in problem.parts] == [("data_rows_per_unit", "1")]
    assert vault.versions("visits") == (1,)
    fits = put(vault, tmp_path, table((1, 3), (2, 2), (2, 3), (3, 1)), bounded(3, rows=4), first.snapshot)
    assert sorted(stored(vault, fits)) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1)]


def test_what_is_there_comes_first_when_rows_are_cut(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, table((1, 1), (1, 2), (2, 1)), bounded(3, "cut", rows=4))
    second = put(vault, tmp_path, table((1, 3), (2, 2), (1, 4), (3, 1), (1, 5)), bounded(3, "cut", rows=4), first.snapshot)
    assert sorted(stored(vault, second)) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
    assert second.cut_rows == 2
    at_once = Vault(tmp_path / "once", os.urandom(32))
    whole = put(at_once, tmp_path, table((1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (1, 4), (3, 1), (1, 5)), bounded(3, "cut", rows=4))
    assert sorted(stored(at_once, whole)) == sorted(stored(vault, second))


def test_a_lower_limit_is_no_licence_to_keep_more(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, table((1, 1), (1, 2), (2, 1)), bounded(3, rows=4))
    for over in ("refuse", "cut"):
        problem = refusal(lambda over=over: put(vault, tmp_path, table((2, 2)), bounded(1, over, rows=4), first.snapshot))  # type: ignore[misc]
        assert "data_rows_per_unit" in {part.code for part in problem.parts}


def test_unique_is_over_the_whole(vault: Vault, tmp_path: Path) -> None:
    declared = dataset((column("id", "integer", uses=("filter",), unique=True), N), unit="id", rows=4)
    first = put(vault, tmp_path, table((1, 1), (2, 1)), declared)
    problem = refusal(lambda: put(vault, tmp_path, table((3, 1), (2, 1)), declared, first.snapshot))
    assert [(part.code, part.fields["column"], part.fields["count"]) for part in problem.parts] == [("data_not_unique", "id", "1")]
    assert put(vault, tmp_path, table((3, 1), (4, 1)), declared, first.snapshot).rows == 4


CHANGES = {
    "unit": (lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(9), uses=("filter",))), unit="n"), False),
    "another column": (lambda: dataset((ID, column("m", "integer")), unit="id"), False),
    "one more": (lambda: dataset((ID, N, column("m", "integer")), unit="id"), False),
    "type": (lambda: dataset((ID, column("n", "number", low=Decimal(0), high=Decimal(9))), unit="id"), False),
    "narrower": (lambda: dataset((ID, column("n", "integer", low=Decimal(1), high=Decimal(9))), unit="id"), False),
    "wider": (lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(10))), unit="id"), True),
    "unlimited": (lambda: dataset((ID, column("n", "integer")), unit="id"), True),
    "wider, but mended": (
        lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(10), out_of_range="clamp")), unit="id"),
        False,
    ),
    "listed": (lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(9), domain=(1, 2))), unit="id"), False),
    "never null": (lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(9), nullable=False)), unit="id"), False),
    "other uses": (lambda: dataset((ID, column("n", "integer", low=Decimal(0), high=Decimal(9), uses=("key",))), unit="id"), True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_kept_rows_fit_the_new_declaration_or_nothing_is_appended(vault: Vault, tmp_path: Path, what: str) -> None:
    first = put(vault, tmp_path, table((1, 1)), dataset((ID, N), unit="id"))
    declare, fits = CHANGES[what]
    more = table((2, 2)).append_column("m", pa.array([1], pa.int64()))
    if fits:
        assert put(vault, tmp_path, more, declare(), first.snapshot).rows == 2
    else:
        problem = refusal(lambda: put(vault, tmp_path, more, declare(), first.snapshot))
        assert problem.code == "data_append_refused"
        assert {part.code for part in problem.parts} == {"data_append_changed"}


def test_domains_and_lengths_may_grow(vault: Vault, tmp_path: Path) -> None:
    def texts(length: int, *domain: str) -> Dataset:
        return dataset((ID, column("c", "text", max_length=length), column("d", "text", domain=domain)), unit="id")

    def said(id: int, c: str, d: str) -> pa.Table:
        return pa.table({"id": pa.array([id], pa.int64()), "c": [c], "d": [d]})

    first = put(vault, tmp_path, said(1, "abc", "x"), texts(3, "x"))
    second = put(vault, tmp_path, said(1, "abcd", "y"), texts(4, "y", "x"), first.snapshot)
    for less in (texts(3, "x", "y"), texts(4, "y")):
        assert refusal(lambda less=less: put(vault, tmp_path, said(1, "a", "y"), less, second.snapshot)).code == "data_append_refused"  # type: ignore[misc]


def test_rows_dealt_by_another_key_are_not_added_to(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = put(vault, tmp_path, rows(50, 30), dataset(rows=4))
    derive = vault.derive
    monkeypatch.setattr(vault, "derive", lambda label: derive(label + "!"))
    assert refusal(lambda: put(vault, tmp_path, rows(5, 5), dataset(rows=4), first.snapshot)).code == "data_append_partition"
    assert vault.versions("visits") == (1,)


def test_a_version_that_is_not_as_it_was_is_not_added_to(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, rows(50, 30), dataset(rows=4)).snapshot
    changed = first.model_copy(update={"digest": "0" * 64})
    assert refusal(lambda: put(vault, tmp_path, rows(5, 5), dataset(rows=4), changed)).code == "data_snapshot_refused"


def test_a_public_table_grows_and_so_do_its_keys(vault: Vault, tmp_path: Path) -> None:
    declared = dataset((column("city", "text"), N), unit=None, name="cities")
    first = put(vault, tmp_path, pa.table({"city": ["b"], "n": [1]}), declared)
    second = put(vault, tmp_path, pa.table({"city": ["a"], "n": [2]}), declared, first.snapshot)
    found = second.snapshot.dataset.get("city")
    assert found is not None
    assert found.domain == ("a", "b")


def test_references_are_followed_in_what_was_appended(vault: Vault, tmp_path: Path) -> None:
    people = dataset((column("pid", "integer", uses=("filter",), unique=True), N), unit="pid", name="people", rows=4)
    visits = dataset(
        (column("who", "integer", uses=("filter",)), N), unit="owner", name="visits", rows=2, via=Via(column="who", references="people.pid")
    )

    def of(name: str, *pairs: tuple[int, int]) -> pa.Table:
        return table(*pairs).rename_columns([name, "n"])

    first = put(vault, tmp_path, of("pid", (1, 0), (2, 0)), people)
    before = put(vault, tmp_path, of("who", (1, 1), (2, 2)), visits, None, first.snapshot)
    second = put(vault, tmp_path, of("pid", (3, 0)), people, first.snapshot)
    after = put(vault, tmp_path, of("who", (3, 3), (1, 4)), visits, before.snapshot, second.snapshot)
    assert sorted(stored(vault, after)) == [(1, 1, 1), (1, 4, 1), (2, 2, 2), (3, 3, 3)]


def test_programs_get_all_files_of_a_shard_at_once(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, rows(60, 30), dataset(rows=4))
    second = put(vault, tmp_path, rows(60, 30), dataset(rows=4), first.snapshot).snapshot
    scan = Scan("visits", second.version, second.digest, private=True, alias="v", columns=("person_id",), unit="person_id")
    for calls in (0, 2, 64):
        groups = list(blocks.groups([scan], calls, vault))
        units = [set[int]() for _ in groups]
        for found, group in zip(units, groups, strict=True):
            for part in group.sources[0].parts:
                found.update(part.read(["person_id"]).column(0).to_pylist())
        assert sum(map(len, units)) == len(set.union(*units)) == 30


def test_every_declared_type_is_appended(vault: Vault, tmp_path: Path) -> None:
    first = put(vault, tmp_path, rows(), dataset(COLUMNS))
    report = put(vault, tmp_path, rows(), dataset(COLUMNS), first.snapshot)
    every = pa.concat_tables([part.read() for part in opened(vault, report).parts])
    twice = pa.concat_tables([rows(), rows()]).sort_by([("person_id", "ascending"), ("seen", "ascending")])
    assert every.sort_by([("person_id", "ascending"), ("seen", "ascending")]).to_pylist() == twice.to_pylist()
