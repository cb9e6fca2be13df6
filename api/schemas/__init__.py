"""What goes in and out over HTTP: closed models, each with an example that the documentation shows and a test validates.

Exact numbers (losses) are decimal strings. Times are RFC 3339, UTC. `null` means "not yet" or "none", as the field says.
"""

from __future__ import annotations

from api.schemas.authority import FreezeList as FreezeList
from api.schemas.authority import FreezeRequest as FreezeRequest
from api.schemas.authority import FreezeView as FreezeView
from api.schemas.authority import PolicyChecked as PolicyChecked
from api.schemas.authority import PolicyProposal as PolicyProposal
from api.schemas.authority import PolicyText as PolicyText
from api.schemas.authority import PolicyVersionList as PolicyVersionList
from api.schemas.authority import PolicyVersionView as PolicyVersionView
from api.schemas.authority import PolicyView as PolicyView
from api.schemas.authority import RuleView as RuleView
from api.schemas.authority import ThawRequest as ThawRequest
from api.schemas.base import LOSS as LOSS
from api.schemas.base import SQL_LIMIT as SQL_LIMIT
from api.schemas.base import WAIT_LIMIT_S as WAIT_LIMIT_S
from api.schemas.base import Closed as Closed
from api.schemas.base import LossView as LossView
from api.schemas.base import PartView as PartView
from api.schemas.base import ProblemView as ProblemView
from api.schemas.base import WordsView as WordsView
from api.schemas.base import decimal_text as decimal_text
from api.schemas.base import example as example
from api.schemas.fees import BodyTotalView as BodyTotalView
from api.schemas.fees import FeeLineView as FeeLineView
from api.schemas.fees import FeeList as FeeList
from api.schemas.fees import FeeQuoteView as FeeQuoteView
from api.schemas.fees import FeeView as FeeView
from api.schemas.fees import ItemTotalView as ItemTotalView
from api.schemas.fees import OpenItemView as OpenItemView
from api.schemas.fees import PeriodClosedView as PeriodClosedView
from api.schemas.fees import PeriodClosing as PeriodClosing
from api.schemas.fees import PriceView as PriceView
from api.schemas.fees import RevenueList as RevenueList
from api.schemas.fees import RevenuePartView as RevenuePartView
from api.schemas.fees import RevenueView as RevenueView
from api.schemas.fees import ScenarioTotalView as ScenarioTotalView
from api.schemas.fees import ShareView as ShareView
from api.schemas.fees import StatementList as StatementList
from api.schemas.fees import StatementView as StatementView
from api.schemas.fees import UsageView as UsageView
from api.schemas.jobs import JOB as JOB
from api.schemas.jobs import JOB_VIEW as JOB_VIEW
from api.schemas.jobs import ColumnView as ColumnView
from api.schemas.jobs import DummyAnswer as DummyAnswer
from api.schemas.jobs import JobList as JobList
from api.schemas.jobs import JobRequest as JobRequest
from api.schemas.jobs import JobView as JobView
from api.schemas.jobs import Quote as Quote
from api.schemas.licences import AmendRequest as AmendRequest
from api.schemas.licences import Because as Because
from api.schemas.licences import BureauKeys as BureauKeys
from api.schemas.licences import ConsentRequest as ConsentRequest
from api.schemas.licences import ConsentView as ConsentView
from api.schemas.licences import GrantRequest as GrantRequest
from api.schemas.licences import LicenceHistory as LicenceHistory
from api.schemas.licences import Proposed as Proposed
from api.schemas.licences import VersionView as VersionView
from api.schemas.register import AccountList as AccountList
from api.schemas.register import AccountView as AccountView
from api.schemas.register import DatasetList as DatasetList
from api.schemas.register import DatasetView as DatasetView
from api.schemas.register import EventList as EventList
from api.schemas.register import EventView as EventView
from api.schemas.register import Health as Health
from api.schemas.register import LicenceList as LicenceList
from api.schemas.register import LicenceView as LicenceView
from api.schemas.register import LogKey as LogKey
from api.schemas.register import Me as Me
from api.schemas.releases import FileView as FileView
from api.schemas.releases import ReleaseView as ReleaseView
from api.schemas.releases import SourceView as SourceView
