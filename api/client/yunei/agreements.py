"""Licences: asked for, agreed to, read and verified. The part of the client that deals with agreements, and the offline check of their seal."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from yunei.models import Licence
from yunei.problem import problem
from yunei.transparency import Key, open_note
from yunei.transport import Http
from yunei.words import Language

Paper = Literal["note", "html", "md", "odrl", "toml", "json"]
HEADER = "yunei-licence/v1"


@dataclass(frozen=True)
class SealedLicence:
    """A licence as its bureau signed it. `document` is the agreement, `digest` SHA-256 of its canonical bytes, as the log's entry has it."""

    document: Mapping[str, Any]
    version: int
    digest: str
    signers: tuple[Key, ...]


def verify_licence(note: str, keys: Iterable[Key]) -> SealedLicence:
    """Read a signed licence, without any server. Every key of `keys` that has a line in it must hold, and one must; a key whose kind this
    installation cannot check (SM2 without gmalg) counts as not given. Raises `verify_note`, `verify_signature`."""
    text, signers = open_note(note, [key for key in keys if key.readable])
    try:
        header, version, document, end = text.split("\n")
        name, _, number = version.partition(" ")
        data = json.loads(document)
        sound = header == HEADER and name == "version" and number == str(int(number)) and not end and isinstance(data, dict)
    except ValueError:
        sound = False
    if not sound:
        raise problem("verify_note", why="not a licence under the bureau's seal")
    return SealedLicence(data, int(number), hashlib.sha256(document.encode()).hexdigest(), signers)


def read_document(path: str | Path) -> dict[str, Any]:
    """A licence file (TOML or JSON) as the JSON the server takes. OSError; ValueError when it is neither."""
    text = Path(path).read_text(encoding="utf-8")
    data = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text, parse_float=Decimal)
    if not isinstance(data, dict):
        raise ValueError("not a table")
    plain: dict[str, Any] = _plain(data)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


class Agreements:
    """What a `Client` can do with licences. Acts of the bureau and of stewards need a key of such a role."""

    _http: Http
    language: Language

    def apply_licence(self, document: Mapping[str, Any]) -> Licence:
        """Ask for a licence, in the name of the key's holder."""
        return self._licence("/v1/licences/apply", document)

    def propose_licence(self, document: Mapping[str, Any]) -> int:
        """The first of two people: returns the entry that the second one names."""
        return int(self._http.json("POST", "/v1/licences/propose", body=document, repeat="unsent")["proposal"])

    def grant_licence(self, document: Mapping[str, Any], *, proposal: int | None = None) -> Licence:
        """Grant a licence that nobody applied for."""
        path = "/v1/licences" if proposal is None else f"/v1/licences?proposal={proposal}"
        return self._licence(path, document)

    def consent(self, licence: str, dataset: str, reference: str) -> Licence:
        """The steward of the source body consents; `reference` numbers its document."""
        return self._licence(f"{_at(licence)}/consent", {"dataset": dataset, "reference": reference})

    def decline_licence(self, licence: str, reason: str) -> Licence:
        return self._licence(f"{_at(licence)}/decline", {"reason": reason})

    def propose_application(self, licence: str, decision: Mapping[str, Any], approvals: Mapping[str, str] | None = None) -> int:
        body = {"decision_document": dict(decision), "second_approvals": dict(approvals or {})}
        return int(self._http.json("POST", f"{_at(licence)}/propose", body=body, repeat="unsent")["proposal"])

    def grant_application(
        self, licence: str, decision: Mapping[str, Any], approvals: Mapping[str, str] | None = None, *, proposal: int | None = None
    ) -> Licence:
        """Grant what was applied for. `decision` has `number`, and may have `decided_on` and `digest`."""
        body = {"decision_document": dict(decision), "second_approvals": dict(approvals or {}), "proposal": proposal}
        return self._licence(f"{_at(licence)}/grant", body)

    def amend_licence(self, document: Mapping[str, Any], reason: str, *, proposal: int | None = None) -> Licence:
        """Put another document in place of the present one: accounts are kept. A renewal is an amendment of the term."""
        return self._licence(f"{_at(str(document['id']))}/amend", {"licence": dict(document), "reason": reason, "proposal": proposal})

    def suspend_licence(self, licence: str, reason: str) -> Licence:
        return self._licence(f"{_at(licence)}/suspend", {"reason": reason})

    def resume_licence(self, licence: str, reason: str) -> Licence:
        return self._licence(f"{_at(licence)}/resume", {"reason": reason})

    def revoke_licence(self, licence: str, reason: str) -> Licence:
        return self._licence(f"{_at(licence)}/revoke", {"reason": reason})

    def licence_history(self, licence: str) -> Mapping[str, Any]:
        """Versions, consents and every act, oldest first."""
        found = self._http.json("GET", f"{_at(licence)}/history")
        if not isinstance(found, dict) or "versions" not in found:
            raise problem("client_not_yunei", language=self.language, status=200)
        return found

    def licence_document(self, licence: str, format: Paper = "html", *, version: int | None = None) -> str:
        """The licence's paper. `note` is the signed original: give it to `verify_licence`."""
        params: dict[str, Any] = {"format": format, **({} if version is None else {"version": version})}
        try:
            return self._http.content(f"{_at(licence)}/document", params=params).decode()
        except UnicodeDecodeError as error:
            raise problem("client_not_yunei", language=self.language, status=200) from error

    def licence_keys(self) -> tuple[Key, ...]:
        """The keys the bureau signs licences with, as this server tells them."""
        return tuple(Key.parse(vkey) for vkey in self._http.json("GET", "/v1/licence-keys")["vkeys"])

    def _licence(self, path: str, body: Mapping[str, Any]) -> Licence:
        return Licence.read(self._http.json("POST", path, body=body, repeat="unsent"), self.language)


def _at(licence: str) -> str:
    return f"/v1/licences/{quote(licence, safe='')}"
