"""The part of the client that deals with synthetic tables after they were made, and with copies found where they should not be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yunei.models import Release
from yunei.problem import problem
from yunei.transport import Http
from yunei.words import Language

QUALITY, PLOTS = "quality.json", "quality.svg"


class Synthetics:
    """A synthetic table is asked for like any other job: `client.ask({"kind": "synthetic", "dataset": …, "columns": […]}, …)`."""

    _http: Http
    language: Language

    def quality(self, release: Release | str) -> Mapping[str, Any]:
        """How near a synthetic table is to the noisy measurements it was made from."""
        return self._an_object(json.loads(self.paper(release, QUALITY)))

    def plots(self, release: Release | str) -> bytes:
        """The same as a picture in SVG."""
        return self.paper(release, PLOTS)

    def paper(self, release: Release | str, name: str) -> bytes:
        """What was released beside a table."""
        id_ = release if isinstance(release, str) else release.id
        return self._http.content(f"/v1/releases/{quote(id_, safe='')}/papers/{quote(name, safe='')}")

    def trace(self, file: Path | bytes, *, product: str | None = None, version: int | None = None) -> Mapping[str, Any]:
        """Whose copy of a product the file is, with the bound on naming anybody innocent. For supervisors; each trace stands in the log."""
        data = file.read_bytes() if isinstance(file, Path) else file
        asked = {name: str(value) for name, value in (("product", product), ("version", version)) if value is not None}
        headers = {"Content-Type": "application/octet-stream"}
        with self._http.open("POST", "/v1/traces", params=asked or None, content=data, headers=headers, repeat="unsent") as response:
            if response.status_code >= 300:
                raise self._http.refusal(response)
            return self._an_object(json.loads(response.content))

    def _an_object(self, found: object) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found
