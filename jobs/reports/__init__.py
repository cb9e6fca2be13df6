"""信息报送与披露: reports from the register alone.

A report is a pure function of (the first `size` entries of the log, kind, period, subject): asked again at any later time it is the same
document, and each of its files the same bytes. `source` reads entries and nothing that changes afterwards; the modules named after kinds make
the document; `say`, `html`, `pdf` and `sheets` write it; `issue` puts it into the register under the bureau's key.
"""

from __future__ import annotations

from jobs.reports.make import KINDS as KINDS
from jobs.reports.make import Asked as Asked
from jobs.reports.make import make as make
from jobs.reports.model import Report as Report
