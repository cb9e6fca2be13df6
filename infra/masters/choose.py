"""The provider that the settings name."""

from __future__ import annotations

import stat
from pathlib import Path

from infra.masters.base import MasterKeyError, MasterKeys
from infra.masters.folder import FolderMasters
from infra.masters.handed import HandedMasters
from infra.masters.kms import KmsMasters
from infra.masters.token import TokenMasters
from infra.settings import Settings


def masters_of(settings: Settings) -> MasterKeys:
    """Opens nothing but files; a token or service is met at its first use. MasterKeyError."""
    if settings.master_keys == "handed":
        return HandedMasters(settings.master_key_files, settings.crypto_suite)
    if settings.master_keys == "pkcs11":
        module, pin = settings.pkcs11_module, settings.pkcs11_pin_file
        assert module is not None  # the settings hold it
        assert pin is not None
        return TokenMasters(module, settings.pkcs11_token, lambda: secret_text(pin), settings.master_key_name)
    if settings.master_keys == "kms":
        token = settings.kms_token_file
        assert token is not None
        return KmsMasters(
            settings.kms_url,
            lambda: secret_text(token),
            mount=settings.kms_mount,
            key=settings.master_key_name,
            timeout_s=settings.kms_timeout_s,
            authority=settings.kms_ca_file,
        )
    return FolderMasters(settings.keys_dir, settings.crypto_suite)


def secret_text(path: Path) -> str:
    """A PIN or token, one line, in a file that only this user can read."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise MasterKeyError("keys_exposed", f"{path} can be read by others; chmod go= it, and change what stands in it")
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise MasterKeyError("keys_missing", f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not text or len(text.split()) != 1:
        raise MasterKeyError("keys_malformed", f"{path} does not hold one line")
    return text
