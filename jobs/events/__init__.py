"""What happened: one frozen model per kind of act, and its canonical bytes.

An entry of the log is one event in RFC 8785 canonical JSON: its own fields, `kind`, `at` (RFC 3339, UTC, microseconds) and `by` (the
principal who acted, or "system"). Losses are decimal strings. Entries are public to auditors and their hashes to everyone, so nothing
of the data stands in them: large content is named by its SHA-256 (`Digest`, kept in `documents` and beside the log), guessable or
confidential content by a salted commitment (`Commitment`, opened to the bureau alone).
"""

from __future__ import annotations

from jobs.events.authority import FreezeSet as FreezeSet
from jobs.events.authority import FreezeThawed as FreezeThawed
from jobs.events.authority import PolicyChanged as PolicyChanged
from jobs.events.authority import PolicyProposed as PolicyProposed
from jobs.events.authority import ThawProposed as ThawProposed
from jobs.events.data import DatasetRegistered as DatasetRegistered
from jobs.events.data import DatasetWithdrawn as DatasetWithdrawn
from jobs.events.data import RegistrationMoved as RegistrationMoved
from jobs.events.data import VersionIngested as VersionIngested
from jobs.events.entry import EVENT_KINDS as EVENT_KINDS
from jobs.events.entry import Recorded as Recorded
from jobs.events.entry import UnreadableEntry as UnreadableEntry
from jobs.events.entry import canonical as canonical
from jobs.events.entry import commitment as commitment
from jobs.events.entry import question_digest as question_digest
from jobs.events.entry import read_entry as read_entry
from jobs.events.entry import rfc3339 as rfc3339
from jobs.events.fees import FeeLine as FeeLine
from jobs.events.fees import FeePosted as FeePosted
from jobs.events.fees import FeeShare as FeeShare
from jobs.events.fees import PeriodClosed as PeriodClosed
from jobs.events.fees import SettledShare as SettledShare
from jobs.events.ledger import AccountOpened as AccountOpened
from jobs.events.ledger import CapRaised as CapRaised
from jobs.events.ledger import CapRaiseProposed as CapRaiseProposed
from jobs.events.ledger import ChargeReleased as ChargeReleased
from jobs.events.ledger import ChargeReserved as ChargeReserved
from jobs.events.ledger import PaceSet as PaceSet
from jobs.events.licences import LicenceActivated as LicenceActivated
from jobs.events.licences import LicenceAmended as LicenceAmended
from jobs.events.licences import LicenceApplied as LicenceApplied
from jobs.events.licences import LicenceConsented as LicenceConsented
from jobs.events.licences import LicenceDeclined as LicenceDeclined
from jobs.events.licences import LicenceDisposed as LicenceDisposed
from jobs.events.licences import LicenceExpired as LicenceExpired
from jobs.events.licences import LicenceGranted as LicenceGranted
from jobs.events.licences import LicenceProposed as LicenceProposed
from jobs.events.licences import LicenceResumed as LicenceResumed
from jobs.events.licences import LicenceRevoked as LicenceRevoked
from jobs.events.licences import LicenceSuspended as LicenceSuspended
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
from jobs.events.people import AccessRefused as AccessRefused
from jobs.events.people import AppointmentProposed as AppointmentProposed
from jobs.events.people import KeyExpirySet as KeyExpirySet
from jobs.events.people import KeyIssued as KeyIssued
from jobs.events.people import KeyRevoked as KeyRevoked
from jobs.events.people import LogKeyAnnounced as LogKeyAnnounced
from jobs.events.people import LogKeyRetired as LogKeyRetired
from jobs.events.people import Moment as Moment
from jobs.events.people import PrincipalClosed as PrincipalClosed
from jobs.events.people import PrincipalRegistered as PrincipalRegistered
from jobs.events.people import PrincipalResumed as PrincipalResumed
from jobs.events.people import PrincipalSuspended as PrincipalSuspended
from jobs.events.people import Refusals as Refusals
from jobs.events.people import SessionClosed as SessionClosed
from jobs.events.people import SessionOpened as SessionOpened
from jobs.events.people import SubjectLinked as SubjectLinked
from jobs.events.people import SubjectUnlinked as SubjectUnlinked
from jobs.events.products import ProductCode as ProductCode
from jobs.events.products import ProductDeprecated as ProductDeprecated
from jobs.events.products import ProductDrafted as ProductDrafted
from jobs.events.products import ProductEntitled as ProductEntitled
from jobs.events.products import ProductEntitlementEnded as ProductEntitlementEnded
from jobs.events.products import ProductPublished as ProductPublished
from jobs.events.products import ProductRecalled as ProductRecalled
from jobs.events.products import ProductRegistered as ProductRegistered
from jobs.events.products import ProductRegistrationProposed as ProductRegistrationProposed
from jobs.events.products import ProductVersionAdded as ProductVersionAdded
from jobs.events.programs import ProgramApproved as ProgramApproved
from jobs.events.programs import ProgramInvalidated as ProgramInvalidated
from jobs.events.programs import ProgramReviewed as ProgramReviewed
from jobs.events.programs import ProgramSubmitted as ProgramSubmitted
from jobs.events.programs import ProgramWithdrawn as ProgramWithdrawn
from jobs.events.releases import ProductDelivered as ProductDelivered
from jobs.events.releases import ReleasePublished as ReleasePublished
from jobs.events.releases import ReleaseReused as ReleaseReused
from jobs.events.work import JobAdmitted as JobAdmitted
from jobs.events.work import JobAttached as JobAttached
from jobs.events.work import JobCancelled as JobCancelled
from jobs.events.work import JobForfeited as JobForfeited
from jobs.events.work import JobReading as JobReading
from jobs.events.work import JobRefused as JobRefused
from jobs.events.work import JobSpent as JobSpent
from jobs.events.work import JobStaged as JobStaged
from jobs.events.work import JobSubmitted as JobSubmitted
