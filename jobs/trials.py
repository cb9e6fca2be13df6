"""A program on invented rows, for its author: nothing is registered, read or spent, and all that happens is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from infra.cells.base import CellsError
from jobs.cells import libraries_digest
from jobs.kinds.program import cargo_for, require_time
from jobs.office import Office
from policies.reasons import explained, reasons_of
from sandbox.program.ask import RunAsk
from sandbox.program.compile import ProgramPlan, compile_run
from sandbox.program.package import read_package
from sandbox.program.problems import CELLS_MISSING, REQUEST_INVALID
from sandbox.program.report import inspect
from sandbox.rehearsal import Call, rehearse

USUAL = {"rho": "0.1"}  # where the author names no price yet


@dataclass(frozen=True, slots=True)
class Trial:
    digest: str
    plan: ProgramPlan
    calls: tuple[Call, ...]


def tried(office: Office, package: bytes, run: Mapping[str, Any]) -> Trial:
    """Check the package as submitting it would, then run it on a few blocks of rows invented from the catalogue. Raises `program_*` problems,
    located, and `program_cells_unavailable`: nobody has reviewed it yet, so it runs where it can reach nothing, or not at all."""
    read = read_package(package)
    inspect(read)
    try:
        ask = RunAsk.model_validate({"privacy": USUAL, **run, "program": read.digest})
    except ValidationError as error:
        reasons = reasons_of(error, dict(run))
        ask = None
    if ask is None:
        raise explained(REQUEST_INVALID, reasons)
    require_time(ask, office.settings)
    catalogue = office.register.catalogue()
    plan = compile_run(ask, read.manifest, catalogue, libraries=libraries_digest())
    office.cells.require_isolation()
    cargo, limits = cargo_for(read, plan, office.settings)
    try:
        calls = rehearse(plan, catalogue, office.cells.backend(), cargo, limits)
    except CellsError as error:
        about = error.about
        calls = None
    if calls is None:
        raise CELLS_MISSING(feature=about)
    return Trial(read.digest, plan, calls)
