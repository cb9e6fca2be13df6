"""Cells of Docker: a container for each job, with flags that are the same for every job and an image that is named by its digest.

    this process ── docker.sock ── dockerd ── runc ── zygote ── a process per block
         └───────────── a socket in /job ───────────────┘

Whoever holds docker.sock is root on the machine. In production the launcher holds it, under a user of its own (`infra.cells.launcher`), and
nobody else. The container adds a file system, namespaces and limits of its own to what the zygote does by itself in cells of every kind.

Flags: Docker Engine API 1.41, `POST /containers/create`. Nothing of a job reaches them but the memory limit, a number.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from infra.cells import bpf, image, wire
from infra.cells.base import Cargo, CellsError, Finding, Limits
from infra.cells.cgroups import alive, owner
from infra.cells.dockerd import listens
from infra.cells.elf import NoLoader
from infra.cells.libraries import LibrarySetBroken
from infra.cells.lined import Begun, LineCell, opened
from infra.cells.probe import FEATURES, probe
from infra.cells.rootfs import PYTHON, ZYGOTE, Rootfs, RootfsBroken, rootfs

if TYPE_CHECKING:
    from infra.settings import Settings

USER = 64001  # of cells, here and in the container
LIBRARIES_MB = 1024  # that all libraries may take beside a block's own memory
PIDS = 32
START_S = 60.0
LOAD_S = 600.0
LABEL = "cn.yunei.cell"
WEAKER = frozenset({"network", "files", "proc", "seccomp", "landlock", "capabilities", "descriptors", "namespaces", "clocks", "limits"})
"""Safeguards that `without` can leave out. `files`: the machine's own files below /out."""


def host_config(job: Path, memory_mb: int, runtime: str, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a container may do. `job`: the folder with the socket. No volume besides, no device, no capability, no network, no log."""
    memory = (memory_mb + LIBRARIES_MB) * 2**20
    profile = bpf.docker_profile("outer")
    binds = [{"Type": "bind", "Source": str(job), "Target": "/job", "ReadOnly": True}]
    if "files" in without:
        binds.append({"Type": "bind", "Source": "/", "Target": "/out", "ReadOnly": False})
    return {
        "NetworkMode": "host" if "network" in without else "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "Privileged": False,
        "SecurityOpt": ["no-new-privileges", f"seccomp={'unconfined' if 'seccomp' in without else json.dumps(profile)}"],
        "IpcMode": "none",
        "CgroupnsMode": "private",
        "PidsLimit": PIDS,
        "Memory": memory,
        "MemorySwap": memory,  # of both together: no swap
        "NanoCpus": 10**9,
        "OomScoreAdj": 1000,  # a machine without memory ends a cell, not the server
        "Ulimits": [{"Name": name, "Soft": most, "Hard": most} for name, most in (("core", 0), ("nofile", 128), ("memlock", 0))],
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
        "Init": False,
        "AutoRemove": True,  # should we be killed: the zygote ends when nobody listens, and the container with it
        "Runtime": runtime,
        "Mounts": binds,
    }


def container(image_id: str, job: Path, memory_mb: int, runtime: str, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The whole body of `POST /containers/create`."""
    return {
        "Image": image_id,
        "Entrypoint": [str(PYTHON), *wire.FLAGS, str(ZYGOTE), "/job/control"],
        "Cmd": [],
        "User": f"{USER}:{USER}",
        "WorkingDir": "/",
        "Hostname": "cell",
        "Env": [*(f"{name}={value}" for name, value in wire.ENVIRONMENT.items()), "HOSTNAME", "PATH"],  # a name alone takes it away
        "Labels": {LABEL: owner(os.getpid())},
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "NetworkDisabled": "network" not in without,
        "StopSignal": "SIGKILL",
        "HostConfig": host_config(job, memory_mb, runtime, without),
    }


@dataclass(frozen=True)
class Docker:
    """Cells of the daemon at `url`. `jobs`: a folder for sockets, one below it for each cell. `runtime`: what the daemon calls it, `runc` or
    `runsc`. `without`, of WEAKER, is for tests that must see an attack succeed."""

    url: str
    image: str
    jobs: Path
    runtime: str = "runc"
    strict: bool = False
    accept: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    name: str = field(default="docker", init=False)
    isolates: bool = field(default=True, init=False)

    def open(self, cargo: Cargo, limits: Limits, *, talkative: bool = False) -> AbstractContextManager[LineCell]:
        """CellsError: cells_unavailable, cells_start_failed, cells_refused."""
        return opened(lambda: _running(self, cargo, limits, talkative), strict=self.strict, talkative=talkative)

    def ready(self) -> None:
        """CellsError(cells_unavailable) unless the daemon answers: to be asked before anything is promised."""
        if not listens(Path(self.url.removeprefix("unix://"))):
            raise CellsError("cells_unavailable", "Docker's daemon does not answer")

    def probe(self) -> tuple[Finding, ...]:
        """What the daemon says it cannot do, and what attacks succeed."""
        try:
            with _client(self.url) as client:
                about = client.info()
        except (CellsError, DockerException, OSError) as problem:
            about = {"problem": _words(problem)}
        return (*_daemon_findings(about), *probe(replace(self, accept=frozenset(FEATURES))))

    def sweep(self) -> int:
        """Removes the containers of holders of the socket that are gone, and their folders; how many containers there were."""
        for folder in self.jobs.glob("cell-*"):
            if not alive(folder.name.removeprefix("cell-").rpartition("-")[0]):
                shutil.rmtree(folder, ignore_errors=True)
        with _client(self.url) as client:
            left = client.api.containers(all=True, filters={"label": LABEL})
            gone = [each["Id"] for each in left if not alive(each["Labels"][LABEL])]
            for each in gone:
                _remove(client, each, self.url)
        return len(gone)


@contextmanager
def _running(backend: Docker, cargo: Cargo, limits: Limits, talkative: bool) -> Iterator[Begun]:
    """A container with a zygote that is ready."""
    with ExitStack() as held:
        job = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=f"cell-{owner(os.getpid())}-", dir=backend.jobs)))
        door = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        _listen(door, job)
        client = held.enter_context(_client(backend.url))
        try:
            made = client.api.create_container_from_config(container(backend.image, job, limits.memory_mb, backend.runtime, backend.without))[
                "Id"
            ]
            held.callback(_remove, client, made, backend.url)
            client.api.start(made)
        except ImageNotFound:
            raise CellsError("cells_unavailable", "docker image") from None
        except (DockerException, OSError) as problem:
            raise CellsError("cells_start_failed", _words(problem)) from None
        ours = held.enter_context(_accepted(door))
        line = wire.Line(ours, cargo, limits, talkative=talkative, without=backend.without)
        held.callback(line.close)
        try:
            features = line.hello()
        except wire.Gone:
            raise CellsError("cells_start_failed", "no answer") from None
        wire.require(features, backend.accept | backend.without)
        yield line, features


def _listen(door: socket.socket, job: Path) -> None:
    """A socket that the container's user can connect to, in a folder it cannot write to."""
    folder = os.open(job, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        door.bind(f"/proc/self/fd/{folder}/control")  # an address has 107 bytes at most, a path may have more
    finally:
        os.close(folder)
    (job / "control").chmod(0o666)
    job.chmod(0o711)
    door.listen(1)


def _accepted(door: socket.socket) -> socket.socket:
    """The zygote, and nobody else: the first to come has to be the cells' user. Nobody can come after it."""
    door.settimeout(START_S)
    try:
        ours, _ = door.accept()
    except TimeoutError:
        raise CellsError("cells_start_failed", "no answer") from None
    finally:
        door.close()
    _, user, _ = (int.from_bytes(part, "little") for part in _parts(ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
    if user != USER:
        ours.close()
        raise CellsError("cells_start_failed", "somebody else answered")
    return ours


def _parts(credentials: bytes) -> Iterator[bytes]:
    """pid, uid, gid of struct ucred (unix(7))."""
    return (credentials[start : start + 4] for start in (0, 4, 8))


def _remove(client: DockerClient, made: str, url: str) -> None:
    """Kills what is in the container, takes it away, and returns when it is gone. The daemon may have begun to by itself, or be gone."""
    until = time.monotonic() + START_S
    with suppress(NotFound, OSError):
        while time.monotonic() < until and listens(Path(url.removeprefix("unix://"))):
            with suppress(APIError):
                client.api.remove_container(made, force=True, v=True)
            client.api.inspect_container(made)
            time.sleep(0.01)


@contextmanager
def _client(url: str) -> Iterator[DockerClient]:
    if not listens(Path(url.removeprefix("unix://"))):
        raise CellsError("cells_unavailable", "Docker's daemon does not answer")
    try:
        client = DockerClient(base_url=url, timeout=60)
    except DockerException as problem:
        raise CellsError("cells_unavailable", _words(problem)) from None
    try:
        yield client
    finally:
        client.close()


def _daemon_findings(about: dict[str, Any]) -> tuple[Finding, ...]:
    """What the daemon says of itself: limits it cannot hold are not held."""
    return tuple(
        Finding(feature, about.get(key) is True, "" if about.get(key) is True else about.get("problem", "the daemon says that it cannot"))
        for feature, key in (("cgroup_memory", "MemoryLimit"), ("cgroup_pids", "PidsLimit"), ("cgroup_cpu", "CpuCfsQuota"))
    )


def load(url: str, root: Rootfs) -> str:
    """Has the daemon hold the image of `root` (some seven seconds, the first time); its id. CellsError(cells_unavailable)."""
    wanted = image.image_id(root)
    try:
        with _client(url) as client:
            try:
                client.api.inspect_image(wanted)
            except ImageNotFound:
                # `load_image` of the package leaves its connection open
                where = f"{client.api.base_url}/v{client.api.api_version}/images/load"
                client.api.post(where, data=image.archive(root), params={"quiet": "1"}, timeout=LOAD_S).raise_for_status()
                client.api.inspect_image(wanted)  # by its id: whatever else the daemon made of the archive is not ours
    except (DockerException, OSError) as problem:  # the package's HTTP errors are OSErrors
        raise CellsError("cells_unavailable", f"docker image: {_words(problem)}") from None
    return wanted


def _words(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]


def from_settings(settings: Settings) -> Docker:
    """CellsError(cells_unavailable) when no daemon answers, or the root cannot be built."""
    try:
        root = rootfs(settings.cells_root)
        jobs = settings.cells_root / "jobs"
        jobs.mkdir(mode=0o711, exist_ok=True)
    except (RootfsBroken, NoLoader, LibrarySetBroken, OSError) as problem:
        raise CellsError("cells_unavailable", f"root of cells: {problem}") from problem
    with closing(root):
        loaded = load(settings.cells_docker, root)
    accept = frozenset(settings.cells_accept)
    return Docker(settings.cells_docker, loaded, jobs, settings.cells_docker_runtime, strict=settings.cells_strict, accept=accept)
