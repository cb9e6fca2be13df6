"""Ingest: a steward's files become an immutable, encrypted version of a dataset, or nothing at all.

Rows stream through the rules in batches; private ones are dealt to shards by the hash of their unit and wait in memory, then in encrypted
scratch; at last each shard is sorted by unit and written. Memory holds about `WAITING_BYTES` plus a shard for each thread, however many rows
come. The number of shards follows from the declared size, never from the rows.

A process that is killed, or told to stop, leaves its scratch behind with a checkpoint, and the same ingest goes on from there. A version may
also be the one before and some more rows: then only those are read, and nothing that is there is written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from infra.extract import Origin
from infra.scratch import ScratchLost
from infra.vault import Random, Vault, VaultError, Version
from policies.catalogue import Catalogue, Dataset, Snapshot
from policies.problem import declare
from sandbox.raw.append import APPEND_ELSEWHERE, check_continues, later, opened
from sandbox.raw.checks import Unique
from sandbox.raw.databases import DatabaseSource
from sandbox.raw.domains import column_of, publish_keys, reader_of, resolve_domains
from sandbox.raw.faults import Faults
from sandbox.raw.owners import Owners, as_read, with_unit_type
from sandbox.raw.partition import shard_count
from sandbox.raw.pseudonyms import Pseudonyms
from sandbox.raw.rules import Rules, Tally, schema_of
from sandbox.raw.shards import KeptElsewhere, Shards, in_turn
from sandbox.raw.sources import Batch, Rows, open_sources

Progress = Callable[[int, int | None], None]  # rows read so far, rows in all where the files say so
THREADS = 2  # that check batches, and write shards, at once
_FORMAT = 1  # of a checkpoint

VERSION_EXISTS = declare(
    "data_version_exists",
    zh=("该版本已存在", "数据集 {dataset} 的第 {version} 版已经入库，版本不可更改。", "请以新的版本号入库。"),
    en=(
        "This version exists",
        "Version {version} of dataset {dataset} is already ingested; versions never change.",
        "Ingest under a new version number.",
    ),
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


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT, asked of a database, as a source."""

    origin: Origin
    text: str


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
    added: int = 0  # of the rows, those that came with this version
    resumed: int = 0  # of the rows read, those that an interrupted ingest had read before


def ingest(
    dataset: Dataset,
    sources: Sequence[Path | Query],
    vault: Vault,
    *,
    version: int,
    catalogue_public: Catalogue,
    random: Random,
    progress: Progress | None = None,
    shard_rows: int = 600_000,
    csv_encoding: str = "utf-8",
    after: Snapshot | None = None,
    resume: bool = True,
) -> IngestReport:
    """Check all rows of all `sources` and commit them as one version. `after`: the version of the dataset whose rows this one has too.
    `resume`: go on with what an interrupted process left of the same ingest.

    Raises data_refused with one part per broken rule after everything has been checked; data_source_*, data_column_*, data_domain_source,
    data_unit_reference, data_append_*, data_database_refused, data_version_exists before a row is read; data_database_lost,
    data_storage_failed. In every case the vault is as it was.
    """
    read = reader_of(vault)
    dataset = with_unit_type(resolve_domains(dataset, catalogue_public, read), catalogue_public)
    kept = None
    if after is not None:
        check_continues(after, dataset)
        kept = opened(after, vault)
    owners, asked = Owners.of(dataset, catalogue_public, read), as_read(dataset)
    asked = asked if after is None else later(asked, after)
    names = Pseudonyms.of(dataset, catalogue_public, vault)
    with ExitStack() as held:
        files = _open(asked, sources, csv_encoding, held)
        work = _Work(asked, names, owners, files, progress)
        count = len(kept.shards) if kept else shard_count(dataset.approximate_rows, shard_rows)
        parents = [
            snapshot.digest
            for snapshot in (after, catalogue_public.get(dataset.unit.via.table) if dataset.unit and dataset.unit.via else None)
            if snapshot
        ]
        identity = _identity(dataset, files, [csv_encoding, count, *parents]) or random(16).hex()
        try:
            with vault.begin(dataset.name, version, random, kept) as draft, ExitStack() as within:
                schema = schema_of(dataset.stored)
                shards = Shards(
                    dataset, vault, schema, count, kept,
                    lambda: vault.scratch(dataset.name, version, schema, random, identity=identity, resume=resume),
                    look=vault.left_behind(dataset.name),
                )  # fmt: skip
                within.push(_leaving(shards))
                pool = within.enter_context(ThreadPoolExecutor(THREADS))
                unique = Unique(dataset)
                for known in work.known(unique.columns, kept, shards):
                    unique.add(known)
                for table in work.checked(pool, shards.resumed):
                    if not work.faults:
                        unique.add(table)
                        shards.add(table, work.state)
                unique.check(work.faults)
                if not work.faults:
                    digest, contents = shards.finish(draft, pool, THREADS, work.faults, work.tally)
                if work.faults:
                    raise work.faults.problem(dataset.name)
                committed = draft.commit(digest, contents)
            if not dataset.private:
                dataset = publish_keys(dataset, lambda column: column_of(committed.parts, column))
        except VaultError as error:
            if error.code == "version_exists":
                raise VERSION_EXISTS(dataset=dataset.name, version=version) from None
            raise STORAGE_FAILED(dataset=dataset.name, reason=error.code) from None
        except KeptElsewhere:
            raise APPEND_ELSEWHERE(dataset=dataset.name, version=0 if after is None else after.version) from None
        except ScratchLost:
            raise STORAGE_FAILED(dataset=dataset.name, reason="scratch_damaged") from None
        except OSError as error:
            raise STORAGE_FAILED(dataset=dataset.name, reason=error.strerror or "I/O error") from None
    return _report(Snapshot(dataset=dataset, version=version, digest=digest), committed, work)


def _report(snapshot: Snapshot, committed: Version, work: _Work) -> IngestReport:
    tally = work.tally
    return IngestReport(
        snapshot=snapshot,
        rows=sum(part.rows for part in committed.parts),
        shards=len(committed.shards),
        dropped_null_units=tally.dropped_null_units,
        dropped_missing_units=tally.dropped_missing_units,
        cut_rows=tally.cut_rows,
        clamped=dict(+tally.clamped),
        nan_to_null=dict(+tally.nan_to_null),
        ignored_columns=tuple(dict.fromkeys(name for file in work.files for name in file.ignored)),
        added=sum(part.rows for part in committed.parts if part.version == committed.version),
        resumed=work.resumed,
    )


def _open(asked: Dataset, sources: Sequence[Path | Query], encoding: str, held: ExitStack) -> list[Rows]:
    """Look at the heads of all of them before any row is read; `held` closes them."""
    files: list[Rows] = []
    for source in sources:
        files += open_sources(asked, [source], encoding) if isinstance(source, Path) else [DatabaseSource(asked, source.origin, source.text)]
        held.callback(files[-1].close)
    return files


def _identity(dataset: Dataset, files: Sequence[Rows], more: Sequence[object]) -> str | None:
    """All that makes two ingests the same; None when there is no second one, because rows can be read only once."""
    if any(file.identity is None for file in files):
        return None
    said = [_FORMAT, dataset.model_dump(mode="json"), [file.identity for file in files], *more]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _leaving(shards: Shards) -> Callable[[Any, BaseException | None, Any], bool]:
    """What becomes of the scratch: a process told to stop leaves it for the next; after anything else it is of no more use."""

    def leave(kind: Any, error: BaseException | None, trace: Any) -> bool:
        if shards.scratch is not None:
            if error is None or isinstance(error, Exception):
                shards.scratch.remove()
            else:
                shards.scratch.leave()
        return False

    return leave


class _Work:
    """Batches on their way through the rules, and where a checkpoint would go on."""

    def __init__(
        self, asked: Dataset, names: Pseudonyms | None, owners: Owners | None, files: Sequence[Rows], progress: Progress | None
    ) -> None:
        self._asked, self._names, self._owners, self.files, self._progress = asked, names, owners, files, progress
        self._rules = Rules(asked)
        self.faults, self.tally = Faults(), Tally()
        self._at = (0, 0)  # the file, and how many of its rows are behind us
        self._done = self.resumed = 0
        totals = [file.total_rows for file in files]
        self._total = None if None in totals else sum(count or 0 for count in totals)

    def state(self) -> dict[str, Any]:
        return {"at": self._at, "done": self._done, "tally": self.tally.as_data()}

    def known(self, columns: Sequence[str], kept: Version | None, shards: Shards) -> Iterator[pa.Table]:
        """Values of these columns that are there already: in kept parts, and in what was read before an interruption."""
        if columns:
            for part in kept.parts if kept else ():
                yield part.read(columns)
            if shards.scratch is not None:
                yield from shards.scratch.everything(columns)

    def checked(self, pool: ThreadPoolExecutor, resumed: dict[str, Any] | None) -> Iterator[pa.Table]:
        """The rows, as stored, batch by batch in their order."""
        if resumed is not None:
            self._at = tuple(resumed["at"])
            self._done = self.resumed = resumed["done"]
            self.tally = Tally.from_data(resumed["tally"])
        for place, batch, rows, faults, tally in in_turn(pool, THREADS + 1, self._batches(), self._apply):
            self.faults.merge(faults)
            self.tally.merge(tally)
            self._at = (place, batch.first_row - 1 + batch.rows.num_rows)
            self._done += batch.rows.num_rows
            yield rows
            if self._progress:
                self._progress(self._done, self._total)

    def _batches(self) -> Iterator[tuple[int, Batch]]:
        def malformed(file: str, row: int) -> None:
            self.faults.add("", "fields", 1, file, row)

        first, skip = self._at
        for place in range(first, len(self.files)):
            for batch in self.files[place].batches(self._asked, malformed, skip if place == first else 0):
                yield place, batch

    def _apply(self, given: tuple[int, Batch]) -> tuple[int, Batch, pa.Table, Faults, Tally]:
        """In a thread of the pool: what it finds is added up afterwards, in the order of the rows."""
        place, batch = given
        faults, tally = Faults(), Tally()
        rows = self._rules.apply(batch, faults, tally)
        if self._names is not None:
            rows = self._names.apply(rows)
        if self._owners is not None:
            rows = self._owners.attach(rows, batch, faults, tally)
        return place, batch, rows, faults, tally
