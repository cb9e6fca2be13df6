"""Requests made from our own OpenAPI document, right and wrong, against a real server: nothing it answers is outside what it says it answers.

Schemathesis draws bodies, parameters and methods from the document and from around its edges, and strings requests together where what one
answered fits what another asks: when the tests run, not when they are collected, which every process does. The checks: no server error, a
documented status, the documented content type and shape. Each example is a request over loopback, by a role that may make it (`doors.py`);
those that may not are tried in `test_doors.py`.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi import checks as openapi_checks

from api import logs
from api.app import openapi_document
from policies.roles import ROLES
from tests.attack.doors import DOORS
from tests.bureau import Bureau, Home, opened
from tests.e2e.conftest import Live, listening

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
QUICK = {"deadline": None, "phases": [Phase.explicit, Phase.generate], "suppress_health_check": list(HealthCheck), "derandomize": True}
AGREEMENTS = tuple(f"POST /v1/licences{end}" for end in ("", "/apply", "/propose", "/{id}/amend"))  # bodies that are a whole agreement
# what would shut the door on the rest of a chain: tried by the single requests above, on ids of nothing
ENDS_THINGS = ("suspend", "close", "revoke", "sign-out", "freezes", "withdraw")
IS_A_JOB, HOLDS_A_JOB = ("/v1/jobs", "/v1/jobs/check", "/v1/jobs/dummy", "/v1/jobs/preflight"), ("/v1/products/{id}/schedules",)
# paths whose bodies are read as the same models, by themselves or as their `job`, before the door's own code begins
SEEN_AT: defaultdict[str, set[str]] = defaultdict(set)


@pytest.fixture(scope="module")
def document() -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_dict(deepcopy(openapi_document()))
    schema.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
    return schema


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    """Kept between requests, and nothing with it: neither cookies nor what the environment says of proxies."""
    with requests.Session() as session:
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield session


@pytest.fixture(scope="module")
def bureau(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Real HTTP; jobs are carried in this process."""
    import httpx2

    home: Path = tmp_path_factory.mktemp("schema") / "home"
    logs.configure(quiet=True)
    keys = bureau_home.copy_to(home)
    services = opened(home, lockout_address_failures=10**6, lockout_key_failures=10**6)
    with listening(services) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Live(services, keys, url, http)
    services.close()


def principal_for(name: str) -> str | None:
    """Somebody who may do what the operation does; None for an operation that asks for nobody."""
    roles = [role for role in ("supervisor", *ROLES) if role in DOORS[name].allowed]
    return None if not roles else "operator-1" if roles[0] == "operator" else roles[0]


def dress(case: schemathesis.Case, bureau: Bureau, principal: str | None) -> None:
    """The principal's own key in place of the one that was drawn, which would end every request at the door; and no waiting for nothing."""
    if case.operation.label == "GET /v1/jobs/{id}":
        case.query = {**dict(case.query or {}), "wait_s": 0}
    if principal is not None:
        case.headers = {**dict(case.headers or {}), **bureau.headers(principal)}


@pytest.mark.parametrize("name", DOORS)
def test_every_answer_is_one_that_is_documented(
    name: str, document: schemathesis.BaseSchema, bureau: Live, connection: requests.Session
) -> None:
    def asks(case: schemathesis.Case) -> None:
        if not refused_elsewhere(case):
            _try(case, bureau, connection)

    # of agreements fewer: a whole one takes seconds to draw
    rounds = {"max_examples": 2, **QUICK, "phases": [Phase.generate]} if name in AGREEMENTS else {"max_examples": 3, **QUICK}
    method, path = name.split()
    asked = document.include(path=path, method=method)
    [test] = get_all_tests(schema=asked, test_func=asks, settings=settings(**rounds), given_kwargs={})
    test.ok()[1]()


def refused_elsewhere(case: schemathesis.Case) -> bool:
    """A job of a wrong shape, a thousand for each of the doors that read one, is read by the same models at all of them: the very same one is
    shown to one door, and of those an eighth to the other doors too. Right jobs, and whatever else may be wrong, are shown to every door."""
    if case.meta is None or case.meta.phase.name != TestPhase.COVERAGE or not case.meta.is_negative_at(ParameterLocation.BODY):
        return False
    job, at = case.body, getattr(case.meta.phase.data, "location", None) or ""
    if case.operation.path.startswith(HOLDS_A_JOB):
        if not at.startswith("/properties/job/") or not isinstance(job, dict):
            return False
        job = job.get("job")
    elif case.operation.path not in IS_A_JOB:
        return False
    shape = json.dumps(job, sort_keys=True, default=repr)
    doors = SEEN_AT[shape]
    doors.add(case.operation.label)
    return len(doors) > 1 and zlib.crc32(shape.encode()) % 8 != 0


def _try(case: schemathesis.Case, bureau: Live, connection: requests.Session) -> None:
    dress(case, bureau, principal_for(case.operation.label))
    answer = case.call(base_url=bureau.url, session=connection)
    case.validate_response(answer, checks=CHECKS)


def test_every_chain_of_requests_is_answered_as_documented(bureau: Live) -> None:
    """What one answer holds is put into the next request: jobs are submitted and cancelled, keys issued and rotated, proposals confirmed."""
    schema = schemathesis.openapi.from_dict(deepcopy(openapi_document()))
    for word in ENDS_THINGS:
        schema = schema.exclude(path_regex=word)
    seen: set[str] = set()

    class Chains(schema.as_state_machine()):  # type: ignore[misc]  # it is made at run time
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"base_url": bureau.url}

        def before_call(self, case: schemathesis.Case) -> None:
            seen.add(case.operation.label)
            dress(case, bureau, principal_for(case.operation.label))

        def validate_response(self, response: Any, case: schemathesis.Case, additional_checks: Any = (), **_: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    Chains.run(settings=settings(max_examples=8, stateful_step_count=8, **QUICK))
    assert len(seen) >= 15, sorted(seen)
