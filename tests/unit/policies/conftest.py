from __future__ import annotations

from importlib import resources

import pytest


@pytest.fixture
def policy_text() -> str:
    return resources.files("policies").joinpath("authority.cedar").read_text(encoding="utf-8")


@pytest.fixture
def schema_text() -> str:
    return resources.files("policies").joinpath("schema.cedarschema").read_text(encoding="utf-8")
