"""The server's own audit: the whole log, its signatures, and the database against it, every so often, by another process.

That process is a child at the lowest priority: reading a long log takes minutes, and nobody who waits for an answer should notice. What it is
told goes through its standard input, for the database's address may hold a password.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from infra.database import open_engine, reading, writing
from jobs.audit import audit
from jobs.events import rfc3339
from jobs.register import Register
from jobs.watch import gather
from jobs.watch.facts import Audit
from jobs.watch.notes import Notes

log = structlog.get_logger("yunei.watch")
TIMEOUT_S = 6 * 3600
NICENESS = 15


def due(register: Register, now: datetime, interval_h: float) -> bool:
    """Whether the newest audit, or else the log's beginning, is so long ago. 0: there are no audits."""
    if not interval_h:
        return False
    with reading(register.engine) as connection:
        last = gather.audit(connection)
    since = last.at if last is not None else gather.begun(register)
    return since is not None and now - since >= timedelta(hours=interval_h)


def audited(register: Register, niceness: int = NICENESS) -> Audit | None:
    """Audit now, and note what came of it. None when the child could not do it: it is tried again."""
    told = {"log": str(register.settings.log_dir), "vkeys": list(register.vkeys), "niceness": niceness}
    told |= {"database": register.settings.database_url}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.watch.auditing"],
            input=json.dumps(told).encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        log.error("audit_not_done", error=type(error).__name__)
        return None
    return noted(register, found["size"], found["codes"])


def noted(register: Register, size: int, codes: list[str]) -> Audit:
    now = register.clock()
    note = {"entry": size, "place": -1, "topic": "audit", "at": rfc3339(now), "who": "system", "subject": "", "form": "", "space": ""}
    with writing(register.engine) as connection:
        Notes.forget_audits(connection)
        Notes.keep(connection, [{**note, "body": json.dumps({"codes": codes})}])
    if codes:
        log.error("audit_found", codes=codes[:10])
    return Audit(now, size, tuple(codes))


def main(told: dict[str, Any]) -> dict[str, Any]:
    """In the child: size of the log, and the code of each thing found, in order."""
    os.nice(told["niceness"])
    engine = open_engine(told["database"])
    try:
        report = audit(Path(told["log"]), told["vkeys"], engine)
    finally:
        engine.dispose()
    return {"size": report.size, "codes": [finding.code for finding in report.findings][:1000]}


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
