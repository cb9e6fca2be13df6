"""Group commit: many acts, one trip to the disk; each alone in failing, together in lasting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from jobs.audit import audit
from jobs.events import PrincipalRegistered
from jobs.register import Register
from policies.problem import Problem
from tests.small_register import a_register, title

WORKERS = 8


@pytest.fixture
def register(tmp_path: Path, database_url: str) -> Iterator[Register]:
    with a_register(tmp_path, database_url=database_url) as register:
        yield register


def person(name: str) -> PrincipalRegistered:
    return PrincipalRegistered(by="system", principal=name, role="operator", title=title(name))


def together(register: Register, body: Callable[[int], None]) -> list[str]:
    """Run `body(number)` in threads that all wait for the turn at once, behind one that holds it. Returns how each ended, by number."""
    ends, holding, go = {}, threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.suppress(Problem), register.transaction(publish=False) as act:
            act.append(person("holder"))
            holding.set()
            go.wait(60)

    def work(number: int) -> None:
        try:
            body(number)
            ends[number] = "done"
        except Exception as error:
            ends[number] = type(error).__name__

    first = threading.Thread(target=hold)
    first.start()
    assert holding.wait(60)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    while register._turns._waiting < WORKERS:
        threading.Event().wait(0.005)
    go.set()
    for thread in [first, *threads]:
        thread.join(60)
    return [ends[number] for number in range(WORKERS)]


def add(register: Register, name: str) -> None:
    with register.transaction(publish=False) as act:
        act.append(person(name))


def test_those_who_wait_share_one_commit(register: Register) -> None:
    commits: list[int] = []
    event.listen(register.engine, "commit", lambda _connection: commits.append(register.size))  # what others see, just before
    assert together(register, lambda number: add(register, f"p{number}")) == ["done"] * WORKERS
    assert commits == [0]
    assert register.size == WORKERS + 1
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []


def test_one_that_fails_is_undone_alone(register: Register) -> None:
    def body(number: int) -> None:
        with register.transaction(publish=False) as act:
            act.seal(b"x")
            act.append(person(f"p{number}"))
            if number % 3 == 0:
                raise ZeroDivisionError

    ends = together(register, body)
    assert ends == ["ZeroDivisionError" if number % 3 == 0 else "done" for number in range(WORKERS)]
    assert sorted(found.id for found in register.principals()) == ["holder", *(f"p{number}" for number in range(WORKERS) if number % 3)]
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []


def test_nobody_is_told_before_the_commit(register: Register) -> None:
    told: list[int] = []
    seen: list[int] = []
    event.listen(register.engine, "commit", lambda _connection: seen.append(len(told)))

    def body(number: int) -> None:
        add(register, f"p{number}")
        told.append(number)

    together(register, body)
    assert seen == [0]
    assert len(told) == WORKERS


def test_when_the_commit_fails_all_have_failed_and_the_next_goes_on(register: Register) -> None:
    def fail(_connection: object) -> None:
        raise OperationalError("COMMIT", None, OSError("disk"))

    event.listen(register.engine, "commit", fail)
    assert together(register, lambda number: add(register, f"p{number}")) == ["Problem"] * WORKERS
    event.remove(register.engine, "commit", fail)
    assert register.size == 0
    assert register.principals() == []
    add(register, "later")
    assert [found.id for found in register.principals()] == ["later"]
    register.publish()
    assert audit(register.settings.log_dir, [register.vkey], register.engine).findings == []


def test_an_act_after_one_that_failed_sees_nothing_of_it(register: Register) -> None:
    """The same name again is no conflict, and takes the failed one's place in the log."""
    order = []

    def body(number: int) -> None:
        with register.transaction(publish=False) as act:
            index = act.append(person("same"))
            act.connection  # noqa: B018  # done, or failed, before anything is read
            order.append((number, index))
            if len(order) == 1:
                raise ZeroDivisionError

    ends = together(register, body)
    assert sorted(ends) == ["DoesNotFit"] * (WORKERS - 2) + ["ZeroDivisionError", "done"]
    assert [index for _, index in order] == [1, 1]
