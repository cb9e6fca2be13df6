"""The catalogue: what a dataset is, whose rows it holds, what may be done with each column.

A registered dataset carries what products made from it must later name (source body and acquisition date: Shanxi regulation on government
data, 2020 draft, art. 20 para. 2), its share attribute with reason and basis (art. 12), and a grade by GB/T 43697-2024. Everything the
engine may know before it reads a row is here and public: types, ranges, key domains, contribution bounds. What is not declared is not known.
"""

from __future__ import annotations

from policies.catalogue.base import GRADES as GRADES
from policies.catalogue.base import KEYABLE as KEYABLE
from policies.catalogue.base import NUMERIC as NUMERIC
from policies.catalogue.base import REGISTRATIONS as REGISTRATIONS
from policies.catalogue.base import USES as USES
from policies.catalogue.base import ColumnType as ColumnType
from policies.catalogue.base import Grade as Grade
from policies.catalogue.base import Identifier as Identifier
from policies.catalogue.base import KeyValue as KeyValue
from policies.catalogue.base import Model as Model
from policies.catalogue.base import Name as Name
from policies.catalogue.base import Registration as Registration
from policies.catalogue.base import Title as Title
from policies.catalogue.base import Use as Use
from policies.catalogue.blocks import BLOCK_PERIODS as BLOCK_PERIODS
from policies.catalogue.blocks import MOST_PERIODS as MOST_PERIODS
from policies.catalogue.blocks import Block as Block
from policies.catalogue.blocks import BlockPeriod as BlockPeriod
from policies.catalogue.blocks import Window as Window
from policies.catalogue.column import Column as Column
from policies.catalogue.dataset import Bounds as Bounds
from policies.catalogue.dataset import Catalogue as Catalogue
from policies.catalogue.dataset import Dataset as Dataset
from policies.catalogue.dataset import Share as Share
from policies.catalogue.dataset import Snapshot as Snapshot
from policies.catalogue.dataset import Unit as Unit
from policies.catalogue.dataset import Via as Via
from policies.catalogue.dataset import data_catalogue_invalid as data_catalogue_invalid
from policies.catalogue.dataset import dataset_from_toml as dataset_from_toml
from policies.catalogue.dataset import datasets_of as datasets_of
from policies.catalogue.dataset import with_domains as with_domains
from policies.catalogue.exchange import from_json_ld as from_json_ld
from policies.catalogue.exchange import to_csvw as to_csvw
from policies.catalogue.exchange import to_dcat as to_dcat
from policies.catalogue.search import search as search
