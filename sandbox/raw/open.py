"""The one door through which the rest of the program gets a vault: to hand on to this room, never to read."""

from __future__ import annotations

from infra.masters import masters_of
from infra.settings import Settings
from infra.vault import Vault

__all__ = ["Vault", "open_vault"]


def open_vault(settings: Settings) -> Vault:
    """The home's vault, made when it is not there, under the master key that the settings name. Whoever holds the result can ask
    `sandbox.raw` for totals and ingests, no more. Raises MasterKeyError."""
    return Vault(settings.vault_dir, masters_of(settings), settings.crypto_suite)
