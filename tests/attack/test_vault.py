"""Somebody who may write where the vault lies, and has an older copy of it: keys, manifests and shards, each of them genuine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from infra.vault import Vault
from policies.catalogue import Bounds, Catalogue, Column, Dataset, Share, Snapshot, Title, Unit
from policies.problem import Problem
from sandbox.plan.model import Scan
from sandbox.raw.custody import new_key
from sandbox.raw.ingest import ingest
from sandbox.raw.run import open_version

TITLE = Title(zh="就诊", en="visits")


def dataset() -> Dataset:
    return Dataset(
        name="visits",
        title=TITLE,
        registration_no="SX-1",
        source_body=TITLE,
        acquired_on=date(2026, 1, 1),
        updated_on=date(2026, 1, 1),
        grade="general-2",
        share=Share(attribute="unconditional", reason=TITLE, basis="x"),
        bounds=Bounds(groups_per_unit=1, rows_per_group=1),
        approximate_rows=100,
        unit=Unit(space="person", column="person_id", title=TITLE),
        columns=(
            Column(name="person_id", type="integer", title=TITLE, uses=("join",)),
            Column(name="fee", type="integer", title=TITLE, low=0, high=100),
        ),
    )


def put_in(vault: Vault, folder: Path, version: int, fee: int) -> Scan:
    source = folder / f"{version}.parquet"
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"person_id": list(range(50)), "fee": [fee] * 50}), source)
    report = ingest(dataset(), [source], vault, version=version, catalogue_public=Catalogue(()), random=os.urandom)
    return scan_of(report.snapshot)


def scan_of(snapshot: Snapshot) -> Scan:
    return Scan("visits", snapshot.version, snapshot.digest, True, "v", ("person_id", "fee"))


def refusal(act: Callable[[], object]) -> tuple[str, object]:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value.code, caught.value.fields.get("reason")


def rolled_back(vault_folder: Path, older: Path) -> None:
    shutil.rmtree(vault_folder)
    shutil.copytree(older, vault_folder)


def test_a_dataset_put_back_to_before_a_version_is_found_missing_it(vault: Vault, tmp_path: Path) -> None:
    put_in(vault, tmp_path, 1, 10)
    shutil.copytree(tmp_path / "vault" / "visits", tmp_path / "older")
    second = put_in(vault, tmp_path, 2, 20)
    rolled_back(tmp_path / "vault" / "visits", tmp_path / "older")
    assert refusal(lambda: open_version(second, vault)) == ("data_snapshot_refused", "version_missing")


def test_another_history_of_the_same_versions_is_refused_by_the_registers_digest(vault: Vault, tmp_path: Path) -> None:
    """Everything is genuine: the same master key, the same name and number, sealed by the same program. Only the rows are other ones."""
    put_in(vault, tmp_path, 1, 10)
    shutil.copytree(tmp_path / "vault" / "visits", tmp_path / "older")
    shutil.rmtree(tmp_path / "vault" / "visits")
    registered = put_in(vault, tmp_path, 1, 20)
    rolled_back(tmp_path / "vault" / "visits", tmp_path / "older")
    assert vault.open("visits", 1).parts[0].read().num_rows == 50, "the vault by itself cannot tell"
    assert refusal(lambda: open_version(registered, vault)) == ("data_snapshot_refused", "digest_differs")


def test_one_version_of_another_history_does_not_open_among_these(vault: Vault, tmp_path: Path) -> None:
    put_in(vault, tmp_path, 1, 10)
    shutil.copytree(tmp_path / "vault" / "visits", tmp_path / "older")
    shutil.rmtree(tmp_path / "vault" / "visits")
    registered = put_in(vault, tmp_path, 1, 20)
    shutil.rmtree(tmp_path / "vault" / "visits" / "v1")
    shutil.copytree(tmp_path / "older" / "v1", tmp_path / "vault" / "visits" / "v1")
    assert refusal(lambda: open_version(registered, vault)) == ("data_snapshot_refused", "manifest_damaged")


def test_a_key_put_back_to_before_it_was_replaced_opens_nothing(vault: Vault, tmp_path: Path) -> None:
    registered = put_in(vault, tmp_path, 1, 10)
    key = tmp_path / "vault" / "visits" / "dataset.key"
    older = key.read_bytes()
    new_key(vault, "visits")
    open_version(registered, vault)
    key.write_bytes(older)
    assert refusal(lambda: open_version(registered, vault)) == ("data_snapshot_refused", "manifest_damaged")


def test_destroyed_data_cannot_be_put_back_without_its_key(vault: Vault, tmp_path: Path) -> None:
    registered = put_in(vault, tmp_path, 1, 10)
    shutil.copytree(tmp_path / "vault" / "visits", tmp_path / "older")
    vault.destroy("visits")
    assert refusal(lambda: open_version(registered, vault))[0] == "data_destroyed"
    (tmp_path / "older" / "dataset.key").unlink()
    rolled_back(tmp_path / "vault" / "visits", tmp_path / "older")
    assert refusal(lambda: open_version(registered, vault)) == ("data_snapshot_refused", "key_refused")
