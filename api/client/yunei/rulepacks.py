"""Disclosure rule packs, changed by two supervisors: the part of the client that reads, checks, proposes and confirms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from yunei.said import Said
from yunei.transport import Http
from yunei.words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePack(Said):
    """A pack: `pack` is the digest that holds and approvals under it carry; `document` is None for one that the program comes with."""

    pack: str
    name: str
    version: int
    document: str | None
    text: str
    rules: tuple[Mapping[str, Any], ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        said = {name: str(data[name]) for name in ("pack", "name", "text")}
        rules = tuple(dict(rule) for rule in data["rules"])
        return cls(data=data, version=int(data["version"]), document=data["document"], rules=rules, **said)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePackVersion(Said):
    """A pack that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    pack: str
    name: str
    version: int
    document: str
    text: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        said = {name: str(data[name]) for name in ("pack", "name", "document", "text", "reason", "proposed_by", "proposed_at")}
        return cls(
            data=data, entry=int(data["entry"]), version=int(data["version"]), changed_by=data["changed_by"], since=data["since"], **said
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePackList(Said):
    """The pack in force, those the program comes with, and every one proposed, newest first."""

    in_force: RulePack
    shipped: tuple[RulePack, ...]
    versions: tuple[RulePackVersion, ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        return cls(
            data=data,
            in_force=RulePack.read(data["in_force"], language),
            shipped=tuple(RulePack.read(each, language) for each in data["shipped"]),
            versions=tuple(RulePackVersion.read(each, language) for each in data["versions"]),
        )


class RulePacks:
    """What a `Client` can do about the rules that exact tables are checked by."""

    _http: Http
    language: Language

    def rule_packs(self) -> RulePackList:
        return RulePackList.read(self._http.json("GET", "/v1/rule-packs"), self.language)

    def check_rule_pack(self, text: str) -> Mapping[str, Any]:
        """Its digest, name and version. Raises `data_rule_pack_invalid` or `data_rule_pack_floor`, each fault located; nothing changes."""
        return dict(self._http.json("POST", "/v1/rule-packs/check", body={"text": text}))

    def propose_rule_pack(self, text: str, *, reason: str) -> RulePackVersion:
        """The first of two supervisors."""
        body = {"text": text, "reason": reason}
        return RulePackVersion.read(self._http.json("POST", "/v1/rule-packs/proposals", body=body, repeat="unsent"), self.language)

    def confirm_rule_pack(self, proposal: int) -> RulePackVersion:
        """The second one: in force at once."""
        return RulePackVersion.read(self._http.json("POST", f"/v1/rule-packs/proposals/{proposal}/confirm", repeat="unsent"), self.language)
