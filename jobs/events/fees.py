"""Events about money: fees posted with what they are for, settlement periods closed. Amounts are fen, quantities whole counts of a measure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from jobs.events.parts import Amount, Digest, Event, Text
from policies.catalogue import Identifier, Model
from policies.period import PATTERN
from policies.tariff import Measure

PeriodText = Annotated[str, StringConstraints(pattern=PATTERN)]


class FeeLine(Model):
    """Usage of one item of the tariff, and what it costs."""

    item: Identifier
    measure: Measure
    quantity: Amount
    fen: Amount


class FeeShare(Model):
    """What one body has of an amount."""

    body: Identifier
    fen: Amount


class SettledShare(Model):
    body: Identifier
    payable: Amount
    carried: Amount


class FeePosted(Event):
    """One for each release, each delivery and each term of months under a licence with a tariff, also when nothing is due (`free`: the
    scenario is). A release's and a delivery's follow their entry at once. `licence_document` is the version of the licence it was computed
    from, `tariff` the digest of the tariff in it, `datasets` what the release was made from."""

    kind = "fee_posted"
    cause: Literal["release", "delivery", "term"]
    licence: Identifier
    operator: Identifier
    release: Identifier | None = None
    delivery: int | None = Field(default=None, ge=0)
    scenario: Identifier | None = None
    period: PeriodText
    licence_document: Digest
    tariff: Digest
    datasets: tuple[Text, ...] = Field(max_length=256)
    lines: tuple[FeeLine, ...] = Field(max_length=100)
    free: bool
    fen: Amount
    shares: tuple[FeeShare, ...] = Field(max_length=200)

    @property
    def subject(self) -> str:
        """What is charged for, once."""
        return {
            "release": f"release:{self.release}",
            "delivery": f"delivery:{self.delivery}",
            "term": f"term:{self.licence}/{self.period}/{self.tariff}",
        }[self.cause]


class PeriodClosed(Event):
    """What a licence's operator owes for a period: what was `posted` in it and `brought` from the one before, up to what is `allowed` (null:
    no bound); the rest is `carried` into the next. `shares` divide both by body."""

    kind = "period_closed"
    licence: Identifier
    period: PeriodText
    allowed: Amount | None
    posted: Amount
    brought: Amount
    payable: Amount
    carried: Amount
    shares: tuple[SettledShare, ...] = Field(max_length=1000)
