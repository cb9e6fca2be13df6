from __future__ import annotations

import pytest

from policies.authority import shipped


@pytest.fixture
def policy_text() -> str:
    """Floor and policy as one text, without a floor beneath it."""
    return shipped("floor.cedar") + "\n" + shipped("authority.cedar")


@pytest.fixture
def schema_text() -> str:
    return shipped("schema.cedarschema")
