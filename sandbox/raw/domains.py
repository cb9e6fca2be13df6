"""Public keys: taken from a public table where a column says so, and from a public table's own rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from infra.vault import Part, Vault, VaultError
from policies.catalogue import KEYABLE, Catalogue, Column, Dataset, KeyValue, Snapshot, with_domains
from policies.problem import declare
from sandbox.raw.failure import SNAPSHOT_REFUSED

Read = Callable[[Snapshot, str], pa.ChunkedArray]  # a stored column
MAX_DOMAIN = 100_000
MAX_PUBLISHED = 10_000

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


def reader_of(vault: Vault) -> Read:
    """Reads stored columns from the vault. Raises data_snapshot_refused."""

    def read(snapshot: Snapshot, column: str) -> pa.ChunkedArray:
        try:
            return column_of(vault.open(snapshot.dataset.name, snapshot.version).parts, column)
        except VaultError as error:
            raise SNAPSHOT_REFUSED(dataset=snapshot.dataset.name, version=snapshot.version, reason=error.code) from None

    return read


def column_of(parts: Sequence[Part], column: str) -> pa.ChunkedArray:
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
