"""An exact table as a job over HTTP, and what can be said of it before anything is counted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import SQL_LIMIT, Closed, WordsView, example
from jobs.kinds.exact import ExactRequest
from policies.disclosure.mend import Mend
from policies.licence import Identifier

Fact = Annotated[str, StringConstraints(max_length=2_000)]
EXACT = {
    "kind": "exact",
    "licence": "lic-health-2026-01",
    "scenario": "chronic-disease",
    "sql": "SELECT male, COUNT(*) AS n FROM nafld1 GROUP BY male",
    "facts": {"title": "按性别的人数", "population": "全部受试者", "purpose": "年度统计公报附表", "use": "公开发布"},
    "mends": [{"kind": "round", "base": 5}],
}


class Facts(Closed):
    """What its author says of the table. Rules ask for some of it; reviewers read all."""

    title: Fact = Field(default="", description="what the table shows")
    population: Fact = Field(default="", description="whom it is about")
    purpose: Fact = Field(default="", description="what it is needed for")
    use: Fact = Field(default="", description="who will see it, and how")


class ExactJob(Closed):
    """Exact counts, sums and means by public keys: sealed, checked by rules, and let out by two reviewers or not at all."""

    model_config = ConfigDict(json_schema_extra=example(**EXACT))

    kind: Literal["exact"]
    licence: Identifier = Field(description="id of the licence the job runs under; it has to allow the kind exact")
    scenario: Identifier = Field(description="the scenario the answer is for; one of the licence's")
    sql: Annotated[str, StringConstraints(min_length=1, max_length=SQL_LIMIT)] = Field(
        description="one SELECT … GROUP BY of keys with declared values, COUNT, SUM and AVG"
    )
    facts: Facts = Facts()
    mends: tuple[Mend, ...] = Field(default=(), max_length=20, description="how the table is to be mended before it leaves")

    def request(self) -> ExactRequest:
        facts = {name: text for name, text in self.facts.model_dump().items() if text}
        return ExactRequest(self.sql, self.licence, facts, self.mends)


class RuleSaid(Closed):
    """A rule of the pack in force, by its public words. `severity`: refuse – must be mended; look – reviewers judge; note – for the record."""

    rule: str
    kind: str
    severity: Literal["refuse", "look", "note"]
    zh: WordsView
    en: WordsView
    remedies: list[str]


class Preflight(Closed):
    """What the rules say of the job's shape, and which of them wait for the data. It says nothing of the data: it is worked out on invented
    rows, and only rules that do not look at numbers speak."""

    model_config = ConfigDict(
        json_schema_extra=example(pack={"name": "general", "version": "1", "digest": "ab" * 32}, cells=2, found=[], later=[])
    )

    pack: dict[str, str]
    cells: int = Field(description="rows that the table will have, whatever the data")
    found: list[RuleSaid] = Field(description="broken by the job as it is, whatever the data; mend these first")
    later: list[RuleSaid] = Field(description="rules that look at numbers: they run behind the wall; what they find is for reviewers alone")
