"""Events about datasets and their versions."""

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


class DatasetRegistered(Event):
    kind = "dataset_registered"
    dataset: Text
    space: Text | None


class VersionIngested(Event):
    """`digest` is the snapshot's content digest, `document` the snapshot as the catalogue has it. Row counts are data: not here."""

    kind = "version_ingested"
    dataset: Text
    version: int = Field(ge=1, le=2**31 - 1)
    digest: Digest
    document: Digest
