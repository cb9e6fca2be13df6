"""A report's files held against its signed statement and the log's key, offline: every link of the chain, each said to hold or not.

    log key → receipt of the entry → it names the files' digests and the keys that sign statements → the statement's signature → the files

Nothing is fetched and no server is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from yunei.manifest import Link, link, opened, same, signatures_hold
from yunei.problem import problem
from yunei.transparency import Key, Receipt, signer_of, unbase64

PREDICATE = "urn:yunei:report:v1"
SUFFIX = ".intoto.json"


@dataclass(slots=True)
class ReportEvidence:
    """What verifying established. It holds when no link is wrong."""

    report: str = ""
    kind: str = ""
    period: str | None = None
    subject: str | None = None
    size: int = 0
    root: str = ""
    index: int = -1
    key: Key | None = None
    links: list[Link] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return bool(self.links) and all(each.wrong is None for each in self.links)

    def require(self) -> ReportEvidence:
        """Raises `verify_manifest` for the first link that does not hold."""
        for each in self.links:
            if each.wrong is not None:
                zh, en = each.wrong
                raise problem("verify_manifest", what=f"{each.name[0]}：{zh} · {each.name[1]}: {en}")
        return self


def note_of(statement: bytes) -> str:
    """The checkpoint note inside a statement, by which the log it speaks of can be recognised. Raises `verify_manifest`."""
    try:
        told = json.loads(unbase64(json.loads(statement)["payload"]) or b"")
        return Receipt.parse(told["predicate"]["receipt"]).note
    except (ValueError, KeyError, TypeError) as error:
        raise problem("verify_manifest", what="statement?") from error


def verify_report(statement: bytes, files: Iterable[Path], keys: tuple[Key, ...]) -> ReportEvidence:
    """Hold a statement against the log's keys, and every one of `files` against the statement."""
    return _Proof(keys).walk(statement, files)


class _Proof:
    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys
        self.found = ReportEvidence()

    def walk(self, statement: bytes, files: Iterable[Path]) -> ReportEvidence:
        links = self.found.links
        if not link(links, ("声明", "statement"), lambda: self._read(statement)):
            return self.found
        if not link(links, ("签发的回执", "receipt of its issue"), self._entry):
            return self.found
        link(
            links, ("声明的签名", "signature of the statement"), lambda: signatures_hold(self._payload, self._signatures, self._event["vkeys"])
        )
        link(links, ("各文件的摘要", "digests of its files"), self._digests)
        for path in files:
            link(links, (f"文件 {path.name}", f"file {path.name}"), partial(self._file, path))
        return self.found

    def _read(self, statement: bytes) -> None:
        self._payload, self._signatures, told = opened(statement, PREDICATE)
        predicate: Mapping[str, Any] = told["predicate"]
        found = self.found
        self._named = {str(each["name"]): str(each["digest"]["sha256"]) for each in told["subject"]}
        self._receipt = str(predicate["receipt"])
        found.report, found.kind, found.period, found.subject = (predicate[name] for name in ("report", "kind", "period", "subject"))
        found.size, found.root = int(predicate["size"]), str(predicate["root"])

    def _entry(self) -> None:
        proof = Receipt.parse(self._receipt)
        self.found.key = signer_of(proof.note, self._keys)
        proof.verify(proof.extra, self.found.key)
        event = json.loads(proof.extra)
        same(event["kind"], "report_issued", "条目种类", "kind of entry")
        told = (event["report"], event["report_kind"], event["period"], event["subject"], event["size"], event["root"])
        found = self.found
        same(told, (found.report, found.kind, found.period, found.subject, found.size, found.root), "报告", "report")
        self._event, self.found.index = event, proof.index

    def _digests(self) -> None:
        same(sorted(self._named.values()), sorted(file["sha256"] for file in self._event["files"]), "摘要", "digests")

    def _file(self, path: Path) -> None:
        """These bytes are one of the report's files; under a name that the statement knows, they are that one."""
        with path.open("rb") as file:
            here = hashlib.file_digest(file, "sha256").hexdigest()
        wanted = self._named.get(path.name)
        if wanted is None:
            same(here in self._named.values(), True, "属于本报告", "is of this report")
        else:
            same(here, wanted, "SHA-256", "SHA-256")
