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
from policies.catalogue import Registration


class DatasetRegistered(Event):
    """`registration` is how far the registration as a public data resource had come: applied, accepted, checked, published or coded."""

    kind = "dataset_registered"
    dataset: Text
    space: Text | None
    registration: Registration


class RegistrationMoved(Event):
    """The registration of a dataset came one state further."""

    kind = "registration_moved"
    dataset: Text
    to: Registration


class VersionIngested(Event):
    """`digest` is the snapshot's content digest, `document` the snapshot as the catalogue has it. `lineage` commits to what it was made of:
    earlier versions, SHA-256 of the source files, who ingested them. Row counts are data: not here."""

    kind = "version_ingested"
    dataset: Text
    version: int = Field(ge=1, le=2**31 - 1)
    digest: Digest
    document: Digest
    lineage: Commitment | None = None


class MasterKeyRotated(Event):
    """Keys of datasets are wrapped under `key` from now on, `before` until now: `kind:version` of the provider. Its name, nothing of it."""

    kind = "master_key_rotated"
    key: Text
    before: Text


class MasterKeyRetired(Event):
    """No key is wrapped under it any more, and it is destroyed, or for its keeper to destroy: copies of keys under it open no more."""

    kind = "master_key_retired"
    key: Text


class DatasetKeyRotated(Event):
    """The files' keys of a dataset are under a new key; `generation` counts them."""

    kind = "dataset_key_rotated"
    dataset: Text
    generation: int = Field(ge=2, le=2**31 - 1)


class DestructionProposed(Event):
    """The first of two people wants data destroyed that was withdrawn. `version` None: the dataset."""

    kind = "destruction_proposed"
    dataset: Text
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    reason: Text


class DataDestroyed(Event):
    """The second, a supervisor, confirms: its keys are destroyed, so that nobody can read it any more, here or in any copy without keys."""

    kind = "data_destroyed"
    dataset: Text
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    proposal: int = Field(ge=0, lt=2**53)


class DatasetWithdrawn(Event):
    """Jobs on it are refused from this entry on, running ones not published. `version` None: the dataset, for good; else that version, until a
    newer one is ingested."""

    kind = "dataset_withdrawn"
    dataset: Text
    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    reason: Text
