"""A log for auditors: filled with some of everything, and the lies that a replaced server could sign."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, select, update

from infra.database import writing
from infra.journal.leaf import leaf_hash
from infra.journal.tree import CompactRange
from infra.tables import (
    entries,
    log_head,
)
from jobs import acts
from jobs.audit import AuditReport, audit
from jobs.events import (
    CapRaised,
    ChargeReleased,
    ChargeReserved,
    Event,
    JobSpent,
    PrincipalRegistered,
    ReleasePublished,
    VersionIngested,
)
from jobs.register import Register
from policies.loss import Loss
from policies.problem import LANGUAGES
from tests.small_register import ACCOUNTS, furnish, run, stage, submit, title


def fill(register: Register) -> None:
    """Every table has rows; 600 entries, so three entry tiles and two levels of hashes."""
    furnish(register)
    for job in "abc":
        run(register, job, Loss(1_000_000, 10))
    submit(register, "d", Loss(500))
    stage(register, "e", Loss(700))
    acts.link_subject(register, "op-1", "https://id.example", "cd" * 32)
    acts.open_session(register, "op-1", "browser", lifetime=timedelta(hours=8))
    with register.transaction() as act:
        for number in range(600 - act.size):
            act.append(PrincipalRegistered(by="system", principal=f"p{number}", role="builder", title=title("p")))


def codes(report: AuditReport) -> list[str]:
    for finding in report.findings:
        for language in LANGUAGES:
            assert all((finding.words(language).title, finding.words(language).detail, finding.words(language).remedy))
    return [finding.code for finding in report.findings]


def whole(register: Register, **options: str) -> AuditReport:
    return audit(register.settings.log_dir, [register.vkey], register.engine, **options)


def published(**changes: object) -> ReleasePublished:
    """The release of job e, which is paid for and staged, as it should be."""
    fields = {"release": "r-e", "job": "e", "charge": "c-e", "operator": "op-1", "licence": "L-1", "cost": {"pico_rho": 700, "atto_delta": 0}}
    digests = dict.fromkeys(("question", "plan_digest", "record", "table_sha256"), "e" * 64)
    rest = {"by": "system", "rows": 1, "bytes": 1, "visible_at": "2026-11-22T09:00:00.000000Z"}
    return ReleasePublished.model_validate({**fields, **digests, **rest, **changes})


def charge(**changes: object) -> ChargeReserved:
    fields = {"by": "system", "charge": "c-x", "job": "x", "accounts": ACCOUNTS, "cost": {"pico_rho": 1, "atto_delta": 1}}
    return ChargeReserved.model_validate({**fields, **changes})


def raised(**cap: int) -> CapRaised:
    full = {"pico_rho": 10**12, "atto_delta": 10**12}
    return CapRaised.model_validate({"by": "system", "account": "dataset:visits", "cap": {**full, **cap}, "proposal": 0})


LIES: dict[str, list[Event | None]] = {
    "over the cap in rho": [charge(cost={"pico_rho": 10**13, "atto_delta": 0})],
    "over the cap in delta": [charge(cost={"pico_rho": 0, "atto_delta": 10**13})],
    "an account that does not exist": [charge(accounts=(*ACCOUNTS, "dataset:none"))],
    "a charge made twice": [charge(charge="c-a")],
    "a cap lowered in rho": [raised(pico_rho=10**12 - 1)],
    "a cap lowered in delta": [raised(atto_delta=10**12 - 1)],
    "a principal registered twice": [PrincipalRegistered(by="system", principal="op-1", role="admin", title=title("x"))],
    "spent before reading": [JobSpent(by="system", job="d", charge="c-d")],
    "given back after spending": [ChargeReleased(by="system", charge="c-a")],
    "a version going backwards": [VersionIngested(by="system", dataset="visits", version=1, digest="a" * 64, document="a" * 64)],
    "published before it was staged": [published(job="d", charge="c-d", cost={"pico_rho": 500, "atto_delta": 0})],
    "published without being paid": [published(charge="c-none")],
    "published on another job's charge": [published(charge="c-a", cost={"pico_rho": 1_000_000, "atto_delta": 10})],
    "published for less than was paid": [published(cost={"pico_rho": 699, "atto_delta": 0})],
    "published twice": [published(release="r-a")],
    "no event at all": [None],
}


def sign_behind_the_registers_back(register: Register, body: bytes) -> None:
    with writing(register.engine) as connection:
        head = connection.execute(select(log_head)).one()
        edge = CompactRange.from_bytes(head.size, head.edge)
        edge.append(leaf_hash(body))
        connection.execute(insert(entries).values(position=head.size, kind="x", body=body, leaf=leaf_hash(body)))
        connection.execute(update(log_head).values(size=edge.size, edge=edge.to_bytes()))
    register.publish()
