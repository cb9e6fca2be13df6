"""The digest names the content, all of it and nothing else, and tells a stranger nothing."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from infra.vault import Vault
from sandbox.raw.digest import PartDigest, content_digest
from tests.visits import column, dataset, ingested, rows

KEY = bytes(32)


def digest(*tables: pa.Table, name: str = "visits", key: bytes = KEY) -> str:
    part = PartDigest(tables[0].schema)
    for table in tables:
        part.add(table)
    return content_digest(key, name, tables[0].schema, [part.digest()])


def test_equal_content_has_equal_digests_however_it_is_laid_out() -> None:
    table = rows(100).select(["person_id", "city", "fee", "urgent", "born", "score"])
    whole = digest(table)
    assert digest(table.slice(0, 33), table.slice(33, 1), table.slice(34)) == whole
    assert digest(pa.concat_tables([table.slice(0, 7), table.slice(7)])) == whole
    # What lies under a null is not content.
    values = pa.array([1, 2, 3], pa.int64())
    other = pa.array([1, 9, 3], pa.int64())
    bitmap = pa.array([True, False, True]).buffers()[1]
    hidden = [pa.table({"x": pa.Array.from_buffers(pa.int64(), 3, [bitmap, array.buffers()[1]])}) for array in (values, other)]
    assert digest(hidden[0]) == digest(hidden[1])


@pytest.mark.parametrize("name", ["person_id", "city", "fee", "score", "days", "born", "seen", "urgent", "note"])
def test_every_cell_counts(name: str) -> None:
    table = rows(60)
    before = digest(table)
    values = table.column(name).to_pylist()
    index = table.schema.get_field_index(name)
    kind = table.schema.field(name).type
    for row in (0, 31, 59):
        changed = list(values)
        changed[row] = None if values[row] is not None else next(value for value in values if value is not None)
        assert digest(table.set_column(index, name, pa.array(changed, kind))) != before
    assert digest(table.set_column(index, name, pa.array(values, kind))) == before


def test_names_types_order_and_null_count() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "yz"]})
    seen = [
        digest(table),
        digest(table, name="other"),
        digest(table, key=b"\1" * 32),
        digest(table.rename_columns(["a", "c"])),
        digest(table.cast(pa.schema([("a", pa.int32()), ("b", pa.string())]))),
        digest(pa.table({"a": pa.array([1, 2], pa.timestamp("us")), "b": ["x", "yz"]})),
        digest(table.take([1, 0])),
        digest(table.slice(0, 1)),
        digest(pa.table({"a": [1, 2], "b": ["xy", "z"]})),
        digest(pa.table({"a": [1, 2], "b": ["x", None]})),
        digest(pa.table({"a": [1, 2], "b": ["x", ""]})),
        digest(pa.table({"a": [1, None], "b": ["x", "yz"]})),
        digest(pa.table({"a": [1, 0], "b": ["x", "yz"]})),
    ]
    assert len(set(seen)) == len(seen)


def test_parts_are_counted_in_order() -> None:
    schema = pa.schema([("a", pa.int64())])
    one, two = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()
    seen = {content_digest(KEY, "d", schema, parts) for parts in ([one, two], [two, one], [one], [one, two, two])}
    assert len(seen) == 4


def test_the_same_files_have_the_same_digest_in_one_vault_only(vault: Vault, other_vault: Vault, tmp_path: Path) -> None:
    declared = dataset(rows=8)
    first = ingested(vault, tmp_path, rows(), declared, shard_rows=1).snapshot.digest
    assert ingested(vault, tmp_path, rows(), declared, version=2, shard_rows=1).snapshot.digest == first
    assert ingested(other_vault, tmp_path, rows(), declared, shard_rows=1).snapshot.digest != first
    changed = rows().set_column(4, "days", [[400, *rows().column("days").to_pylist()[1:]]])
    assert ingested(vault, tmp_path, changed, declared, version=3, shard_rows=1).snapshot.digest != first


def test_who_knows_every_row_cannot_compute_it(vault: Vault, tmp_path: Path) -> None:
    """Digests are public: without the vault's key, knowing the rows must not be enough to recognise them."""
    table = pa.table({"id": pa.array([1, 2, 3])})
    report = ingested(vault, tmp_path, table, dataset((column("id", "integer", uses=("filter",)),), unit="id"))
    stored = vault.open("visits", 1).parts[0].read()
    assert digest(stored, key=b"") != report.snapshot.digest
    assert digest(stored, key=KEY) != report.snapshot.digest
    assert digest(stored, key=vault.derive("snapshot-digest")) == report.snapshot.digest


def test_decimals_are_hashed_by_value_and_scale() -> None:
    def one(scale: int) -> str:
        return digest(pa.table({"x": pa.array([Decimal("1.5"), None], pa.decimal64(18, scale))}))

    assert one(1) != one(2)
    assert one(2) == one(2)
