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
    pkcs11_token: Annotated[str, StringConstraints(pattern=r"^[^\s].{0,31}$")] = Field(
        default="yunei", description="Label of the token that holds the master key."
    )
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

    s3_bucket: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")] = Field(
        default="",
        description="Bucket of an S3-compatible store for shards and manifests; empty: home/vault. It sees ciphertext, sizes and access, no "
        "key: datasets' keys stay in the home.",
    )
    s3_endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/?#@]+)?$")] = Field(
        default="", description="Address of the store, such as https://s3.example.gov.cn. https, except on this machine."
    )
    s3_region: Name = Field(default="us-east-1", description="Region of the bucket; stores that have none take any.")
    s3_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{0,200}$")] = Field(
        default="", description="Folder in the bucket, so that homes may share one."
    )
    s3_credentials_file: Path | None = Field(
        default=None,
        description='File with {"access_key": …, "secret_key": …} to read, write, list and delete there; this user\'s alone.',
    )
    s3_reader_file: Path | None = Field(
        default=None, description="The same for workers, which only read; none: they are given the other. Sealed for each job, like keys."
    )
    s3_ca_file: Path | None = Field(default=None, description="Certificates to trust for the store, on every node; none: the system's.")

    @model_validator(mode="after")
    def _store_is_whole(self) -> Self:
        if self.s3_bucket and not (self.s3_endpoint and self.s3_credentials_file):
            raise ValueError("s3_bucket needs s3_endpoint and s3_credentials_file")
        parts = urlsplit(self.s3_endpoint)
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise ValueError("s3_endpoint must be https, except on this machine")
        return self

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
