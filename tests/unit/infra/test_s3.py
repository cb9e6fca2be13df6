"""A vault whose shards lie in an S3 store: whole versions or none, one of two writers, keys at home, and the same refusals as on a disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EndpointConnectionError

from infra.settings import Settings
from infra.vault import Part, Vault, VaultError, Version
from infra.vault import store as stores
from infra.vault.s3 import Bucket
from infra.vault.store import Credentials, Store
from sandbox.raw.open import open_vault
from sandbox.raw.released import streamed
from tests.conftest import MASTER_KEY
from tests.s3 import BUCKET, KEYS, an_s3
from tests.unit.sandbox.raw.test_released import Task, Travelling, read_ids

ROWS = pa.table({"id": [7, 8, 9], "name": ["MARKER-one", "MARKER-two", None]})


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with an_s3() as store:
        yield store


@pytest.fixture
def bucket(store: Store, tmp_path: Path) -> Bucket:
    return Bucket(store, BUCKET, f"{tmp_path.name}/x", KEYS)


@pytest.fixture
def vault(bucket: Bucket, tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault", MASTER_KEY, place=bucket)


def commit(vault: Vault, version: int = 1, after: Version | None = None, parts: int = 2) -> Version:
    with vault.begin("visits", version, os.urandom, after) as draft:
        for index in range(parts):
            with draft.part(index, ROWS.schema) as writer:
                writer.write(ROWS)
        return draft.commit(str(version) * 64)


def objects(bucket: Bucket) -> dict[str, bytes]:
    def every(client: Any) -> dict[str, bytes]:
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in bucket._keys("")}

    return bucket._ask(every)


def test_shards_and_manifests_lie_in_the_store_and_keys_at_home(vault: Vault, bucket: Bucket, tmp_path: Path) -> None:
    first = commit(vault)
    second = commit(vault, 2, after=first)
    assert vault.versions("visits") == (1, 2)
    assert [part.read().equals(ROWS) for part in vault.open("visits", 2).parts] == [True] * 4
    assert second.needs == (1, 2)
    for part in second.parts:
        part.check()
    assert [path.name for path in (tmp_path / "vault").rglob("*") if path.is_file()] == ["dataset.key"]
    stored = objects(bucket)
    assert len(stored) == 6
    assert not any(b"MARKER" in data or b"name" in data for data in stored.values())
    assert vault.open("visits", 1).parts[0].read(["id"]).column_names == ["id"]


def test_columns_are_fetched_by_range(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = pa.table({"id": range(60_000), "text": [os.urandom(30).hex() for _ in range(60_000)]})
    with vault.begin("visits", 1, os.urandom) as draft:
        with draft.part(0, wide.schema) as writer:
            writer.write(wide)
        (part,) = draft.commit("1" * 64).parts
    whole = stores._system(part.store, KEYS).get_file_info(part.path).size
    got: list[int] = []
    opened = stores.opened

    class Counted:
        def __init__(self, file: Any) -> None:
            self.file, self.closed = file, False

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def read(self, size: int = -1) -> bytes:
            data: bytes = self.file.read(size)
            got.append(len(data))
            return data

        read_buffer = read

    @contextmanager
    def counted(path: str, store: Store | None) -> Iterator[Any]:
        with opened(path, store) as file:
            yield pa.PythonFile(Counted(file), mode="r")

    monkeypatch.setattr("infra.vault.parts.opened", counted)
    assert part.read(["id"]).num_rows == 60_000
    assert 0 < sum(got) < whole / 2


def test_of_two_writers_one_wins_and_the_other_leaves_nothing(vault: Vault, bucket: Bucket) -> None:
    with vault.begin("visits", 1, os.urandom) as slow:
        with slow.part(0, ROWS.schema) as writer:
            writer.write(ROWS.slice(0, 1))
        commit(vault)
        with pytest.raises(VaultError, match="version_exists"):
            slow.commit("f" * 64)
    assert vault.open("visits", 1).digest == "1" * 64
    assert vault.open("visits", 1).parts[0].read().equals(ROWS)
    assert len(objects(bucket)) == 3


def test_a_draft_that_failed_or_died_is_not_there_and_is_swept(vault: Vault, bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), vault.begin("visits", 1, os.urandom) as draft:  # noqa: PT012
        with draft.part(0, ROWS.schema) as writer:
            writer.write(ROWS)
        raise KeyboardInterrupt
    assert objects(bucket) == {}
    dead = tmp_path / "vault" / "visits" / ".draft-999999999-aa"
    dead.mkdir()
    (dead / "part-00000.parquet").write_bytes(b"noise")
    bucket.add("visits", 1, 0, dead)
    assert vault.versions("visits") == ()
    commit(vault)
    assert len(objects(bucket)) == 3
    assert not dead.exists()


def test_a_store_that_ignores_conditions_is_found_out(vault: Vault, bucket: Bucket) -> None:
    client = bucket._connected()
    put = client.put_object
    client.put_object = lambda **given: put(**{name: value for name, value in given.items() if name != "IfNoneMatch"})
    bucket._client = client
    with pytest.raises(OSError, match="ignores If-None-Match"):
        commit(vault)
    assert vault.versions("visits") == ()
    assert objects(bucket) == {}


def test_requests_that_fail_are_made_again(bucket: Bucket) -> None:
    """Two times out of three the store is overloaded."""
    bucket._client = client = bucket._connected()
    answers = iter(range(10**6))

    class Nothing:
        def stream(self) -> Iterator[bytes]:
            yield b""

    def overloaded(**_: object) -> AWSResponse | None:
        return AWSResponse("http://127.0.0.1/", 503, {}, Nothing()) if next(answers) % 3 < 2 else None

    client.meta.events.register("before-send.s3", overloaded)
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr("time.sleep", lambda _s: None)
        assert [bucket.versions("visits") for _ in range(5)] == [()] * 5
    assert next(answers) == 15


def test_tampering_and_rolling_back_in_the_store_is_refused(vault: Vault, bucket: Bucket) -> None:
    first = commit(vault)
    second = commit(vault, 2)
    old, new = first.parts[0].path.partition("/")[2], second.parts[0].path.partition("/")[2]

    def swap(client: Any) -> None:
        client.put_object(Bucket=BUCKET, Key=new, Body=client.get_object(Bucket=BUCKET, Key=old)["Body"].read())
        at = {version: bucket._key("visits", version, "manifest") for version in (1, 2)}
        client.put_object(Bucket=BUCKET, Key=at[1], Body=client.get_object(Bucket=BUCKET, Key=at[2])["Body"].read())
        client.delete_object(Bucket=BUCKET, Key=second.parts[1].path.partition("/")[2])

    bucket._ask(swap)
    with pytest.raises(VaultError, match="part_damaged"):
        vault.open("visits", 2).parts[0].read()
    with pytest.raises(VaultError, match="part_missing"):
        vault.open("visits", 2).parts[1].read()
    with pytest.raises(VaultError, match="manifest_damaged"):
        vault.open("visits", 1)


def test_keys_change_and_versions_are_destroyed_in_the_store(vault: Vault, bucket: Bucket) -> None:
    first = commit(vault)
    commit(vault, 2, after=first)
    assert vault.rotate("visits") == 2
    assert [part.read().equals(ROWS) for part in vault.open("visits", 2).parts] == [True] * 4
    vault.destroy("visits", 1)
    with pytest.raises(VaultError, match="destroyed"):
        vault.open("visits", 1)
    assert [part.read().equals(ROWS) for part in vault.open("visits", 2).parts] == [True] * 4
    vault.destroy("visits")
    assert vault.gone("visits")
    assert sorted(set(objects(bucket).values())) == [b"destroyed\n"]


def test_workers_are_given_what_opens_the_store_and_no_more(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Credentials("reader", "secret-of-the-reader-alone")
    vault = Vault(tmp_path / "vault", MASTER_KEY, place=Bucket(store, BUCKET, tmp_path.name, KEYS, reader))
    parts = commit(vault).parts
    monkeypatch.setattr(stores, "_own", {})  # a worker's process has none of its own
    used: list[Credentials] = []
    system = stores._system
    monkeypatch.setattr(stores, "_system", lambda where, credentials: used.append(credentials) or system(where, credentials))  # type: ignore[func-returns-value]
    pool = Travelling()
    assert list(streamed(pool, read_ids, [Task((part,)) for part in parts])) == [[7], [7]]
    assert used == [reader] * 2
    assert not any(word in sent for word in (b"secret-of-the-reader", KEYS.secret_key.encode()) for sent in pool.seen)
    with pytest.raises(VaultError, match=r"part_damaged|part_missing"):
        Part(*parts[0].__reduce__()[1][:6], parts[0].key, store=store).read()  # outside a task there is nothing to read with


def test_a_store_that_is_away_is_an_error_that_names_no_secret(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault", MASTER_KEY, place=Bucket(Store("http://127.0.0.1:9", "r"), BUCKET, "", KEYS))
    client = vault.place._connected()  # type: ignore[attr-defined]
    vault.place._client = client  # type: ignore[attr-defined]
    client.meta.events.register("before-send.s3", lambda **_: (_ for _ in ()).throw(EndpointConnectionError(endpoint_url="http://127.0.0.1:9")))
    with pytest.MonkeyPatch.context() as quick, pytest.raises(OSError) as caught:  # noqa: PT012
        quick.setattr("time.sleep", lambda _s: None)
        vault.begin("visits", 1, os.urandom)
    assert KEYS.secret_key not in str(caught.value) + repr(vault.place)
    assert not isinstance(caught.value, ClientError)


def test_settings_name_a_store(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "s3.json"
    file.write_text('{"access_key": "test-access", "secret_key": "test-secret-key-of-the-store"}')
    file.chmod(0o600)
    keys = tmp_path / "home" / "keys"
    keys.mkdir(parents=True)
    (keys / "master").write_bytes(MASTER_KEY)
    (keys / "master").chmod(0o600)
    named = {"s3_bucket": BUCKET, "s3_endpoint": store.endpoint, "s3_prefix": tmp_path.name, "s3_credentials_file": file}
    settings = Settings(home=tmp_path / "home", **named)  # type: ignore[arg-type]
    vault = open_vault(settings)
    commit(vault)
    assert open_vault(settings).open("visits", 1).parts[0].read().equals(ROWS)
    file.chmod(0o644)
    with pytest.raises(OSError, match="read by others"):
        open_vault(settings)
    for wrong in ({"s3_bucket": BUCKET}, {**named, "s3_endpoint": "http://s3.example"}):
        with pytest.raises(ValueError, match="s3_"):
            Settings(home=tmp_path / "home", **wrong)  # type: ignore[arg-type]
