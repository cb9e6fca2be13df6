"""The root file system of cells, built from this machine's own interpreter: no image registry is asked.

In it: the interpreter, Python's library without what a cell has no use for, the locked library set, the shared objects all of these
load, the files of ours that run inside, and empty folders to mount over. Not in it: a shell, any other program, setuid bits, links,
devices, a secret. One tree serves both backends: bubblewrap binds it read-only, Docker loads it as an image (`infra.cells.image`).

The tree's digest is the SHA-256 of its canonical tar: names sorted, times 0, owner 0. Two builds from the same interpreter and lock
have the same one.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from infra.cells import elf
from infra.cells import libraries as locked
from infra.cells.libraries import Library

PYTHON = PurePosixPath("/opt/py/bin/python3")  # the interpreter, inside
ZYGOTE = PurePosixPath("/opt/cell/zygote.py")  # what it runs
OURS = {ZYGOTE.with_name(name): Path(__file__).with_name(name) for name in ("zygote.py", "warm.py", "inside.py")}
EMPTY = ("dev", "etc", "in", "job", "out", "proc", "sys", "tmp")
PASSWD = "cell:x:65534:65534::/:/\n"  # noqa: S105 - the file, not a password

# Of Python's own library: tests, what draws windows, what installs, and what talks to terminals or databases. TLS stays:
# pyarrow.parquet imports it.
_NO_STDLIB = frozenset({
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "tkinter", "turtledemo", "turtle.py", "idlelib", "ensurepip", "venv",
    "lib2to3", "pydoc_data", "curses", "sqlite3", "idle_test", "_pyrepl",
})  # fmt: skip
_NO_EXTENSION = (
    "_test", "_xxtest", "_ctypes_test", "xxlimited", "_tkinter", "_curses", "_sqlite3", "_gdbm", "_dbm", "_crypt", "nis.",
    "readline", "ossaudiodev", "spwd", "_xxsubinterpreters", "_posixshmem",
)  # fmt: skip
_COMPILE = """
import compileall, py_compile, sys
stem, mine, of = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for number, name in enumerate(sys.stdin.read().splitlines()):
    if number % of == mine:
        compileall.compile_file(stem + name, stripdir=stem, prependdir="/", quiet=2, invalidation_mode=mode)
"""  # a fixed share each: what a .pyc's bytes are depends on what the same process has compiled before
_COMPILERS = 2


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class RootfsBroken(RuntimeError):
    """The tree cannot be built here, or is not what its manifest says. The text says which file and what to do."""


@dataclass(frozen=True)
class Rootfs:
    """A finished tree at `path`, read-only by convention. `digest`: SHA-256 in hex of `tar()`, which is `size` bytes long. Holds a shared
    lock until it is closed, or nobody has it any more, so that a later build does not clear it away."""

    path: Path
    digest: str
    size: int
    python: str
    libraries: tuple[Library, ...]
    _lock: BinaryIO = field(repr=False, compare=False)

    def tar(self, sink: Sink) -> None:
        """Writes the canonical tar: what `digest` is of, and the one layer of the Docker image."""
        _tar(self.path, sink)

    def close(self) -> None:
        """The tree may be cleared away from now on."""
        self._lock.close()

    def verify(self) -> None:
        """Reads the whole tree again (a second or two). Raises `RootfsBroken` if a single byte, name or mode is not as built."""
        if _digest(self.path) != (self.digest, self.size):
            raise RootfsBroken(f"{self.path} is not what was built: remove {self.path.parent} and start again")


_UNFINISHED = "building-"


def rootfs(cache: Path, ours: Mapping[PurePosixPath, Path] = OURS) -> Rootfs:
    """The tree for the present interpreter, lock and `ours` (absolute path inside → file here, mode 0644), built below `cache` if it is
    not there (about fifteen seconds). Processes that ask at once build it once. Trees of other locks that nobody holds are removed.
    The user that cells run as must be able to reach `cache`. Raises `RootfsBroken`, `NoLoader` or `LibrarySetBroken`."""
    wanted = locked.library_set()
    key = _key(wanted, ours)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = cache / key
        if not all((folder / name).is_file() for name in ("manifest.json", "held")):
            _build(cache, folder, wanted, ours)
        manifest = json.loads((folder / "manifest.json").read_text())
        held = (folder / "held").open("rb")
        fcntl.flock(held, fcntl.LOCK_SH)
        _clear(cache, key)
    made = Rootfs(folder / "root", manifest["digest"], manifest["size"], manifest["python"], wanted, held)
    weakref.finalize(made, held.close)  # of one that is kept as long as the process lives, at its end
    return made


def _key(wanted: tuple[Library, ...], ours: Mapping[PurePosixPath, Path]) -> str:
    """Changes with anything the tree is made of."""
    hasher = hashlib.sha256(f"{sys.version} {platform.machine()} {sysconfig.get_path('stdlib')} {sysconfig.get_path('purelib')}".encode())
    for path in (_interpreter(), *(Path(module.__file__) for module in (sys.modules[__name__], elf, locked) if module.__file__)):
        hasher.update(path.read_bytes())
    for library in wanted:
        hasher.update(f"\n{library.name} {library.version} {library.record}".encode())
    for inside, here in sorted(ours.items()):
        hasher.update(f"\n{inside} ".encode() + hashlib.sha256(here.read_bytes()).digest())
    return hasher.hexdigest()[:24]


def _build(cache: Path, folder: Path, wanted: tuple[Library, ...], ours: Mapping[PurePosixPath, Path]) -> None:
    """Builds beside `folder` and renames: a build that was killed leaves nothing that looks finished."""
    for left in cache.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=cache))
    work.chmod(0o755)  # cells run under another uid than the one that builds
    root = work / "root"
    objects = [(_interpreter(), _copy(_interpreter(), root, PYTHON, 0o755))]
    stdlib = PurePosixPath(f"/opt/py/lib/python{sys.version_info.major}.{sys.version_info.minor}")
    for here, inside in _files(wanted, stdlib):
        if here.is_symlink() and not here.exists():
            continue
        target = _copy(here, root, inside, 0o644)
        if ".so" in here.suffixes:
            objects.append((here, target))
    for inside, here in ours.items():
        _copy(here, root, inside, 0o644)
    loader = elf.loader(_interpreter())
    _copy(Path(loader), root, PurePosixPath(loader), 0o755)
    search = elf.search_path(loader)
    for needed in elf.closure(loader, [here for here, _ in objects]):
        if not _inside_packages(needed) and str(needed) != loader:
            _copy(needed.resolve(), root, PurePosixPath(search) / needed.name, 0o755)
    for name in EMPTY:
        (root / name).mkdir(mode=0o755, exist_ok=True)
    (root / "etc/passwd").write_text(PASSWD)
    _compile(root)
    for path, names, _ in os.walk(root):  # whatever the umask was
        for name in (".", *names):
            Path(path, name).chmod(0o755)
    digest, size = _digest(root)
    libraries = [[each.name, each.version] for each in wanted]
    manifest = {"digest": digest, "size": size, "python": platform.python_version(), "libraries": libraries}
    (work / "held").touch()
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def _files(wanted: tuple[Library, ...], stdlib: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
    """(file here, absolute path inside) of Python's own library and of the set."""
    here = Path(sysconfig.get_path("stdlib"))
    for folder, names, entries in os.walk(here):
        names[:] = sorted(name for name in names if name not in _NO_STDLIB and not name.startswith("config-"))
        extensions = Path(folder).name == "lib-dynload"
        for entry in sorted(entries):
            if entry in _NO_STDLIB or entry.endswith((".pyc", ".a", ".o", ".exe")) or (extensions and entry.startswith(_NO_EXTENSION)):
                continue
            yield Path(folder, entry), stdlib / Path(folder, entry).relative_to(here).as_posix()
    for library in wanted:
        for source, inside in locked.files(library.name):
            yield source, stdlib / "site-packages" / inside


def _copy(source: Path, root: Path, inside: PurePosixPath, mode: int) -> Path:
    target = root / inside.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # follows links: none are in the tree
    target.chmod(mode)
    return target


def _compile(root: Path) -> None:
    """Byte code that is never compared with its source: the tree does not change, and reading clocks of files is one thing less to do."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*.py")))
    environment = {"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin"}  # orders of sets are in the byte code
    command = [str(_interpreter()), "-S", "-s", "-B", "-c", _COMPILE, f"{root}/"]
    running = [
        subprocess.Popen([*command, str(mine), str(_COMPILERS)], stdin=subprocess.PIPE, text=True, env=environment)  # noqa: S603 - our own interpreter
        for mine in range(_COMPILERS)
    ]
    for each in running:
        assert each.stdin is not None
        each.stdin.write(names)
        each.stdin.close()
    if any([each.wait() for each in running]):
        raise RootfsBroken("Python's library could not be compiled: is the disk full?")


def _tar(root: Path, sink: Sink) -> None:
    with tarfile.open(fileobj=_Counted(sink), mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as archive:
        for path in sorted(root.rglob("*"), key=lambda each: each.relative_to(root).as_posix()):
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise RootfsBroken(f"{path} is neither a file nor a folder")
            entry.mode = path.stat().st_mode & 0o7777
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(entry, content)


def _digest(root: Path) -> tuple[str, int]:
    """SHA-256 in hex and length of the canonical tar."""
    sink = _Hashing()
    _tar(root, sink)
    return sink.hasher.hexdigest(), sink.size


class _Hashing:
    def __init__(self) -> None:
        self.hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.hasher.update(data)
        self.size += len(data)


class _Counted(io.RawIOBase):
    """What tarfile wants of a stream it writes to."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._sink.write(data)
        return len(data)


def _interpreter() -> Path:
    return Path(str(getattr(sys, "_base_executable", sys.executable))).resolve()  # the one a virtual environment was made from


def _inside_packages(path: Path) -> bool:
    """Whether a shared object came with a package, whose own search path finds it in the copy as it does here."""
    here = Path(sysconfig.get_path("purelib"))
    return path.is_relative_to(here) or path.resolve().is_relative_to(here.resolve())


def _clear(cache: Path, keep: str) -> None:
    for folder in cache.iterdir():
        if folder.is_dir() and folder.name != keep and (folder / "held").is_file():
            with (folder / "held").open("rb") as held:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                aside = folder.with_name(f"{_UNFINISHED}{folder.name}")  # whoever is killed here leaves nothing that looks finished
                shutil.rmtree(aside, ignore_errors=True)
                shutil.rmtree(folder.rename(aside))
