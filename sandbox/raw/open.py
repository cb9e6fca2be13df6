"""The one door through which the rest of the program gets a vault: to hand on to this room, never to read."""

from __future__ import annotations

from infra.masters import masters_of
from infra.settings import Settings
from infra.vault import Vault
from infra.vault.s3 import Bucket
from infra.vault.store import Credentials, Store

__all__ = ["Vault", "open_vault"]


def open_vault(settings: Settings) -> Vault:
    """The home's vault, made when it is not there, under the master key that the settings name. Whoever holds the result can ask
    `sandbox.raw` for totals and ingests, no more. Raises MasterKeyError, OSError."""
    return Vault(settings.vault_dir, masters_of(settings), settings.crypto_suite, place=_place(settings))


def _place(settings: Settings) -> Bucket | None:
    if not settings.s3_bucket:
        return None
    assert settings.s3_credentials_file is not None  # the settings hold it
    try:
        credentials = Credentials.read(settings.s3_credentials_file)
        reader = Credentials.read(settings.s3_reader_file) if settings.s3_reader_file else None
    except ValueError as error:
        raise OSError(str(error)) from error
    store = Store(settings.s3_endpoint, settings.s3_region, str(settings.s3_ca_file or ""))
    return Bucket(store, settings.s3_bucket, settings.s3_prefix, credentials, reader)
