"""Master keys that the system hands over at start: secret files (systemd credentials, Kubernetes secrets, a memory file system) or file
descriptors. The home then holds none of them.

There is no variable for the key itself: a process's environment is inherited by everything it starts, Ray's workers and cells included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from infra.crypto import Suite
from infra.masters.base import KEY_BYTES, MasterKeyError, Random
from infra.masters.folder import read_secret
from infra.masters.memory import MemoryMasters

_GIVEN = re.compile(r"([A-Za-z0-9._-]{1,64})=(/.+|fd:(\d{1,5}))")


class HandedMasters(MemoryMasters):
    """Read once, when the process starts; a descriptor is closed after it was read."""

    kind = "handed"

    def __init__(self, given: Sequence[str], suite: Suite = "international") -> None:
        secrets: dict[str, bytes] = {}
        for text in given:
            found = _GIVEN.fullmatch(text)
            if found is None or found[1] in secrets:
                raise MasterKeyError("keys_malformed", "a master key is named VERSION=/path or VERSION=fd:N, each version once")
            secrets[found[1]] = read_secret(Path(found[2])) if found[3] is None else _descriptor(int(found[3]))
        if not secrets:
            raise MasterKeyError("keys_missing", "master_keys is `handed` and master_key_files names none")
        super().__init__(secrets, suite)

    def rotate(self, random: Random) -> str:
        raise MasterKeyError("keys_unsupported", "put a new file at the end of master_key_files and start again")

    def retire(self, version: str) -> None:
        raise MasterKeyError("keys_unsupported", f"take {version} out of master_key_files and destroy the file")


def _descriptor(number: int) -> bytes:
    try:
        with os.fdopen(number, "rb") as file:
            secret = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise MasterKeyError("keys_missing", f"file descriptor {number}: {error.strerror}") from error
    if len(secret) != KEY_BYTES:
        raise MasterKeyError("keys_malformed", f"file descriptor {number} did not give {KEY_BYTES} bytes")
    return secret
