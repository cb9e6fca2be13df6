"""Hot columns: at hand again, within the memory given, never those of another file."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from infra.vault import Part, Vault, VaultError
from sandbox.raw.cache import ColumnCache

ROWS = 1000
COLUMN_BYTES = ROWS * 8 + ROWS // 8  # values and null flags


@pytest.fixture
def parts(vault: Vault) -> tuple[Part, ...]:
    with vault.begin("visits", 1, os.urandom) as draft:
        for index in range(3):
            table = pa.table({name: range(start, start + ROWS) for start, name in ((index, "a"), (index * 2, "b"), (index * 3, "c"))})
            with draft.part(index, table.schema) as writer:
                writer.write(table)
        return draft.commit("0" * 64).parts


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    told: list[tuple[int, tuple[str, ...]]] = []
    read = Part.read

    def spy(self: Part, columns: list[str]) -> pa.Table:
        told.append((self.index, tuple(columns)))
        return read(self, columns)

    monkeypatch.setattr(Part, "read", spy)
    return told


def test_a_column_is_decrypted_once(parts: tuple[Part, ...], reads: list[tuple[int, tuple[str, ...]]]) -> None:
    cache = ColumnCache()
    assert cache.table(parts[1], ["b", "a"], 10**6).column_names == ["b", "a"]
    assert cache.table(parts[1], ["a", "c"], 10**6).column("c").to_pylist() == list(range(3, 3 + ROWS))
    assert cache.table(parts[1], ["a", "b", "c"], 10**6).column("a").to_pylist() == list(range(1, 1 + ROWS))
    assert cache.table(parts[2], ["a"], 10**6).column("a").to_pylist() == list(range(2, 2 + ROWS))
    assert reads == [(1, ("b", "a")), (1, ("c",)), (2, ("a",))]


def test_memory_is_bounded_and_the_least_recently_used_goes(parts: tuple[Part, ...], reads: list[tuple[int, tuple[str, ...]]]) -> None:
    cache, limit = ColumnCache(), 2 * COLUMN_BYTES
    cache.table(parts[0], ["a"], limit)
    cache.table(parts[0], ["b"], limit)
    cache.table(parts[0], ["a"], limit)  # used again: b is older now
    cache.table(parts[0], ["c"], limit)
    assert cache.nbytes == limit
    reads.clear()
    cache.table(parts[0], ["a", "c"], limit)
    assert reads == []
    cache.table(parts[0], ["b"], limit)
    assert reads == [(0, ("b",))]
    assert cache.nbytes == limit
    cache.clear()
    assert cache.nbytes == 0


def test_what_is_larger_than_the_memory_is_read_and_not_kept(parts: tuple[Part, ...], reads: list[tuple[int, tuple[str, ...]]]) -> None:
    cache = ColumnCache()
    for _ in range(2):
        assert cache.table(parts[0], ["a"], COLUMN_BYTES - 1).num_rows == ROWS
    assert cache.nbytes == 0
    assert len(reads) == 2


def test_a_smaller_allowance_shrinks_it(parts: tuple[Part, ...]) -> None:
    cache = ColumnCache()
    cache.table(parts[0], ["a", "b", "c"], 10**6)
    cache.table(parts[1], ["a"], COLUMN_BYTES)
    assert cache.nbytes == COLUMN_BYTES


def test_damage_is_not_cached(parts: tuple[Part, ...]) -> None:
    cache, path = ColumnCache(), Path(parts[0].path)
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(VaultError):
        cache.table(parts[0], ["a"], 10**6)
    path.write_bytes(data)
    assert cache.table(parts[0], ["a"], 10**6).num_rows == ROWS
