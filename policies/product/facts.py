"""What other catalogues are told of a version: what stands in its record, its description and its registration, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.catalogue import Title
from policies.product.description import Description


@dataclass(frozen=True, slots=True)
class Facts:
    """`record` is the version's document (`jobs.products.record`), its `files` those that the reader may have; `files`: their names and media
    types by form; `issued`: RFC 3339."""

    description: Description
    record: Mapping[str, Any]
    operator: str
    operator_title: Title
    code: str | None
    issued: str
    files: Mapping[str, tuple[str, str]]

    @property
    def id(self) -> str:
        return self.description.id

    @property
    def number(self) -> int:
        return int(self.record["version"])

    @property
    def urn(self) -> str:
        return f"urn:yunei:product:{self.id}:{self.number}"
