"""May this be done? Every verdict with its reasons, a function of the facts alone.

The rules are Cedar policies a regulator can read (`floor.cedar`, and `authority.cedar` on top of it, over `schema.cedarschema`); this module
only states the facts to them and collects what they say. Whatever cannot be evaluated is refused. A refusal lists every rule broken, with
one exception: of a licence that the requester does not hold it says nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from policies.authority import Answer, Authority, Json, Rule, read_authority
from policies.catalogue import Catalogue, Column, Dataset, Use
from policies.licence import Licence, LicenceState
from policies.loss import Loss
from policies.problem import Problem, declare

INT64_MAX = 2**63 - 1

licence_refused = declare(
    "licence_refused",
    zh=("不予受理", "违反 {count} 条规则，逐条列出。", "请按各条的说明处理后重新提交。"),
    en=("Refused", "{count} rules are not met; each is listed.", "Follow the remedy of each, then submit again."),
)
licence_undecided = declare(
    "licence_undecided",
    zh=("无法核验，按拒绝处理", "策略在本次申请的事实上无法求值。", "请联系数据主管部门检查策略与目录。"),
    en=(
        "Cannot be verified, hence refused",
        "The policies cannot be evaluated on the facts of this request.",
        "Contact the bureau to have the policies and the catalogue checked.",
    ),
)
_UNDECIDED = Rule(licence_undecided, "参照《山西省数据工作管理办法（征求意见稿）》（2024年）第四十二条（积极防御、综合防范）")
# what may be said to somebody who does not hold the licence: about themselves, never about it
_OF_THE_REQUESTER = frozenset(
    {
        "licence_role",
        "licence_operator_inactive",
        "licence_everything_frozen",
        "licence_operator_frozen",
        "licence_not_held",
        "licence_undecided",
    }
)

AUTHORITY = read_authority()


class Requester(Protocol):
    """Who asks. `status` is "active", "suspended" or "closed" (`policies.roles`)."""

    @property
    def id(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def status(self) -> str: ...


class Read(Protocol):
    """A table a plan reads: its snapshot and the columns fetched (`sandbox.plan.model.Scan` is one)."""

    @property
    def dataset(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def columns(self) -> Sequence[str]: ...


class Used(Protocol):
    """A use a plan makes of a column (`sandbox.plan.model.ColumnUse` is one)."""

    @property
    def dataset(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def use(self) -> Use: ...


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What is known before a plan is made. `licence` and its state are None when nothing is registered under the id `licence_id`.

    `frozen` holds what the bureau has stopped: "everything", "operator:<id>", "licence:<id>", "dataset:<name>".
    """

    principal: Requester
    licence: Licence | None
    licence_state: LicenceState | None
    scenario: str
    job_kind: str = "sql"
    frozen: frozenset[str] = frozenset()
    licence_id: str = ""


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a compiled plan adds: what it reads, what it does with each column, its price. `catalogue` is the one it was compiled against."""

    request: RequestFacts
    catalogue: Catalogue
    reads: Sequence[Read]
    uses: Sequence[Used]
    price: Loss

    def __post_init__(self) -> None:
        if not self.reads:
            raise ValueError("a plan reads at least one dataset")


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that was broken, with the facts its words mention."""

    rule: Rule
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def title_zh(self) -> str:
        return self.rule.title_zh

    @property
    def title_en(self) -> str:
        return self.rule.title_en

    @property
    def basis(self) -> str:
        return self.rule.basis

    def problem(self) -> Problem:
        wanted = self.rule.kind.zh.fields() | self.rule.kind.en.fields()
        return self.rule.kind(**{name: self.facts.get(name, "—") for name in sorted(wanted)})


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. `policy_digest` is SHA-256 over policies and schema: it names the text that was applied."""

    allowed: bool
    rules: tuple[BrokenRule, ...]
    policy_digest: str

    def problem(self) -> Problem:
        """The refusal as one problem, a part per broken rule. ValueError when nothing was refused."""
        if self.allowed:
            raise ValueError("nothing was refused")
        return licence_refused(count=len(self.rules), policy=self.policy_digest).with_parts(tuple(rule.problem() for rule in self.rules))


def rules() -> tuple[Rule, ...]:
    """Every rule a decision can name under the policy that comes with this package, the floor first, in the order of the text."""
    return (*AUTHORITY.rules.values(), _UNDECIDED)


def decide_request(facts: RequestFacts, now: datetime, authority: Authority = AUTHORITY) -> Decision:
    """On requester, licence, scenario and kind of job. `now` is aware; a naive one is a ValueError."""
    return _decide([_submit(facts, now)], [_requester(facts), _licence(facts)], authority)


def decide_plan(facts: PlanFacts, now: datetime, authority: Authority = AUTHORITY) -> Decision:
    """On everything: the request again (it may have lost its licence since), the price, and each dataset the plan reads."""
    computes = [_compute(facts, name) for name in _names(facts)]
    entities = [_requester(facts.request), _licence(facts.request), *(entity for _, entity in computes)]
    return _decide([_submit(facts.request, now), _spend(facts), *(question for question, _ in computes)], entities, authority)


@dataclass(frozen=True, slots=True)
class _Question:
    """A question to Cedar, and the facts of it that the words of a rule may mention."""

    cedar: Json
    facts: RequestFacts
    own: Mapping[str, str]

    @property
    def told(self) -> dict[str, str]:
        return {**_told(self.facts), **self.own}


def _question(facts: RequestFacts, action: str, resource: Json, context: Json, **told: str) -> _Question:
    cedar = {"principal": _ref("Requester", facts.principal.id), "action": _ref("Action", action), "resource": resource, "context": context}
    return _Question(cedar, facts, told)


def _decide(questions: Sequence[_Question], entities: Sequence[Json], authority: Authority) -> Decision:
    answers = authority.ask([question.cedar for question in questions], entities)
    broken = [
        BrokenRule(authority.rules[rule], question.told)
        for question, answer in zip(questions, answers, strict=True)
        for rule in _to_say(answer)
    ]
    allowed = all(answer.allowed for answer in answers)
    if not all(answer.sound for answer in answers) or (not allowed and not broken):
        broken.append(BrokenRule(_UNDECIDED))
    if any(rule.id == "licence_not_held" for rule in broken):
        broken = [rule for rule in broken if rule.id in _OF_THE_REQUESTER]
    return Decision(allowed, tuple(broken), authority.digest)


def _to_say(answer: Answer) -> tuple[str, ...]:
    """The rules to report. Of an unregistered dataset nothing else can be known; a dataset out of scope need not be told column by column."""
    if "licence_data_unregistered" in answer.forbidding:
        return ("licence_data_unregistered",)
    if "licence_dataset" in answer.forbidding:
        return tuple(rule for rule in answer.forbidding if rule != "licence_column_use")
    return answer.forbidding


def _submit(facts: RequestFacts, now: datetime) -> _Question:
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    context = {
        "now": _instant(now),
        "scenario": facts.scenario,
        "job_kind": facts.job_kind,
        "everything_frozen": _frozen(facts, "everything"),
    }
    return _question(facts, "submit", _ref("Licence", _licence_id(facts)), context)


def _spend(facts: PlanFacts) -> _Question:
    # Cedar's integers have 64 bits; every cap is at most 10**18, so a price past the end is still over it
    # the strictest rule of all tables wins: one table or column of a grade is enough
    grades = sorted({grade for name in _names(facts) for grade in _grades(facts, name)})
    loss = {"pico_rho": min(facts.price.pico_rho, INT64_MAX), "atto_delta": facts.price.atto_delta}
    context = {**loss, "grades": grades, "job_kind": facts.request.job_kind}
    price = {"price_rho": str(facts.price.rho), "price_delta": str(facts.price.delta)}
    return _question(facts.request, "spend", _ref("Licence", _licence_id(facts.request)), context, **price)


def _names(facts: PlanFacts) -> list[str]:
    """Every dataset the plan reads or uses, by casefolded name."""
    return list(dict.fromkeys([read.dataset.casefold() for read in facts.reads] + [used.dataset.casefold() for used in facts.uses]))


def _touched(facts: PlanFacts, name: str) -> tuple[Dataset | None, list[Column]]:
    """A dataset by casefolded name, and those of its columns that the plan fetches or uses."""
    names = {column.casefold() for read in facts.reads if read.dataset.casefold() == name for column in read.columns}
    names |= {used.column.casefold() for used in facts.uses if used.dataset.casefold() == name}
    snapshot = facts.catalogue.get(name)
    if snapshot is None:
        return None, []
    return snapshot.dataset, [column for column in map(snapshot.dataset.get, sorted(names)) if column]


def _grades(facts: PlanFacts, name: str) -> set[str]:
    """Of the dataset and of its columns touched; each counts by itself."""
    dataset, columns = _touched(facts, name)
    return {dataset.grade, *(dataset.grade_of(column) for column in columns)} if dataset else set()


def _compute(facts: PlanFacts, name: str) -> tuple[_Question, Json]:
    """The question on one dataset (by casefolded name), and the dataset as Cedar sees it. Only columns the plan touches are stated."""
    reads = [read for read in facts.reads if read.dataset.casefold() == name]
    used = [used for used in facts.uses if used.dataset.casefold() == name]
    uses = {_use(used.column, used.use) for used in used}
    touched = {used.column.casefold() for used in used} | {column.casefold() for read in reads for column in read.columns}
    snapshot = facts.catalogue.get(name)
    dataset, columns = _touched(facts, name)
    declared = {_use(column.name, use) for column in columns for use in column.uses}
    grant = facts.request.licence.grant_on(name) if facts.request.licence else None
    granted: set[str] = set()
    if grant:
        named = [column for column in grant.columns or () if column.name.casefold() in touched]
        granted = uses if grant.columns is None else {_use(column.name, use) for column in named for use in column.uses}
    entity = _entity(
        "Dataset",
        name,
        registered=snapshot is not None and {(read.version, read.digest) for read in reads} == {(snapshot.version, snapshot.digest)},
        public=dataset is not None and not dataset.private,
        frozen=_frozen(facts.request, f"dataset:{name}"),
        grade=dataset.grade if dataset else "unknown",
        share=dataset.share.attribute if dataset else "unknown",
        by_period=dataset.block.period if dataset and dataset.block else "",
    )
    context: Json = {
        "licence": {"__entity": _ref("Licence", _licence_id(facts.request))},
        "uses": sorted(uses),
        "granted": sorted(granted),
        "declared": sorted(declared),
        "grades": sorted({dataset.grade_of(column) for column in columns}) if dataset else [],
        "consent": bool(grant and grant.consent),
        "approved_twice": bool(grant and grant.second_approval),
    }
    told = {
        "dataset": dataset.name if dataset else name,
        "ungranted": _listed(f"{name}.{use}" for use in sorted(uses - granted)),
        "undeclared": _listed(f"{name}.{use}" for use in sorted(uses - declared)),
    }
    return _question(facts.request, "compute", _ref("Dataset", name), context, **told), entity


def _use(column: str, use: Use) -> str:
    return f"{column.casefold()}:{use}"


def _requester(facts: RequestFacts) -> Json:
    who = facts.principal
    return _entity("Requester", who.id, role=who.role, status=who.status, frozen=_frozen(facts, f"operator:{who.id}"))


def _licence(facts: RequestFacts) -> Json:
    """The licence as Cedar sees it; one that is not registered is held by nobody and grants nothing."""
    licence, identifier = facts.licence, _licence_id(facts)
    start = end = _EPOCH
    if licence:
        start, end = licence.valid_from, licence.valid_until
    return _entity(
        "Licence",
        identifier,
        operator={"__entity": _ref("Requester", licence.operator if licence else f"not {facts.principal.id}")},
        state=facts.licence_state or "unknown",
        frozen=_frozen(facts, f"licence:{identifier}"),
        valid_from=_instant(start, up=True),
        valid_until=_instant(end),
        scenarios=list(licence.scenarios) if licence else [],
        job_kinds=list(licence.job_kinds) if licence else [],
        datasets=[{"__entity": _ref("Dataset", grant.dataset.casefold())} for grant in licence.datasets] if licence else [],
        per_job_pico_rho=licence.per_job.pico_rho if licence else 0,
        per_job_atto_delta=licence.per_job.atto_delta if licence else 0,
    )


def _told(facts: RequestFacts) -> dict[str, str]:
    licence = facts.licence
    told = {
        "principal": facts.principal.id,
        "role": facts.principal.role,
        "status": facts.principal.status,
        "licence": _licence_id(facts),
        "state": facts.licence_state or "unknown",
        "scenario": facts.scenario,
        "job_kind": facts.job_kind,
    }
    if licence:
        told |= {
            "scenarios": _listed(licence.scenarios),
            "job_kinds": _listed(licence.job_kinds),
            "valid_from": licence.valid_from.isoformat(),
            "valid_until": licence.valid_until.isoformat(),
            "cap_rho": str(licence.per_job.loss.rho),
            "cap_delta": str(licence.per_job.loss.delta),
        }
    return told


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def _licence_id(facts: RequestFacts) -> str:
    return facts.licence.id if facts.licence else facts.licence_id


def _frozen(facts: RequestFacts, what: str) -> bool:
    return what.casefold() in {frozen.casefold() for frozen in facts.frozen}


def _instant(value: datetime, up: bool = False) -> Json:
    """A time in Cedar's milliseconds: down for now and for an end, up for a start, so that a term is never longer than it says."""
    if up:
        value += timedelta(microseconds=-value.microsecond % 1000)
    utc = value.astimezone(UTC)
    return {"__extn": {"fn": "datetime", "arg": f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"}}


def _ref(kind: str, identifier: str) -> Json:
    return {"type": kind, "id": identifier}


def _entity(kind: str, identifier: str, **attributes: object) -> Json:
    return {"uid": _ref(kind, identifier), "attrs": attributes, "parents": []}


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
