"""What events are made of: their base and the types of their fields."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints

from infra.tables import CAP_LIMIT
from policies.catalogue import Model
from policies.licence import Identifier
from policies.loss import Loss

ENTRY_LIMIT = 65_535  # bytes: the length of an entry is a u16 in its tile

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commitment = Digest
Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
AccountId = Annotated[str, StringConstraints(pattern=r"^(population|dataset|licence|operator):[^\s:]{1,200}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
AccountKind = Literal["population", "dataset", "licence", "operator"]


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit()) or (value != "0" and value.startswith("0")):
            raise ValueError("an amount is a decimal string without sign or leading zero")
        return int(value)
    return value


Amount = Annotated[int, Field(ge=0, le=CAP_LIMIT, strict=True), BeforeValidator(_whole), PlainSerializer(str)]


class Cost(Model):
    """A loss inside an event: two amounts."""

    pico_rho: Amount
    atto_delta: Amount

    @classmethod
    def of(cls, loss: Loss) -> Cost:
        return cls(pico_rho=loss.pico_rho, atto_delta=loss.atto_delta)

    @property
    def loss(self) -> Loss:
        return Loss(self.pico_rho, self.atto_delta)


class Event(Model):
    """What every event has. Subclasses set `kind`; `at` is added when the register appends."""

    kind: ClassVar[str]
    by: Identifier
