"""People, and what they come in with: keys, subjects of an identity provider, sessions.

`credential_uses`, `lockouts` and `once` are working notes, not projections: they change far more often than anything worth an event.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)

from infra.tables.base import Digest, Id, Time, metadata

principals = Table(
    "principals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("role", String(32), nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("registered_at", Time, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", String(32), primary_key=True),
    Column("principal", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("secret_sha256", Digest, nullable=False),
    Column("status", String(16), nullable=False),
    Column("issued_at", Time, nullable=False),
    Column("scopes", Text, nullable=True),  # acts, separated by blanks; NULL: all that the role may
    Column("expires_at", Time, nullable=True),
    Column("certificate", Digest, nullable=True),  # SHA-256 of the one client certificate it may be used with
    Column("replaces", String(32), nullable=True),
    Column("proposal", BigInteger, nullable=True, unique=True, index=True),  # the entry that proposed it: good for one key
)

subjects = Table(  # who signs in at the identity provider as whom
    "subjects",
    metadata,
    Column("digest", Digest, primary_key=True),  # keyed: the log and its copies name nobody
    Column("principal", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("linked_at", Time, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("principal", Id, ForeignKey("principals.id"), nullable=False, index=True),
    Column("secret_sha256", Digest, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("key", String(32), nullable=True),  # the prefix of the key it was opened with: it ends with the key, and can do no more
)

credential_uses = Table(  # when a key or session was last used: to the day, or to the minute
    "credential_uses",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("used_at", Time, nullable=False),
)

lockouts = Table(  # failures at the door, by address or key prefix; shared by all processes
    "lockouts",
    metadata,
    Column("subject", Digest, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Time, nullable=False),
    Column("until", Time, nullable=True),
)

once = Table(  # what may be handed in once, before its time is over: states and codes of signing in
    "once",
    metadata,
    Column("id", Digest, primary_key=True),
    Column("body", Text, nullable=False),
    Column("expires_at", Time, nullable=False, index=True),
)
