"""Settings of the vault: who holds the master key, and where shards lie. `infra.settings.Settings` is made of these too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_LOCAL = ("localhost", "127.0.0.1", "::1")


class VaultSettings(BaseModel):
    master_keys: Literal["folder", "handed", "pkcs11", "kms"] = Field(
        default="folder",
        description="Who holds the master key, under which all data is (docs/how-to/keys.md). `folder`: home/keys. `handed`: files or "
        "descriptors that the system hands over. `pkcs11`: a token or HSM. `kms`: a service with the transit engine's interface. With the "
        "last two, whoever has this machine's disks has no key.",
    )
    master_key_files: tuple[str, ...] = Field(
        default=(),
        description="For `handed`: `VERSION=/path/to/file` or `VERSION=fd:N`, oldest first, each 32 bytes that this user alone can read. The "
        "last one wraps. There is no variable for the key itself: whatever a server starts would inherit it.",
    )
    master_key_name: Name = Field(default="yunei", description="For `pkcs11` and `kms`: what the master key is called there.")
    pkcs11_module: Path | None = Field(
        default=None,
        description="For `pkcs11`: the vendor's library, such as /usr/lib/softhsm/libsofthsm2.so. The server loads it: trust it as "
        "the server itself.",
    )
    pkcs11_token: Annotated[str, StringConstraints(pattern=r"^[^\s].{0,31}$")] = Field(default="yunei", description="Label of the token.")
    pkcs11_pin_file: Path | None = Field(default=None, description="File with the PIN of the token's user, readable by this user alone.")
    kms_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#@]+)?$")] = Field(
        default="",
        description="For `kms`: address of the service. https, except on this machine. Who runs it can unwrap every dataset's key.",
    )
    kms_mount: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,200}$")] = Field(
        default="transit", description="For `kms`: path at which the transit engine is mounted."
    )
    kms_token_file: Path | None = Field(
        default=None, description="For `kms`: file with the access token, read anew for each call, so that an agent may renew it."
    )
    kms_ca_file: Path | None = Field(default=None, description="For `kms`: certificates to trust; none: the system's.")
    kms_timeout_s: float = Field(default=5, gt=0, le=60, description="Seconds the service has to answer; a job waits for it, and fails closed.")

    @model_validator(mode="after")
    def _masters_are_whole(self) -> Self:
        """What a provider needs is named, so that it is missed at start and not at the first job."""
        needed = {
            "folder": (),
            "handed": ("master_key_files",),
            "pkcs11": ("pkcs11_module", "pkcs11_pin_file"),
            "kms": ("kms_url", "kms_token_file"),
        }[self.master_keys]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"master_keys={self.master_keys} needs {', '.join(missing)}")
        parts = urlsplit(self.kms_url)
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise ValueError("kms_url must be https, except on this machine")
        return self
