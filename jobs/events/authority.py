"""Events by which the bureau stops things at once, lets them go on, and changes the policy."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from jobs.events.parts import Digest, Event, Text
from policies.freeze import EVERYTHING, Scope
from policies.licence import Identifier


class FreezeSet(Event):
    """By one supervisor, at once. From this entry on nothing of what it names is admitted, published or delivered. `subject` is empty for
    everything; a dataset's is its name in lower case."""

    kind = "freeze_set"
    freeze: Identifier
    scope: Scope
    subject: Annotated[str, StringConstraints(max_length=128, pattern=r"^\S*$")] = ""
    reason: Text

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if (self.scope == EVERYTHING) != (not self.subject):
            raise ValueError("a freeze of everything names nothing; any other names what it freezes")
        return self


class ThawProposed(Event):
    """The first of two supervisors."""

    kind = "thaw_proposed"
    freeze: Identifier
    reason: Text


class FreezeThawed(Event):
    """The second one, naming the entry of the first."""

    kind = "freeze_thawed"
    freeze: Identifier
    proposal: int = Field(ge=0)


class PolicyProposed(Event):
    """`document` holds the rules and the cases they were tried on; `policy` is the digest that decisions under them will carry; `before` the
    document in force (None: the policy that the program comes with), so that a proposal does not outlive a change."""

    kind = "policy_proposed"
    policy: Digest
    before: Digest | None
    document: Digest
    reason: Text


class PolicyChanged(Event):
    """In force from this entry on, in every server process."""

    kind = "policy_changed"
    policy: Digest
    before: Digest | None
    document: Digest
    proposal: int = Field(ge=0)


class PackAdopted(Event):
    """The server, before it holds the first table: the rule pack that its settings name is in force from here on, until two supervisors change
    it. `document` holds its text, `pack` is its digest, as in PackProposed."""

    kind = "pack_adopted"
    pack: Digest
    name: Identifier
    version: int = Field(ge=1)
    document: Digest


class PackProposed(Event):
    """`document` holds the text of a disclosure rule pack; `pack` is the digest that holds and approvals under it will carry, `name` and
    `version` what it calls itself; `before` the document in force (None: no table was held yet)."""

    kind = "pack_proposed"
    pack: Digest
    name: Identifier
    version: int = Field(ge=1)
    before: Digest | None
    document: Digest
    reason: Text


class PackChanged(Event):
    """In force from this entry on, in every server process: tables are held, and let out, under this pack."""

    kind = "pack_changed"
    pack: Digest
    before: Digest | None
    document: Digest
    proposal: int = Field(ge=0)
