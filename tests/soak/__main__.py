"""`make soak`: kill −9 of a serving process, and of its workers, at random moments under load; look at everything after each.

`python -m tests.soak --kills 300 --databases sqlite postgresql`; `--ray` runs real worker processes and kills those too. Ends with an error
at the first broken promise; the home it happened in is kept and named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select

from infra import keeper
from infra.database import reading
from infra.tables import charges, jobs, releases
from jobs import ledger
from jobs.audit import audit
from jobs.register import Register
from jobs.states import OPEN
from tests.bureau import settings_in
from tests.postgres import Postgres, a_postgres
from tests.processes import command, descendants, ended
from tests.soak.server import SUBMITTERS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 600  # this is about what is kept, not how fast: a busy machine may take its time
SET_UP = "import sys; from pathlib import Path; from tests.bureau import set_up; set_up(Path(sys.argv[1]), database_url=sys.argv[2])"


class Soak:
    """One home on one database, and the process that forks its servers."""

    def __init__(self, home: Path, url: str, *, ray: bool, seed: int, up_s: float) -> None:
        """`up_s`: how long a server that is ready may live at most."""
        self.home = home
        self.up_s = up_s
        self.url = url
        self.ray = ray
        self.notes = home.with_suffix(".notes")
        self.random = random.Random(seed)
        self.worker_kills = self.kills = 0
        self.ready_s: list[float] = []
        subprocess.run([sys.executable, "-c", SET_UP, home, url], cwd=ROOT, check=True)
        self.notes.touch()
        self.forker = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.server"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        assert self.forker.stdin is not None
        self.forker.stdin.close()
        self.forker.wait(PATIENCE_S)

    def lines(self, kind: str) -> list[list[str]]:
        return [words[1:] for line in self.notes.read_text().splitlines() if (words := line.split())[0] == kind]

    @contextmanager
    def server(self, first: int) -> Iterator[int]:
        """A server that is up; killed at the end, with all its descendants."""
        assert self.forker.stdin is not None
        assert self.forker.stdout is not None
        before, began = len(self.lines("ready")), time.monotonic()
        case = {"home": str(self.home), "url": self.url, "notes": str(self.notes), "ray": self.ray, "first": first}
        self.forker.stdin.write(json.dumps(case) + "\n")
        self.forker.stdin.flush()
        pid = int(self.forker.stdout.readline())
        while len(self.lines("ready")) == before:
            assert time.monotonic() - began < PATIENCE_S, "the server does not come up"
            assert not ended([pid], 0), "the server died by itself"
            time.sleep(0.01)
        self.ready_s.append(time.monotonic() - began)
        try:
            yield pid
        finally:
            kept = keeper._read(self.home / "ray")
            spared = set() if kept is None else {kept.pid, *descendants(kept.pid)}  # a power cut would take it; a killed server does not
            family = [child for child in descendants(pid) if child not in spared]
            os.kill(pid, signal.SIGKILL)
            for child in family:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            assert ended([pid, *family], 30)

    def kill(self, number: int) -> None:
        with self.server(number * 1_000):
            time.sleep(self.random.uniform(0.05, self.up_s))
            kept = keeper._read(self.home / "ray") if self.ray else None  # Ray is a process of its own: it outlives the server
            actors = [child for child in descendants(kept.pid) if "_Actor" in command(child)] if kept is not None else []
            if actors:  # a worker first: the server goes on, for a while
                os.kill(self.random.choice(actors), signal.SIGKILL)
                self.worker_kills += 1
                time.sleep(self.random.uniform(0, 1.5))
        self.kills += 1

    def outage(self, database: Postgres, seconds: float) -> None:
        """The database goes as by a power cut, while a server is under load, and comes back: that server goes on by itself."""
        with self.server(90_000_000) as pid:
            before = len(self.lines("job"))
            self._until(lambda: len(self.lines("job")) > before, "the server takes no work")
            database.stop(at_once=True)
            refused = len(self.lines("refused"))
            try:
                time.sleep(seconds)
                assert not ended([pid], 0), "the server died of its database"
                assert len(self.lines("refused")) > refused, "new work was not refused"
            finally:
                database.start()
            after = len(self.lines("job"))
            self._until(
                lambda: len(self.lines("job")) > after + SUBMITTERS, "the server takes no work again"
            )  # those in hand, and then new ones

    def _until(self, holds: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        until = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until, what
            time.sleep(0.1)

    def look(self, *, over: bool = False) -> dict[str, Any]:
        """Everything that was promised. `over`: no job is under way any more."""
        register = Register.open(settings_in(self.home, database_url=self.url))
        try:
            report = audit(register.settings.log_dir, [register.vkey], register.engine)
            assert report.findings == [], [str(finding) for finding in report.findings]
            for balance in ledger.balances(register):
                assert balance.cap.covers(balance.reserved + balance.spent), balance
            with reading(register.engine) as connection:
                states = {row.id: row.state for row in connection.execute(select(jobs.c.id, jobs.c.state))}
                tables = {row.job: row.table_sha256 for row in connection.execute(select(releases.c.job, releases.c.table_sha256))}
                open_charges = connection.execute(select(charges.c.id).where(charges.c.state.in_(["reserved", "reading"]))).all()
        finally:
            register.close()
        told = [words[0] for words in self.lines("job")]
        assert set(told) <= set(states), "a job that was acknowledged is lost"
        staged: dict[str, str] = {}
        for line in self.notes.read_text().splitlines():
            kind, *words = line.split()
            if kind == "draw":
                assert words[0] not in staged, f"a second draw for {words[0]}, whose answer was fixed"
            elif kind == "staged":
                assert staged.setdefault(words[0], words[1]) == words[1]
        for job, table in tables.items():
            assert staged.get(job, table) == table, f"{job} was released with another answer than the one first fixed"
        if over:
            assert not [job for job, state in states.items() if state in {each.value for each in OPEN}]
            assert open_charges == []
            assert all(states[job] == "published" for job in told), {states[job] for job in told}
        return {"jobs": len(states), "acknowledged": len(told), "released": len(tables), "entries": report.size}

    def settle(self, timeout_s: float = PATIENCE_S) -> None:
        """Let a server without load carry through what lies there."""
        with self.server(-1):
            until = time.monotonic() + timeout_s
            register = Register.open(settings_in(self.home, database_url=self.url))
            try:
                while True:
                    with reading(register.engine) as connection:
                        left = connection.execute(select(jobs.c.id).where(jobs.c.state.in_([each.value for each in OPEN]))).all()
                    if not left:
                        return
                    assert time.monotonic() < until, f"{len(left)} jobs are not carried through"
                    time.sleep(0.2)
            finally:
                register.close()


def campaign(
    kind: str, url: str, kills: int, *, ray: bool, seed: int, minutes: float, up_s: float, gone_s: float = 0, database: Postgres | None = None
) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix=f"yunei-soak-{kind}-"))
    soak = Soak(folder / "home", url, ray=ray, seed=seed, up_s=up_s)
    try:
        until = time.monotonic() + minutes * 60
        for number in range(1, kills + 1):
            if time.monotonic() > until:
                print(f"{kind}: the time is up after {number - 1} of {kills} kills", flush=True)
                break
            soak.kill(number)
            seen = soak.look()
            if number % 10 == 0:
                print(f"{kind}: {number} kills, {seen}", flush=True)
        if database is not None and gone_s:
            soak.outage(database, gone_s)
            print(f"{kind}: gone for {gone_s:g} s under load, {soak.look()}", flush=True)
        soak.settle()
        seen = soak.look(over=True)
    except BaseException:
        print(f"{kind}: kept for you to look at: {folder}", flush=True)
        raise
    finally:
        soak.close()
        keeper._end(soak.home / "ray")
    shutil.rmtree(folder)
    ready = {"ready_s_at_most": round(max(soak.ready_s), 2), "ready_s_median": round(statistics.median(soak.ready_s), 2)}
    return {"kills": soak.kills, "worker_kills": soak.worker_kills, **ready, **seen}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--minutes", type=float, default=600, help="per database; a campaign cut short says how many kills there were")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--up", type=float, default=1.5, help="a server that is ready lives at most so many seconds; more on a busy machine")
    parser.add_argument("--gone", type=float, default=60, help="PostgreSQL goes away for so many seconds under load; 0: it does not")
    chosen = parser.parse_args()
    how: dict[str, Any] = {"ray": chosen.ray, "seed": chosen.seed, "minutes": chosen.minutes, "up_s": chosen.up}
    for kind in chosen.databases:
        if kind == "sqlite":
            print(kind, campaign(kind, "", chosen.kills, **how), flush=True)
        else:
            with a_postgres(durable=True) as server:
                print(kind, campaign(kind, server.database(), chosen.kills, **how, gone_s=chosen.gone, database=server), flush=True)


if __name__ == "__main__":
    main()
