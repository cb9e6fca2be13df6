"""Whether operators' programs may be given rows here: the backend that the settings name, and what its probe found.

A probe is a set of attacks that the cells carry out against themselves, once after the start and again at intervals. Rows are given to
programs only while the last one found every safeguard in place, but for those that the administrator named as missing
(`YUNEI_CELLS_ACCEPT`). What it found is an event of the log; so is every later probe that found something else.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import structlog

from infra.cells.base import Backend, Cargo, Cell, CellsError, Finding, Limits, choose
from infra.cells.libraries import Library, LibrarySetBroken, library_set
from infra.clock import Clock
from infra.settings import Settings
from jobs.events import CellsProbed
from jobs.register import Register
from policies.catalogue import Catalogue
from sandbox.plan.model import Scan
from sandbox.program.problems import CELLS_MISSING

log = structlog.get_logger("yunei.cells")
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The settings' backend wherever it is opened: in a worker too."""

    settings: Settings = field(repr=False)

    @contextmanager
    def open(self, cargo: Cargo, limits: Limits) -> Iterator[Cell]:
        with choose(self.settings).open(cargo, limits) as cell:
            yield cell


@cache
def libraries() -> tuple[Library, ...]:
    """The locked library set. Raises `program_cells_unavailable` where it is not whole."""
    try:
        return library_set()
    except LibrarySetBroken as error:
        broken = str(error)
    raise CELLS_MISSING(feature=broken)


def libraries_digest() -> str:
    """SHA-256 over the set: names, versions and what was installed of each."""
    told = [[library.name, library.version, library.record] for library in libraries()]
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


class CellRoom:
    """Asked before every run. Threads may share it."""

    def __init__(self, settings: Settings, register: Register, clock: Clock) -> None:
        self._settings, self._register, self._clock = settings, register, clock
        self._lock = threading.Lock()
        self._probed_at: datetime | None = None
        self._missing: tuple[str, ...] = ()
        self._told: tuple[str, tuple[str, ...]] | None = None

    @property
    def on(self) -> bool:
        return self._settings.cells_backend != "off"

    def backend(self) -> Backend:
        """Raises `program_cells_unavailable`."""
        try:
            return choose(self._settings)
        except CellsError as error:
            about = error.about
        raise CELLS_MISSING(feature=about)

    def opener(self) -> Chosen:
        return Chosen(self._settings)

    def require(self, scans: Sequence[Scan], catalogue: Catalogue) -> None:
        """Raise `program_cells_unavailable` unless these rows may be given to programs now: the last probe is not too old and found what must
        be there, or all of them are declared to be invented."""
        found = [catalogue.get(scan.dataset) for scan in scans]
        if not all(snapshot is not None and snapshot.dataset.synthetic for snapshot in found):
            self.require_isolation()

    def require_isolation(self) -> None:
        """Raise `program_cells_unavailable` unless a program that nobody trusts may run here at all."""
        backend = self.backend()
        if not backend.isolates:
            raise CELLS_MISSING(feature=f"{backend.name}: YUNEI_CELLS_BACKEND")
        missing = [feature for feature in self.missing() if feature not in self._settings.cells_accept]
        if missing:
            raise CELLS_MISSING(feature=", ".join(missing))

    def missing(self) -> tuple[str, ...]:
        """Features that the last probe did not find, after a new one where the last is older than the interval. Takes seconds then."""
        with self._lock:
            now = self._clock()
            due = timedelta(seconds=self._settings.cells_probe_interval_s)
            if self._probed_at is None or now - self._probed_at >= due:
                self._probe(now)
            return self._missing

    def warm(self) -> None:
        """At start: probe, so that the first job does not wait for it. A failure is told in the log, and refuses runs."""
        if self.on:
            try:
                self.backend()
                self.missing()
            except Exception as error:  # programs stay refused: whoever asks is told why
                log.warning("cells_not_ready", error=type(error).__name__)

    def _probe(self, now: datetime) -> None:
        backend = self.backend()
        found: Sequence[Finding] = backend.probe()
        missing = tuple(sorted({finding.feature for finding in found if not finding.ok}))
        if not found:
            missing = ("probe",)
        self._missing, self._probed_at = missing, now
        told = (backend.name, missing)
        if told != self._told:
            accepted = tuple(sorted(set(missing) & set(self._settings.cells_accept)))
            event = CellsProbed(by=SYSTEM, backend=backend.name, missing=missing, accepted=accepted, libraries=libraries_digest())
            with self._register.transaction() as act:
                act.append(event)
            self._told = told
