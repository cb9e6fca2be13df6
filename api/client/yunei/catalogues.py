"""The part of the client that deals with the catalogue: finding datasets, their versions and metadata, and the steward's acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from yunei.models import Dataset
from yunei.problem import problem
from yunei.transport import Http
from yunei.words import Language

Metadata = Literal["dcat", "csvw", "toml", "json"]


class Catalogues:
    """What a `Client` can do with the catalogue."""

    _http: Http
    language: Language

    def datasets(self, find: str = "") -> list[Dataset]:
        """All datasets, or those that `find` is about, best first: names, titles, columns, source bodies, grades; Chinese too."""
        found = self._http.json("GET", "/v1/datasets", params={"q": find} if find else None)
        if not isinstance(found, dict) or not isinstance(found.get("datasets"), list):
            raise problem("client_not_yunei", language=self.language, status=200)
        return [Dataset.read(data, self.language) for data in found["datasets"]]

    def dataset(self, name: str) -> Dataset:
        return Dataset.read(self._http.json("GET", _at(name)), self.language)

    def dataset_versions(self, name: str) -> Mapping[str, Any]:
        """State, registration and versions, oldest first; what each was made of, for those who may see it."""
        return self._mapping("GET", f"{_at(name)}/versions")

    def dataset_metadata(self, name: str, format: Metadata = "dcat") -> str:
        return self._http.content(f"{_at(name)}/metadata", params={"format": format}).decode()

    def catalogue(self) -> str:
        """The whole catalogue as DCAT in JSON-LD."""
        return self._http.content("/v1/catalogue").decode()

    def check_catalogue(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The entries of a document (DCAT, CSVW metadata or an entry) as the catalogue would have them; nothing is registered."""
        return self._mapping("POST", "/v1/catalogue/check", document)

    def withdraw_dataset(self, name: str, reason: str, *, version: int | None = None) -> Mapping[str, Any]:
        """Take back a dataset for good, or one version until a newer one is there."""
        return self._mapping("POST", f"{_at(name)}/withdraw", {"reason": reason, "version": version})

    def destructions(self) -> Mapping[str, Any]:
        """Every destruction of data that was proposed, newest first; `since` is null until another person confirmed it."""
        return self._mapping("GET", "/v1/destructions")

    def destruction_effect(self, name: str, *, version: int | None = None) -> dict[str, Any]:
        """Which versions would end, which keep files of it and go on being read."""
        given = {"dataset": name, **({} if version is None else {"version": version})}
        return dict(self._http.json("GET", "/v1/destructions/effect", params=given))

    def propose_destruction(self, name: str, reason: str, *, version: int | None = None) -> Mapping[str, Any]:
        """The first of two people: a dataset, or one version, that was withdrawn is to be destroyed for good."""
        return self._mapping("POST", "/v1/destructions/proposals", {"dataset": name, "version": version, "reason": reason})

    def confirm_destruction(self, proposal: int) -> Mapping[str, Any]:
        """The second, a supervisor: its keys are destroyed when this returns."""
        return self._mapping("POST", f"/v1/destructions/proposals/{proposal}/confirm")

    def move_registration(self, name: str, to: str) -> Mapping[str, Any]:
        """The registration one state further: accepted, checked, published, coded."""
        return self._mapping("POST", f"{_at(name)}/registration", {"to": to})

    def _mapping(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        found = self._http.json(method, path, body=body, repeat="safe" if method == "GET" else "unsent")
        if not isinstance(found, dict):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found


def _at(name: str) -> str:
    return f"/v1/datasets/{quote(name, safe='')}"
