"""Requests made from our own OpenAPI document, right and wrong, against a real server: nothing it answers is outside what it says it answers.

Schemathesis draws bodies, parameters and methods from the document and from around its edges. The checks: no server error, a documented
status, the documented content type and shape. Each example is a request over loopback.
"""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from api.app import openapi_document
from tests.e2e.conftest import Live, live  # noqa: F401  # the fixture is theirs

SCHEMA = schemathesis.openapi.from_dict(openapi_document())
SCHEMA.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@pytest.mark.parametrize("principal", ["operator-1", "supervisor"])
@SCHEMA.parametrize()
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_one_that_is_documented(case: schemathesis.Case, principal: str, live: Live) -> None:  # noqa: F811  # the fixture
    if case.path == "/v1/jobs/{id}":
        case.query = {**dict(case.query or {}), "wait_s": 0}  # else each example would wait for the end of nothing
    case.headers = {**dict(case.headers or {}), **live.headers(principal)}  # a key it made up would end every request at the door
    answer = case.call(base_url=live.url)
    case.validate_response(answer, checks=CHECKS)
