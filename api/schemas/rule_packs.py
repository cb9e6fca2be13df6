"""Disclosure rule packs over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from policies.disclosure.floor import TEXT_LIMIT

_TEXT = 'name = "health"\nversion = 2\n…'
_VERSION: dict[str, Any] = {
    "entry": 118,
    "pack": "ab" * 32,
    "name": "health",
    "version": 2,
    "before": None,
    "document": "cd" * 32,
    "text": _TEXT,
    "reason": "卫生数据的最少单元数提高到 20",
    "proposed_by": "li",
    "proposed_at": "2026-11-22T08:00:00.000000Z",
    "changed_by": None,
    "since": None,
    "changed_at": None,
}
_RULE: dict[str, Any] = {
    "id": "minimum_units",
    "kind": "minimum_units",
    "severity": "refuse",
    "title_zh": "单元数过少",
    "title_en": "Too few units",
    "source": "ACRO default safe_threshold = 10",
}
_PACK: dict[str, Any] = {
    "pack": "ab" * 32,
    "name": "general",
    "version": 1,
    "title_zh": "通用规则包",
    "title_en": "General",
    "document": None,
    "text": _TEXT,
    "rules": [_RULE],
}


class PackText(Closed):
    """A pack as a TOML file states it; docs/disclosure.md lists the kinds of rule."""

    model_config = ConfigDict(json_schema_extra=example(text=_TEXT))

    text: str = Field(max_length=TEXT_LIMIT)


class PackProposal(PackText):
    model_config = ConfigDict(json_schema_extra=example(text=_TEXT, reason=_VERSION["reason"]))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class PackChecked(Closed):
    """What holds and approvals would name the pack by."""

    model_config = ConfigDict(json_schema_extra=example(pack="ab" * 32, name="health", version=2, rules=13))

    pack: str
    name: str
    version: int
    rules: int


class PackRuleView(Closed):
    """A rule as people read it; its numbers are in the text."""

    model_config = ConfigDict(json_schema_extra=example(**_RULE))

    id: str
    kind: str
    severity: Literal["refuse", "look", "note"]
    title_zh: str
    title_en: str
    source: str = Field(description="where the numbers come from · 数值出处")


class PackView(Closed):
    """A pack: `pack` is the digest that holds and approvals under it carry; `document` names its text in the register, null for a pack the
    program comes with."""

    model_config = ConfigDict(json_schema_extra=example(**_PACK))

    pack: str
    name: str
    version: int
    title_zh: str
    title_en: str
    document: str | None
    text: str
    rules: list[PackRuleView]


class PackVersionView(Closed):
    """A pack that was proposed. `since`: the entry that brought it into force, null while it is only proposed."""

    model_config = ConfigDict(json_schema_extra=example(**_VERSION))

    entry: int
    pack: str
    name: str
    version: int
    before: str | None
    document: str
    text: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None


class PackList(Closed):
    """The pack in force; those the program comes with, to begin a change from; every pack proposed, newest first."""

    model_config = ConfigDict(json_schema_extra=example(in_force=_PACK, shipped=[_PACK], versions=[_VERSION]))

    in_force: PackView
    shipped: list[PackView]
    versions: list[PackVersionView]
