"""The table of doors: for every endpoint, which roles may come in, and what they find there with a request that does no harm.

It says a second time, by hand, what `policies.roles` and the endpoints say: `test_doors.py` holds the two to each other and tries every
door. An endpoint without a row here fails that test: write the row, from the regulation and not from the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.bureau import body as job

EVERYONE = "admin auditor builder operator reviewer steward supervisor"
REASON = {"reason": "tried by a test"}


@dataclass(frozen=True)
class Row:
    """`roles`: who may come in, "" for anybody, without a key. `finds`: status and problem code, if any. Path parameters are filled with the
    id of nothing."""

    roles: str
    finds: str
    body: Any = None

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset(self.roles.split())


DOORS: dict[str, Row] = {
    "POST /v1/jobs/check": Row("operator", "200", job()),
    "POST /v1/jobs/check-batch": Row("operator", "422 request_invalid"),
    "POST /v1/jobs/dummy": Row("operator", "200", job()),
    "POST /v1/jobs": Row("operator", "422 request_invalid"),
    "GET /v1/jobs": Row("auditor operator supervisor", "200"),
    "GET /v1/jobs/{id}": Row("auditor operator supervisor", "404 request_not_found"),
    "POST /v1/jobs/{id}/cancel": Row("operator supervisor", "404 request_not_found"),
    "GET /v1/releases": Row("auditor operator reviewer supervisor", "200"),
    "GET /v1/releases/{id}": Row("auditor operator reviewer supervisor", "404 request_not_found"),
    "GET /v1/releases/{id}/table": Row("operator supervisor", "404 request_not_found"),
    "GET /v1/releases/{id}/receipt": Row("auditor operator reviewer supervisor", "404 request_not_found"),
    "GET /v1/products": Row("auditor builder operator reviewer steward supervisor", "200"),
    "POST /v1/products": Row("operator", "422 request_invalid"),
    "GET /v1/products/{id}": Row("auditor builder operator reviewer steward supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/versions": Row("operator", "404 request_not_found", {"releases": ["rel-1"]}),
    "POST /v1/products/{id}/propose": Row("supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/register": Row("supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/publish": Row("operator", "404 request_not_found"),
    "POST /v1/products/{id}/deprecate": Row("operator supervisor", "404 request_not_found", REASON),
    "POST /v1/products/{id}/recall": Row("operator supervisor", "404 request_not_found", REASON),
    "GET /v1/products/{id}/entitlements": Row("operator supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/entitlements": Row("operator supervisor", "404 request_not_found", {"builder": "builder"}),
    "POST /v1/products/{id}/entitlements/end": Row("operator supervisor", "404 request_not_found", {"builder": "builder", **REASON}),
    "GET /v1/products/{id}/preview": Row("auditor builder operator reviewer steward supervisor", "404 request_not_found"),
    "GET /v1/products/{id}/manifest": Row("auditor builder operator reviewer steward supervisor", "404 request_not_found"),
    "GET /v1/products/{id}/metadata": Row("auditor builder operator reviewer steward supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/deliveries": Row("builder", "404 product_unknown"),
    "GET /v1/products/{id}/table": Row("builder", "404 product_unknown"),
    "GET /v1/deliveries": Row("auditor builder operator supervisor", "200"),
    "POST /v1/products/{id}/schedules": Row("operator", "404 request_not_found", {"job": job(), "releases_at_most": 1}),
    "GET /v1/products/{id}/schedules": Row("operator supervisor", "404 request_not_found"),
    "POST /v1/products/{id}/schedules/{schedule}/stop": Row("operator supervisor", "404 request_not_found"),
    "GET /v1/webhooks": Row("auditor builder operator supervisor", "200"),
    "POST /v1/webhooks": Row("auditor builder operator supervisor", "422 request_invalid"),
    "POST /v1/webhooks/{id}/rotate": Row("auditor builder operator supervisor", "404 request_not_found"),
    "POST /v1/webhooks/{id}/test": Row("auditor builder operator supervisor", "404 request_not_found"),
    "POST /v1/webhooks/{id}/close": Row("auditor builder operator supervisor", "404 request_not_found"),
    "GET /v1/webhooks/{id}/messages": Row("auditor builder operator supervisor", "404 request_not_found"),
    "GET /v1/sharing/shares": Row("builder", "200"),
    "GET /v1/sharing/shares/{share}": Row("builder", "404 request_not_found"),
    "GET /v1/sharing/shares/{share}/schemas": Row("builder", "404 request_not_found"),
    "GET /v1/sharing/shares/{share}/schemas/{schema}/tables": Row("builder", "404 request_not_found"),
    "GET /v1/sharing/shares/{share}/all-tables": Row("builder", "404 request_not_found"),
    "GET /v1/sharing/shares/{share}/schemas/{schema}/tables/{table}/version": Row("builder", "404 request_not_found"),
    "GET /v1/sharing/shares/{share}/schemas/{schema}/tables/{table}/metadata": Row("builder", "404 request_not_found"),
    "POST /v1/sharing/shares/{share}/schemas/{schema}/tables/{table}/query": Row("builder", "404 request_not_found"),
    "GET /v1/files/{ticket}/{name}": Row("", "403 request_ticket"),
    "GET /v1/fees": Row("auditor operator supervisor", "200"),
    "GET /v1/statements": Row("auditor operator supervisor", "422 request_invalid"),
    "GET /v1/revenue": Row("auditor steward supervisor", "422 request_invalid"),
    "POST /v1/periods/{period}/close": Row("supervisor", "422 request_invalid"),
    "GET /v1/datasets": Row(EVERYONE, "200"),
    "GET /v1/catalogue": Row(EVERYONE, "200"),
    "POST /v1/catalogue/check": Row("steward", "422 data_catalogue_invalid"),
    "GET /v1/datasets/{name}": Row(EVERYONE, "404 request_not_found"),
    "GET /v1/datasets/{name}/metadata": Row(EVERYONE, "404 request_not_found"),
    "GET /v1/datasets/{name}/versions": Row(EVERYONE, "404 request_not_found"),
    "POST /v1/datasets/{name}/withdraw": Row("steward supervisor", "422 request_invalid"),
    "POST /v1/datasets/{name}/registration": Row("supervisor", "422 request_invalid"),
    "GET /v1/accounts": Row("auditor operator steward supervisor", "200"),
    "GET /v1/accounts/{id}/outlook": Row("auditor operator steward supervisor", "404 request_not_found"),
    "GET /v1/accounts/{id}/proposals": Row("auditor supervisor", "404 ledger_account_unknown"),
    "POST /v1/accounts/{id}/proposals": Row("supervisor", "422 request_invalid"),
    "POST /v1/accounts/{id}/proposals/{proposal}/confirm": Row("supervisor", "403 auth_second_person"),
    "GET /v1/licences": Row("auditor operator reviewer steward supervisor", "200"),
    "POST /v1/licences": Row("supervisor", "422 request_invalid"),
    "GET /v1/licence-keys": Row(EVERYONE, "200"),
    "GET /v1/licences/{id}": Row("auditor operator reviewer steward supervisor", "404 request_not_found"),
    "GET /v1/licences/{id}/history": Row("auditor operator reviewer steward supervisor", "404 request_not_found"),
    "GET /v1/licences/{id}/document": Row("auditor operator reviewer steward supervisor", "404 request_not_found"),
    "POST /v1/licences/apply": Row("operator", "422 request_invalid"),
    "POST /v1/licences/propose": Row("supervisor", "422 request_invalid"),
    "POST /v1/licences/{id}/consent": Row("steward", "422 request_invalid"),
    "POST /v1/licences/{id}/decline": Row("steward supervisor", "404 request_not_found", REASON),
    "POST /v1/licences/{id}/propose": Row("supervisor", "422 request_invalid"),
    "POST /v1/licences/{id}/grant": Row("supervisor", "422 request_invalid"),
    "POST /v1/licences/{id}/amend": Row("supervisor", "422 request_invalid"),
    "POST /v1/licences/{id}/suspend": Row("supervisor", "404 request_not_found", REASON),
    "POST /v1/licences/{id}/resume": Row("supervisor", "404 request_not_found", REASON),
    "POST /v1/licences/{id}/revoke": Row("supervisor", "404 request_not_found", REASON),
    "GET /v1/log/tile/entries/{number}": Row("auditor supervisor", "404 request_not_found"),
    "GET /v1/log/events": Row("auditor supervisor", "200"),
    "GET /v1/log/events/{index}": Row("auditor supervisor", "200"),
    "GET /v1/overview": Row("auditor supervisor", "200"),
    "GET /v1/log/key": Row("", "200"),
    "GET /v1/log/checkpoint": Row("", "200"),
    "GET /v1/log/witnessed": Row("", "404 request_not_found"),
    "GET /v1/log/keys/{number}": Row("", "404 request_not_found"),
    "GET /v1/log/tile/{level}/{number}": Row("", "404 request_not_found"),
    "GET /v1/me": Row(EVERYONE, "200"),
    "GET /v1/metrics": Row("admin auditor supervisor", "200"),
    "GET /v1/health": Row("", "200"),
    "GET /v1/ready": Row("", "200"),
    "GET /v1/freezes": Row("auditor reviewer steward supervisor", "200"),
    "POST /v1/freezes": Row("supervisor", "422 request_invalid"),
    "POST /v1/freezes/{id}/thaw": Row("supervisor", "422 request_invalid"),
    "GET /v1/policy": Row(EVERYONE, "200"),
    "GET /v1/policy/versions": Row(EVERYONE, "200"),
    "GET /v1/policy/versions/{id}": Row(EVERYONE, "404 request_not_found"),
    "POST /v1/policy/check": Row("supervisor", "422 request_invalid"),
    "POST /v1/policy/proposals": Row("supervisor", "422 request_invalid"),
    "POST /v1/policy/proposals/{id}/confirm": Row("supervisor", "422 request_invalid"),
    "GET /v1/programs": Row("auditor operator reviewer supervisor", "200"),
    "POST /v1/programs": Row("operator", "422 request_invalid"),
    "POST /v1/programs/test": Row("operator", "422 request_invalid"),
    "GET /v1/programs/{id}": Row("auditor operator reviewer supervisor", "404 request_not_found"),
    "POST /v1/programs/{id}/reviews": Row("reviewer", "422 request_invalid"),
    "POST /v1/programs/{id}/withdraw": Row("operator", "422 request_invalid"),
    "POST /v1/programs/{id}/invalidate": Row("supervisor", "422 request_invalid"),
    "POST /v1/token": Row(EVERYONE, "200"),
    "GET /v1/keys": Row(EVERYONE, "200"),
    "POST /v1/keys": Row("admin", "422 request_invalid"),
    "POST /v1/keys/{prefix}/rotate": Row(EVERYONE, "404 auth_key_unknown"),
    "POST /v1/keys/{prefix}/revoke": Row(EVERYONE, "404 auth_key_unknown", REASON),
    "GET /v1/sessions": Row(EVERYONE, "200"),
    "POST /v1/sessions": Row(EVERYONE, "201 | 403 auth_key_needed"),
    "POST /v1/sessions/{id}/close": Row(EVERYONE, "404 auth_session_unknown", REASON),
    "GET /v1/refusals": Row("admin auditor supervisor", "200"),
    "GET /v1/refusals/source": Row("admin auditor supervisor", "422 request_invalid"),
    "GET /v1/token/keys": Row("", "200"),
    "GET /v1/principals": Row("admin auditor supervisor", "200"),
    "POST /v1/principals": Row("admin", "422 request_invalid"),
    "GET /v1/principals/{id}": Row("admin auditor supervisor", "404 request_not_found"),
    "POST /v1/principals/{id}/suspend": Row("admin supervisor", "404 auth_principal_unknown", REASON),
    "POST /v1/principals/{id}/resume": Row("supervisor", "404 auth_principal_unknown", REASON),
    "POST /v1/principals/{id}/close": Row("admin", "404 auth_principal_unknown", REASON),
    "POST /v1/principals/{id}/subjects": Row("admin", "422 request_invalid"),
    "POST /v1/principals/{id}/subjects/{digest}/unlink": Row("admin supervisor", "404 auth_subject_unknown", REASON),
    "GET /v1/appointments": Row("admin auditor supervisor", "200"),
    "POST /v1/appointments": Row("admin", "422 request_invalid"),
    "POST /v1/appointments/{proposal}/confirm": Row("supervisor", "403 auth_second_person"),
    "POST /v1/sign-out": Row(EVERYONE, "404 auth_session_unknown"),
    "GET /v1/sign-in": Row("", "404 auth_sign_in_off"),
    "GET /v1/sign-in/callback": Row("", "400 auth_sign_in_failed"),
    "POST /v1/sign-in/session": Row("", "422 request_invalid"),
}
# not in the documentation: the documentation, and what goes without saying
HIDDEN: dict[str, Row] = {
    "GET /v1/openapi.json": Row("", "200"),
    "GET /v1/docs": Row("", "200"),
    "HEAD /v1/releases/{id}/table": Row("operator supervisor", "404"),
    "HEAD /v1/products/{id}/table": Row("builder", "404"),
    "HEAD /v1/files/{ticket}/{name}": Row("", "403"),
}
