"""What takes two people: the second names the first one's proposal."""

from __future__ import annotations

from jobs import directory
from jobs.events import Event
from jobs.register import Act, Register
from policies.problem import declare

SECOND_PERSON = declare(
    "auth_second_person",
    zh=(
        "须两人办理",
        "{act} 须由另一人先提出；第 {proposal} 条不是另一人提出的同一事项。",
        "请由另一位在册人员先提出，再由您确认，并填写其提出的序号。",
    ),
    en=(
        "This takes two people",
        "{act} must first be proposed by another person; entry {proposal} is not such a proposal for the same act.",
        "Ask another registered person to propose it first; then confirm, giving the entry number of the proposal.",
    ),
)


def second_person(register: Register, act: Act, same: Event, proposal: int | None) -> None:
    """The entry `proposal` must hold the same proposal as `same` says, by another registered, active person."""
    first = register.event(proposal).event if proposal is not None and 0 <= proposal < act.size else None
    people = {same.by, first.by} if first is not None else set()
    keep = {"by", "reason"}
    if (
        type(first) is not type(same)
        or first is None
        or first.model_dump(exclude=keep) != same.model_dump(exclude=keep)
        or len(people) != 2
        or any((person := directory.principal(act.connection, name)) is None or person.status != "active" for name in people)
    ):
        raise SECOND_PERSON(act=same.kind, proposal="—" if proposal is None else proposal)
