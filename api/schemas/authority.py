"""Freezes and the policy over HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Closed, example
from policies.change import TEXT_LIMIT
from policies.freeze import Scope

_FREEZE = {
    "id": "frz-mfrggzdfmztwq2lk",
    "scope": "operator",
    "subject": "op-health",
    "state": "set",
    "reason": "密钥疑似泄露",
    "set_by": "li",
    "set_at": "2026-11-22T08:00:00.000000Z",
    "proposal": None,
    "proposed_by": None,
    "thawed_by": None,
    "changed_at": "2026-11-22T08:00:00.000000Z",
}


class FreezeRequest(Closed):
    """Stop it at once. `subject`: the id of an operator (or builder) or of a licence, a dataset's name; empty with scope everything."""

    model_config = ConfigDict(json_schema_extra=example(scope="operator", subject="op-health", reason="密钥疑似泄露"))

    scope: Scope
    subject: str = Field(default="", max_length=128)
    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class ThawRequest(Closed):
    """Without `proposal`: propose to lift it. With it, another supervisor's: lift it."""

    model_config = ConfigDict(json_schema_extra=example(reason="密钥已更换", proposal=None))

    reason: str | None = Field(
        default=None, min_length=1, max_length=2000, description="提议的理由，写入日志 · of a proposal; goes into the log"
    )
    proposal: int | None = Field(default=None, ge=0, le=2**53, description="他人提议的日志序号 · entry of the other's proposal")


class FreezeView(Closed):
    """A freeze; `proposal` is the entry that a second supervisor names to lift it."""

    model_config = ConfigDict(json_schema_extra=example(**_FREEZE))

    id: str
    scope: Scope
    subject: str
    state: Literal["set", "thawed"]
    reason: str
    set_by: str
    set_at: str
    proposal: int | None
    proposed_by: str | None
    thawed_by: str | None
    changed_at: str


class FreezeList(Closed):
    freezes: list[FreezeView]


class PolicyText(Closed):
    """Rules on top of the floor (Cedar), and the cases they are tried on (TOML)."""

    model_config = ConfigDict(json_schema_extra=example(rules='@id("licence_own") …', cases="[base.requester] …"))

    rules: str = Field(max_length=TEXT_LIMIT)
    cases: str = Field(max_length=TEXT_LIMIT)


class PolicyProposal(PolicyText):
    model_config = ConfigDict(json_schema_extra=example(rules='@id("licence_own") …', cases="[base.requester] …", reason="收紧重要数据的上限"))

    reason: str = Field(min_length=1, max_length=2000, description="写入日志 · goes into the log")


class RuleView(Closed):
    """A rule as people read it. `floor`: no change of policy can remove it."""

    id: str
    floor: bool
    title_zh: str
    title_en: str
    basis: str


class PolicyView(PolicyText):
    """A policy: `policy` is the digest that decisions under it carry; `document` names rules and cases, null for the text the program comes
    with. Floor and schema come with the program."""

    model_config = ConfigDict(json_schema_extra={})

    policy: str
    document: str | None
    floor: str
    floor_cases: str
    model: str = Field(description="Cedar schema: every fact a rule can see · 规则能看到的全部事实")
    table: list[RuleView]


class PolicyChecked(Closed):
    """The digest the text would have in force, and how many of its cases held."""

    model_config = ConfigDict(json_schema_extra=example(policy="ab" * 32, rules=24, cases=9))

    policy: str
    rules: int
    cases: int


class PolicyVersionView(Closed):
    """A text that was proposed. `since`: the entry that brought it into force, null while it is only proposed."""

    model_config = ConfigDict(
        json_schema_extra=example(
            entry=118, policy="ab" * 32, before=None, document="cd" * 32, reason="收紧重要数据的上限", proposed_by="li",
            proposed_at="2026-11-22T08:00:00.000000Z", changed_by=None, since=None, changed_at=None,
        )
    )  # fmt: skip

    entry: int
    policy: str
    before: str | None
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None
    changed_at: str | None


class PolicyVersionList(Closed):
    versions: list[PolicyVersionView]
