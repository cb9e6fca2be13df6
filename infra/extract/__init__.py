"""Rows out of other people's databases: one query, one snapshot, read-only, a batch at a time."""

from infra.extract.base import Extract as Extract
from infra.extract.base import ExtractFailed as ExtractFailed
from infra.extract.base import Field as Field
from infra.extract.base import Origin as Origin
from infra.extract.base import OriginMalformed as OriginMalformed
from infra.extract.base import Tls as Tls
from infra.extract.base import origin_of as origin_of
from infra.extract.connect import extract as extract
