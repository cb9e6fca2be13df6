"""Events by which something leaves: published, served again, delivered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

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
from policies.product import ProductId


class ReleasePublished(Event):
    """`record` commits to the release record (columns, query, half-widths); `rows` and `bytes` are of the noisy table: metering.
    `policy_digest` names the policy that was asked again and let it out."""

    kind = "release_published"
    release: Identifier
    job: Identifier
    charge: Identifier
    operator: Identifier
    licence: Identifier
    question: Digest
    plan_digest: Digest
    record: Commitment
    table_sha256: Digest
    rows: int = Field(ge=0, le=2**53)
    bytes: int = Field(ge=0, le=2**53)
    cost: Cost
    policy_digest: Digest | None = None
    visible_at: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]


class ReleaseReused(Event):
    """The same question again: answered with the stored release, nothing charged."""

    kind = "release_reused"
    job: Identifier
    release: Identifier
    policy_digest: Digest | None = None


class ProductDelivered(Event):
    """A table handed to a builder: bytes with this digest. Of a product: its version, of which `release` is the newest part; "excel" is CSV
    with a byte order mark. Every request for bytes that follows from it is this delivery."""

    kind = "product_delivered"
    release: Identifier
    recipient: Identifier
    format: Literal["arrow", "parquet", "csv", "json", "excel"]
    sha256: Digest
    product: ProductId | None = Field(default=None, exclude_if=lambda value: value is None)  # left out of entries that have none
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, exclude_if=lambda value: value is None)
