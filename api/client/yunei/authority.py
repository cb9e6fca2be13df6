"""Freezes, the policy, the algorithm registry: the part of the client for those who supervise, review, and submit programs."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from yunei.problem import problem
from yunei.programs import Trial, tested
from yunei.said import Said
from yunei.transport import Http
from yunei.words import Language

Scope = Literal["everything", "operator", "licence", "dataset"]
SUFFIXES = (".py", ".toml", ".md", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(Said):
    """An emergency stop. `proposal` is the entry that a second supervisor names to lift it; `state` is "set" or "thawed"."""

    id: str
    scope: str
    subject: str
    state: str
    reason: str
    set_by: str
    set_at: str
    proposal: int | None
    proposed_by: str | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        text = {name: str(data[name]) for name in ("id", "scope", "subject", "state", "reason", "set_by", "set_at")}
        return cls(data=data, proposal=data["proposal"], proposed_by=data["proposed_by"], **text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Said):
    """A policy: `policy` is the digest that decisions under it carry. `floor` and `model` come with the program and cannot be changed."""

    policy: str
    document: str | None
    rules: str
    cases: str
    floor: str
    floor_cases: str
    model: str
    table: tuple[Mapping[str, Any], ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        text = {name: str(data[name]) for name in ("policy", "rules", "cases", "floor", "floor_cases", "model")}
        return cls(data=data, document=data["document"], table=tuple(dict(rule) for rule in data["table"]), **text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion(Said):
    """A policy that was proposed at entry `entry`; `since`: the entry that brought it into force, None while it is only proposed."""

    entry: int
    policy: str
    document: str
    reason: str
    proposed_by: str
    proposed_at: str
    changed_by: str | None
    since: int | None

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        text = {name: str(data[name]) for name in ("policy", "document", "reason", "proposed_by", "proposed_at")}
        return cls(data=data, entry=int(data["entry"]), changed_by=data["changed_by"], since=data["since"], **text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Said):
    """A registered program. `reviews` are pairs of reviewer and verdict."""

    digest: str
    name: str
    version: str
    author: str
    state: str
    submitted_at: str
    reviews: tuple[tuple[str, str], ...]

    @classmethod
    def _of(cls, data: Mapping[str, Any], language: Language) -> Self:
        text = {name: str(data[name]) for name in ("digest", "name", "version", "author", "state", "submitted_at")}
        return cls(data=data, reviews=tuple((str(each["reviewer"]), str(each["verdict"])) for each in data["reviews"]), **text)


def pack(folder: str | Path) -> bytes:
    """A program's folder as the package the server takes: its .py, .toml, .md and .txt files; hidden ones, caches and the request in run.toml
    are left out. OSError."""
    root, buffer = Path(folder), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if inside == Path("run.toml"):
                continue  # names the program's digest, so it is no part of it
            if path.suffix in SUFFIXES and path.is_file() and not any(part.startswith((".", "__pycache__")) for part in inside.parts):
                archive.writestr(zipfile.ZipInfo(inside.as_posix()), path.read_bytes())
    return buffer.getvalue()


class Authority:
    """What a `Client` can do about freezes, the policy and programs."""

    _http: Http
    language: Language

    def freezes(self, *, standing: bool = False) -> list[Freeze]:
        """Newest first; `standing`: only those in force."""
        found = self._http.json("GET", "/v1/freezes", params={"standing": "true"} if standing else {})
        return [Freeze.read(each, self.language) for each in self._several(found, "freezes")]

    def freeze(self, scope: Scope, subject: str = "", *, reason: str) -> Freeze:
        """Stop it at once: one supervisor."""
        body = {"scope": scope, "subject": subject, "reason": reason}
        return Freeze.read(self._http.json("POST", "/v1/freezes", body=body, repeat="unsent"), self.language)

    def thaw(self, freeze: Freeze | str, *, reason: str | None = None, proposal: int | None = None) -> Freeze:
        """Propose to lift it (with a `reason`), or lift it: the `proposal` is the entry of another supervisor's."""
        id_ = freeze if isinstance(freeze, str) else freeze.id
        body = {"reason": reason, "proposal": proposal}
        return Freeze.read(self._http.json("POST", f"/v1/freezes/{_path(id_)}/thaw", body=body, repeat="unsent"), self.language)

    def policy(self, document: str | None = None) -> Policy:
        """The policy in force, or the version with this document."""
        path = "/v1/policy" if document is None else f"/v1/policy/versions/{_path(document)}"
        return Policy.read(self._http.json("GET", path), self.language)

    def policy_versions(self) -> list[PolicyVersion]:
        found = self._http.json("GET", "/v1/policy/versions")
        return [PolicyVersion.read(each, self.language) for each in self._several(found, "versions")]

    def check_policy(self, rules: str, cases: str) -> Mapping[str, Any]:
        """Its digest and counts. Raises `policy_invalid`, each fault located; nothing changes."""
        return dict(self._http.json("POST", "/v1/policy/check", body={"rules": rules, "cases": cases}))

    def propose_policy(self, rules: str, cases: str, *, reason: str) -> PolicyVersion:
        """The first of two supervisors."""
        body = {"rules": rules, "cases": cases, "reason": reason}
        return PolicyVersion.read(self._http.json("POST", "/v1/policy/proposals", body=body, repeat="unsent"), self.language)

    def confirm_policy(self, proposal: int) -> PolicyVersion:
        """The second one: in force at once."""
        return PolicyVersion.read(self._http.json("POST", f"/v1/policy/proposals/{proposal}/confirm", repeat="unsent"), self.language)

    def programs(self) -> list[Program]:
        return [Program.read(each, self.language) for each in self._several(self._http.json("GET", "/v1/programs"), "programs")]

    def program(self, digest: str) -> Mapping[str, Any]:
        """Manifest, sources and the static report beside the program itself."""
        found = self._http.json("GET", f"/v1/programs/{_path(digest)}")
        Program.read(found["program"] if isinstance(found, Mapping) else None, self.language)
        return dict(found)

    def submit_program(self, package: bytes | str | Path) -> Program:
        """Register a package (bytes of a zip, or the path of a zip or of a folder). Raises `program_invalid`, each fault located."""
        body = {"package": base64.b64encode(_packed(package)).decode()}
        return Program.read(self._http.json("POST", "/v1/programs", body=body, repeat="unsent"), self.language)

    def test_program(self, package: bytes | str | Path, run: Mapping[str, Any]) -> Trial:
        """Try a package on rows invented from the catalogue: `run` is a job's request of kind `program`, its `program` left out. Nothing is
        registered, read or spent, so all that it writes and raises is told. Raises `program_*`."""
        return tested(self._http, _packed(package), run, self.language)

    def review_program(self, digest: str, verdict: Literal["approve", "reject"], *, reason: str) -> Program:
        return self._program(digest, "reviews", {"verdict": verdict, "reason": reason})

    def withdraw_program(self, digest: str, *, reason: str) -> Program:
        return self._program(digest, "withdraw", {"reason": reason})

    def invalidate_program(self, digest: str, *, reason: str) -> Program:
        return self._program(digest, "invalidate", {"reason": reason})

    def _program(self, digest: str, act: str, body: Mapping[str, Any]) -> Program:
        return Program.read(self._http.json("POST", f"/v1/programs/{_path(digest)}/{act}", body=dict(body), repeat="unsent"), self.language)

    def _several(self, data: object, name: str) -> list[Any]:
        found = data.get(name) if isinstance(data, dict) else None
        if not isinstance(found, list):
            raise problem("client_not_yunei", language=self.language, status=200)
        return found


def _packed(package: bytes | str | Path) -> bytes:
    if isinstance(package, bytes):
        return package
    return pack(package) if Path(package).is_dir() else Path(package).read_bytes()


def _path(text: str) -> str:
    return quote(text, safe="") if text not in (".", "..") else "%2E" * len(text)
