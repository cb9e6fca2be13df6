"""Parts and manifests in an S3-compatible store; datasets' keys stay in the home.

    <prefix>/<dataset>/v<n>/<draft>/part-00000.parquet    written first, under the name of the attempt
    <prefix>/<dataset>/v<n>/manifest                      last, if there is none (If-None-Match: *, RFC 9110 13.1.2)

There is no renaming in such a store, so what is not named by a manifest is not there. Of two writers of one version one is refused, with all
that it wrote removed. A store that ignores the condition is found out before anything is published.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from infra.vault.parts import part_name
from infra.vault.place import DESTROYED, MANIFEST
from infra.vault.store import RETRIES, Credentials, Store, own

Result = TypeVar("Result")
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_GONE = ("NoSuchKey", "404", "NotFound")


class Bucket:
    """`credentials` may write; `reader` is what workers are given. Threads may share it. Errors are OSError, and name no secret."""

    def __init__(self, store: Store, bucket: str, prefix: str, credentials: Credentials, reader: Credentials | None = None) -> None:
        self._store, self._bucket, self._prefix = store, bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._credentials, self.reader = credentials, reader or credentials
        self._client: Any = None
        self._proved = False
        own(store, credentials)

    def __repr__(self) -> str:
        return f"Bucket({self._store.endpoint!r}, {self._bucket!r})"

    @property
    def store(self) -> Store:
        return self._store

    def versions(self, dataset: str) -> tuple[int, ...]:
        found = []
        for key in self._keys(f"{dataset.casefold()}/"):
            version, _, rest = key.removeprefix(f"{self._prefix}{dataset.casefold()}/").partition("/")
            if rest == MANIFEST and version[:1] == "v" and version[1:].isdecimal():
                found.append(int(version[1:]))
        return tuple(sorted(found))

    def manifest(self, dataset: str, version: int) -> bytes:
        key = self._key(dataset, version, MANIFEST)
        return bytes(self._ask(lambda client: client.get_object(Bucket=self._bucket, Key=key)["Body"].read()))

    def part(self, dataset: str, version: int, index: int, draft: str) -> str:
        return f"{self._bucket}/{self._key(dataset, version, draft, part_name(index))}"

    def add(self, dataset: str, version: int, index: int, draft: Path) -> None:
        """Uploaded, in pieces where it is large, each tried again when it fails; the local file is removed."""
        local = draft / part_name(index)
        key = self._key(dataset, version, draft.name, local.name)
        self._ask(lambda client: client.upload_file(str(local), self._bucket, key))
        local.unlink()

    def publish(self, dataset: str, version: int, draft: Path, sealed: bytes) -> None:
        self._prove()
        self._put_new(self._key(dataset, version, MANIFEST), sealed, draft.name)

    def replace(self, dataset: str, version: int, sealed: bytes) -> None:
        key = self._key(dataset, version, MANIFEST)
        kept = self._ask(lambda client: client.head_object(Bucket=self._bucket, Key=key))["Metadata"]
        self._ask(lambda client: client.put_object(Bucket=self._bucket, Key=key, Body=sealed, Metadata=kept))

    def abandon(self, dataset: str, version: int, draft: Path) -> None:
        """Of any version: a process that died may have left the draft of another."""
        for key in list(self._keys(f"{dataset.casefold()}/")):
            if f"/{draft.name}/" in key and self._published(key) != draft.name:
                self._delete(key)

    def destroy(self, dataset: str, version: int, keep: Collection[str]) -> None:
        """Where the bucket keeps older versions of objects, ciphertext stays there until its own rules remove it."""
        self.replace(dataset, version, DESTROYED)
        for key in list(self._keys(f"{dataset.casefold()}/v{version}/")):
            if not key.endswith(f"/{MANIFEST}") and f"{self._bucket}/{key}" not in keep:
                self._delete(key)

    def _published(self, key: str) -> str | None:
        """The draft that the version of a part was published from."""
        manifest = f"{key.rsplit('/', 2)[0]}/{MANIFEST}"
        try:
            told = self._ask(lambda client: client.head_object(Bucket=self._bucket, Key=manifest))
        except FileNotFoundError:
            return None
        return str(told["Metadata"].get("draft"))

    def _prove(self) -> None:
        """Once: that a second writer is refused. Raises OSError where the store overwrites."""
        if self._proved:
            return
        key = f"{self._prefix}.proof-{os.urandom(8).hex()}"
        self._put_new(key, b"1", "")
        try:
            self._put_new(key, b"2", "")
        except FileExistsError:
            self._proved = True
        finally:
            self._delete(key)
        if not self._proved:
            raise OSError("the store ignores If-None-Match: two writers of one version would not see each other")

    def _put_new(self, key: str, data: bytes, draft: str) -> None:
        put = {"Bucket": self._bucket, "Key": key, "Body": data, "Metadata": {"draft": draft}, "IfNoneMatch": "*"}
        self._ask(lambda client: client.put_object(**put))

    def _delete(self, key: str) -> None:
        self._ask(lambda client: client.delete_object(Bucket=self._bucket, Key=key))

    def _keys(self, below: str) -> Iterator[str]:
        def pages(client: Any) -> list[str]:
            found = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + below)
            return [str(each["Key"]) for page in found for each in page.get("Contents", ())]

        yield from self._ask(pages)

    def _key(self, dataset: str, version: int, *rest: str) -> str:
        return "/".join((f"{self._prefix}{dataset.casefold()}", f"v{version}", *rest))

    def _ask(self, act: Callable[[Any], Result]) -> Result:
        """With retries by the SDK. FileNotFoundError, FileExistsError, OSError."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client = self._client or self._connected()
            return act(self._client)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
        except (BotoCoreError, Boto3Error) as error:
            code = type(error).__name__
        if code in _GONE:
            raise FileNotFoundError(code)
        if code in _TAKEN:
            raise FileExistsError(code)
        raise OSError(f"{self._store.endpoint}: {code}")

    def _connected(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self._store.endpoint,
            region_name=self._store.region,
            aws_access_key_id=self._credentials.access_key,
            aws_secret_access_key=self._credentials.secret_key,
            verify=self._store.authority or None,
            config=Config(
                retries={"mode": "standard", "max_attempts": RETRIES},
                connect_timeout=5,
                read_timeout=30,
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",  # what not every store knows; our digests are our own
                response_checksum_validation="when_required",
            ),
        )
