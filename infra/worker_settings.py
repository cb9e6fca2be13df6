"""Settings of workers and of the cluster they are on. `infra.settings.Settings` is made of these too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator


class WorkerSettings(BaseModel):
    ray_address: str | None = Field(
        default=None,
        pattern=r"^[^\s:]+:\d{1,5}$|^\[[^\s\]]+\]:\d{1,5}$",
        description="HOST:PORT of the head of a cluster (docs/cluster.md); none: start Ray on this machine. Its nodes see raw rows in memory: "
        "trust them as this one.",
    )
    ray_token_file: Path | None = Field(
        default=None, description="File with the cluster's token. Who has it, and a certificate, runs code beside the data."
    )
    ray_certificates_dir: Path | None = Field(
        default=None, description="Folder with this node's certificates, as `yunei cluster certs` makes them: the cluster speaks mutual TLS."
    )
    ray_linger_s: float = Field(
        default=600,
        ge=0,
        description="Seconds that the local Ray outlives a server that was killed, so that the next one is ready at once; 0: it ends at once. "
        "A server that is stopped takes it along. Until then its workers keep what they had decrypted in memory.",
    )
    workers: int = Field(default=2, ge=1, le=4096, description="Worker processes that read shards, one core each.")
    worker_places: tuple[str, ...] = Field(
        default=(),
        description="Workers of a cluster that have to be on nodes of a place, each `place=count`; the rest of `workers` may be anywhere.",
    )
    dataset_places: tuple[str, ...] = Field(
        default=(),
        description="Datasets whose rows are read at one place only, each `dataset=place`. Those of two places are never read by one job.",
    )
    worker_memory_bytes: int = Field(
        default=512 * 2**20, ge=2**20, description="Bytes of decrypted shards one worker keeps hot, least recently used first out."
    )
    shard_memory_bytes: int = Field(
        default=2 * 2**30,
        ge=256 * 2**20,
        description="Bytes that one run over a shard may take beside what the worker keeps hot. The kernel refuses more, and the job fails.",
    )
    shard_wall_s: float = Field(default=600, gt=0, le=86_400, description="Seconds that one run over a shard may take; then the job fails.")
    refuse_swap: bool = Field(
        default=False,
        description="Do not serve where the kernel may write pages of the server or of a worker to a disk in plaintext; else it is said in the "
        "log and in `yunei_swappable_processes` (docs/how-to/keys.md).",
    )
    straggler_s: float = Field(
        default=30, gt=0, le=86_400, description="Seconds after which a run over a shard begins on another worker too; the first result counts."
    )
    object_store_bytes: int = Field(default=128 * 2**20, ge=75 * 2**20, description="Bytes of shared memory for Ray's object store.")

    @field_validator("worker_places", "dataset_places")
    @classmethod
    def _pairs(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        whole = r"[\w.-]{1,64}=[1-9]\d{0,3}" if info.field_name == "worker_places" else r"\w{1,63}=[\w.-]{1,64}"
        if any(not re.fullmatch(whole, text) for text in texts) or len({text.partition("=")[0] for text in texts}) < len(texts):
            raise ValueError(f"{info.field_name} are pairs NAME=…, each name once")
        return texts

    @model_validator(mode="after")
    def _cluster_is_safe(self) -> Self:
        if self.ray_address is not None and (self.ray_token_file is None or self.ray_certificates_dir is None):
            raise ValueError("ray_address needs ray_token_file and ray_certificates_dir: a cluster speaks TLS and asks for a token")
        if self.ray_address is None and (self.dataset_places or self.worker_places):
            raise ValueError("places are of a cluster: set ray_address")
        return self

    @property
    def places(self) -> list[str | None]:
        """The place of each worker of a cluster."""
        bound: list[str | None] = []
        for text in self.worker_places:
            place, _, count = text.partition("=")
            bound += [place] * int(count)
        return bound + [None] * max(0, self.workers - len(bound))

    @property
    def homes(self) -> dict[str, str]:
        """The place of each dataset that has one, by name in lower case."""
        return {dataset.casefold(): place for dataset, _, place in (text.partition("=") for text in self.dataset_places)}
