"""The life of a licence as one table of acts: what may follow what. The diagram in docs/licence.md is drawn from it.

Two of its steps are the clock's: a granted licence becomes active when its term begins, and one in force expires when its term ends. The
register records both as events, but nobody waits for that: `standing` says what a licence is at an instant, whatever was written so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from policies.problem import vocabulary

LicenceState = Literal["applied", "consented", "declined", "granted", "active", "suspended", "expired", "revoked"]
STATES: tuple[LicenceState, ...] = get_args(LicenceState)
STATE_TITLES: dict[LicenceState, tuple[str, str]] = {
    "applied": ("已申请", "applied for"),
    "consented": ("来源部门已同意", "consented to by the source bodies"),
    "declined": ("未予授权", "declined"),
    "granted": ("已授权，未到生效日期", "granted, not yet begun"),
    "active": ("有效", "active"),
    "suspended": ("已暂停", "suspended"),
    "expired": ("已期满", "expired"),
    "revoked": ("已撤销", "revoked"),
}
vocabulary("licence_state", STATE_TITLES)
IN_FORCE: tuple[LicenceState, ...] = ("granted", "active", "suspended")  # granted and not at its end
OPEN: tuple[LicenceState, ...] = ("applied", "consented", *IN_FORCE)
ENDED: tuple[LicenceState, ...] = ("expired", "revoked")


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of act. `before` empty: it makes the licence. `after` equal to "": the state stays."""

    kind: str  # of the event
    before: tuple[LicenceState, ...]
    after: LicenceState | Literal[""]
    zh: str
    en: str
    anew: bool = False  # may also be the first that is heard of a licence


LIFE: tuple[Step, ...] = (
    Step("licence_applied", (), "applied", "运营单位申请", "the operator applies"),
    Step("licence_consented", ("applied",), "consented", "有条件共享数据的来源部门全部同意", "every body that shares conditionally consents"),
    Step("licence_declined", ("applied", "consented"), "declined", "来源部门或数据局不予授权", "a source body or the bureau declines"),
    Step("licence_granted", ("applied", "consented"), "granted", "数据局授权并签名", "the bureau grants and signs", anew=True),
    Step("licence_activated", ("granted",), "active", "到生效日期", "its term begins"),
    Step("licence_amended", IN_FORCE, "", "变更或续期，账户不变", "amended or renewed; accounts are kept"),
    Step("licence_suspended", ("active",), "suspended", "暂停", "suspended"),
    Step("licence_resumed", ("suspended",), "active", "恢复", "resumed"),
    Step("licence_expired", IN_FORCE, "expired", "期满", "its term ends"),
    Step("licence_revoked", IN_FORCE, "revoked", "撤销", "revoked"),
    Step("licence_disposed", ENDED, "", "按约定处置成果与密钥", "products and keys are disposed of as agreed"),
)
_BEFORE = {step.kind: step.before for step in LIFE}


def before(kind: str) -> tuple[LicenceState, ...]:
    """The states in which an act may happen.

    >>> before("licence_suspended")
    ('active',)
    """
    return _BEFORE[kind]


def standing(state: LicenceState, valid_from: datetime, valid_until: datetime, now: datetime) -> LicenceState:
    """What a licence is at `now`, given the state last written and its term (from `valid_from`, until before `valid_until`).

    >>> from datetime import UTC
    >>> year = [datetime(each, 1, 1, tzinfo=UTC) for each in (2025, 2026, 2027, 2028)]
    >>> [standing("granted", year[1], year[2], now) for now in year]
    ['granted', 'active', 'expired', 'expired']
    """
    if state in IN_FORCE and now >= valid_until:
        return "expired"
    return "active" if state == "granted" and now >= valid_from else state


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for step in LIFE:
        if step.after and (step.anew or not step.before):
            lines.append(f"    [*] --> {step.after}: {step.en}")
        lines += [f"    {state} --> {step.after}: {step.en}" for state in step.before if step.after]
    lines += [f"    {state} --> [*]" for state in ("declined", *ENDED)]
    return "\n".join(lines)
