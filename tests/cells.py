"""What tests of cells share."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def needed_here(what: str) -> NoReturn:
    """For what a developer's machine may lack and CI's may not: a backend that is missing there would go untested."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have {what}")
    pytest.skip(f"this machine lacks {what}")
