"""What every test file must leave as it found it: a file that does not is an error, which says what it changed.

`pytest -p tests.guard` looks, for about a second in all; `make left` does so for the whole suite. Files run in one process after one another,
in an order that differs from run to run: what one leaves changed, another one trips over, some day. Checked when the last test of a file has
given its fixtures back; what a fixture of the session sets up may stay, it is there for all.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import resource
import signal
import sys
import time
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

OURS = ("api", "infra", "jobs", "policies", "sandbox", "tests", "yunei")
LIMITS = [name for name in dir(resource) if name.startswith("RLIMIT_")]
SERVERS = ("uvicorn", "yunei", "api", "jobs", "infra", "sandbox")  # whose loggers are put back
LAZY = {
    "KINDS",  # of problems, wherever it is known by that name: modules declare theirs as they are imported
    "jobs.lane.index._KNOWN",
    "jobs.programs._REPORTS",
    "jobs.rulebook._KNOWN",
    "sandbox.finish.finish._ran",
    "sandbox.raw.kept._eras",
    "sandbox.raw.verify._idle",
    "sandbox.raw.verify._passed",
    "yunei.cli.app.groups",
}
"""Tables that fill up with use: each entry is what it would be at any other time, by a key that says all it hangs on."""
State = dict[str, Any]


def process() -> State:
    """What the process has one of, by name."""
    root = logging.getLogger()
    found: State = {f"environment {name}": value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    found |= {f"signal {number.name}": signal.getsignal(number) for number in signal.Signals}
    found |= {f"limit {name}": resource.getrlimit(getattr(resource, name)) for name in LIMITS}
    return found | {
        "working directory": os.getcwd(),
        "umask": _umask(),
        "sys.path": tuple(sys.path),
        "sys.meta_path": tuple(sys.meta_path),
        "recursion limit": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "time zone": time.tzname,
        "garbage collector": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "root logger": _logger(root),
        **{f"logger {name}": _logger(each) for name, each in _loggers() if name.partition(".")[0] not in SERVERS},
        "logging disabled": root.manager.disable,
    }


@contextmanager
def logs_put_back() -> Iterator[None]:
    """What a server says of itself is set once in a process, by the program and by uvicorn; here, in many files, and put back after each.
    A logger that nobody had named before is as if new."""
    configured, config = structlog.is_configured(), structlog.get_config()
    before = {name: _logger(each) for name, each in _loggers()}
    yield
    structlog.reset_defaults()
    if configured:
        structlog.configure(**config)
    for name, each in _loggers():
        if name.partition(".")[0] in SERVERS:
            level, each.propagate, each.disabled, handlers, _ = before.get(name, FRESH)
            each.setLevel(level)
            each.handlers[:] = handlers


def _loggers() -> list[tuple[str, logging.Logger]]:
    return [(name, each) for name, each in logging.root.manager.loggerDict.items() if isinstance(each, logging.Logger)]


def _umask() -> str:
    """Without setting it, which another thread would notice."""
    return next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask"))


Logged = tuple[int, bool, bool, tuple[logging.Handler, ...], tuple[Any, ...]]
FRESH: Logged = (logging.NOTSET, True, False, (), ())
"""A logger that somebody has only named."""


def _logger(logger: logging.Logger) -> Logged:
    handlers = tuple(each for each in logger.handlers if not type(each).__module__.startswith("_pytest"))
    return logger.level, logger.propagate, logger.disabled, handlers, tuple(logger.filters)


def files(folder: Path) -> State:
    """What lies in a folder, as far as looking without reading tells."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.stat()
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_mtime_ns, about.st_size if path.is_file() else None)
    return found


class Watch:
    """Before a file's tests, `begin`; after them, `changed`."""

    def __init__(self) -> None:
        self._before: State = {}
        self._found: list[str] = []
        self._shared: dict[str, Callable[[], State]] = {}
        self._modules = Modules()

    def begin(self) -> None:
        self._modules.changed()
        self._before, self._found = self._now(), []

    def changed(self) -> list[str]:
        """What is not as it was when the file began, with what it was and is."""
        now, missing = self._now(), "absent"
        pairs = [(name, self._before.get(name, missing), now.get(name, missing)) for name in self._before.keys() | now.keys()]
        pairs = [pair for pair in pairs if pair[1] != missing or not pair[0].startswith("logger ")]  # a library's, as it is imported
        found = sorted(f"{name}: {before!r:.200} → {after!r:.200}" for name, before, after in pairs if before != after)
        return found + self._found + self._modules.changed()

    def share(self, name: str, look: Callable[[], State]) -> None:
        """Something of the session that no test may change."""
        self._shared[name] = look

    def pytest_sessionfinish(self) -> None:
        """Things known here would be kept alive while the process ends, which libraries complain of."""
        self._before, self._modules = {}, Modules()
        self._shared.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What a fixture of the session changes is meant to stay."""
        if fixturedef.scope != "session":
            return (yield)
        before, found = self._now(), self._modules.changed()
        made = yield
        after = self._now()
        self._modules.changed()
        self._found += found
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                self._before.pop(name, None)
                self._before |= {name: after[name]} if name in after else {}
        return made

    def _now(self) -> State:
        found = process()
        for name, look in self._shared.items():
            found |= {f"{name} {each}": value for each, value in look().items()}
        return found


class Modules:
    """Names of our modules, and of the classes and tables in them, as they were when first seen."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[types.ModuleType, dict[str, Any]]] = {}
        self.inside: dict[tuple[str, str], tuple[Any, Any]] = {}

    def changed(self) -> list[str]:
        """What is not as it was. Modules not seen before are taken note of."""
        found = []
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] not in OURS or ".test_" in name:  # what a file of tests has for itself is its own
                continue
            known = self.known.get(name)
            if known is None or known[0] is not module:
                self._note(name, module)
                continue
            now = vars(module)
            if not _same(known[1], now):
                found += [f"{name}.{each}" for each in sorted(known[1].keys() | now.keys()) if _differ(known[1], now, each)]
                self._note(name, module)
        for (name, each), (thing, before) in list(self.inside.items()):
            after = _content(thing)
            if not _same(before, after):
                found += [f"{name}.{each}: {key}" for key in _keys(before, after)]
                self.inside[name, each] = (thing, after)
        return found

    def _note(self, name: str, module: types.ModuleType) -> None:
        self.known[name] = (module, dict(vars(module)))
        for each, thing in vars(module).items():
            if each.startswith("__"):
                continue
            table = isinstance(thing, dict | list | set) and not {each, f"{name}.{each}"} & LAZY
            if table or (isinstance(thing, type) and thing.__module__ == name):
                self.inside[name, each] = (thing, _content(thing))


def _content(thing: Any) -> Any:
    if not isinstance(thing, type):
        return thing.copy()
    return {name: value for name, value in vars(thing).items() if not name.startswith("__")}  # the language and libraries keep notes in those


def _same(before: Any, after: Any) -> bool:
    try:
        return bool(before == after)
    except Exception:  # of things that cannot be compared, such as arrays: that they are others is enough
        return False


def _differ(before: dict[str, Any], after: dict[str, Any], name: str) -> bool:
    missing = object()
    one, other = before.get(name, missing), after.get(name, missing)
    return one is not other and not isinstance(other, types.ModuleType)  # a package gets the name of what is imported from it


def _keys(before: Any, after: Any) -> list[str]:
    if isinstance(before, dict):
        return [str(key) for key in before.keys() | after.keys() if _differ(before, after, key)]
    return [f"{len(before)} → {len(after)} items"]
