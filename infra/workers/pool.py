"""Workers on Ray: a pool of actors, each keeping one limited process, and what goes on when Ray itself goes away.

Functions are module-level, take one picklable argument, and are pure: an item whose worker dies, or is slow, is run again elsewhere. What a
function raises is not passed on: the caller learns that it failed, nothing more.
"""

from __future__ import annotations

import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from infra.workers.actor import ACTOR
from infra.workers.environment import SHARED_MEMORY, inherited, new_token, own_directory, remove, subfolder, tell, token_of, variables
from infra.workers.errors import ANYWHERE, Terms, WorkersError
from infra.workers.runs import Answer, Run, Scheduler, Worker

log = structlog.get_logger("yunei.workers")

Item = TypeVar("Item")
Result = TypeVar("Result")

NAMESPACE = "yunei"
ANSWER_S = 15
WALL_S = 600.0
SHARD_BYTES = 2 * 2**30
PATIENCE_S = 30.0
LOOK_S = 1.0
MISSES = 4  # looks in a row that find no Ray
STARTS = 2  # Ray gives its own processes 15 s to come up, which a busy machine may not
REVIVE_S = 2.0  # between attempts to find one again

PROBE_S = 60.0
_QUESTION = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False); assert ray.nodes(); ray.shutdown()"

Found = tuple[Any, list[Any]]  # Ray's module, connected, and the actors


class RayLine:
    """To one actor."""

    def __init__(self, actor: Any, memory_bytes: int) -> None:
        self.actor = actor
        self._memory_bytes = memory_bytes

    def call(self, run: Run, told: Callable[[Answer | None], None]) -> None:
        _ask(lambda: self.actor.run.remote(run.module, run.call, run.wall_s, self._memory_bytes), told)

    def hello(self, told: Callable[[bool], None]) -> None:
        _ask(lambda: self.actor.pid.remote(), lambda pid: told(pid is not None))


def _ask(call: Callable[[], Any], told: Callable[[Any], None]) -> None:
    """`told` hears the answer, None when there is none: the actor, its node or the whole of Ray went away. Never in this thread at once: the
    caller holds a lock."""

    def done(future: Any) -> None:
        try:
            answer = future.result()
        except BaseException:
            answer = None
        told(answer)

    try:
        future = call().future()
    except Exception:
        threading.Thread(target=told, args=(None,), name="worker-gone", daemon=True).start()
    else:
        future.add_done_callback(done)


class Workers:
    """Actors on Ray, one core each. Make with `start` or `join`; threads may share it; `close` ends every process it started."""

    def __init__(
        self,
        ray: Any,
        actors: Sequence[Any],
        *,
        memory_bytes: int,
        shard_bytes: int = SHARD_BYTES,
        wall_s: float = WALL_S,
        patience_s: float = PATIENCE_S,
        places: Sequence[str | None] = (),
        homes: Mapping[str, str] | None = None,
        folders: tuple[Path | None, ...] = (),
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._ray, self.folders, self._ended = ray, folders, ended
        self._wall_s, self._patience_s, self._room = wall_s, patience_s, memory_bytes + shard_bytes
        self._there, self._closing = threading.Event(), threading.Event()
        self._there.set()
        self._watching: threading.Thread | None = None
        self._homes = dict(homes or {})
        self.size = len(actors)
        self.memory_bytes = memory_bytes
        self._actors = list(actors)
        lines = [RayLine(actor, self._room) for actor in actors]
        at = list(places) or [None] * self.size
        self.scheduler = Scheduler([Worker(number, at[number], line) for number, line in enumerate(lines)])

    @classmethod
    def start(
        cls,
        *,
        workers: int = 2,
        memory_bytes: int = 512 * 2**20,
        shard_bytes: int = SHARD_BYTES,
        wall_s: float = WALL_S,
        object_store_bytes: int = 128 * 2**20,
        lasting: bool = False,
    ) -> Workers:
        """Start Ray on this machine, reachable from this machine only, then the actors.

        `memory_bytes`: what one worker may keep of decrypted data; `shard_bytes`: what a call may take beside; `wall_s`: how long;
        `object_store_bytes`: shared memory for results in flight. Nothing is spilled to disk. `lasting`: other processes may `join` while
        this one lives. Takes about ten seconds. Raises WorkersError.
        """
        if shutil.disk_usage(SHARED_MEMORY).free < object_store_bytes:
            raise WorkersError("shared_memory")
        for attempt in range(STARTS):
            temp, shared = own_directory(Path(tempfile.gettempdir())), own_directory(SHARED_MEMORY)
            try:
                ray, actors = _started(temp, shared, workers, object_store_bytes, lasting=lasting)
                break
            except Exception:
                remove(temp, shared)
                if attempt == STARTS - 1:
                    raise WorkersError("start_failed") from None
        return cls(ray, actors, memory_bytes=memory_bytes, shard_bytes=shard_bytes, wall_s=wall_s, folders=(temp, shared))

    @classmethod
    def join(
        cls, address: str, token: Path, *, workers: int, memory_bytes: int, ended: Callable[[], None],
        shard_bytes: int = SHARD_BYTES, wall_s: float = WALL_S, patience_s: float = PATIENCE_S,
    ) -> Workers:  # fmt: skip
        """Use the actors of a process that holds a `lasting` Ray at `address`. `ended` is called by `close`. Takes about a second. Raises
        WorkersError start_failed when they do not answer."""
        ray, actors = joined(address, token, workers)
        return cls(ray, actors, memory_bytes=memory_bytes, shard_bytes=shard_bytes, wall_s=wall_s, patience_s=patience_s, ended=ended)

    @classmethod
    def cluster(
        cls,
        address: str,
        *,
        token: Path | None,
        certificates: Path | None,
        places: Sequence[str | None],
        homes: Mapping[str, str],
        memory_bytes: int,
        shard_bytes: int = SHARD_BYTES,
        wall_s: float = WALL_S,
        patience_s: float = PATIENCE_S,
    ) -> Workers:
        """Actors of our own on the cluster at `address`, one for each of `places`: None may be on any node. This machine has to be one of its
        nodes. `homes`: the place of each dataset that has one. Raises WorkersError."""

        def again() -> Found:
            return connected(address, token, certificates, places)

        made = cls(
            *again(), memory_bytes=memory_bytes, shard_bytes=shard_bytes, wall_s=wall_s, patience_s=patience_s, places=places, homes=homes
        )
        made.scheduler.doubt()
        made.watch(lambda: listens(address), again)
        return made

    @property
    def address(self) -> str:
        """Where others may `join`."""
        return str(self._ray.get_runtime_context().gcs_address)

    @property
    def token(self) -> Path:
        """The file that holds what joining takes."""
        assert self.folders[0] is not None  # this object started Ray
        return token_of(self.folders[0])

    def place_of(self, datasets: Iterable[str]) -> str | None:
        """Where the rows of these datasets have to stay; None: anywhere. Raises WorkersError place_absent when no worker is there, or they
        are bound to different places: rows of two places never meet."""
        found = {place for dataset in datasets if (place := self._homes.get(dataset.casefold())) is not None}
        if len(found) > 1:
            raise WorkersError("place_absent")
        for place in found:
            self.scheduler.at(place)
        return next(iter(found), None)

    def present(self, datasets: Iterable[str]) -> bool:
        """Whether somebody is there who may read these datasets together. While all of Ray is away it is taken to come back."""
        try:
            workers = self.scheduler.at(self.place_of(datasets))
        except WorkersError:
            return False
        return not self.there or any(worker.steady for worker in workers)

    def stream(self, fn: Callable[[Item], Result], items: Iterable[Item], terms: Terms = ANYWHERE) -> Iterator[Result]:
        """Results in the order of `items`, at most two items a worker ahead of the reader. Raises WorkersError."""
        workers = self.scheduler.at(terms.place)
        wall_s = self._wall_s if terms.wall_s is None else terms.wall_s
        waiting: deque[Run] = deque()
        for index, item in enumerate(items):
            call = pickle.dumps((fn, item), 5)
            waiting.append(self.scheduler.begin(index, fn.__module__, call, wall_s, workers))
            if len(waiting) >= 2 * len(workers):
                yield self._take(waiting.popleft(), terms)
        while waiting:
            yield self._take(waiting.popleft(), terms)

    def _take(self, run: Run, terms: Terms) -> Any:
        patience_s = self._patience_s if terms.patience_s is None else terms.patience_s
        return pickle.loads(self.scheduler.result(run, patience_s if patience_s < threading.TIMEOUT_MAX else None))  # noqa: S301  # our own

    def map(self, fn: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        return list(self.stream(fn, items))

    def pids(self) -> list[int]:
        """Of the processes that run functions, in order."""
        return [int(pid) for pid in self._ray.get([actor.pid.remote() for actor in self._actors])]

    @property
    def there(self) -> bool:
        """Whether Ray is. While it is not, what was begun waits."""
        return self._there.is_set()

    def watch(self, alive: Callable[[], bool], again: Callable[[], Found]) -> None:
        """From now on, look whether Ray is `alive`; when it is not, find it `again` (WorkersError: not yet) and hand out anew what was under
        way. Functions are pure, so nobody notices but by the time it takes."""
        self._watching = threading.Thread(target=self._watch, args=(alive, again), name="ray-watch", daemon=True)
        self._watching.start()

    def _watch(self, alive: Callable[[], bool], again: Callable[[], Found]) -> None:
        misses = 0
        while not self._closing.wait(LOOK_S):
            misses = 0 if alive() else misses + 1
            if misses >= MISSES:
                self._revive(again)
                misses = 0

    def _revive(self, again: Callable[[], Found]) -> None:
        self._there.clear()
        self.scheduler.away()
        log.warning("ray_lost")
        with suppress(Exception):
            self._ray.shutdown()
        while not self._closing.is_set():
            try:
                self._ray, self._actors = again()
            except WorkersError:
                self._closing.wait(REVIVE_S)
            else:
                self.scheduler.anew([RayLine(actor, self._room) for actor in self._actors])
                self._there.set()
                log.warning("ray_found_again")
                return

    def close(self) -> None:
        """Stop the actors and, when this object started it, Ray; remove what Ray left on the disk. Twice is once."""
        if self._actors:
            self._closing.set()
            self.scheduler.close()
            if self._watching is not None:
                self._watching.join()
            self._actors = []
            with suppress(Exception):
                self._ray.shutdown()
            remove(*self.folders)
            if self._ended is not None:
                self._ended()


def _started(temp: Path, shared: Path, workers: int, object_store_bytes: int, *, lasting: bool) -> Found:
    new_token(token_of(temp))
    tell(variables(local=True, token=token_of(temp)))
    import ray  # 1-2 s, and it reads the environment just set

    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()  # of an attempt before
    try:
        with _sparing():
            ray.init(
                namespace=NAMESPACE,
                num_cpus=workers,
                num_gpus=0,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
                object_store_memory=object_store_bytes,
                object_spilling_directory=str(subfolder(shared, "spare")),
                _plasma_directory=str(SHARED_MEMORY),
                _temp_dir=str(subfolder(temp, "r")),
                _system_config={"automatic_object_spilling_enabled": False},
            )
        actor = ray.remote(num_cpus=1, max_restarts=-1)(ACTOR)
        if lasting:
            actors = [actor.options(name=name, lifetime="detached").remote() for name in _names(workers)]
        else:
            actors = [actor.remote() for _ in range(workers)]
        ray.get([one.pid.remote() for one in actors])
    except BaseException:
        ray.shutdown()
        raise
    return ray, actors


@contextmanager
def _sparing() -> Iterator[None]:
    """Without the two processes that nobody asked for and `ray.init` has no word to leave out, as `ray start` has: the monitor of an autoscaler
    and the one of logs. They are a quarter of the processor time that Ray takes to come up."""
    from ray._private import parameter

    whole = parameter.RayParams

    parameter.RayParams = partial(whole, no_monitor=True, include_log_monitor=False)
    try:
        yield
    finally:
        parameter.RayParams = whole


def joined(address: str, token: Path, workers: int) -> Found:
    """Ray and the lasting actors at an address of this machine. Raises WorkersError start_failed."""
    tell(variables(local=True, token=token))
    import ray

    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()  # of a Ray that this process talked to before

    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
        actors = [ray.get_actor(name) for name in _names(workers)]
        ray.get([one.pid.remote() for one in actors], timeout=ANSWER_S)
    except Exception:
        ray.shutdown()
        raise WorkersError("start_failed") from None
    return ray, actors


def connected(address: str, token: Path | None, certificates: Path | None, places: Sequence[str | None]) -> Found:
    """Ray at an address of a cluster, and new actors there that end with this process. Those whose place has no node yet are there when it
    has. Raises WorkersError start_failed when none has begun within a while."""
    tell(variables(local=False, token=token, certificates=certificates))
    if not _answers(address):
        raise WorkersError("start_failed")
    import ray

    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
        actor = ray.remote(num_cpus=1, max_restarts=-1)(ACTOR)
        actors = [actor.options(resources={resource_of(place): 1} if place is not None else {}).remote() for place in places]
        begun, _ = ray.wait([one.pid.remote() for one in actors], num_returns=1, timeout=ANSWER_S)
        if not begun:
            raise WorkersError("start_failed")
        ray.get(begun)
    except Exception:
        ray.shutdown()
        raise WorkersError("start_failed") from None
    return ray, actors


def _answers(address: str) -> bool:
    """Whether a cluster is there, whole. Another process asks: of a head that is half up Ray ends the process that asks, all of it."""
    try:
        asked = subprocess.run(  # noqa: S603  # ourselves
            [sys.executable, "-c", _QUESTION, address], env=inherited(), capture_output=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def listens(address: str) -> bool:
    """Whether somebody does at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_S):
            return True
    except OSError:
        return False


def resource_of(place: str) -> str:
    """What Ray calls a place: a resource that its nodes have plenty of."""
    return f"place:{place}"


def _names(workers: int) -> list[str]:
    return [f"worker-{number}" for number in range(workers)]
