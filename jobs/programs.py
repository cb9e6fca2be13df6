"""The algorithm registry (算法审查): which programs there are, and in which state. Reading only; the acts are in `jobs/acts/programs.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select

from infra.database import reading
from infra.tables import documents, program_reviews, programs
from jobs.register import Register
from policies.problem import declare, vocabulary
from sandbox.program.package import Package, read_document
from sandbox.program.report import Report, inspect

PROGRAM_UNKNOWN = declare(
    "program_unknown",
    zh=("没有这个算法", "没有摘要为 {program} 的算法。", "请用 yunei program list 查看；摘要须写全。"),
    en=(
        "No such program",
        "There is no program with digest {program}.",
        "Run yunei program list to see the programs; write the digest in full.",
    ),
)
PROGRAM_STATE = declare(
    "program_state_conflict",
    zh=(
        "算法状态不允许此操作",
        "算法 {program} 的状态为{state:program_state}，此操作需要{needed:program_state}。",
        "请核对状态；未予通过或已失效的算法，请修改后重新提交。",
    ),
    en=(
        "The state of the program does not allow this",
        "Program {program} is {state:program_state}; this needs {needed:program_state}.",
        "Check its state; a program that was rejected or invalidated must be changed and submitted again.",
    ),
)

ProgramState = Literal["submitted", "approved", "rejected", "superseded", "withdrawn", "invalidated"]
PROGRAM_STATE_TITLES: dict[ProgramState, tuple[str, str]] = {
    "submitted": ("已提交", "submitted"),
    "approved": ("已批准", "approved"),
    "rejected": ("未予通过", "rejected"),
    "superseded": ("已有新版", "superseded"),
    "withdrawn": ("已撤回", "withdrawn"),
    "invalidated": ("已失效", "invalidated"),
}
vocabulary("program_state", PROGRAM_STATE_TITLES)


@dataclass(frozen=True, slots=True)
class Review:
    reviewer: str
    verdict: Literal["approve", "reject"]
    entry: int
    reviewed_at: str


@dataclass(frozen=True, slots=True)
class Program:
    """A registered program; `digest` names its content, `entry` is the log's entry of its submission."""

    digest: str
    name: str
    version: str
    author: str
    state: ProgramState
    entry: int
    submitted_at: str
    changed_at: str
    reviews: tuple[Review, ...] = ()


def all_programs(register: Register, author: str | None = None) -> list[Program]:
    """Newest first; `author`: only theirs."""
    query = select(programs).order_by(programs.c.entry.desc())
    if author is not None:
        query = query.where(programs.c.author == author)
    with reading(register.engine) as connection:
        return _programs(connection, query)


def program(connection: Connection, digest: str) -> Program | None:
    return next(iter(_programs(connection, select(programs).where(programs.c.digest == digest))), None)


def versions_of(connection: Connection, author: str, name: str) -> list[Program]:
    return _programs(connection, select(programs).where(programs.c.author == author, programs.c.name == name))


def package(connection: Connection, digest: str) -> Package | None:
    """The source as it was submitted."""
    query = select(documents.c.body).join(programs, programs.c.document == documents.c.digest).where(programs.c.digest == digest)
    body = connection.execute(query).scalar_one_or_none()
    return None if body is None else read_document(bytes(body))


_REPORTS: dict[str, Report] = {}  # by digest: what was said of a content stays true of it


def report_of(source: Package) -> Report:
    """The static report on a registered package, made once in this process."""
    found = _REPORTS.get(source.digest)
    if found is None:
        if len(_REPORTS) >= 256:
            _REPORTS.clear()
        found = _REPORTS[source.digest] = inspect(source)
    return found


def _programs(connection: Connection, query: Select[Any]) -> list[Program]:
    rows = list(connection.execute(query))
    said: dict[str, list[Review]] = {row.digest: [] for row in rows}
    reviews = select(program_reviews).where(program_reviews.c.program.in_(list(said))).order_by(program_reviews.c.entry)
    for row in connection.execute(reviews):
        said[row.program].append(Review(row.reviewer, row.verdict, row.entry, row.reviewed_at))
    return [_program(row, tuple(said[row.digest])) for row in rows]


def _program(row: Row[Any], reviews: tuple[Review, ...]) -> Program:
    return Program(row.digest, row.name, row.version, row.author, row.state, row.entry, row.submitted_at, row.changed_at, reviews)
