"""监测预警: alerts that were raised, supervisors' answers, and the rules they are raised by."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.auth import Guarded, Visit, door
from api.routes.common import Serving, found, problems, roles
from api.schemas.alerts import (
    AlertFactView,
    AlertList,
    AlertOutcomeGiven,
    AlertRulesChecked,
    AlertRulesList,
    AlertRulesProposal,
    AlertRulesText,
    AlertRulesVersion,
    AlertRulesView,
    AlertRuleView,
    AlertThing,
    AlertView,
    AlertWords,
    Severity,
    State,
)
from api.services import Services
from infra.database import reading
from jobs import acts
from jobs.watch import alerts, inforce
from jobs.watch.measured import simulated
from jobs.watch.rules import Rule, kind_in, rules_from_toml, shipped_rules_text
from jobs.watch.words import FACTS, KINDS

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=Guarded)
rules_router = APIRouter(prefix="/v1/alert-rules", tags=["alerts"], route_class=Guarded)
_COMMON = ("id", "kind", "severity", "again_h", "source")


@router.get(
    "",
    summary="告警，由新到旧 · Alerts, newest first",
    responses=problems(401, 403, 422),
    openapi_extra=roles("alert_list"),
)
def listed(
    services: Serving,
    visit: Annotated[Visit, door("alert_list")],
    state: Annotated[list[State] | None, Query(max_length=3, description="只要这些状态 · only in these states")] = None,
    severity: Severity | None = None,
    rule: Annotated[str | None, Query(max_length=64, description="规则编号 · a rule's id")] = None,
    about: Annotated[str | None, Query(max_length=300, description="涉及的单位、作业、账户等 · an operator, job, account…")] = None,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="从此条日志之前发出的开始 · raised before this entry")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> AlertList:
    page = alerts.alerts_of(services.register, states=tuple(state or ()), severity=severity, rule=rule, thing=about, before=before, limit=limit)
    with reading(services.register.engine) as connection:
        standing = alerts.standing(connection)
    return AlertList(alerts=[_alert(each) for each in page], open=standing, next=page[-1].entry if len(page) == limit else None)


@router.get(
    "/{id}",
    summary="一项告警及其依据 · One alert with its evidence",
    responses=problems(401, 403, 404),
    openapi_extra=roles("alert_list"),
)
def one(id: str, services: Serving, visit: Annotated[Visit, door("alert_list")]) -> AlertView:
    return _alert(found(alerts.alert(services.register, id), "alert"))


@router.post(
    "/{id}/acknowledge",
    summary="确认告警：已见，由本人处理 · Acknowledge an alert and take it on",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("alert_handle"),
)
def acknowledge(id: str, body: AlertWords, services: Serving, visit: Annotated[Visit, door("alert_handle")]) -> AlertView:
    acts.acknowledge_alert(services.register, id, words=body.words, by=visit.principal.id)
    return _alert(found(alerts.alert(services.register, id), "alert"))


@router.post(
    "/{id}/close",
    summary="办结告警：已处理，或误报 · Close an acknowledged alert: handled, or a false alarm",
    description="办结之后，只有新的依据才会再次告警。 · After closing, only newer evidence raises it again.",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("alert_handle"),
)
def close(id: str, body: AlertOutcomeGiven, services: Serving, visit: Annotated[Visit, door("alert_handle")]) -> AlertView:
    acts.close_alert(services.register, id, outcome=body.outcome, words=body.words, by=visit.principal.id)
    return _alert(found(alerts.alert(services.register, id), "alert"))


@rules_router.get(
    "",
    summary="监测规则：现行的与历次提议 · Alert rules: those in force and all proposals",
    responses=problems(401, 403),
    openapi_extra=roles("alert_rules_show"),
)
def show(services: Serving, visit: Annotated[Visit, door("alert_rules_show")]) -> AlertRulesList:
    with reading(services.register.engine) as connection:
        digest, rules = inforce.rules_in_force(connection)
        document = inforce.document_in_force(connection)
        records = alerts.records(connection)
    versions = inforce.versions(services.register)
    text = next((each.text for each in versions if each.document == document), None) or shipped_rules_text()
    each = [_rule(rule, records.get(rule.id, alerts.Record())) for rule in rules.rules]
    title = {"title_zh": rules.title.zh, "title_en": rules.title.en}
    named = {"rules": digest, "name": rules.name, "version": rules.version, "document": document}
    view = AlertRulesView(**named, **title, text=text, each=each)
    return AlertRulesList(in_force=view, shipped=shipped_rules_text(), versions=[_version(version) for version in versions])


@rules_router.post(
    "/check",
    summary="检查一份监测规则，不作变更 · Check a set of rules; nothing changes",
    responses=problems(400, 401, 403, 413, 422),
    openapi_extra=roles("alert_rules_change"),
)
def check(body: AlertRulesText, visit: Annotated[Visit, door("alert_rules_change")]) -> AlertRulesChecked:
    rules = rules_from_toml(body.text)
    return AlertRulesChecked(rules=rules.digest, name=rules.name, version=rules.version, count=len(rules.rules))


@rules_router.post(
    "/proposals",
    status_code=201,
    summary="提议变更监测规则 · Propose a change of the rules",
    description="审计与联署两类规则不可去除。 · The rules on the audit and on cosigning cannot be removed.",
    responses=problems(400, 401, 403, 409, 413, 422),
    openapi_extra=roles("alert_rules_change"),
)
def propose(body: AlertRulesProposal, services: Serving, visit: Annotated[Visit, door("alert_rules_change")]) -> AlertRulesVersion:
    return _entry(services, acts.propose_alert_rules(services.register, body.text, reason=body.reason, by=visit.principal.id))


@rules_router.post(
    "/proposals/{id}/confirm",
    summary="另一名监管员确认，规则自下次查看起生效 · Another supervisor confirms; in force from the next check on",
    responses=problems(400, 401, 403, 404, 409, 413, 422),
    openapi_extra=roles("alert_rules_change"),
)
def confirm(id: int, services: Serving, visit: Annotated[Visit, door("alert_rules_change")]) -> AlertRulesVersion:
    acts.change_alert_rules(services.register, proposal=id, by=visit.principal.id)
    return _entry(services, id)


def _entry(services: Services, entry: int) -> AlertRulesVersion:
    return _version(found(next((each for each in inforce.versions(services.register) if each.entry == entry), None), "policy"))


def _version(version: inforce.Version) -> AlertRulesVersion:
    return AlertRulesVersion.model_validate({**asdict(version), "before": version.before or None})


def _rule(rule: Rule, record: alerts.Record) -> AlertRuleView:
    told = KINDS[rule.kind]
    numbers: dict[str, Any] = rule.model_dump(exclude=set(_COMMON))
    words = {"title_zh": told.title.zh, "title_en": told.title.en, "sees_zh": told.sees.zh, "sees_en": told.sees.en}
    named = {"id": rule.id, "kind": rule.kind, "severity": rule.severity, "source": rule.source}
    return AlertRuleView(**named, **words, numbers=numbers, simulated_a_month=simulated(rule), **asdict(record))


def _alert(alert: alerts.Alert) -> AlertView:
    """Words are those of the rule's kind."""
    event = alert.raised
    told = KINDS.get(kind_in(event.rule))
    words = {
        f"{part}_{language}": getattr(getattr(told, part), language) if told is not None else event.rule
        for part in ("title", "sees", "then")
        for language in ("zh", "en")
    }
    named = {name: getattr(alert, name) for name in AlertView.model_fields if hasattr(alert, name)}
    facts = [AlertFactView(name=each.name, value=each.value, **_said(each.name)) for each in event.facts]
    things = [AlertThing(kind=each.kind, id=each.id) for each in event.things]
    return AlertView(**named, **words, rules=event.rules, entries=list(event.entries), things=things, facts=facts)


def _said(name: str) -> dict[str, str]:
    zh, en = FACTS.get(name, (name, name))
    return {"zh": zh, "en": en}
