"""The kind `program`: an approved program, run on blocks (or units) in cells, its outputs noised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy import select

from infra.cells.base import Cargo, CellsError, Limits
from infra.database import reading
from infra.settings import Settings
from infra.tables import jobs
from jobs import programs
from jobs.cells import libraries_digest
from jobs.programs import PROGRAM_STATE, PROGRAM_UNKNOWN
from jobs.slots import estimate_ms
from jobs.states import MEANING, State
from policies.catalogue import Catalogue
from policies.licence import JobKind
from policies.reasons import Reason, explained
from sandbox.finish.finish import Released
from sandbox.finish.finish import check as check_finish
from sandbox.noise.chain import check as check_price
from sandbox.plan.ask import Privacy
from sandbox.plan.model import Part
from sandbox.program.ask import RunAsk
from sandbox.program.cargo import cargo_of, limits_of
from sandbox.program.compile import ProgramPlan, compile_run
from sandbox.program.explain import explain
from sandbox.program.package import Package
from sandbox.program.problems import CELLS_MISSING, REQUEST_INVALID
from sandbox.raw.blocks import TASK_S, Bay, check_versions, exact_frames, exact_unit_totals
from sandbox.raw.frames import ExactFrames, frame_totals
from sandbox.raw.totals import ExactTotals
from sandbox.rehearsal import dummy_run
from sandbox.steps import released

if TYPE_CHECKING:
    from jobs.office import Office
    from jobs.order import Admitted

RUNNABLE = ("approved", "superseded")  # reviewers' approval stands until somebody takes it back
START_MS = 3_000.0  # of a cell in each worker, generously
SHARD_ROWS = 1_000_000  # that one group of shards has, at most, as ingest divides them
MS_PER_DEALT_ROW = 1 / 1_500  # measured: 170 ms for 600,000 rows of four columns; twice that
CALL_MS = 100.0  # around one call: the block's way in, a fresh process, its end


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    ask: RunAsk

    @property
    def kind(self) -> JobKind:
        return "program"

    @property
    def privacy(self) -> Privacy:
        return self.ask.privacy

    @property
    def text(self) -> str:
        tables = ", ".join(table.dataset for table in self.ask.tables)
        return f"program {self.ask.program} ({self.ask.combine}) over {tables}"

    def content(self) -> dict[str, Any]:
        return {"run": self.ask.model_dump(mode="json")}


class ProgramKind:
    name: JobKind = "program"

    def request(self, content: Mapping[str, Any]) -> ProgramRequest:
        return ProgramRequest(RunAsk.model_validate(content["run"]))

    def compile(self, office: Office, request: ProgramRequest, catalogue: Catalogue) -> ProgramPlan:
        package = _approved(office, request.ask.program)
        require_time(request.ask, office.settings)
        office.cells.backend()  # nothing is promised where no program can run
        return compile_run(request.ask, package.manifest, catalogue, libraries=libraries_digest())

    def check(self, plan: ProgramPlan) -> None:
        check_price(plan.plan)  # OpenDP's own map agrees with the price
        check_finish(plan.plan)  # the last query runs, over no rows

    def expected_ms(self, settings: Settings, plan: ProgramPlan, catalogue: Catalogue) -> float:
        """As if every call took all the time it may: no call can make the job late."""
        read = estimate_ms(approximate_rows=plan.rows, drawn=len(plan.plan.draws), cores=1)
        calls = math.ceil(plan.calls / max(1, settings.workers))
        tasks = math.ceil(calls / max(1, int(TASK_S / float(plan.run.seconds))))
        dealt = tasks * min(plan.rows, SHARD_ROWS) * MS_PER_DEALT_ROW  # every task sorts its shard's rows into blocks anew
        return read + dealt + START_MS + calls * (float(plan.run.seconds) * 1000 + CALL_MS)

    def readable(self, office: Office, plan: ProgramPlan) -> None:
        """The snapshots can be opened, the program may still run, and the cells' last probe lets rows into them."""
        check_versions(plan.scans, office.vault)
        _approved(office, plan.run.program)
        office.cells.require(plan.scans, office.register.catalogue())

    def totals(self, office: Office, job: Admitted[ProgramPlan]) -> ExactFrames | ExactTotals:
        plan, seed = job.plan, job.seed(office)

        def wanted() -> bool:
            """A cancelled job gives its workers back between two tasks."""
            with reading(office.register.engine) as connection:
                state = connection.execute(select(jobs.c.state).where(jobs.c.id == job.id)).scalar_one()
            return MEANING[State(state)].at_start != "nothing"

        bay = Bay(job.id, office.cells.opener(), *_cargo(office, plan))
        with office.crew.reading(job.order.by.id, job.slots.rung_ms(job.slots.chosen)):
            if plan.run.mode == "units":
                return exact_unit_totals(plan.plan, plan.run, office.vault, office.workers, bay, seed, rows=plan.rows, wanted=wanted)
            return exact_frames(plan.plan, plan.run, office.vault, office.workers, bay, seed, wanted=wanted)

    def drawn(self, office: Office, job: Admitted[ProgramPlan], totals: ExactFrames | ExactTotals) -> Released:
        def compute(part: Part, read: Mapping[str, pa.Table]) -> ExactTotals:
            return frame_totals(part, job.plan.run, totals, read) if isinstance(totals, ExactFrames) else totals

        return released(job.plan.plan, {}, compute)

    def about(self, plan: ProgramPlan) -> dict[str, Any]:
        run = plan.run
        bounds = {"groups_per_unit": 1, "rows_per_group": 1}
        told = {"digest": run.program, "mode": run.mode, "combine": run.combine, "blocks": run.blocks or None, "seconds": str(run.seconds)}
        return {"thresholded": False, "bounds": bounds, "program": told | {"libraries": run.libraries}}

    def explain(self, plan: ProgramPlan) -> dict[str, Any]:
        return explain(plan)

    def dummy(self, office: Office, plan: ProgramPlan, catalogue: Catalogue) -> Released:
        cargo, limits = _cargo(office, plan)
        about = ""
        try:
            return dummy_run(plan, catalogue, office.cells.backend(), cargo, limits)
        except CellsError as error:
            about = error.about
        raise CELLS_MISSING(feature=about)


def _approved(office: Office, digest: str) -> Package:
    """The package that reviewers approved. Raises `program_unknown`, `program_state_conflict`."""
    with reading(office.register.engine) as connection:
        found = programs.program(connection, digest)
        package = None if found is None else programs.package(connection, digest)
    if found is None or package is None:
        raise PROGRAM_UNKNOWN(program=digest)
    if found.state not in RUNNABLE:
        raise PROGRAM_STATE(program=digest, state=found.state, needed="/".join(RUNNABLE))
    return package


def _cargo(office: Office, plan: ProgramPlan) -> tuple[Cargo, Limits]:
    return cargo_for(_approved(office, plan.run.program), plan, office.settings)


def cargo_for(package: Package, plan: ProgramPlan, settings: Settings) -> tuple[Cargo, Limits]:
    """What a cell is opened with, and what a call in it may use."""
    imports = [name.partition(".")[0] for name in programs.report_of(package).imports]
    cargo = cargo_of(package, plan.run, [scan.dataset for scan in plan.scans], imports)
    return cargo, limits_of(plan.run, memory_mb=settings.cells_memory_mb, cpu_s=settings.cells_cpu_s)


def require_time(ask: RunAsk, settings: Settings) -> None:
    """Raises `program_request_invalid` for calls that want more time than this installation gives one."""
    most = settings.cells_wall_s
    if ask.seconds > Decimal(str(most)):
        raise explained(REQUEST_INVALID, [Reason("seconds", f"本平台至多 {most:g} 秒", f"this installation gives a call {most:g} at most")])
