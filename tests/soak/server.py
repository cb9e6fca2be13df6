"""Servers under load, forked from a process that has imported everything. Run as `python -m tests.soak.server`.

Each line read, {"home", "url", "notes", "workers", "first"} in JSON, starts one server and is answered with its process id. The server takes
jobs from four threads until it is killed. What happened is in `notes`, a line per fact, each written in one piece: `ready`, `job ID` when a
submission was acknowledged, `draw JOB` when noise was drawn, `staged JOB SHA256` when an answer was fixed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from infra import keeper
from jobs import hops
from policies.problem import Problem
from sandbox import steps
from sandbox.plan.ask import Ask
from tests.bureau import opened, order

SUBMITTERS = 4
SLOTS_MS = (50, 250, 500)  # a resumed job waits for the next multiple of the last


class Notes:
    """Appended to by several processes and threads; a write of one line is whole or absent."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: str) -> None:
        os.write(self._file, (" ".join(words) + "\n").encode())


def watched(notes: Notes) -> None:
    """Note draws and staged answers of every walk in this process."""
    present = threading.local()
    totals, draw, stage = hops.totals, steps.draw, hops.stage  # type: ignore[attr-defined]

    def noted_totals(office: Any, job: Any) -> Any:
        present.job = job.id
        return totals(office, job)

    def noted_draw(*arguments: Any) -> Any:
        if hasattr(present, "job"):  # not the rehearsal's
            notes.write("draw", present.job)
        return draw(*arguments)

    def noted_stage(office: Any, job: Any, answer: Any) -> Any:
        staged = stage(office, job, answer)
        notes.write("staged", job.id, staged.digests["table.arrow"])
        return staged

    hops.totals, steps.draw, hops.stage = noted_totals, noted_draw, noted_stage  # type: ignore[assignment,attr-defined]


def serve(home: Path, url: str, notes: Notes, *, ray: bool, first: int) -> None:
    """`first`: questions are numbered from here; each is another question, for its own price. -1: no load, carry on what is there."""
    watched(notes)
    size = {"workers": 2, "memory_bytes": 64 * 2**20, "object_store_bytes": 80 * 2**20}
    workers = keeper.workers(home / "ray", **size, linger_s=30) if ray else None
    services = opened(home, database_url=url, slots_ms=SLOTS_MS, workers=workers)
    services.ready.wait()
    notes.write("ready")

    def submit(lane: int) -> None:
        for number in range(first + lane, first + 100_000, SUBMITTERS):
            ask = Ask.model_validate({"privacy": {"epsilon": f"0.1{number:06d}", "delta": "0.00000001"}})
            try:
                notes.write("job", services.submit(order(ask=ask)).result(30))
            except Exception as error:  # a database that is gone too, or a machine too busy to answer
                notes.write("refused", error.code if isinstance(error, Problem) else type(error).__name__)
                time.sleep(0.05)

    if first >= 0:
        for lane in range(SUBMITTERS):
            threading.Thread(target=submit, args=(lane,), daemon=True).start()
    signal.pause()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever kills them looks after them
    for line in sys.stdin:
        case = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
            try:
                serve(Path(case["home"]), case["url"], Notes(Path(case["notes"])), ray=case["ray"], first=case["first"])
            finally:
                os._exit(1)
        print(child, flush=True)


if __name__ == "__main__":
    main()
