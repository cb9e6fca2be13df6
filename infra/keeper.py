"""A Ray of its own lifetime: a process that holds it for one home, so that a server restarted after a crash finds its workers warm.

    with_keeper = keeper.workers(home / "ray", workers=2, …)     # finds the keeper of this home, or starts one
    with_keeper.close()                                          # a clean end: the keeper and all of Ray end too

The keeper is `python -m infra.keeper`. It writes down, readable by its user alone, where its Ray listens (loopback) and where the token
lies; a server takes that only from a keeper that lives, runs the same program and holds what the settings ask for. Whoever uses it holds a
shared lock on `in-use`. A server that was killed lets go of that lock: the keeper then waits `linger_s` for the next one, with what its
workers had decrypted still in their memory, and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from infra.workers import Workers, WorkersError, inherited
from infra.workers.pool import PATIENCE_S, SHARD_BYTES, WALL_S, joined, listens

START_S = 120.0
STOP_S = 15.0
LOOK_S = 0.25
CODE = 3  # exit status when Ray could not be started; the reason is in `failed`


@dataclass(frozen=True, slots=True)
class Kept:
    """What a keeper holds. `began` is the start time of process `pid` in the kernel's ticks: a number used again is another process."""

    pid: int
    began: int
    program: str
    address: str
    token: str
    folders: tuple[str, ...]
    workers: int
    object_store_bytes: int

    @property
    def lives(self) -> bool:
        return _began(self.pid) == self.began


class Begun:
    """The keeper of a home, there or on its way, and in use from now on: for `workers`, or to `leave`."""

    def __init__(self, folder: Path, using: IO[bytes], kept: Kept | None, process: subprocess.Popen[bytes] | None) -> None:
        self.kept = kept
        self._folder, self._using, self._process = folder, using, process

    def there(self) -> Kept:
        """Waits until it is. Raises WorkersError."""
        if self.kept is None:
            assert self._process is not None
            self.kept = _come_up(self._folder, self._process)
            self._process = None
        return self.kept

    def leave(self) -> None:
        """End the keeper and all of Ray. Twice is once."""
        if not self._using.closed:
            if self._process is not None:
                _stop(self._process)
            _leave(self._folder, self._using)


def begin(folder: Path, *, workers: int, object_store_bytes: int, linger_s: float) -> Begun:
    """The keeper of a home, or the start of one if there is none that fits, which is not waited for. One server at a time may use it: see the
    home's lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    using = _use(folder)
    try:
        kept = _fitting(folder, workers, object_store_bytes)
        if kept is not None:
            return Begun(folder, using, kept, None)
        _end(folder)
        return Begun(folder, using, None, _launch(folder, workers, object_store_bytes, linger_s))
    except BaseException:
        _leave(folder, using)
        raise


def workers(
    folder: Path, *, workers: int, memory_bytes: int, object_store_bytes: int, linger_s: float,
    shard_bytes: int = SHARD_BYTES, wall_s: float = WALL_S, patience_s: float = PATIENCE_S, begun: Begun | None = None,
) -> Workers:  # fmt: skip
    """The workers of the home's keeper (`begun`: as `begin` found or started it with the same sizes). Should Ray end under it, another is
    started and what was under way is run again. Raises WorkersError."""
    begun = begun or begin(folder, workers=workers, object_store_bytes=object_store_bytes, linger_s=linger_s)
    now: list[Kept] = []

    def join(kept: Kept) -> Workers:
        now[:] = [kept]
        return Workers.join(
            kept.address, Path(kept.token), workers=workers, memory_bytes=memory_bytes, ended=begun.leave,
            shard_bytes=shard_bytes, wall_s=wall_s, patience_s=patience_s,
        )  # fmt: skip

    def anew() -> Kept:
        _end(folder)
        return _come_up(folder, _launch(folder, workers, object_store_bytes, linger_s))

    def again() -> tuple[Any, list[Any]]:
        now[:] = [anew()]
        return joined(now[0].address, Path(now[0].token), workers)

    try:
        found = begun.kept
        try:
            pool = join(begun.there())
        except WorkersError:
            if found is None:
                raise
            pool = join(anew())
        pool.watch(lambda: now[0].lives and listens(now[0].address), again)
        return pool
    except BaseException:
        begun.leave()
        raise


def _use(folder: Path) -> IO[bytes]:
    """Waits for a keeper that is just ending, at most for a moment."""
    using = open(folder / "in-use", "ab")  # noqa: SIM115  # held as long as the workers are used
    fcntl.flock(using, fcntl.LOCK_SH)
    return using


def _leave(folder: Path, using: IO[bytes]) -> None:
    _end(folder)
    using.close()


def _fitting(folder: Path, workers: int, object_store_bytes: int) -> Kept | None:
    """The keeper that lives and holds what is wanted."""
    kept = _read(folder)
    if kept is None or not kept.lives or kept.program != _program():
        return None
    return kept if (kept.workers, kept.object_store_bytes) == (workers, object_store_bytes) else None


def _read(folder: Path) -> Kept | None:
    try:
        fields = json.loads((folder / "kept.json").read_bytes())
        return Kept(**{**fields, "folders": tuple(fields["folders"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _launch(folder: Path, workers: int, object_store_bytes: int, linger_s: float) -> subprocess.Popen[bytes]:
    (folder / "failed").unlink(missing_ok=True)
    command = [sys.executable, "-m", "infra.keeper", str(folder), str(workers), str(object_store_bytes), str(linger_s)]
    return subprocess.Popen(  # noqa: S603  # ourselves
        command,
        env=inherited(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _come_up(folder: Path, process: subprocess.Popen[bytes]) -> Kept:
    """What a keeper that was launched keeps, once it does."""
    failed = folder / "failed"
    until = time.monotonic() + START_S
    while (kept := _read(folder)) is None or kept.pid != process.pid:
        if process.poll() is not None:
            raise WorkersError(failed.read_text() if failed.exists() else "start_failed")
        if time.monotonic() > until:
            process.kill()
            raise WorkersError("start_failed")
        time.sleep(0.02)
    threading.Thread(target=process.wait, name="keeper", daemon=True).start()  # no zombie, should it end before us
    return kept


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a keeper that was not waited for."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a session of its own: all of Ray
        process.wait()


def _end(folder: Path) -> None:
    """Stop the home's keeper, if there is one, and what is left of a killed one."""
    kept = _read(folder)
    if kept is None:
        return
    if kept.lives:
        with contextlib.suppress(ProcessLookupError):
            os.kill(kept.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while kept.lives and time.monotonic() < until:
            time.sleep(0.02)
        if kept.lives:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(kept.pid, signal.SIGKILL)  # a session of its own: all of Ray
    for left in kept.folders:
        shutil.rmtree(left, ignore_errors=True)
    (folder / "kept.json").unlink(missing_ok=True)


def _began(pid: int) -> int | None:
    """Start time of a living process, None for one that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _program() -> str:
    """Names the program by its files: workers that run another one must not be used."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256(sys.version.encode())
    for package in ("infra", "policies", "sandbox"):
        for path in sorted((root / package).rglob("*.py")):
            status = path.stat()
            digest.update(f"{path}\n{status.st_size}\n{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


# ── the keeper's own process ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def keep(folder: Path, workers: int, object_store_bytes: int, linger_s: float) -> int:
    """Hold Ray until told to end, or until nobody has used it for `linger_s`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    program = _program()
    try:
        pool = Workers.start(workers=workers, object_store_bytes=object_store_bytes, lasting=True)
    except WorkersError as error:
        (folder / "failed").write_text(error.code)
        return CODE
    signal.signal(signal.SIGTERM, lambda *_: stop.set())  # Ray has put its own in its place
    try:
        began = _began(os.getpid())
        assert began is not None
        folders = tuple(str(path) for path in pool.folders if path is not None)
        _write(folder, Kept(os.getpid(), began, program, pool.address, str(pool.token), folders, workers, object_store_bytes))
        used = time.monotonic()
        while not stop.wait(LOOK_S):
            with _unused(folder) as nobody:
                if not nobody:
                    used = time.monotonic()
                elif time.monotonic() - used > linger_s:
                    (folder / "kept.json").unlink(missing_ok=True)  # while nobody can come
                    break
    finally:
        pool.close()
        kept = _read(folder)
        if kept is not None and kept.pid == os.getpid():
            (folder / "kept.json").unlink(missing_ok=True)
    return 0


@contextmanager
def _unused(folder: Path) -> Iterator[bool]:
    """Whether nobody uses the keeper; nobody can begin to while this lasts."""
    with open(folder / "in-use", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _write(folder: Path, kept: Kept) -> None:
    new = folder / ".kept.json"
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(kept), file)
    os.replace(new, folder / "kept.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.keeper")
    parser.add_argument("folder", type=Path)
    parser.add_argument("workers", type=int)
    parser.add_argument("object_store_bytes", type=int)
    parser.add_argument("linger_s", type=float)
    chosen = parser.parse_args()
    return keep(chosen.folder, chosen.workers, chosen.object_store_bytes, chosen.linger_s)


if __name__ == "__main__":
    sys.exit(main())
