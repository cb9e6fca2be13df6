"""People and what they come in with, over HTTP: principals, keys, tokens, sessions, appointments, refusals."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from api.schemas.base import Closed, example
from jobs.credentials import KeyRecord, SessionRecord, SubjectRecord
from jobs.directory import Principal
from policies.catalogue import Title
from policies.licence import Identifier
from policies.reasons import wrong
from policies.roles import Act, Role

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scopes = Annotated[list[Act], Field(min_length=1, max_length=100)]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Issuer = Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]{1,1000}$")]
_SCOPES = "the only acts it is good for; null: all that the role may"
_CERTIFICATE = "SHA-256 (hex) of the one client certificate (DER) it may be used with; null: none needed"

_KEY = {
    "prefix": "7k2mq4zt",
    "principal": "op-health",
    "status": "active",
    "issued_at": "2026-11-22T08:30:00.000000Z",
    "expires_at": "2027-11-22T08:30:00.000000Z",
    "scopes": None,
    "certificate_sha256": None,
    "replaces": None,
    "used_on": "2026-11-22",
}
_SECRET = "yk_7k2mq4zt_…"  # noqa: S105  # what one looks like
_PRINCIPAL = {
    "id": "op-health",
    "role": "operator",
    "title": {"zh": "健康数据公司", "en": "Health Data Co."},
    "status": "active",
    "registered_at": "2026-11-22T08:30:00.000000Z",
    "subjects": [],
}


class TokenRequest(Closed):
    """What the token is for; nothing: all that the key is good for."""

    model_config = ConfigDict(json_schema_extra=example(scopes=["job_list", "release_fetch"]))

    scopes: Scopes | None = Field(default=None, description="acts the token is limited to, among those the key is good for")


class TokenView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(access_token="eyJ…", token_type="Bearer", expires_in=600, scopes=["job_list"], bound=False)  # noqa: S106
    )

    access_token: str = Field(description="send as Authorization: Bearer; a JWT (RFC 9068) that callers need not read")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a word of RFC 6750
    expires_in: int = Field(description="seconds; revoking the key ends it sooner")
    scopes: list[str] | None = Field(description="the only acts it is good for; null: all that the role may")
    bound: bool = Field(description="good with the client certificate of this request only")


class TokenKeys(Closed):
    """A JWK set (RFC 7517): today's and yesterday's key."""

    model_config = ConfigDict(
        json_schema_extra=example(keys=[{"kty": "OKP", "crv": "Ed25519", "x": "11qY…", "kid": "…", "alg": "Ed25519", "use": "sig"}])
    )

    keys: list[dict[str, Any]]


class KeyView(Closed):
    """A key without its secret."""

    model_config = ConfigDict(json_schema_extra=example(**_KEY))

    prefix: str
    principal: str
    status: Literal["active", "expired", "revoked"]
    issued_at: str
    expires_at: str | None
    scopes: list[str] | None
    certificate_sha256: str | None
    replaces: str | None = Field(description="the key it followed")
    used_on: str | None = Field(description="last day of use, UTC; null: never")

    @classmethod
    def of(cls, key: KeyRecord) -> KeyView:
        return cls.model_validate(
            {
                "prefix": key.prefix,
                "principal": key.principal,
                "status": key.status,
                "issued_at": key.issued_at,
                "expires_at": key.expires_at,
                "scopes": None if key.scopes is None else list(key.scopes),
                "certificate_sha256": key.certificate,
                "replaces": key.replaces,
                "used_on": key.used_on,
            }
        )


class KeyList(Closed):
    keys: list[KeyView]


class KeyRequest(Closed):
    model_config = ConfigDict(json_schema_extra=example(principal="op-health", scopes=None, expires_at="2027-01-01T00:00:00+08:00"))

    principal: Identifier
    scopes: Scopes | None = Field(default=None, description=_SCOPES)
    expires_at: AwareDatetime | None = Field(default=None, description="when it ends; null: after the server's usual time")
    certificate_sha256: Sha256 | None = Field(default=None, description=_CERTIFICATE)


class RotateRequest(Closed):
    """Nothing: the terms of the old key, and the server's usual overlap."""

    model_config = ConfigDict(json_schema_extra=example(overlap_hours=24))

    overlap_hours: int | None = Field(default=None, ge=0, le=24 * 31, description="hours the old key still works")
    expires_at: AwareDatetime | None = Field(default=None, description="when the new one ends; null: it lasts as long as the old one was to")


class NewKey(Closed):
    """The secret is shown this once; the server keeps its hash."""

    model_config = ConfigDict(json_schema_extra=example(secret=_SECRET, key=_KEY))

    secret: str
    key: KeyView


class Reason(Closed):
    model_config = ConfigDict(json_schema_extra=example(reason="员工离职 · left the company"))

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] = Field(description="reason; goes into the log")


class SubjectView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(subject_digest="ab" * 32, issuer="https://id.example.gov.cn", linked_at="2026-11-22T08:30:00.000000Z")
    )

    subject_digest: str = Field(description="keyed hash of issuer and subject; the subject itself is not kept")
    issuer: str
    linked_at: str

    @classmethod
    def of(cls, subject: SubjectRecord) -> SubjectView:
        return cls(subject_digest=subject.subject, issuer=subject.issuer, linked_at=subject.linked_at)


class SubjectRequest(Closed):
    """One of the two: the subject itself, or the digest that was shown to whoever tried to sign in with it."""

    model_config = ConfigDict(json_schema_extra=example(subject="248289761001"))

    issuer: Issuer | None = Field(default=None, description="null: the provider this server is set to")
    subject: Subject | None = None
    subject_digest: Sha256 | None = None

    @model_validator(mode="after")
    def _one(self) -> SubjectRequest:
        if (self.subject is None) == (self.subject_digest is None):
            raise wrong("subject 与 subject_digest 须填且只填一项", "give subject or subject_digest, one of the two")
        return self


class PrincipalView(Closed):
    model_config = ConfigDict(json_schema_extra=example(**_PRINCIPAL))

    id: str
    role: Role
    title: Title
    status: Literal["active", "suspended", "closed"]
    registered_at: str
    subjects: list[SubjectView] = Field(description="who signs in at an identity provider as this principal")

    @classmethod
    def of(cls, principal: Principal, subjects: list[SubjectRecord]) -> PrincipalView:
        return cls(
            id=principal.id,
            role=principal.role,
            title=principal.title,
            status=principal.status,
            registered_at=principal.registered_at,
            subjects=[SubjectView.of(subject) for subject in subjects],
        )


class PrincipalList(Closed):
    principals: list[PrincipalView]


class PrincipalRequest(Closed):
    model_config = ConfigDict(json_schema_extra=example(id="op-health", role="operator", title={"zh": "健康数据公司", "en": "Health Data Co."}))

    id: Identifier
    role: Role
    title: Title


class AppointmentRequest(Closed):
    """What is to be done for somebody in a role that decides about others; the fields of that act, and no others."""

    model_config = ConfigDict(
        json_schema_extra=example(act="principal_register", principal="li", role="supervisor", title={"zh": "李明", "en": "Li Ming"})
    )

    act: Literal["principal_register", "key_issue", "subject_link"]
    principal: Identifier
    role: Role | None = None
    title: Title | None = None
    scopes: Scopes | None = Field(default=None, description=_SCOPES)
    expires_at: AwareDatetime | None = None
    certificate_sha256: Sha256 | None = None
    issuer: Issuer | None = None
    subject: Subject | None = None
    subject_digest: Sha256 | None = None

    @model_validator(mode="after")
    def _fields_of_the_act(self) -> AppointmentRequest:
        needed = {"principal_register": {"role", "title"}, "key_issue": set[str](), "subject_link": set[str]()}[self.act]
        may = {
            "principal_register": needed,
            "key_issue": {"scopes", "expires_at", "certificate_sha256"},
            "subject_link": {"issuer", "subject", "subject_digest"},
        }[self.act]
        given = {name for name in type(self).model_fields if getattr(self, name) is not None} - {"act", "principal"}
        if given - may or needed - given:
            raise wrong(f"{self.act} 须填 {sorted(needed)}，可填 {sorted(may)}", f"{self.act} needs {sorted(needed)} and takes {sorted(may)}")
        if self.act == "subject_link" and (self.subject is None) == (self.subject_digest is None):
            raise wrong("subject 与 subject_digest 须填且只填一项", "give subject or subject_digest, one of the two")
        return self


_APPOINTMENT = {
    "proposal": 41,
    "at": "2026-11-22T08:30:00.000000Z",
    "by": "root",
    "act": "key_issue",
    "principal": "li",
    "role": None,
    "scopes": None,
    "expires_at": None,
}


class AppointmentView(Closed):
    """A proposal; `proposal` is its index in the log, which a supervisor names to confirm it."""

    model_config = ConfigDict(json_schema_extra=example(**_APPOINTMENT))

    proposal: int
    at: str
    by: str
    act: str
    principal: str
    role: str | None
    scopes: list[str] | None
    expires_at: str | None


class AppointmentList(Closed):
    appointments: list[AppointmentView]


class AppointmentDone(Closed):
    """Confirmed and done. `secret` is the new key when it was one, shown this once: hand it to its holder."""

    model_config = ConfigDict(json_schema_extra=example(act="key_issue", principal="li", secret=_SECRET))

    act: str
    principal: str
    secret: str | None


class SessionView(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(
            id="mfrggzdfmztwq2lk",
            principal="li",
            channel="browser",
            opened_at="2026-11-22T08:30:00.000000Z",
            expires_at="2026-11-22T16:30:00.000000Z",
            used_at="2026-11-22T09:01:00.000000Z",
            present=True,
        )
    )

    id: str
    principal: str
    channel: str
    opened_at: str
    expires_at: str
    used_at: str | None = Field(description="last request, to the minute")
    present: bool = Field(description="the session of this request")

    @classmethod
    def of(cls, session: SessionRecord, present: str) -> SessionView:
        return cls(
            id=session.id,
            principal=session.principal,
            channel=session.channel,
            opened_at=session.opened_at,
            expires_at=session.expires_at,
            used_at=session.used_at,
            present=session.id == present,
        )


class SessionList(Closed):
    sessions: list[SessionView]
    csrf_token: str | None = Field(description="for a browser's session: what every unsafe request sends back in X-CSRF-Token; else null")


class CodeRequest(Closed):
    """What the command line got on its loopback address, and the verifier it set out with (RFC 7636)."""

    model_config = ConfigDict(json_schema_extra=example(code="Zm9v…", verifier="a" * 43))

    code: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    verifier: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")]


class NewSession(Closed):
    model_config = ConfigDict(
        json_schema_extra=example(secret="ys_mfrggzdfmztwq2lk_…", principal="li", expires_at="2026-11-22T16:30:00.000000Z")  # noqa: S106
    )

    secret: str = Field(description="used like a key, until expires_at")
    principal: str
    expires_at: str


class RefusalView(Closed):
    code: str
    count: int
    source: str | None = Field(description="keyed hash of the caller's address; see /v1/refusals/source")
    principal: str | None
    prefix: str | None
    act: str | None


class RefusalsView(Closed):
    """What was refused between two moments, counted."""

    index: int
    since: str
    until: str
    refusals: list[RefusalView]
    others: int
    locked: int


class RefusalsList(Closed):
    refusals: list[RefusalsView]
    next: int | None


class SourceName(Closed):
    model_config = ConfigDict(json_schema_extra=example(address="203.0.113.7", source="ab" * 32))

    address: str
    source: str
