"""A change of the bureau's policy: proposed by one supervisor, brought into force by another."""

from __future__ import annotations

import hashlib

from sqlalchemy import select

from infra.tables import policy_versions
from jobs import rulebook
from jobs.acts.freezes import supervisor
from jobs.acts.two import second_person
from jobs.events import PolicyChanged, PolicyProposed
from jobs.register import Register
from policies.change import checked
from policies.problem import declare

POLICY_UNCHANGED = declare(
    "policy_unchanged",
    zh=("策略没有变化", "所提规则和案例与现行策略相同。", "无需变更。"),
    en=("Nothing changes", "The proposed rules and cases are those already in force.", "No change is needed."),
)
POLICY_UNKNOWN = declare(
    "policy_unknown",
    zh=("没有这项策略提议", "第 {proposal} 条不是策略提议。", "请用 yunei policy versions 查看提议的序号。"),
    en=("No such proposal", "Entry {proposal} does not propose a policy.", "Run yunei policy versions to see the entry numbers of proposals."),
)
POLICY_OUTDATED = declare(
    "policy_outdated",
    zh=("策略提议已过时", "第 {proposal} 条提出之后策略已变更，或该提议已经生效。", "请在现行策略上重新提出。"),
    en=(
        "The proposal is out of date",
        "The policy has changed since entry {proposal}, or the proposal is already in force.",
        "Propose it again, based on the policy now in force.",
    ),
)


def propose_policy(register: Register, rules: str, cases: str, *, reason: str, by: str) -> int:
    """Check the text and write the proposal down. POLICY_INVALID, located, and nothing proposed. Returns the index the second one names."""
    policy = checked(rules, cases).digest
    body = rulebook.policy_document(rules, cases)
    with register.transaction() as act:
        supervisor(act, by)
        before = rulebook.document_in_force(act.connection)
        if before == hashlib.sha256(body).hexdigest():
            raise POLICY_UNCHANGED()
        return act.append(PolicyProposed(by=by, policy=policy, before=before, document=act.attach(body), reason=reason))


def change_policy(register: Register, *, proposal: int, by: str) -> None:
    """The second supervisor brings it into force, checked once more: every decision from this transaction on is by the new text."""
    row = next((version for version in rulebook.versions(register) if version.entry == proposal), None)
    if row is None:
        raise POLICY_UNKNOWN(proposal=proposal)
    texts = rulebook.texts(register, row.document)
    assert texts is not None  # written with the proposal
    policy = checked(*texts).digest
    with register.transaction() as act:
        supervisor(act, by)
        before = rulebook.document_in_force(act.connection)
        in_force = act.connection.execute(select(policy_versions.c.since).where(policy_versions.c.entry == proposal)).scalar_one()
        if in_force is not None or (before or "") != row.before or policy != row.policy:
            raise POLICY_OUTDATED(proposal=proposal)
        same = PolicyProposed(by=by, policy=row.policy, before=before, document=row.document, reason="-")
        second_person(register, act, same, proposal)
        act.append(PolicyChanged(by=by, policy=row.policy, before=before, document=row.document, proposal=proposal))
