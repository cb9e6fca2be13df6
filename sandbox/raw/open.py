"""The one door through which the rest of the program gets a vault: to hand on to this room, never to read."""

from __future__ import annotations

from pathlib import Path

from infra.crypto import Suite
from infra.vault import Vault

__all__ = ["Vault", "open_vault"]


def open_vault(folder: Path, master_key: bytes, suite: Suite = "international") -> Vault:
    """The vault in `folder`, made when it is not there. Whoever holds the result can ask `sandbox.raw` for totals and ingests, no more."""
    return Vault(folder, master_key, suite)
