"""Events in the life of a data product."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, StringConstraints

from jobs.events.licences import Instant
from jobs.events.parts import Code, Digest, Event, Text
from policies.catalogue import BlockPeriod
from policies.licence import Identifier
from policies.product import ProductId
from policies.product.running import MOST_PERIODS, Way

ProductCode = Annotated[str, StringConstraints(pattern=r"^YNP-\d{4}-\d{6}$")]
"""What registration gives: the year, and the number of products registered so far."""


class ProductDrafted(Event):
    """`document` is what its maker says of it."""

    kind = "product_drafted"
    product: ProductId
    operator: Identifier
    document: Digest


class ProductDescribed(Event):
    """Its maker says something else of a draft. What is registered is what was said last."""

    kind = "product_described"
    product: ProductId
    document: Digest


class ProductVersionAdded(Event):
    """Tables released under one licence, in this order, as one table. `document` says what they were made of and names every file;
    `columns` digests the names and types, the same in all versions; `table_sha256` is of the table in Arrow format. `vkeys` sign manifests."""

    kind = "product_version_added"
    product: ProductId
    version: int = Field(ge=1, le=2**31 - 1)
    releases: tuple[Identifier, ...] = Field(min_length=1, max_length=64)
    document: Digest
    columns: Digest
    table_sha256: Digest
    rows: int = Field(ge=0, le=2**53)
    bytes: int = Field(ge=0, le=2**53)
    vkeys: tuple[Text, ...] = Field(min_length=1, max_length=4)


class ProductRegistrationProposed(Event):
    """The first of two people, where a source is graded important."""

    kind = "product_registration_proposed"
    product: ProductId
    document: Digest


class ProductRegistered(Event):
    """登记. `document` is the description registered; `proposal` the entry in which another person proposed the same."""

    kind = "product_registered"
    product: ProductId
    code: ProductCode
    document: Digest
    proposal: int | None = Field(default=None, ge=0)


class ProductPublished(Event):
    kind = "product_published"
    product: ProductId


class ProductEntitled(Event):
    """This builder may have it delivered: before `until`, and so many times a month of China (None: without a bound). A later one takes the
    place of an earlier."""

    kind = "product_entitled"
    product: ProductId
    builder: Identifier
    until: Instant | None = None
    deliveries_a_month: int | None = Field(default=None, ge=1, le=10**6)


class ProductEntitlementEnded(Event):
    kind = "product_entitlement_ended"
    product: ProductId
    builder: Identifier
    reason: Text


class ProductDeprecated(Event):
    """No further versions. `successor`: the product to use instead."""

    kind = "product_deprecated"
    product: ProductId
    successor: ProductId | None = None
    reason: Text


class ProductRecalled(Event):
    """Not delivered any more from this entry on. `version` None: the product, for good; else that version of it."""

    kind = "product_recalled"
    product: ProductId
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    reason: Text


class ProductTraced(Event):
    """A file was held against a version: so many of its rows were found again, marks seen in so many `cells`, and of `asked` recipients these
    are accused; the bound on the chance that one who had no part would be is 10 to minus its exponent."""

    kind = "product_traced"
    product: ProductId
    version: int = Field(ge=1, le=2**31 - 1)
    file_sha256: Digest
    rows: int = Field(ge=0, le=2**53)
    found: int = Field(ge=0, le=2**53)
    cells: int = Field(ge=0, le=2**53)
    asked: int = Field(ge=0, le=10**9)
    accused: tuple[Identifier, ...] = Field(default=(), max_length=500)
    exponents: tuple[Annotated[int, Field(ge=0, le=10_000)], ...] = Field(default=(), max_length=500)


class ScheduleSet(Event):
    """A release on each new state of its data, added to the product, at most so many. `request` commits to the order as it will be
    submitted."""

    kind = "schedule_set"
    schedule: Identifier
    product: ProductId
    licence: Identifier
    request: Digest
    releases_at_most: int = Field(ge=1, le=10_000)


class RunningSet(Event):
    """What the schedule set just before it releases: running totals of the periods of `dataset`, `step` by `step` from the day `first` on, one
    release at the end of each of `periods`. `way` "tree": of its node; "anew": of all up to it. `done`: how many of them the schedule `after`
    has released, whose releases serve this one too."""

    kind = "running_set"
    schedule: Identifier
    dataset: Text
    step: BlockPeriod
    first: date
    periods: int = Field(ge=1, le=MOST_PERIODS)
    way: Way
    after: Identifier | None = None
    done: int = Field(default=0, ge=0, le=MOST_PERIODS)


class ScheduleRan(Event):
    """`snapshots` digests what the job reads: there is one job for each."""

    kind = "schedule_ran"
    schedule: Identifier
    snapshots: Digest
    job: Identifier


class ScheduleStopped(Event):
    """For good. `reason`: used_up, stopped by its operator or a supervisor, or the code of what kept it from going on."""

    kind = "schedule_stopped"
    schedule: Identifier
    reason: Code
