"""Data products: built from releases, registered, described, delivered, recalled.

`seen` reads what stands; `store` and `copies` hold the files (`Copies.bytes_for` is where a recipient's mark is put in); `record` says what a
version was made of; `manifest` signs it; `deliveries` hands it out. The acts are in `jobs/acts/products.py`.
"""

from __future__ import annotations

from jobs.products.copies import BatchMark as BatchMark
from jobs.products.copies import Copies as Copies
from jobs.products.copies import Mark as Mark
from jobs.products.copies import unmarked as unmarked
from jobs.products.seen import Product as Product
from jobs.products.seen import Version as Version
from jobs.products.seen import product as product
from jobs.products.store import Copy as Copy
from jobs.products.store import Store as Store
