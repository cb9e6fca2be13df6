"""Every setting: what it is, its unit, and what trusting it means. The only place that reads the environment.

A setting `name` is read from `YUNEI_NAME`. Everything that lives on disk lies below `home`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from infra.crypto.suites import Suite
from infra.journal.witness import WitnessAddress
from infra.vault_settings import VaultSettings
from infra.worker_settings import WorkerSettings

Language = Literal["zh", "en"]
PREFIX = "YUNEI_"
CLIENT = frozenset({  # variables of the client, not ours
    "url", "key", "lang", "state", "config", "licence", "scenario", "allow_http", "certificate", "certificate_key", "authorities",
})  # fmt: skip

LISTS = frozenset({  # comma-separated in the environment
    "worker_places", "dataset_places",
    "slots_ms", "witnesses", "trusted_proxies", "oidc_algorithms", "webhook_networks", "cells_accept", "cells_launcher_users",
    "master_key_files",
})  # fmt: skip


class Settings(VaultSettings, WorkerSettings):
    """Frozen and closed. `load` is how a process gets its settings; tests build one directly."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    home: Path = Field(
        default=Path("yunei-home"),
        description="Folder of keys, vault, database and log. Who can read it can read raw data: give it to the server's user alone.",
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL of the register; empty: SQLite in home/register.db. Who can write to it can refuse service, and "
        "is found out by the audit as soon as tables and log disagree.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Beyond loopback, put a TLS proxy in front: API keys are bearer secrets."
    )
    port: int = Field(default=8640, ge=0, le=65535, description="TCP port to listen on; 0 lets the system choose.")
    log_origin: Annotated[str, StringConstraints(pattern=r"^[^\s+]{1,200}$")] = Field(
        default="yunei.local/release",
        description="Name of the log and of its key: a host and path without scheme. Never change it later: it names another log.",
    )
    shard_rows: int = Field(default=600_000, ge=1, le=100_000_000, description="Rows a shard aims at when a dataset is ingested.")
    body_limit_bytes: int = Field(default=2**20, ge=1024, description="Largest HTTP request body in bytes; a larger one is refused unread.")
    trace_limit_bytes: int = Field(default=64 * 2**20, ge=1024, description="Largest file in bytes that can be traced to its recipient.")
    language: Language = Field(default="zh", description="Language when a caller asks for none.")
    slots_ms: tuple[int, ...] = Field(
        default=(50, 250, 1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000),
        description="Public slots, in milliseconds after admission, at which answers become visible. Finer slots say more about durations.",
    )
    public_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/?#@]+)?$")] = Field(
        default="",
        description="Where people reach this server, such as https://yunei.example.gov.cn, without a path; empty: http://HOST:PORT. The "
        "identity provider sends people back there, and browsers' requests are held to it. With https, cookies are Secure and named __Host-.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses or networks (CIDR) of TLS proxies in front. Whoever connects from there is believed about the caller's address "
        "(X-Forwarded-For) and client certificate (Client-Cert, RFC 9440): the proxy must set or delete both itself.",
    )
    token_s: int = Field(default=600, ge=30, le=3600, description="Seconds an access token lasts. Revoking its key or session ends it at once.")
    token_generation: int = Field(
        default=1,
        ge=1,
        le=2**31,
        description="Raise it to make every access token issued so far worthless, should its key have leaked.",
    )
    ticket_s: int = Field(
        default=900, ge=30, le=86_400,
        description="Seconds a link to a delivered product lasts. Who has the link can fetch that delivery, without a key, until then.",
    )  # fmt: skip
    webhook_networks: tuple[str, ...] = Field(
        default=(),
        description="Networks (CIDR) that webhooks may be sent to although they are not public, plain http included. Whoever may subscribe can "
        "make this server send requests there: name hosts, not whole networks.",
    )
    renewal_interval_s: float = Field(
        default=60, gt=0, le=86_400, description="Seconds between looks whether the data of a product that is renewed by schedule has changed."
    )
    report_interval_s: float = Field(
        default=60, gt=0, le=86_400, description="Seconds between looks whether a report that was ordered by the clock is due."
    )
    webhook_interval_s: float = Field(default=5, gt=0, le=3600, description="Seconds between looks for webhooks to send.")
    webhook_timeout_s: float = Field(default=10, gt=0, le=60, description="Seconds that the receiver of a webhook has to answer.")
    smtp_host: str = Field(
        default="",
        pattern=r"^[^\s@/]{0,253}$",
        description="Mail relay that notifications are handed to; empty: no mail is sent. Who runs it reads who is told of what.",
    )
    smtp_port: int = Field(default=587, ge=1, le=65535, description="TCP port of the mail relay.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the relay is spoken to: STARTTLS, TLS from the first byte, or neither, which is for a relay on this machine.",
    )
    smtp_user: str = Field(default="", max_length=200, description="Name to sign in at the relay with; empty: without signing in.")
    smtp_password_file: Path | None = Field(default=None, description="File with the password for the relay.")
    smtp_ca_file: Path | None = Field(
        default=None, description="Certificates that the relay's is checked against, PEM; none: the system's. Whoever holds one can pose as it."
    )
    mail_from: Annotated[str, StringConstraints(pattern=r"^[^\s@<>]+@[^\s@<>]+$", max_length=254)] = Field(
        default="yunei@localhost", description="Address that notifications come from."
    )
    delivery_again_s: int = Field(
        default=3600,
        ge=0,
        description="Seconds in which a builder that fetches the same product again with its key goes on with the delivery it had.",
    )
    key_days: int = Field(default=365, ge=1, le=3660, description="Days an API key lasts when it is issued without an expiry.")
    key_overlap_hours: int = Field(default=24, ge=0, le=24 * 31, description="Hours a rotated key still works beside the one that follows it.")
    session_hours: int = Field(default=8, ge=1, le=24 * 7, description="Hours after signing in when a session ends, whatever happens in it.")
    session_idle_minutes: int = Field(default=30, ge=1, le=24 * 60, description="Minutes without a request after which a session is over.")
    oidc_issuer: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s?#]+)?$")] = Field(
        default="",
        description="Issuer URL of the OpenID Connect provider that people sign in at; empty: nobody signs in that way. Who runs it can come "
        "in as anybody linked to it.",
    )
    oidc_client_id: str = Field(default="yunei", min_length=1, max_length=200, description="What the identity provider calls this server.")
    oidc_client_secret_file: Path | None = Field(
        default=None, description="File with the secret shared with the identity provider; none: a public client, held by PKCE alone."
    )
    oidc_scopes: str = Field(default="openid", pattern=r"^openid( [^\s]+)*$", description="What is asked of the provider, blank-separated.")
    oidc_algorithms: tuple[str, ...] = Field(
        default=("RS256", "PS256", "ES256", "Ed25519"),
        description="Signature algorithms accepted on its ID tokens. Never a symmetric one: who has the client secret could forge tokens.",
    )
    oidc_timeout_s: float = Field(default=5, gt=0, le=60, description="Seconds the identity provider has to answer.")
    lockout_address_failures: int = Field(
        default=20, ge=1, description="Failed attempts from one address, within the window, after which it is locked out."
    )
    lockout_key_failures: int = Field(
        default=100, ge=1,
        description="Failed attempts on one key prefix, from anywhere, after which it is locked out. High on purpose: prefixes are no secret, "
        "and access tokens issued before go on working.",
    )  # fmt: skip
    lockout_window_s: int = Field(default=300, ge=1, description="Seconds over which failed attempts are counted.")
    lockout_s: int = Field(default=300, ge=1, le=86_400, description="Seconds a lockout lasts; each further one on end lasts twice as long.")
    refusals_window_s: int = Field(
        default=60, ge=1, le=3600, description="Seconds over which refusals at the door are counted before one event tells of them."
    )
    witnesses: tuple[str, ...] = Field(
        default=(),
        description="Witnesses that cosign checkpoints, each `URL VKEY [VKEY]`. Who runs one can attest that this log never had two histories; "
        "one that claims another history stops new work, so name only witnesses you would ring up.",
    )
    witness_interval_s: float = Field(default=10, gt=0, description="Seconds between checkpoints sent to the witnesses while the log grows.")
    witness_timeout_s: float = Field(default=5, gt=0, description="Seconds a witness has to answer; nothing else waits for it.")
    otlp_endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,500}$")] | None = Field(
        default=None,
        description="OTLP/HTTP address that takes spans (OpenTelemetry), such as http://127.0.0.1:4318/v1/traces; none: none are sent. "
        "Who reads them learns when jobs ran and how long their public stretches took, never how long rows took.",
    )
    lease_s: int = Field(default=30, ge=1, description="Seconds after which a job whose holder fell silent may be resumed by another process.")
    cells_backend: Literal["off", "bwrap", "docker", "unsafe"] = Field(
        default="off",
        description="What operators' programs run in (docs/cells.md). `off`: they are reviewed and never run. `bwrap`: bubblewrap. `docker`: "
        "containers. `unsafe`: a plain process that can read whatever the server can; it takes datasets marked synthetic only.",
    )
    cells_strict: bool = Field(
        default=False,
        description="A cell of its own for each block instead of each job: nothing of an earlier block was ever in it. Starting one takes up "
        "to a second.",
    )
    cells_dir: Path | None = Field(
        default=None,
        description="Folder of the cells' root: Python and libraries, nothing secret, some 400 MB built on the first start. The cells' user "
        "must be able to reach it. None: home/cells, or /var/cache/yunei-cells when the server runs as root.",
    )
    cells_launcher: Path | None = Field(
        default=None,
        description="Socket of the launcher (docs/how-to/cells.md), a service of its own that opens cells for this one and gets bytes only. "
        "None: this process opens them itself, and has to be able to: for Docker that is to be root.",
    )
    cells_launcher_users: tuple[int, ...] = Field(
        default=(), description="Read by the launcher: numbers of the users that may ask it for cells. It serves nobody else, root included."
    )
    cells_docker: str = Field(
        default="unix:///var/run/docker.sock",
        pattern=r"^unix:///[^\s]+$",
        description="Docker daemon that cells are containers of. Whoever may talk to it is root on its machine: give it to the launcher alone.",
    )
    cells_docker_runtime: Literal["runc", "runsc"] = Field(
        default="runc",
        description="What the daemon starts containers with. `runc`: a cell has no clock. `runsc` (gVisor): a kernel of its own between "
        "program and machine, but clocks stay, Landlock is missing, and a block takes ten times as long: name what is missing in cells_accept.",
    )
    cells_accept: tuple[str, ...] = Field(
        default=(),
        description="Features (docs/cells.md) that cells may lack and still be given raw rows. Each one named is a hole that you know of and "
        "answer for; which ones stands in the log.",
    )
    cells_probe_interval_s: float = Field(
        default=86_400, ge=60, description="Seconds between the attacks that the cells carry out against themselves; the first at start."
    )
    cells_memory_mb: int = Field(
        default=512, ge=16, le=2**20, description="MiB that a program may use on one block, beyond what its libraries take."
    )
    cells_cpu_s: int = Field(default=10, ge=1, le=86_400, description="Seconds of processor time that a program may use on one block.")
    cells_wall_s: float = Field(
        default=20, gt=0, le=86_400, description="Seconds that a program may take for one block; after that the block gives its public default."
    )
    crypto_suite: Suite = Field(
        default="international",
        description="`international`: Ed25519, SHA-256, AES-GCM. `gm`: SM2 lines beside them on checkpoints and licences, SM4-GCM under "
        "HKDF-SM3 for keys and small files (docs/crypto.md). What is there stays readable after a change.",
    )
    licence_sweep_s: float = Field(
        default=60, gt=0, description="Seconds between looks for licences whose term began or ended. Decisions look at the clock themselves."
    )
    review_hours: int = Field(
        default=48, ge=1, le=8_760, description="Hours the bureau allows itself for a review; past it the request is overdue and escalates."
    )
    review_sweep_s: float = Field(
        default=5, gt=0, description="Seconds between looks for what reviewers let out and has not left yet, and for standing approvals."
    )
    rule_pack: str = Field(
        default="general",
        pattern=r"^[a-z][a-z0-9_-]{0,63}$",
        description="Rules that exact tables are checked by until two supervisors change them: a pack of policies/disclosure/packs.",
    )
    alert_interval_s: float = Field(
        default=60, gt=0, le=86_400, description="Seconds between looks for what alerts are raised of: the log from where the last look ended."
    )
    audit_interval_h: float = Field(
        default=24,
        ge=0,
        le=8_760,
        description="Hours between audits of the whole log and database by a child process of the server; what one finds is an alert. 0: none.",
    )
    database_timeout_s: int = Field(
        default=30, ge=1, description="Seconds a writer waits for another process's transaction before it gives up."
    )
    population_cap_pico_rho: int = Field(
        default=10**12, ge=0, le=10**18,
        description="Lifetime cap of a new population account (one unit space), in 1e-12 rho; the default is rho 1. It bounds what everyone "
        "together may ever learn about one person: raise it only as two people, by an act in the log.",
    )  # fmt: skip
    population_cap_atto_delta: int = Field(
        default=10**12, ge=0, le=10**18, description="The same account's delta, in 1e-18; the default is 1e-6."
    )
    dataset_cap_pico_rho: int = Field(
        default=10**12, ge=0, le=10**18, description="Lifetime cap of a new dataset account, in 1e-12 rho; the default is rho 1."
    )
    dataset_cap_atto_delta: int = Field(default=10**12, ge=0, le=10**18, description="The same account's delta, in 1e-18; the default is 1e-6.")
    operator_cap_pico_rho: int = Field(
        default=5 * 10**11, ge=0, le=10**18,
        description="Lifetime cap of one operator on one dataset over all its licences, in 1e-12 rho; the default is rho 0.5.",
    )  # fmt: skip
    operator_cap_atto_delta: int = Field(
        default=5 * 10**11, ge=0, le=10**18, description="The same account's delta, in 1e-18; the default is 5e-7."
    )

    @classmethod
    def load(cls, home: Path | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """Read `YUNEI_*`; `home` given beats `YUNEI_HOME`. An unknown `YUNEI_` name is an error: a typing slip cannot pass for a
        setting. those of the client (`CLIENT`) are left alone."""
        variables = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for variable, text in variables.items():
            name = variable.removeprefix(PREFIX).lower()
            if not variable.startswith(PREFIX) or name in CLIENT:
                continue
            values[name] = [part.strip() for part in text.split(",") if part.strip()] if name in LISTS else text
        if home is not None:
            values["home"] = home
        return cls(**values)

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("witnesses")
    @classmethod
    def _addresses(cls, witnesses: tuple[str, ...]) -> tuple[str, ...]:
        for witness in witnesses:
            WitnessAddress.parse(witness)
        return witnesses

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
        return proxies

    @field_validator("webhook_networks")
    @classmethod
    def _webhook_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            ipaddress.ip_network(text)
        return texts

    @field_validator("oidc_algorithms")
    @classmethod
    def _asymmetric(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or any(name == "none" or name.startswith("HS") for name in names):
            raise ValueError("ID tokens are signed asymmetrically")
        return names

    @field_validator("slots_ms")
    @classmethod
    def _ascending(cls, slots: tuple[int, ...]) -> tuple[int, ...]:
        if not slots or list(slots) != sorted(set(slots)) or slots[0] <= 0:
            raise ValueError("slots_ms must be positive and ascending")
        return slots

    @model_validator(mode="after")
    def _passwords_are_not_shown(self) -> Self:
        if self.smtp_user and self.smtp_tls == "none":
            raise ValueError("smtp_user needs smtp_tls: the password would cross the network for all to read")
        return self

    @model_validator(mode="after")
    def _sign_in_is_safe(self) -> Self:
        """Codes and cookies cross networks over TLS alone."""
        if self.oidc_issuer and not self.public_url:
            raise ValueError("oidc_issuer needs public_url: the identity provider sends people back there")
        for name in ("oidc_issuer", "public_url"):
            parts = urlsplit(getattr(self, name))
            if self.oidc_issuer and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
                raise ValueError(f"{name} must be https, except on this machine")
        return self

    @model_validator(mode="before")
    @classmethod
    def _database_below_home(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("database_url"):
            home = Path(values.get("home") or cls.model_fields["home"].default).expanduser().absolute()
            return {**values, "database_url": f"sqlite:///{home / 'register.db'}"}
        return values

    @property
    def keys_dir(self) -> Path:
        return self.home / "keys"

    @property
    def ray_dir(self) -> Path:
        return self.home / "ray"

    @property
    def vault_dir(self) -> Path:
        return self.home / "vault"

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def staging_dir(self) -> Path:
        return self.home / "staging"

    @property
    def products_dir(self) -> Path:
        return self.home / "products"

    @property
    def cells_root(self) -> Path:
        """Cells of a server that runs as root have a user of their own, who cannot enter the home."""
        return self.cells_dir or (self.home / "cells" if os.geteuid() else Path("/var/cache/yunei-cells"))
