"""Staged answers: the bytes of a release, fixed for ever before anything is published.

One folder per job under `settings.staging_dir`, made whole by a rename: it exists with every file in it, or not at all. The first stage
of a job wins; a second one, by a server that came back from the dead, is thrown away and the first one's bytes are returned. That is what
makes "one draw per charge is ever stored" true.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.files import sync, write

RECORD = "record.json"
_disk = ThreadPoolExecutor(8, thread_name_prefix="stage")


@dataclass(frozen=True, slots=True)
class Staged:
    """`digests` are SHA-256 in hex by file name; `record` is what is published about the answer, JSON-ready."""

    folder: Path
    digests: Mapping[str, str]
    record: Mapping[str, Any]

    def read(self, name: str) -> bytes:
        """The bytes of one file, checked against the digest it was staged with; `StagingDamaged` if they differ or are gone."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise StagingDamaged(name) from error
        if hashlib.sha256(data).hexdigest() != self.digests[name]:
            raise StagingDamaged(name)
        return data


class StagingDamaged(Exception):
    """A staged file is missing or not what was staged. Never answered with other bytes."""


class Staging:
    """The staging folder. `random` names temporary folders; two servers may share one folder."""

    def __init__(self, folder: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._folder = folder
        self._random = random
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def stage(self, job_id: str, files: Mapping[str, bytes], record: Mapping[str, Any]) -> Staged:
        """Fix an answer: its files and its record, durable when this returns. A job already staged keeps what it has."""
        target = self._path(job_id)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        body = json.dumps({"files": digests, "record": record}, sort_keys=True, ensure_ascii=False).encode()
        building = self._folder / f".{job_id}.{self._random(8).hex()}"
        building.mkdir(mode=0o700)
        try:
            # side by side: the disk takes several at once in about the time of one
            writing = [_disk.submit(write, building / name, data) for name, data in {**files, RECORD: body}.items()]
            wait(writing)
            for each in writing:
                each.result()
            sync(building)
            try:
                os.rename(building, target)  # atomic; refused when the target holds files
            except OSError:
                if not target.is_dir():
                    raise
            sync(self._folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        staged = self.load(job_id)
        if staged is None:
            raise StagingDamaged(job_id)
        return staged

    def load(self, job_id: str) -> Staged | None:
        """What was staged for the job, or None."""
        target = self._path(job_id)
        try:
            body = json.loads((target / RECORD).read_bytes())
        except FileNotFoundError:
            return None
        return Staged(target, body["files"], body["record"])

    def discard(self, job_id: str) -> None:
        """Remove what was staged for a job that will never be published."""
        shutil.rmtree(self._path(job_id), ignore_errors=True)

    def sweep(self) -> None:
        """Remove half-built folders of servers that died. Only at start, when no other server is staging into this folder."""
        for leftover in self._folder.glob(".*.*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _path(self, job_id: str) -> Path:
        if not job_id or not all(character.isalnum() or character in "-_" for character in job_id):
            raise ValueError("a job id is letters, digits, - and _")
        return self._folder / job_id
