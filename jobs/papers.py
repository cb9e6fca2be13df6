"""A licence's paper: one version of its document with what the register knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select

from infra.crypto import sm3
from infra.database import reading
from infra.tables import jobs, licences, metering
from jobs import directory
from jobs.directory import Consent, LicenceVersion
from jobs.documents import read_licence
from jobs.events import Recorded
from jobs.register import Register
from jobs.seals import bureau_signers
from policies.agreement import Standing
from policies.licence import Licence
from policies.life import LIFE
from policies.problem import declare

RESULTS_WITHDRAWN = declare(
    "licence_results_withdrawn",
    zh=(
        "成果已停止提供",
        "该结果所属的授权运营协议已期满或撤销，按约定停止提供成果。",
        "请按协议删除所持有的成果；如需继续使用，请取得新的授权后重新提交作业。",
    ),
    en=(
        "The result was withdrawn",
        "The licence under which the result was made has expired or was revoked; by its terms the result is no longer available.",
        "Delete the results you hold, as the licence requires. To continue using them, obtain a new licence and submit the job again.",
    ),
)


@dataclass(frozen=True, slots=True)
class Paper:
    licence: Licence
    standing: Standing


def paper(register: Register, licence: str, now: datetime, version: int | None = None) -> Paper | None:
    """The present document, or the one of that `version`. None when there is none."""
    with reading(register.engine) as connection:
        record = directory.licence(connection, licence)
        versions = {each.version: each for each in directory.licence_versions_of(connection, licence)}
    if record is None:
        return None
    state, vkeys = record.state_at(now), bureau_keys(register)
    if record.version == 0 and version in (None, 0):
        return Paper(record.licence, Standing(0, record.document, state))
    wanted = versions.get(record.version if version is None else version)
    if wanted is None:
        return None
    document, note = register.document(wanted.document), register.document(wanted.signed)
    assert document is not None and note is not None  # noqa: PT018  # attached in the transaction that named them
    other = sm3(document).hex() if register.settings.crypto_suite == "gm" else None
    return Paper(read_licence(document), Standing(wanted.version, wanted.document, state, note.decode(), vkeys, other))


def bureau_keys(register: Register) -> tuple[str, ...]:
    """The keys that sign licences, as text (vkey)."""
    return tuple(str(signer.key) for signer in bureau_signers(register.key_ring, register.settings))


@dataclass(frozen=True, slots=True)
class History:
    versions: list[LicenceVersion]
    consents: list[Consent]
    events: list[Recorded]


def history(register: Register, licence: str) -> History:
    """Everything that happened to a licence, oldest first."""
    kinds = (*(step.kind for step in LIFE), "licence_proposed")
    told = [each for each in register.events(limit=1_000_000, kinds=kinds) if getattr(each.event, "licence", None) == licence]
    with reading(register.engine) as connection:
        return History(directory.licence_versions_of(connection, licence), directory.consents_of(connection, licence), told)


def withdrawn(register: Register, release: str, operator: str | None) -> bool:
    """Whether a release may be handed out no more: to this operator, when every licence under which it got the answer has come to such an end;
    to others (None), when the licence it was made under has."""
    if operator is None:
        made = select(licences.c.access).join(metering, metering.c.licence == licences.c.id).where(metering.c.release == release)
        with reading(register.engine) as connection:
            return connection.execute(made).scalar_one_or_none() == "withdrawn"
    held = exists().where(
        jobs.c.release == release, jobs.c.operator == operator, jobs.c.licence == licences.c.id, licences.c.access != "withdrawn"
    )
    with reading(register.engine) as connection:
        return not connection.execute(select(held)).scalar_one()
