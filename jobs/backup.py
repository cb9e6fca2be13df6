"""Backup of a home in one file while its server runs, and restore that trusts nothing it cannot check.

    manifest.json      origin, size and root; SHA-256 of every other member; which vault versions there were
    register.db        the database, as of one moment, as a SQLite file whatever database it came from: writers are not held up
    log/…              every tile, document and receipt of the checkpoint taken just before that moment
    staging/…          answers already fixed
    keys/…             only if asked for: who has them and the vault can read raw rows

Raw data is not in it: the vault's files never change once written, so copy that folder by any means; the manifest says what belongs to it.
A backup goes back into the database that the settings name, SQLite or PostgreSQL: restoring is also how a register moves from one to the other.

A restored copy that is older than what was published would forget budgets already spent. So a restore asks for a witness: the configured
witnesses, or a checkpoint kept elsewhere, must not have seen more than the copy has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, make_url, select

from infra.database import open_engine, reading
from infra.files import begun, sync
from infra.journal.checkpoint import Checkpoint
from infra.journal.files import CHECKPOINT, LogFiles
from infra.journal.note import Signer
from infra.journal.tiles import encode_entries, encode_hashes, entry_names, tile_names
from infra.journal.tree import JournalError
from infra.journal.witness import WitnessAddress
from infra.keys import KeyRing, KeyRingError
from infra.settings import Settings
from infra.tables import log_head
from infra.transfer import occupied, transfer
from jobs.audit import audit
from jobs.mirror import Caught, catch_up
from jobs.register import Register
from jobs.schema import brought_up
from jobs.sequencer import consistency_proof
from jobs.witnesses import Outcome, ask
from policies.problem import declare

FORMAT = 1
MANIFEST = "manifest.json"
_MEMBER = re.compile(r"register\.db|(?:log|staging|keys)/[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

BACKUP_EXISTS = declare(
    "log_backup_exists",
    zh=("目标已存在", "{path} 已存在，不予覆盖。", "请换一个文件名，或先移走该文件。"),
    en=("The target exists", "{path} already exists and is not overwritten.", "Choose another name, or move that file away first."),
)
RESTORE_OCCUPIED = declare(
    "log_restore_occupied",
    zh=("目标目录已有登记册", "{home} 中已有 {what}。", "请恢复到空目录；原有内容请先移走另存，不要覆盖。"),
    en=(
        "This home has a register",
        "{home} already holds {what}.",
        "Restore into an empty folder; move the old content elsewhere first, do not overwrite it.",
    ),
)
RESTORE_DAMAGED = declare(
    "log_restore_damaged",
    zh=("备份文件损坏", "{path}：{what}。", "请换用另一份备份；目标目录未被改动。"),
    en=("The backup is damaged", "{path}: {what}.", "Use another backup. The target folder was not changed."),
)
RESTORE_KEYS = declare(
    "log_restore_keys",
    zh=("缺少密钥", "备份不含密钥，{home} 中也没有（{code}）。", "请先把另行保管的密钥目录放到 {home}/keys，再恢复。"),
    en=(
        "The keys are missing",
        "The backup contains no keys, and {home} has none either ({code}).",
        "First put the folder of keys that is kept elsewhere at {home}/keys, then restore.",
    ),
)
RESTORE_FAILED = declare(
    "log_restore_failed",
    zh=("备份未通过审计", "恢复的内容有 {count} 处不符，逐条列于 parts。", "请换用另一份备份；目标目录未被改动。"),
    en=(
        "The backup does not pass the audit",
        "The restored content has {count} differences, listed in parts.",
        "Use another backup. The target folder was not changed.",
    ),
)
RESTORE_OLDER = declare(
    "log_restore_older",
    zh=("备份早于已见证的日志", "{witness} 见过 {seen}，备份只有 {size} 条。", "请换用更新的备份：恢复这一份会使已支出的额度重新可用。"),
    en=(
        "The backup is older than the witnessed log",
        "{witness} has seen {seen}; the backup has {size} entries.",
        "Restoring it would make spent budgets available again: use a newer backup.",
    ),
)
RESTORE_UNWITNESSED = declare(
    "log_restore_unwitnessed",
    zh=(
        "无法判断备份是否最新",
        "没有见证方应答，也没有给出另行保管的检查点。",
        "请用 --since 给出另行保管的最新检查点；确实没有的，可用 --unwitnessed，并承担额度被重复使用的责任。",
    ),
    en=(
        "It cannot be determined whether this backup is the newest",
        "No witness answered, and no checkpoint kept elsewhere was given.",
        "Give the newest checkpoint kept elsewhere with --since. Only if there is none, use --unwitnessed: you then answer for budgets "
        "that may be spent twice.",
    ),
)


@dataclass(frozen=True, slots=True)
class Backed:
    size: int
    members: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Restored:
    """`missing`: vault versions the backup knows and this home does not hold. `outcomes`: what each witness said. `caught`: what came from a
    mirrored log."""

    size: int
    entries: int
    rows: int
    missing: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    caught: Caught | None = None


# ── backup ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def backup(register: Register, target: Path, *, keys: bool = False) -> Backed:
    """Write the home into `target` (mode 0600, complete or not there). OSError, BACKUP_EXISTS."""
    settings = register.settings
    if target.exists():
        raise BACKUP_EXISTS(path=target)
    note = register.publish()  # before the database is copied: the copy has all of it, and perhaps more
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        copy = Path(folder) / "register.db"
        _copy(register, copy)
        written = Path(folder) / "backup.tar"
        digests: dict[str, str] = {}
        with begun(written) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            with copy.open("rb") as data:
                digests["register.db"] = _add(archive, "register.db", data, copy.stat().st_size)
            for name, body in _small(register, note, keys=keys):
                digests[name] = _add(archive, name, io.BytesIO(body), len(body))
            _add_manifest(archive, settings, Checkpoint.peek(note), digests)
        os.link(written, target)  # never over another file
        sync(target.parent)
    return Backed(Checkpoint.peek(note).size, len(digests), target.stat().st_size)


def _copy(register: Register, target: Path) -> None:
    """The database as of one moment, in one read transaction, which no writer waits for."""
    url = make_url(register.settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        with closing(sqlite3.connect(url.database)) as source, closing(sqlite3.connect(target)) as into:
            source.backup(into)
        return
    engine = open_engine(f"sqlite:///{target}", scratch=True)
    try:
        transfer(register.engine, engine)
    finally:
        engine.dispose()


def _small(register: Register, note: str, *, keys: bool) -> Iterator[tuple[str, bytes]]:
    """Every file but the database. A tile that has grown meanwhile is written as it was at the checkpoint."""
    size, files, settings = Checkpoint.peek(note).size, register.files, register.settings
    for name in entry_names(0, size):
        yield f"log/{name.path}", encode_entries(files.entries(name.n, name.width))
    for name in tile_names(0, size):
        yield f"log/{name.path}", encode_hashes(files.hashes(int(name.level), name.n, name.width))
    folders = [(settings.log_dir / part, f"log/{part}") for part in ("documents", "keys")]
    folders += [(settings.staging_dir, "staging"), *([(settings.keys_dir, "keys")] if keys else [])]
    for folder, prefix in folders:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not any(part.startswith(".") for part in relative.parts) and path.is_file():
                yield f"{prefix}/{relative.as_posix()}", path.read_bytes()
    witnessed = files.witnessed()
    if witnessed is not None and Checkpoint.peek(witnessed).size <= size:
        yield "log/witnessed", witnessed.encode()
    yield f"log/{CHECKPOINT}", note.encode()


def _add(archive: tarfile.TarFile, name: str, data: IO[bytes], size: int) -> str:
    digest = hashlib.file_digest(data, "sha256").hexdigest()  # type: ignore[arg-type]  # any readable binary file will do
    data.seek(0)
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, data)
    return digest


def _add_manifest(archive: tarfile.TarFile, settings: Settings, checkpoint: Checkpoint, digests: dict[str, str]) -> None:
    told = {
        "format": FORMAT,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "members": digests,
        "vault": _vault(settings.vault_dir),
    }
    body = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False).encode()
    _add(archive, MANIFEST, io.BytesIO(body), len(body))


def _vault(folder: Path) -> dict[str, str]:
    """SHA-256 of each version's manifest, which in turn names every encrypted part."""
    found = sorted(folder.glob("*/v*/manifest"))
    return {path.parent.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


# ── restore ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def restore(source: Path, settings: Settings, *, since: str | None = None, unwitnessed: bool = False, mirror: Path | None = None) -> Restored:
    """Put a backup in place at `settings.home`, once it passes the audit and no witness has seen more. `since`: a checkpoint note kept
    elsewhere. `mirror`: a copy of the log's folder, whose entries since the backup are replayed on top of it first. Raises a RESTORE_
    problem, with the home as it was."""
    home = settings.home
    for what in ("register.db", "log", "staging"):
        if (home / what).exists():
            raise RESTORE_OCCUPIED(home=home, what=what)
    server = _elsewhere(settings)
    if server is not None and occupied(server):
        server.dispose()
        raise RESTORE_OCCUPIED(home=make_url(settings.database_url).database, what="entries")
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        told = _unpack(source, aside)
        caught = None if mirror is None else _caught_up(aside, mirror)
        restored = _checked(aside, home, settings, told, since, unwitnessed, caught)
        _put_in_place(aside, home, server)
        sync(home.parent)
        return restored
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if server is not None:
            server.dispose()


def _put_in_place(aside: Path, home: Path, server: Engine | None) -> None:
    """The database last: without it the home is not one. When it cannot be filled, the home is as it was."""
    if server is None and not home.exists():
        aside.rename(home)
        return
    home.mkdir(mode=0o700, exist_ok=True)
    placed: list[Path] = []
    try:
        for part in ("keys", "staging", "log", *(("register.db",) if server is None else ())):
            if (aside / part).exists() and not (home / part).exists():
                (aside / part).rename(home / part)
                placed.append(home / part)
        sync(home)
        if server is not None:
            _into(server, aside / "register.db")
    except BaseException:
        for path in placed:
            shutil.rmtree(path, ignore_errors=True)
        raise


def _elsewhere(settings: Settings) -> Engine | None:
    """The database the register belongs into, if that is not a file of the home."""
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and Path(url.database or "") == settings.home / "register.db":
        return None
    return open_engine(settings.database_url, timeout_s=settings.database_timeout_s)


def _into(server: Engine, copy: Path) -> None:
    source = open_engine(f"sqlite:///{copy}")
    try:
        transfer(source, server)
    finally:
        source.dispose()


def _unpack(source: Path, aside: Path) -> dict[str, Any]:
    """Every member into `aside`, held against the manifest; only plain files under the names a backup has."""
    digests: dict[str, str] = {}
    told: dict[str, Any] | None = None
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isreg() else None
                if data is None or member.name in digests or told is not None:
                    raise RESTORE_DAMAGED(path=source, what=member.name)
                if member.name == MANIFEST:
                    told = json.loads(data.read())
                    continue
                if not _MEMBER.fullmatch(member.name):
                    raise RESTORE_DAMAGED(path=source, what=member.name)
                digests[member.name] = _write(aside / member.name, data)
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise RESTORE_DAMAGED(path=source, what=type(error).__name__) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(told.get("members"), dict):
        raise RESTORE_DAMAGED(path=source, what=MANIFEST)
    if differs := sorted(digests.items() ^ told["members"].items()):
        raise RESTORE_DAMAGED(path=source, what=differs[0][0])
    for name in ("staging", "log"):
        (aside / name).mkdir(mode=0o700, exist_ok=True)
    return told


def _write(target: Path, data: IO[bytes]) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with begun(target) as file:
        while piece := data.read(1 << 20):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _caught_up(aside: Path, mirror: Path) -> Caught:
    engine = open_engine(f"sqlite:///{aside / 'register.db'}")
    try:
        brought_up(engine)
        return catch_up(engine, aside / "log", mirror)
    finally:
        engine.dispose()


def _checked(
    aside: Path, home: Path, settings: Settings, told: dict[str, Any], since: str | None, unwitnessed: bool, caught: Caught | None
) -> Restored:
    place = aside / "keys" if (aside / "keys").exists() else settings.keys_dir
    try:
        if not place.exists():
            raise KeyRingError("keys_missing", "no folder of keys")
        ring = KeyRing.open_or_create(place, master=settings.master_keys == "folder")
    except KeyRingError as error:
        raise RESTORE_KEYS(home=home, code=error.code) from error
    vkeys = [str(Signer(settings.log_origin, key).key) for key in ring.log_keys()]
    engine = open_engine(f"sqlite:///{aside / 'register.db'}")
    try:
        brought_up(engine)
        report = audit(aside / "log", vkeys, engine, remembered=since)
        if not report.clean:
            raise RESTORE_FAILED(count=len(report.findings)).with_parts(tuple(report.findings))
        note = LogFiles(aside / "log").checkpoint() or ""
        with reading(engine) as connection:
            size = int(connection.execute(select(log_head.c.size)).scalar_one())
            prove = consistency_proof(connection)
            addresses = [WitnessAddress.parse(text) for text in settings.witnesses]
            outcomes = tuple(ask(each, note, prove, old=report.size, timeout_s=settings.witness_timeout_s) for each in addresses)
    except JournalError as error:
        raise RESTORE_DAMAGED(path="log", what=error.code) from error
    finally:
        engine.dispose()
    for suffix in ("-wal", "-shm"):
        (aside / f"register.db{suffix}").unlink(missing_ok=True)
    for each in outcomes:
        if each.state == "contradicted" or (each.state == "overtaken" and (each.size or 0) > size):
            raise RESTORE_OLDER(witness=each.witness.keys[0].name, seen=each.size, size=size)
    if since is None and not unwitnessed and not any(each.state in ("cosigned", "overtaken") for each in outcomes):
        raise RESTORE_UNWITNESSED()
    vault = _vault(settings.vault_dir)
    missing = {name for name, digest in told.get("vault", {}).items() if vault.get(name) != digest}
    missing |= set() if caught is None else set(caught.versions) - vault.keys()
    return Restored(report.size, size, report.rows, tuple(sorted(missing)), outcomes, caught)
