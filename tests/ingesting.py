"""Small sources brought into a vault, and what of them is stored or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.vault import Vault
from policies.catalogue import Catalogue, Column, Dataset
from policies.problem import Problem
from sandbox.raw.ingest import IngestReport, ingest
from tests.visits import column, dataset, ingested

ID = column("id", "integer", uses=("filter",))


def stored(vault: Vault, report: IngestReport) -> pa.Table:
    snapshot = report.snapshot
    return pa.concat_tables([part.read() for part in vault.open(snapshot.dataset.name, snapshot.version).parts])


def one(vault: Vault, tmp_path: Path, declared: Column, values: pa.Array | list[Any], **unit: Any) -> tuple[list[Any], IngestReport]:
    """Ingest one column beside an id 1, 2, 3 …; what is stored, in order of id, and the report."""
    table = pa.table({"id": range(1, len(values) + 1), declared.name: values})
    report = ingested(vault, tmp_path, table, dataset((ID, declared), unit="id", **unit))
    return stored(vault, report).column(declared.name).to_pylist(), report


def refusal(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    assert caught.value.__cause__ is None
    return caught.value


def parts_of(problem: Problem) -> list[tuple[str, str, str, str]]:
    assert problem.code == "data_refused"
    return [(part.code, part.fields["column"], part.fields["count"], part.fields["row"]) for part in problem.parts]


def from_csv(vault: Vault, tmp_path: Path, text: str | bytes, declared: Dataset, name: str = "source.csv", **more: Any) -> IngestReport:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return ingest(declared, [path], vault, version=1, catalogue_public=Catalogue(()), random=os.urandom, **more)
