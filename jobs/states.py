"""The life of a job as one table of transitions. Nothing else says which state may follow which.

States are internal: before its public slot a job is `running` to everyone who asks, whatever its row here says (`Shown`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class State(StrEnum):
    SUBMITTED = "submitted"
    ATTACHED = "attached"
    ADMITTED = "admitted"
    READING = "reading"
    SPENT = "spent"
    STAGED = "staged"
    HELD = "held"
    RETURNED = "returned"
    PUBLISHED = "published"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    FORFEITED = "forfeited"
    REJECTED = "rejected"


Charge = Literal["none", "reserved", "reading", "spent", "released", "forfeited"]
Shown = Literal["running", "held", "returned", "published", "refused", "cancelled", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a state means for the budget, for the operator and for a server that starts and finds a job in it."""

    charge: frozenset[Charge]  # what the ledger may say about the job's charge
    shown: Shown  # after the slot
    at_start: Literal["nothing", "follow", "run", "publish"]  # the crash column of the walk
    zh: str
    en: str


def _charge(*names: Charge) -> frozenset[Charge]:
    return frozenset(names)


MEANING: dict[State, Meaning] = {
    State.SUBMITTED: Meaning(_charge("none"), "running", "nothing", "已提交，未受理", "handed in, not yet admitted"),
    State.ATTACHED: Meaning(
        _charge("none"), "running", "follow", "同一问题的另一作业正在运行，等待其结果，不另收费", "waits, free, for a job that asks the same"
    ),
    State.ADMITTED: Meaning(_charge("reserved"), "running", "run", "已受理，预算已预留，未读数据", "admitted: budget reserved, no row read"),
    State.READING: Meaning(_charge("reading"), "running", "run", "正在读取原始数据，预算不再退还", "rows are being read: the charge stays"),
    State.SPENT: Meaning(_charge("spent"), "running", "run", "预算已支出，正在加噪", "budget spent, noise being drawn"),
    State.STAGED: Meaning(_charge("spent"), "running", "publish", "结果已固定，等待发布", "the answer is fixed, waiting to be published"),
    State.HELD: Meaning(_charge("spent"), "held", "nothing", "精确结果已封存，待人工审核", "the exact table is sealed and waits for people"),
    State.RETURNED: Meaning(
        _charge("spent"), "returned", "nothing", "审核退回，可补充后再次提请", "sent back by review; its author may mend and ask again"
    ),
    State.PUBLISHED: Meaning(_charge("spent", "none"), "published", "nothing", "已发布", "published"),
    State.REFUSED: Meaning(_charge("none", "released"), "refused", "nothing", "已拒绝，未支出", "refused, nothing spent"),
    State.CANCELLED: Meaning(
        _charge("none", "released", "forfeited"), "cancelled", "nothing", "已取消；读取数据前取消不支出", "cancelled; free only before reading"
    ),
    State.FORFEITED: Meaning(_charge("forfeited"), "failed", "nothing", "已作废，预算不退", "given up after reading, charge stays"),
    State.REJECTED: Meaning(_charge("spent"), "rejected", "nothing", "审核不予发布", "review decided against it"),
}


@dataclass(frozen=True, slots=True)
class Transition:
    before: State
    after: State
    hop: str  # of docs/walk.md


TRANSITIONS: tuple[Transition, ...] = (
    Transition(State.SUBMITTED, State.REFUSED, "3–6"),
    Transition(State.SUBMITTED, State.PUBLISHED, "2"),  # the stored answer to the same question
    Transition(State.SUBMITTED, State.ATTACHED, "2"),  # the same question is being answered: one charge for both
    Transition(State.ATTACHED, State.PUBLISHED, "2"),
    Transition(State.ATTACHED, State.ATTACHED, "2"),  # that job came to nothing, and another one asks the same by now
    Transition(State.ATTACHED, State.ADMITTED, "6"),  # it came to nothing: this one goes on as a job of its own
    Transition(State.ATTACHED, State.REFUSED, "3–6"),
    Transition(State.ATTACHED, State.CANCELLED, "2"),
    Transition(State.SUBMITTED, State.ADMITTED, "6"),
    Transition(State.ADMITTED, State.READING, "7"),
    Transition(State.ADMITTED, State.CANCELLED, "6"),
    Transition(State.ADMITTED, State.REFUSED, "7"),  # the licence ended, or its data moved on, while the job waited
    Transition(State.READING, State.SPENT, "9"),
    Transition(State.READING, State.CANCELLED, "7"),
    Transition(State.READING, State.FORFEITED, "7"),
    Transition(State.SPENT, State.STAGED, "10"),
    Transition(State.SPENT, State.CANCELLED, "9"),
    Transition(State.SPENT, State.FORFEITED, "9"),
    Transition(State.STAGED, State.PUBLISHED, "11"),
    Transition(State.STAGED, State.CANCELLED, "11"),
    Transition(State.STAGED, State.FORFEITED, "11"),
    Transition(State.STAGED, State.HELD, "H3"),  # an exact table, sealed
    Transition(State.HELD, State.STAGED, "H6"),  # two people agreed, or a standing approval holds: fixed as it goes out
    Transition(State.HELD, State.RETURNED, "H5"),
    Transition(State.HELD, State.REJECTED, "H5"),
    Transition(State.HELD, State.CANCELLED, "H4"),
    Transition(State.RETURNED, State.HELD, "H4"),  # its author asks again
    Transition(State.RETURNED, State.CANCELLED, "H4"),
)

_ALLOWED = frozenset((transition.before, transition.after) for transition in TRANSITIONS)
FINAL = frozenset(State) - {transition.before for transition in TRANSITIONS}
OPEN = frozenset(state for state in State if MEANING[state].at_start != "nothing")


def may(before: State, after: State) -> bool:
    """Whether the table allows the step.

    >>> may(State.READING, State.SPENT), may(State.PUBLISHED, State.READING)
    (True, False)
    """
    return (before, after) in _ALLOWED


def diagram() -> str:
    """The table as a Mermaid state diagram, for docs/walk.md."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.SUBMITTED}"]
    lines += [f"    {step.before} --> {step.after}: {step.hop}" for step in TRANSITIONS]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)
