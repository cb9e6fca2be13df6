"""The algorithm registry: submitted by an operator, reviewed by two others, approved by digest; superseded, withdrawn, invalidated.

Algorithm review (算法审查) is among the systems that Implementing Opinion Jinshufa [2025] 3, part 2 (7) item 20, asks for over the whole
life of data.
"""

from __future__ import annotations

from typing import Literal

from jobs import programs
from jobs.acts.freezes import supervisor
from jobs.acts.people import PRINCIPAL_ROLE, known
from jobs.cells import libraries_digest
from jobs.events import ProgramApproved, ProgramInvalidated, ProgramReviewed, ProgramSubmitted, ProgramWithdrawn
from jobs.programs import PROGRAM_STATE, PROGRAM_UNKNOWN, Program
from jobs.register import Act, Register
from policies.problem import declare
from policies.roles import Role
from sandbox.program.package import read_package
from sandbox.program.report import inspect

REVIEWS_NEEDED = 2

PROGRAM_EXISTS = declare(
    "program_exists",
    zh=("算法已登记", "{name} {version} 或相同内容的算法已登记（{program}）。", "内容有变的，请改用新的版本号；登记过的内容和版本号不能再用。"),
    en=(
        "The program is already registered",
        "{name} {version}, or a program with the same content, is already registered ({program}).",
        "If the content has changed, use a new version number; registered content and version numbers cannot be used again.",
    ),
)
PROGRAM_OWN = declare(
    "program_own_review",
    zh=("不得审查自己的算法", "{principal} 是提交者，或已审查过该算法。", "请由另外两名审核员审查，每人一次。"),
    en=(
        "You may not review this program",
        "{principal} submitted this program, or has already reviewed it.",
        "Ask two other reviewers to review it, each once.",
    ),
)
PROGRAM_OTHERS = declare(
    "program_not_yours",
    zh=("不是您的算法", "只有提交者可以撤回算法。", "请联系提交者；监管员可以使其失效。"),
    en=("Not your program", "Only its author can withdraw a program.", "Contact its author; a supervisor can also invalidate it."),
)


def submit_program(register: Register, package: bytes, *, by: str) -> str:
    """Register a package for review; returns the program's digest. PROGRAM_INVALID, located, when it is not one."""
    read = read_package(package)
    inspect(read)
    manifest, digest = read.manifest, read.digest
    with register.transaction() as act:
        _in_role(act, by, "operator")
        for other in [programs.program(act.connection, digest), *programs.versions_of(act.connection, by, manifest.name)]:
            if other is not None and (other.digest == digest or other.version == manifest.version):
                raise PROGRAM_EXISTS(name=manifest.name, version=manifest.version, program=other.digest)
        document = act.attach(read.document)
        act.append(ProgramSubmitted(by=by, program=digest, name=manifest.name, version=manifest.version, document=document))
    return digest


def review_program(register: Register, digest: str, verdict: Literal["approve", "reject"], *, reason: str, by: str) -> None:
    """One reviewer's verdict. The second approval approves, and supersedes the author's version approved before; one rejection rejects."""
    with register.transaction() as act:
        _in_role(act, by, "reviewer")
        found = _in_state(act, digest, "submitted")
        if by == found.author or by in {review.reviewer for review in found.reviews}:
            raise PROGRAM_OWN(principal=by)
        entry = act.append(ProgramReviewed(by=by, program=digest, verdict=verdict, reason=reason))
        entries = (*(review.entry for review in found.reviews), entry)
        if verdict == "approve" and len(entries) >= REVIEWS_NEEDED:
            older = [other for other in programs.versions_of(act.connection, found.author, found.name) if other.state == "approved"]
            supersedes = older[0].digest if older else None
            approved = ProgramApproved(
                by=by, program=digest, reviews=(entries[0], entries[1]), supersedes=supersedes, libraries=libraries_digest()
            )
            act.append(approved)


def withdraw_program(register: Register, digest: str, *, reason: str, by: str) -> None:
    with register.transaction() as act:
        found = _in_state(act, digest, "submitted", "approved")
        if found.author != by:
            raise PROGRAM_OTHERS()
        act.append(ProgramWithdrawn(by=by, program=digest, reason=reason))


def invalidate_program(register: Register, digest: str, *, reason: str, by: str) -> None:
    """At once, by one supervisor: it may not run any more."""
    with register.transaction() as act:
        supervisor(act, by)
        _in_state(act, digest, "approved", "superseded")
        act.append(ProgramInvalidated(by=by, program=digest, reason=reason))


def _in_role(act: Act, by: str, role: Role) -> None:
    if (who := known(act, by, "active")).role != role:
        raise PRINCIPAL_ROLE(principal=by, role=who.role, needed=role)


def _in_state(act: Act, digest: str, *states: str) -> Program:
    found = programs.program(act.connection, digest)
    if found is None:
        raise PROGRAM_UNKNOWN(program=digest)
    if found.state not in states:
        raise PROGRAM_STATE(program=digest, state=found.state, needed="/".join(states))
    return found
