"""Alerts are answered for by a supervisor; the rules they are raised by are changed by two."""

from __future__ import annotations

import hashlib
from typing import Literal

from sqlalchemy import Connection, select

from infra.tables import alert_rules, alerts
from jobs.acts.freezes import supervisor
from jobs.acts.two import second_person
from jobs.events import AlertAcknowledged, AlertClosed, AlertRulesChanged, AlertRulesProposed
from jobs.register import Act, Register
from jobs.watch import inforce
from jobs.watch.rules import RuleSet, rules_from_toml, shipped_rules
from policies.problem import declare, vocabulary

ALERT_UNKNOWN = declare(
    "alert_unknown",
    zh=("没有这一告警", "没有编号为 {alert} 的告警。", "请用 yunei alert list 查看编号。"),
    en=("No such alert", "There is no alert {alert}.", "Run yunei alert list to see the ids."),
)
vocabulary("alert_state", {"open": ("未确认", "not acknowledged"), "acknowledged": ("处理中", "being handled"), "closed": ("已办结", "closed")})
ALERT_STATE = declare(
    "alert_state",
    zh=("告警的状态不允许", "告警 {alert} 的状态为{state:alert_state}。", "未确认的请先确认，确认之后方可办结；已办结的不再变更。"),
    en=(
        "Not in that state",
        "Alert {alert} is {state:alert_state}.",
        "Acknowledge an open alert first, then close it. A closed alert cannot change.",
    ),
)
RULES_UNCHANGED = declare(
    "alert_rules_unchanged",
    zh=("监测规则没有变化", "所提规则就是现行规则。", "无需变更。"),
    en=("Nothing changes", "The proposed rules are those already in force.", "No change is needed."),
)
RULES_UNKNOWN = declare(
    "alert_rules_unknown",
    zh=("没有这项监测规则提议", "第 {proposal} 条不是监测规则提议。", "请用 yunei alert-rules history 查看提议的序号。"),
    en=(
        "No such proposal",
        "Entry {proposal} does not propose alert rules.",
        "Run yunei alert-rules history to see the entry numbers of proposals.",
    ),
)
RULES_OUTDATED = declare(
    "alert_rules_outdated",
    zh=("监测规则提议已过时", "第 {proposal} 条提出之后规则已变更，或该提议已经生效。", "请在现行规则上重新提出。"),
    en=(
        "The proposal is out of date",
        "The rules have changed since entry {proposal}, or the proposal is already in force.",
        "Propose it again, based on the rules now in force.",
    ),
)
RULES_VERSION = declare(
    "alert_rules_version",
    zh=("监测规则版本已有", "{name} 第 {version} 版已是内容不同的另一份规则。", "内容有变，请改用新的版本号。"),
    en=(
        "This version exists",
        "Version {version} of {name} already exists with different rules.",
        "The content has changed: use a new version number.",
    ),
)


def acknowledge_alert(register: Register, alert: str, *, words: str, by: str) -> None:
    """Seen, and taken on."""
    with register.transaction() as act:
        supervisor(act, by)
        _in_state(act, alert, "open")
        act.append(AlertAcknowledged(by=by, alert=alert, words=words))


def close_alert(register: Register, alert: str, *, outcome: Literal["handled", "false_alarm"], words: str, by: str) -> None:
    with register.transaction() as act:
        supervisor(act, by)
        _in_state(act, alert, "acknowledged")
        act.append(AlertClosed(by=by, alert=alert, outcome=outcome, words=words))


def _in_state(act: Act, alert: str, state: str) -> None:
    found = act.connection.execute(select(alerts.c.state).where(alerts.c.id == alert)).scalar_one_or_none()
    if found is None:
        raise ALERT_UNKNOWN(alert=alert)
    if found != state:
        raise ALERT_STATE(alert=alert, state=found)


def propose_alert_rules(register: Register, text: str, *, reason: str, by: str) -> int:
    """Check the text and write the proposal down; `alert_rules_invalid`, and nothing is proposed. Returns the index the second one names."""
    rules, body = rules_from_toml(text), text.encode()
    with register.transaction() as act:
        supervisor(act, by)
        before = inforce.document_in_force(act.connection)
        if before == hashlib.sha256(body).hexdigest() or rules.digest == inforce.rules_in_force(act.connection)[0]:
            raise RULES_UNCHANGED()
        _own_version(act.connection, rules)
        named = {"rules": rules.digest, "name": rules.name, "version": rules.version}
        return act.append(AlertRulesProposed(by=by, **named, before=before, document=act.attach(body), reason=reason))


def change_alert_rules(register: Register, *, proposal: int, by: str) -> None:
    """The second supervisor brings them into force: the next look is by them."""
    row = next((version for version in inforce.versions(register) if version.entry == proposal), None)
    if row is None:
        raise RULES_UNKNOWN(proposal=proposal)
    rules = rules_from_toml(row.text)
    with register.transaction() as act:
        supervisor(act, by)
        before = inforce.document_in_force(act.connection)
        since = act.connection.execute(select(alert_rules.c.since).where(alert_rules.c.entry == proposal)).scalar_one()
        if since is not None or (before or "") != row.before or rules.digest != row.rules:
            raise RULES_OUTDATED(proposal=proposal)
        _own_version(act.connection, rules)
        named = {"rules": row.rules, "document": row.document, "before": before}
        second_person(register, act, AlertRulesProposed(by=by, **named, name=row.name, version=row.version, reason="-"), proposal)
        act.append(AlertRulesChanged(by=by, **named, proposal=proposal))


def _own_version(connection: Connection, rules: RuleSet) -> None:
    """Name and version name one set: the one shipped, and those that were ever in force."""
    shipped = shipped_rules()
    taken = {shipped.digest} if (shipped.name, shipped.version) == (rules.name, rules.version) else set()
    same = select(alert_rules.c.rules).where(alert_rules.c.name == rules.name, alert_rules.c.version == rules.version)
    taken |= set(connection.execute(same.where(alert_rules.c.since.is_not(None))).scalars())
    if taken - {rules.digest}:
        raise RULES_VERSION(name=rules.name, version=rules.version)
