"""Ingest: a steward's files become an immutable, encrypted version of a dataset, or nothing at all.

Rows stream through the rules in batches; private ones are dealt to shards by the hash of their unit and wait in memory, then in encrypted
scratch files; at last each shard is sorted by unit and written. Memory holds about `_WAITING_BYTES` plus one shard, however many rows come.
The number of shards follows from the declared size, never from the rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from infra.vault import Draft, Part, Random, Scratch, Vault, VaultError
from policies.catalogue import KEYABLE, Catalogue, Column, Dataset, KeyValue, Snapshot, with_domains
from policies.problem import declare
from sandbox.raw.checks import Crowds, Unique
from sandbox.raw.digest import PartDigest, content_digest
from sandbox.raw.failure import SNAPSHOT_REFUSED
from sandbox.raw.faults import Faults
from sandbox.raw.owners import Owners, as_read, with_unit_type
from sandbox.raw.partition import shard_count, split
from sandbox.raw.rules import Rules, Tally, schema_of
from sandbox.raw.sources import open_sources

Read = Callable[[Snapshot, str], pa.ChunkedArray]  # a stored column
Progress = Callable[[int, int | None], None]  # rows read so far, rows in all where the files say so
MAX_DOMAIN = 100_000
MAX_PUBLISHED = 10_000
_WAITING_BYTES = 128 * 2**20

VERSION_EXISTS = declare(
    "data_version_exists",
    zh=("该版本已存在", "数据集 {dataset} 的第 {version} 版已经入库，版本不可更改。", "请以新的版本号入库。"),
    en=("This version exists", "Version {version} of dataset {dataset} is already there; versions never change.", "Ingest under a new number."),
)
STORAGE_FAILED = declare(
    "data_storage_failed",
    zh=("无法写入保险库", "写入数据集 {dataset} 时存储失败：{reason}；没有留下任何内容。", "请检查磁盘空间、目录权限和主密钥。"),
    en=(
        "The vault cannot be written",
        "Writing dataset {dataset} failed: {reason}; nothing was left behind.",
        "Check disk space, permissions and the master key.",
    ),
)
DOMAIN_SOURCE = declare(
    "data_domain_source",
    zh=(
        "公开键的来源不可用",
        "列 {column} 的公开键取自 {source}，但它不是已登记公共表中同一类型、有 1 至 {limit} 个不同值的列。",
        "请先登记该公共表，或直接列出键。",
    ),
    en=(
        "The source of public keys cannot be used",
        "Column {column} takes its keys from {source}, which is no column of a registered public table, of the same type, "
        "with 1 to {limit} different values.",
        "Register that public table first, or list the keys.",
    ),
)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What happened, for the steward. `rows` are those stored; counts per column name columns with a count above zero only."""

    snapshot: Snapshot  # the dataset with `domain_from` resolved into `domain`
    rows: int
    shards: int
    dropped_null_units: int
    dropped_missing_units: int
    cut_rows: int
    clamped: dict[str, int]  # clamped to the range, cut to the length, or made null for being none of the declared keys
    nan_to_null: dict[str, int]
    ignored_columns: tuple[str, ...] = field(default=())  # in the files but not declared: not stored


def ingest(
    dataset: Dataset,
    sources: Sequence[Path],
    vault: Vault,
    *,
    version: int,
    catalogue_public: Catalogue,
    random: Random,
    progress: Progress | None = None,
    shard_rows: int = 600_000,
    csv_encoding: str = "utf-8",
) -> IngestReport:
    """Check all rows of all `sources` and commit them as one version.

    Raises data_refused with one part per broken rule after everything has been checked; data_source_*, data_column_*, data_domain_source,
    data_unit_reference, data_version_exists before a row is read; data_storage_failed. In every case the vault is as it was.
    """
    read = reader_of(vault)
    dataset = with_unit_type(resolve_domains(dataset, catalogue_public, read), catalogue_public)
    owners, asked = Owners.of(dataset, catalogue_public, read), as_read(dataset)
    files = open_sources(asked, sources, csv_encoding)
    totals = [file.total_rows for file in files]
    total = None if None in totals else sum(count or 0 for count in totals)
    rules, faults, tally, unique = Rules(asked), Faults(), Tally(), Unique(dataset)

    def malformed(file: str, row: int) -> None:
        faults.add("", "fields", 1, file, row)

    def checked() -> Iterator[pa.Table]:
        done = 0
        for file in files:
            for batch in file.batches(asked, malformed):
                rows = rules.apply(batch, faults, tally)
                yield rows if owners is None else owners.attach(rows, batch, faults, tally)
                done += batch.rows.num_rows
                if progress:
                    progress(done, total)

    try:
        with vault.begin(dataset.name, version, random) as draft:
            schema = schema_of(dataset.stored)
            writer = _Shards(dataset, draft, vault, shard_count(dataset.approximate_rows, shard_rows), schema, faults, tally)
            for table in checked():
                if not faults:
                    unique.add(table)
                    writer.add(table)
            unique.check(faults)
            digest = "" if faults else writer.finish()
            if faults:
                raise faults.problem(dataset.name)
            committed = draft.commit(digest)
        if not dataset.private:
            dataset = publish_keys(dataset, lambda column: _read(committed.parts, column))
    except VaultError as error:
        if error.code == "version_exists":
            raise VERSION_EXISTS(dataset=dataset.name, version=version) from None
        raise STORAGE_FAILED(dataset=dataset.name, reason=error.code) from None
    except OSError as error:
        raise STORAGE_FAILED(dataset=dataset.name, reason=error.strerror or "I/O error") from None
    return IngestReport(
        snapshot=Snapshot(dataset=dataset, version=version, digest=digest),
        rows=sum(part.rows for part in committed.parts),
        shards=len(committed.shards),
        dropped_null_units=tally.dropped_null_units,
        dropped_missing_units=tally.dropped_missing_units,
        cut_rows=tally.cut_rows,
        clamped=dict(+tally.clamped),
        nan_to_null=dict(+tally.nan_to_null),
        ignored_columns=tuple(dict.fromkeys(name for file in files for name in file.ignored)),
    )


def reader_of(vault: Vault) -> Read:
    """Reads stored columns from the vault. Raises data_snapshot_refused."""

    def read(snapshot: Snapshot, column: str) -> pa.ChunkedArray:
        try:
            return _read(vault.open(snapshot.dataset.name, snapshot.version).parts, column)
        except VaultError as error:
            raise SNAPSHOT_REFUSED(dataset=snapshot.dataset.name, version=snapshot.version, reason=error.code) from None

    return read


def _read(parts: Sequence[Part], column: str) -> pa.ChunkedArray:
    return pa.concat_tables([part.read([column]) for part in parts]).column(0)


def resolve_domains(dataset: Dataset, catalogue: Catalogue, read: Read) -> Dataset:
    """The dataset with every `domain_from` replaced by what that public column holds: its different values, ascending, without NULL.

    Raises data_domain_source when there is no such public table or column, or its values cannot be keys of this column.
    """
    columns = tuple(_resolved(column, catalogue, read) if column.domain_from else column for column in dataset.columns)
    return Dataset.model_validate(dataset.model_copy(update={"columns": columns}).model_dump())


def _resolved(column: Column, catalogue: Catalogue, read: Read) -> Column:
    table, name = str(column.domain_from).split(".")
    snapshot = catalogue.get(table)
    source = snapshot.dataset.get(name) if snapshot and not snapshot.dataset.private else None
    if snapshot and source and source.type == column.type:
        values = _different(read(snapshot, source.name))
        if 0 < len(values) <= MAX_DOMAIN:
            return column.model_copy(update={"domain": tuple(values)})
    raise DOMAIN_SOURCE(column=column.name, source=column.domain_from, limit=MAX_DOMAIN)


def publish_keys(dataset: Dataset, read: Callable[[str], pa.ChunkedArray]) -> Dataset:
    """A public dataset with the domains its rows give: whoever may know the rows may know which keys there are. A column that may be a key and
    declares none gets its different values, ascending, unless there are more than MAX_PUBLISHED: then it stays without."""
    found: dict[str, Sequence[KeyValue]] = {}
    for column in dataset.columns:
        if column.type in KEYABLE and "key" in column.uses and column.domain is None and column.domain_from is None:
            values = _different(read(column.name))
            if 0 < len(values) <= MAX_PUBLISHED:
                found[column.name] = values
    return with_domains(dataset, found)


def _different(values: pa.ChunkedArray) -> list[KeyValue]:
    different: list[KeyValue] = pc.unique(values).drop_null().to_pylist()
    return sorted(different)


class _Shards:
    """Rows on their way to parts: a private dataset's by unit, a public one's in turn."""

    def __init__(self, dataset: Dataset, draft: Draft, vault: Vault, shards: int, schema: pa.Schema, faults: Faults, tally: Tally) -> None:
        self._name = dataset.name
        self._draft, self._schema, self._faults, self._tally = draft, schema, faults, tally
        unit = dataset.unit_column
        self._unit = None if unit is None else unit.name
        self._crowds = Crowds(dataset)
        self._count = shards
        self._turn = itertools.cycle(range(shards))
        self._key = vault.derive(f"partition/{dataset.unit.space}") if dataset.unit else b""
        self._digest_key = vault.derive("snapshot-digest")
        self._waiting: list[list[pa.Table]] = [[] for _ in range(self._count)]
        self._bytes = 0
        self._scratch: dict[int, Scratch] = {}

    def add(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        parts = [(next(self._turn), table)] if self._unit is None else split(table, self._unit, self._key, self._count)
        for shard, rows in parts:
            self._waiting[shard].append(rows)
        self._bytes += table.nbytes
        if self._bytes > _WAITING_BYTES:
            self._spill()

    def finish(self) -> str:
        """Write all parts; the content digest."""
        digests = []
        for shard in range(self._count):
            part = PartDigest(self._schema)
            with self._draft.part(shard, self._schema) as writer:
                for table in self._rows(shard):
                    part.add(table)
                    writer.write(table)
            digests.append(part.digest())
        return content_digest(self._digest_key, self._name, self._schema, digests)

    def _rows(self, shard: int) -> Iterator[pa.Table]:
        waiting, self._waiting[shard] = self._waiting[shard], []
        spilled = [self._scratch.pop(shard).take()] if shard in self._scratch else []
        rows = pa.concat_tables([self._schema.empty_table(), *spilled, *waiting]).combine_chunks()
        if self._unit is None:
            yield rows
        else:
            # Stable: rows of one unit stay in the order they came in.
            ordered = rows.take(pc.sort_indices(rows, sort_keys=[(self._unit, "ascending")])).combine_chunks()
            yield self._crowds.held(ordered, self._faults, self._tally)

    def _spill(self) -> None:
        for shard, tables in enumerate(self._waiting):
            if tables:
                if shard not in self._scratch:
                    self._scratch[shard] = self._draft.scratch(shard, self._schema)
                self._scratch[shard].write(pa.concat_tables(tables).combine_chunks())
                tables.clear()
        self._bytes = 0
