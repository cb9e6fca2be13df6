"""The vault refuses everything that is not exactly what was committed where it was committed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from infra.vault import Part, Vault, VaultError, Version
from tests.conftest import MASTER_KEY

TABLE = pa.table({"id": [1, 2, 3], "name": ["MARKER-one", "MARKER-two", None]})
OTHER = pa.table({"id": [7, 8, 9], "name": ["a", "b", "c"]})


def commit(vault: Vault, *tables: pa.Table, dataset: str = "visits", version: int = 1, after: Version | None = None) -> Version:
    with vault.begin(dataset, version, os.urandom, after) as draft:
        for index, table in enumerate(tables):
            with draft.part(index, table.schema) as writer:
                writer.write(table)
        return draft.commit("0" * 64)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        act()
    assert caught.value.__cause__ is None
    return caught.value.code


def test_what_goes_in_comes_out(vault: Vault) -> None:
    commit(vault, TABLE, OTHER)
    opened = vault.open("visits", 1)
    assert opened.digest == "0" * 64
    assert opened.schema == (("id", "int64"), ("name", "string"))
    assert [part.rows for part in opened.parts] == [3, 3]
    assert opened.parts[0].read().equals(TABLE)
    assert opened.parts[1].read(["name"]).equals(OTHER.select(["name"]))
    for part in opened.parts:
        part.check()
    assert vault.versions("visits") == (1,)


def test_nothing_is_written_in_plaintext(vault: Vault, tmp_path: Path) -> None:
    commit(vault, TABLE)
    files = [path for path in (tmp_path / "vault").rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        data = path.read_bytes()
        assert b"MARKER" not in data
        assert b"name" not in data


def test_only_the_owner_may_enter(vault: Vault, tmp_path: Path) -> None:
    commit(vault, TABLE)
    for path in (tmp_path / "vault").rglob("*"):
        if path.is_dir():
            assert path.stat().st_mode & 0o077 == 0


def test_neither_keys_nor_row_counts_are_shown(vault: Vault) -> None:
    opened = commit(vault, TABLE)
    shown = repr(opened) + repr(opened.parts[0]) + repr(vault)
    assert "rows=" not in shown
    assert "key=" not in shown
    assert MASTER_KEY.hex() not in shown


def test_every_flipped_bit_is_refused(vault: Vault) -> None:
    part = commit(vault, TABLE).parts[0]
    clean = Path(part.path).read_bytes()
    for position in range(0, len(clean), 7):
        damaged = bytearray(clean)
        damaged[position] ^= 0x10
        Path(part.path).write_bytes(damaged)
        assert code_of(part.check) == "part_damaged"
        with suppress(VaultError):
            # A few bytes of framing carry no meaning and are not read; whatever is read is what was written.
            assert part.read().equals(TABLE)
    Path(part.path).write_bytes(clean[:-9])
    assert code_of(part.read) == "part_damaged"


def test_a_flipped_bit_in_the_values_is_refused(vault: Vault) -> None:
    part = commit(vault, pa.table({"id": list(range(10_000))})).parts[0]
    data = bytearray(Path(part.path).read_bytes())
    data[len(data) // 3] ^= 1
    Path(part.path).write_bytes(data)
    assert code_of(part.read) == "part_damaged"


def test_swapped_parts_are_refused(vault: Vault) -> None:
    first, second = (Path(part.path) for part in commit(vault, TABLE, OTHER).parts)
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    for part in vault.open("visits", 1).parts:
        assert code_of(part.read) == "part_damaged"


def test_a_part_of_another_place_is_refused_even_with_its_own_key(vault: Vault) -> None:
    """The AAD alone must do it: a key that went astray opens its file nowhere else."""
    part = commit(vault, TABLE).parts[0]
    for place in (("visits", 1, 1), ("visits", 2, 0), ("others", 1, 0)):
        moved = type(part)(*place, path=part.path, sha256=part.sha256, rows=3, key=part.key)
        assert code_of(moved.read) == "part_damaged"


def test_a_rolled_back_part_is_refused(vault: Vault) -> None:
    old = Path(commit(vault, TABLE).parts[0].path)
    new = Path(commit(vault, OTHER, version=2).parts[0].path)
    shutil.copyfile(old, new)
    assert code_of(vault.open("visits", 2).parts[0].read) == "part_damaged"


def test_a_version_put_in_the_place_of_another_is_refused(vault: Vault) -> None:
    commit(vault, TABLE)
    second = Path(commit(vault, OTHER, version=2).parts[0].path).parent
    shutil.rmtree(second)
    shutil.copytree(second.parent / "v1", second)
    assert code_of(lambda: vault.open("visits", 2)) == "manifest_damaged"


def test_a_dataset_put_in_the_place_of_another_is_refused(vault: Vault, tmp_path: Path) -> None:
    commit(vault, TABLE)
    commit(vault, OTHER, dataset="others")
    shutil.rmtree(tmp_path / "vault" / "others")
    shutil.copytree(tmp_path / "vault" / "visits", tmp_path / "vault" / "others")
    assert code_of(lambda: vault.open("others", 1)) == "manifest_damaged"


@pytest.mark.parametrize("cut", [0, 5, -1])
def test_a_damaged_manifest_is_refused(vault: Vault, cut: int) -> None:
    manifest = Path(commit(vault, TABLE).parts[0].path).parent / "manifest"
    manifest.write_bytes(manifest.read_bytes()[:cut])
    assert code_of(lambda: vault.open("visits", 1)) == "manifest_damaged"


def test_another_master_key_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    commit(vault, TABLE)
    stranger = Vault(tmp_path / "vault", os.urandom(32))
    assert code_of(lambda: stranger.open("visits", 1)) == "key_refused"
    assert stranger.derive("x") != vault.derive("x") != vault.derive("y")


def test_missing_things_are_named(vault: Vault) -> None:
    assert code_of(lambda: vault.open("visits", 1)) == "version_missing"
    part = commit(vault, TABLE).parts[0]
    Path(part.path).unlink()
    assert code_of(part.read) == "part_missing"
    assert code_of(part.check) == "part_missing"


def test_a_version_is_written_once(vault: Vault) -> None:
    commit(vault, TABLE)
    assert code_of(lambda: vault.begin("visits", 1, os.urandom)) == "version_exists"
    assert vault.open("visits", 1).parts[0].read().equals(TABLE)


def test_of_two_writers_one_wins_and_neither_mixes(vault: Vault) -> None:
    with vault.begin("visits", 1, os.urandom) as slow:
        with slow.part(0, OTHER.schema) as writer:
            writer.write(OTHER)
        commit(vault, TABLE)
        assert code_of(lambda: slow.commit("1" * 64)) == "version_exists"
    assert vault.open("visits", 1).parts[0].read().equals(TABLE)
    assert vault.versions("visits") == (1,)


def test_an_abandoned_draft_leaves_nothing(vault: Vault, tmp_path: Path) -> None:
    def interrupted() -> None:
        with vault.begin("visits", 1, os.urandom) as draft, draft.part(0, TABLE.schema) as writer:
            writer.write(TABLE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    commit(vault, TABLE)
    with vault.begin("visits", 2, os.urandom) as draft, draft.part(0, TABLE.schema) as writer:
        writer.write(TABLE)
    assert sorted(path.name for path in (tmp_path / "vault" / "visits").iterdir()) == ["dataset.key", "v1"]


def test_what_a_killed_process_left_is_swept_away_and_no_more(vault: Vault, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    folder = tmp_path / "vault" / "visits"
    for pid in (ended.pid, os.getppid()):
        (folder / f".draft-{pid}-00").mkdir(parents=True)
    commit(vault, TABLE)
    assert [path.name for path in folder.glob(".draft-*")] == [f".draft-{os.getppid()}-00"]


def test_a_name_that_means_a_path_is_refused(vault: Vault) -> None:
    for name in ("../up", "a/b", "", ".hidden", "a b"):
        with pytest.raises(ValueError, match="name"):
            vault.begin(name, 1, os.urandom)


def test_parts_are_numbered_without_gaps_and_of_one_schema(vault: Vault) -> None:
    with vault.begin("visits", 1, os.urandom) as draft:
        with draft.part(1, TABLE.schema) as writer:
            writer.write(TABLE)
        with pytest.raises(ValueError, match="numbered"):
            draft.commit("0" * 64)
        with pytest.raises(ValueError, match="one schema"):
            draft.part(0, pa.schema([("x", pa.int8())]))


def test_an_empty_part_keeps_its_columns(vault: Vault) -> None:
    part = commit(vault, TABLE.slice(0, 0)).parts[0]
    assert part.rows == 0
    assert part.read(["id"]).schema.names == ["id"]
    assert part.read().num_rows == 0


# ── versions that keep the parts of an earlier one ───────────────────────────────────────────────────────────────────────────────────


def rows_of(shard: tuple[Part, ...]) -> list[int]:
    return [value for part in shard for value in part.read(["id"]).column(0).to_pylist()]


def test_a_version_keeps_the_parts_of_an_earlier_one_and_adds_its_own(vault: Vault, tmp_path: Path) -> None:
    first = commit(vault, TABLE, OTHER)
    before = {path: path.read_bytes() for path in (tmp_path / "vault" / "visits" / "v1").iterdir()}
    second = commit(vault, OTHER, TABLE, version=2, after=first)
    third = commit(vault, TABLE.slice(0, 1), OTHER.slice(0, 1), version=4, after=vault.open("visits", 2))
    opened = vault.open("visits", 4)
    assert [rows_of(shard) for shard in opened.shards] == [[1, 2, 3, 7, 8, 9, 1], [7, 8, 9, 1, 2, 3, 7]]
    assert [[part.version for part in shard] for shard in third.shards] == [[1, 2, 4], [1, 2, 4]]
    assert opened.needs == (1, 2, 4)
    assert (first.needs, second.needs) == ((1,), (1, 2))
    assert [part.path for part in opened.shards[0]][:2] == [first.parts[0].path, second.shards[0][1].path]
    for part in opened.parts:
        part.check()
    assert before == {path: path.read_bytes() for path in (tmp_path / "vault" / "visits" / "v1").iterdir()}
    assert sorted(path.name for path in (tmp_path / "vault" / "visits" / "v4").iterdir()) == [
        "manifest", "part-00000.parquet", "part-00001.parquet",
    ]  # fmt: skip


def test_digests_of_rows_stay_with_kept_parts(vault: Vault) -> None:
    with vault.begin("visits", 1, os.urandom) as draft:
        with draft.part(0, TABLE.schema) as writer:
            writer.write(TABLE)
        first = draft.commit("0" * 64, ["digest of rows"])
    (shard,) = commit(vault, OTHER, version=2, after=first).shards
    assert [part.content for part in shard] == ["digest of rows", ""]
    assert "digest of rows" not in repr(shard[0])


def test_a_kept_part_is_bound_to_where_it_was_written(vault: Vault) -> None:
    """To the version and position of its writing, not to that of whoever keeps it; and only with the digest the new manifest says."""
    first = commit(vault, TABLE, OTHER)
    kept = commit(vault, OTHER, TABLE, version=2, after=first).shards[0][0]
    assert (kept.version, kept.index) == (1, 0)
    for version, index in ((2, 0), (1, 1)):
        moved = type(kept)("visits", version, index, path=kept.path, sha256=kept.sha256, rows=3, key=kept.key)
        assert code_of(moved.read) == "part_damaged"


@pytest.mark.parametrize("by", ["another shard", "the new part", "an older write"])
def test_a_kept_part_that_was_replaced_is_refused(vault: Vault, by: str) -> None:
    first = commit(vault, TABLE, OTHER)
    second = commit(vault, OTHER, TABLE, version=2, after=first)
    stranger = commit(vault, TABLE, OTHER, dataset="others")
    source = {"another shard": first.parts[1], "the new part": second.shards[0][1], "an older write": stranger.parts[0]}[by]
    shutil.copyfile(source.path, first.parts[0].path)
    kept = vault.open("visits", 2).shards[0][0]
    assert code_of(kept.read) == "part_damaged"
    assert code_of(kept.check) == "part_damaged"
    assert rows_of(vault.open("visits", 2).shards[1]) == [7, 8, 9, 1, 2, 3]


def test_without_what_it_keeps_a_version_is_not_read(vault: Vault) -> None:
    first = commit(vault, TABLE)
    second = commit(vault, OTHER, version=2, after=first)
    shutil.rmtree(Path(first.parts[0].path).parent)
    assert code_of(second.shards[0][0].read) == "part_missing"


def test_a_manifest_that_keeps_parts_takes_no_other_place(vault: Vault) -> None:
    first = commit(vault, TABLE)
    folder = Path(commit(vault, OTHER, version=2, after=first).shards[0][1].path).parent
    shutil.copytree(folder, folder.parent / "v3")
    assert code_of(lambda: vault.open("visits", 3)) == "manifest_damaged"


def test_only_an_earlier_version_of_the_same_dataset_and_schema_is_kept(vault: Vault) -> None:
    first = commit(vault, TABLE, OTHER)
    for name, version in (("others", 2), ("visits", 1)):
        with pytest.raises(ValueError, match="earlier version of the same"):
            vault.begin(name, version, os.urandom, first)
    with vault.begin("visits", 2, os.urandom, first) as draft:
        with pytest.raises(ValueError, match="another"):
            draft.part(0, TABLE.select(["id"]).schema)
        with draft.part(0, TABLE.schema) as writer:
            writer.write(TABLE)
        with pytest.raises(ValueError, match="one to each shard"):
            draft.commit("0" * 64)
    assert vault.versions("visits") == (1,)


def test_each_destruction_begins_another_era_for_everybody(vault: Vault, tmp_path: Path) -> None:
    commit(vault, TABLE)
    commit(vault, TABLE, version=2)
    theirs = Vault(tmp_path / "vault", MASTER_KEY)
    numbers = [theirs.era.number]
    for version in (1, None):
        vault.destroy("visits", version)
        numbers.append(theirs.era.number)
    assert numbers == [0, 2, 4]
    assert theirs.gone("visits")


def test_a_destruction_that_broke_off_at_its_very_end_is_not_over(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is gone by then, but whoever read while it went has not been told."""
    commit(vault, TABLE)
    with monkeypatch.context() as killing:
        killing.setattr(type(vault.place), "destroy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            vault.destroy("visits")
    assert vault.era.number == 1
    vault.place.destroy("visits", 1, ())
    assert not vault.gone("visits")
    vault.destroy("visits")
    assert (vault.gone("visits"), vault.era.number) == (True, 2)
