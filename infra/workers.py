"""Workers: processes that stay warm and call plain functions, through Ray or in this process.

Items go to workers by position (item i to worker i modulo their number), so the same shard always meets the worker that still has it in
memory. Functions are module-level, take one picklable argument, and are pure: when a worker dies, Ray starts another and the item is
run again. What a function raises is not passed on: the caller learns that it failed, nothing more.
"""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PREFIX = "yunei-ray-"
_LONGEST_TEMP = 40  # Ray's sockets lie 65 characters below it, and an AF_UNIX path has 107
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # memory, not disk: results in flight are exact totals, in plaintext
_NAMESPACE = "yunei"
_ANSWER_S = 15
_RUNS = 3  # of one item, when its worker dies under it


class WorkersError(Exception):
    """`code`: task_failed (the function raised), worker_lost (its process died again and again); when starting, shared_memory (less is free
    than the object store asks for), temp_path_too_long (sockets would not fit; set TMPDIR), start_failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class InlineWorkers:
    """The same interface in this process: for tests and small tools."""

    def __init__(self, memory_bytes: int = 512 * 2**20) -> None:
        self.size = 1
        self.memory_bytes = memory_bytes

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        for item in items:
            ok, result = _attempt(fn, item)
            if not ok:
                raise WorkersError("task_failed")
            yield result

    def map(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return list(self.stream(fn, items))

    def close(self) -> None:
        """Nothing to close."""


class Workers:
    """`size` actors on Ray, one core each. Make with `start` or `join`; threads may share it; `close` ends every process it started."""

    def __init__(
        self, ray: Any, actors: list[Any], memory_bytes: int, folders: tuple[Path | None, ...], ended: Callable[[], None] | None = None
    ) -> None:
        self._ray, self._actors, self.folders, self._ended = ray, actors, folders, ended
        self.size = len(actors)
        self.memory_bytes = memory_bytes

    @classmethod
    def start(
        cls,
        *,
        workers: int = 2,
        memory_bytes: int = 512 * 2**20,
        object_store_bytes: int = 128 * 2**20,
        address: str | None = None,
        lasting: bool = False,
    ) -> Workers:
        """Start Ray on this machine, reachable from this machine only, or connect to the cluster at `address`; then the actors.

        `memory_bytes`: what one worker may keep of decrypted data; `object_store_bytes`: shared memory for results in flight. Nothing is
        spilled to disk. `lasting`: other processes may `join` while this one lives. Takes about ten seconds. Raises WorkersError.
        """
        temp = shared = None
        if address is None:
            if shutil.disk_usage(_SHARED_MEMORY).free < object_store_bytes:
                raise WorkersError("shared_memory")
            temp, shared = _own_directory(Path(tempfile.gettempdir())), _own_directory(_SHARED_MEMORY)
        _environment(temp)
        import ray  # 1-2 s, and it reads the environment just set

        try:
            if temp is None or shared is None:
                ray.init(address=address, log_to_driver=False, configure_logging=False)
            else:
                ray.init(
                    namespace=_NAMESPACE,
                    num_cpus=workers,
                    num_gpus=0,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    object_store_memory=object_store_bytes,
                    object_spilling_directory=str(_subfolder(shared, "spare")),
                    _plasma_directory=str(_SHARED_MEMORY),
                    _temp_dir=str(_subfolder(temp, "r")),
                    _system_config={"automatic_object_spilling_enabled": False},
                )
            actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RUNS - 1)(_Actor)
            if lasting:
                actors = [actor.options(name=name, lifetime="detached").remote() for name in _names(workers)]
            else:
                actors = [actor.remote() for _ in range(workers)]
            ray.get([one.pid.remote() for one in actors])
        except Exception:
            ray.shutdown()
            _remove(temp, shared)
            raise WorkersError("start_failed") from None
        return cls(ray, actors, memory_bytes, (temp, shared))

    @classmethod
    def join(cls, address: str, token: Path, *, workers: int, memory_bytes: int, ended: Callable[[], None]) -> Workers:
        """Use the actors of a process that holds a `lasting` Ray at `address`. `ended` is called by `close`. Takes about a second. Raises
        WorkersError start_failed when they do not answer."""
        _environment(None, token)
        import ray

        try:
            ray.init(address=address, namespace=_NAMESPACE, log_to_driver=False, configure_logging=False)
            actors = [ray.get_actor(name) for name in _names(workers)]
            ray.get([one.pid.remote() for one in actors], timeout=_ANSWER_S)
        except Exception:
            ray.shutdown()
            raise WorkersError("start_failed") from None
        return cls(ray, actors, memory_bytes, (), ended)

    @property
    def address(self) -> str:
        """Where others may `join`."""
        return str(self._ray.get_runtime_context().gcs_address)

    @property
    def token(self) -> Path:
        """The file that holds what joining takes."""
        assert self.folders[0] is not None  # this object started Ray
        return _token(self.folders[0])

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in the order of `items`, at most two items a worker ahead of the reader. Raises WorkersError."""
        waiting: deque[Any] = deque()
        for index, item in enumerate(items):
            waiting.append(self._actors[index % self.size].run.remote(fn, item))
            if len(waiting) >= 2 * self.size:
                yield self._take(waiting.popleft())
        while waiting:
            yield self._take(waiting.popleft())

    def map(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return list(self.stream(fn, items))

    def pids(self) -> list[int]:
        """Process ids of the workers, in order."""
        return [int(pid) for pid in self._ray.get([actor.pid.remote() for actor in self._actors])]

    def close(self) -> None:
        """Stop the actors and, when this object started it, Ray; remove what Ray left on the disk. Twice is once."""
        if self._actors:
            self._actors = []
            self._ray.shutdown()
            _remove(*self.folders)
            if self._ended is not None:
                self._ended()

    def _take(self, reference: Any) -> Any:
        try:
            ok, result = self._ray.get(reference)
        except self._ray.exceptions.RayError:
            raise WorkersError("worker_lost") from None
        if not ok:
            raise WorkersError("task_failed")
        return result


class _Actor:
    def __init__(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would be decrypted data on disk

    def run(self, fn: Callable[[Any], Any], item: Any) -> tuple[bool, Any]:
        return _attempt(fn, item)

    def pid(self) -> int:
        return os.getpid()


def _attempt(fn: Callable[[Item], Result], item: Item) -> tuple[bool, Any]:
    # What fn raises stops here: Ray would pickle it, print it and write it into its logs, and its text may quote data.
    try:
        return True, fn(item)
    except Exception:
        return False, None


def inherited() -> dict[str, str]:
    """The environment for a process that is to find the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # noqa: TID251  # handed on, not read


def _names(workers: int) -> list[str]:
    return [f"worker-{number}" for number in range(workers)]


def _token(temp: Path) -> Path:
    return temp / "token"


def _environment(temp: Path | None, token: Path | None = None) -> None:
    """Ray is told these things through the environment and in no other way."""
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the behaviour to come; silences a warning
        "RAY_enable_metrics_collection": "false",
    }
    if temp is not None or token is not None:
        # Despite its name this decides on Linux too whether Ray listens on all addresses or on loopback alone, and who joins where to.
        variables["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if temp is not None:
        # Whoever can talk to this Ray runs code beside the data: a token that only this user can read, not ~/.ray/auth_token (0644).
        token = _token(temp)
        with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    if token is not None:
        variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    os.environ.update(variables)  # noqa: TID251  # writing what a library wants to read there, not reading settings


def _own_directory(base: Path) -> Path:
    """A new folder below `base` that only this user can enter: Ray opens its own to everyone, sockets included."""
    for left in base.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdecimal() and left.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)  # a killed server's logs and sockets
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
    if len(str(directory)) > _LONGEST_TEMP:
        directory.rmdir()
        raise WorkersError("temp_path_too_long")
    return directory


def _subfolder(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir(mode=0o700)
    return path


def _remove(*directories: Path | None) -> None:
    for directory in directories:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
