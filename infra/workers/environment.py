"""What Ray is told through the environment, and the folders it writes into: the one adapter that may touch `os.environ` for a library."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from infra.workers.errors import WorkersError

PREFIX = "yunei-ray-"
LONGEST_TEMP = 40  # Ray's sockets lie 65 characters below it, and an AF_UNIX path has 107
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # memory, not disk: results in flight are exact totals, in plaintext


def inherited() -> dict[str, str]:
    """The environment for a process that is to find the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # noqa: TID251  # handed on, not read


def without_ray() -> dict[str, str]:
    """The same for a process that is to know nothing of Ray, or nothing of the Ray that this one was told of."""
    return {name: value for name, value in inherited().items() if not name.startswith("RAY_")}


def token_of(temp: Path) -> Path:
    return temp / "token"


def new_token(path: Path) -> None:
    """64 secret hex digits in a file that only this user can read, not in ~/.ray/auth_token (0644): whoever can talk to a Ray runs code
    beside the data."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def variables(*, local: bool, token: Path | None, certificates: Path | None = None) -> dict[str, str]:
    """For a process that talks to Ray, or is part of it. `local`: of a Ray that listens on loopback alone. `token`: the file that holds what
    talking to it takes. `certificates`: a folder as `infra.workers.certificates` makes them, for mutual TLS."""
    made = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the behaviour to come; silences a warning
        "RAY_enable_metrics_collection": "false",
    }
    if local:
        # Despite its name this decides on Linux too whether Ray listens on all addresses or on loopback alone, and who joins where to.
        made["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if token is not None:
        made |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    if certificates is not None:
        made |= {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(certificates / "node.crt"),
            "RAY_TLS_SERVER_KEY": str(certificates / "node.key"),
            "RAY_TLS_CA_CERT": str(certificates / "ca.crt"),
        }
    return made


def tell(told: dict[str, str]) -> None:
    """Ray reads these of its own process and in no other way."""
    os.environ.update(told)  # noqa: TID251  # writing what a library wants to read there, not reading settings


def own_directory(base: Path) -> Path:
    """A new folder below `base` that only this user can enter: Ray opens its own to everyone, sockets included."""
    for left in base.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdecimal() and left.stat().st_uid == os.getuid() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)  # a killed server's logs and sockets
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    if len(str(directory)) > LONGEST_TEMP:
        directory.rmdir()
        raise WorkersError("temp_path_too_long")
    return directory


def subfolder(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir(mode=0o700)
    return path


def remove(*directories: Path | None) -> None:
    for directory in directories:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
