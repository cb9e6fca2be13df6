"""Cryptographic suites: `international` and `gm` (商用密码, GB/T 32918, 32905, 32907), chosen by the setting `crypto_suite`.

What a suite covers, and what is the same in both, is a table in docs/crypto.md; `COVERAGE` is that table.
"""

from __future__ import annotations

from infra.crypto.envelope import Envelope as Envelope
from infra.crypto.envelope import SealBroken as SealBroken
from infra.crypto.envelope import envelope_of as envelope_of
from infra.crypto.suites import COVERAGE as COVERAGE
from infra.crypto.suites import Suite as Suite
from infra.crypto.suites import sm3 as sm3
