"""Events that change accounts."""

from __future__ import annotations

from pydantic import Field

from jobs.events.parts import ENTRY_LIMIT as ENTRY_LIMIT
from jobs.events.parts import AccountId as AccountId
from jobs.events.parts import AccountKind as AccountKind
from jobs.events.parts import Amount as Amount
from jobs.events.parts import Code as Code
from jobs.events.parts import Commitment as Commitment
from jobs.events.parts import Cost as Cost
from jobs.events.parts import Digest as Digest
from jobs.events.parts import Event as Event
from jobs.events.parts import Text as Text
from policies.licence import Identifier
from policies.quota import Window


class AccountOpened(Event):
    kind = "account_opened"
    account: AccountId
    account_kind: AccountKind
    subject: Text
    cap: Cost


class CapRaiseProposed(Event):
    kind = "cap_raise_proposed"
    account: AccountId
    cap: Cost
    reason: Text


class CapRaised(Event):
    """The second person's act; `proposal` is the first one's entry."""

    kind = "cap_raised"
    account: AccountId
    cap: Cost
    proposal: int = Field(ge=0)


class PaceSet(Event):
    """From here on the account takes at most `cap` in one day or month of China (UTC+8), what was already charged in the present one included;
    None: only its total bounds it. Follows from a licence's quota or a dataset's pace; it never adds to a total."""

    kind = "pace_set"
    account: AccountId
    window: Window
    cap: Cost | None


class ChargeReserved(Event):
    kind = "charge_reserved"
    charge: Identifier
    job: Identifier
    accounts: tuple[AccountId, ...] = Field(min_length=1, max_length=1024)  # of a job over many periods, two for each
    cost: Cost


class ChargeReleased(Event):
    """Given back: no row was read."""

    kind = "charge_released"
    charge: Identifier
