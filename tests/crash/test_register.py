"""Kill the register at every moment that matters: what was acknowledged is there, the log is one log, tables and log agree."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.journal.checkpoint import Checkpoint
from infra.journal.proof import verify_consistency
from jobs import ledger
from jobs.audit import audit
from policies.loss import Loss
from tests.crash.register_worker import POINTS
from tests.small_register import a_register, furnish, run

ROOT = Path(__file__).resolve().parents[2]
Kill = Callable[..., int]


@pytest.fixture(scope="module")
def kill() -> Iterator[Kill]:
    """Run the worker until it kills itself; returns its wait status."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.register_worker"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def case(**values: object) -> int:
            stdin.write(json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in values.items()}) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield case
        stdin.close()


def acknowledged(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("nth", [1, 30])
@pytest.mark.parametrize("point", sorted(POINTS))
def test_killed_at_any_moment_the_register_holds_what_it_told(kill: Kill, tmp_path: Path, database_url: str, point: str, nth: int) -> None:
    home, log = tmp_path / "home", tmp_path / "told"
    with a_register(home, database_url=database_url) as register:
        furnish(register)
    for times in (nth, 1):  # and again: the second start recovers from the first death
        assert kill(home=home, log=log, url=database_url, point=point, nth=times) == signal.SIGKILL, "the mine was never reached"
    told = acknowledged(log)
    seen = (home / "log" / "checkpoint").read_text()
    with a_register(home, database_url=database_url) as register:
        for line in told:
            assert register.entry(int(str(line["index"]))).hex() == line["entry"]
        now = Checkpoint.peek(register.checkpoint())
        assert now.size == register.size
        for note in (seen, *(str(line["note"]) for line in told)):
            before = Checkpoint.peek(note)
            verify_consistency(before.size, now.size, register.consistency(before.size, now.size), before.root, now.root)
        spent = {balance.account: balance.spent for balance in ledger.balances(register)}
        run(register, "after", Loss(1_000))  # and work goes on
        assert all(balance.spent == spent[balance.account] + Loss(1_000) for balance in ledger.balances(register))
        report = audit(register.settings.log_dir, [register.vkey], register.engine, remembered=seen)
        assert report.clean, report.findings


def test_the_worker_dies_where_it_should(kill: Kill, tmp_path: Path) -> None:
    """Without a mine in reach it lives: the deaths above are not accidents."""
    with a_register(tmp_path / "home") as register:
        furnish(register)
    assert kill(home=tmp_path / "home", log=tmp_path / "told", url="", point="append", nth=10**9) == 0
    assert len(acknowledged(tmp_path / "told")) == 12
