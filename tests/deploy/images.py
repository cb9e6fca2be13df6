"""Images built from the bundle without a network, and run as they are meant to: nobody's user, root read-only, no capability, no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.cells.dockerd import private_dockerd
from infra.cells.launched import Launched
from infra.cells.launcher import Most
from infra.settings import Settings
from tests.bureau import LICENCE, PRICE, SCENARIO, SQL
from tests.deploy.base import MAKE, MAKER, debian_base

SERVER, LAUNCHER = 64000, 64002
FORBIDDEN = ("sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "perl", "su", "mount", "passwd", "pip", "gcc", "curl", "wget")
JOB = f"""
import os, yunei
with yunei.Client("http://127.0.0.1:8640", os.read(0, 200).decode()) as client:
    job = client.submit({SQL!r}, licence={LICENCE!r}, scenario={SCENARIO!r}, **{ {"epsilon": PRICE["epsilon"], "delta": PRICE["delta"]}!r})
    done = client.wait(job, timeout_s=120)
    print(len(client.table(str(done.release), "csv").splitlines()))
"""


@dataclass(frozen=True)
class Docker:
    url: str

    def __call__(self, *arguments: object, check: bool = True, given: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", "--host", self.url, *map(str, arguments)],
            capture_output=True,
            text=True,
            input=given,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DOCKER_BUILDKIT": "0", "HOME": "/nonexistent"},
        )
        assert done.returncode == 0 or not check, f"docker {arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done


def flags(user: int, name: str) -> list[str]:
    """What compose.yaml says, as `docker run` takes it."""
    return [
        "--detach", "--init", f"--name={name}", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--pids-limit=4096", "--memory=6g", "--memory-swap=6g", "--ulimit=core=0", f"--tmpfs=/tmp:mode=0700,uid={user},gid={user},size=256m",
        "--shm-size=512m", "--log-driver=json-file",
    ]  # fmt: skip


def healthy(docker: Docker, name: str, within_s: float = 180) -> float:
    """Seconds until its HEALTHCHECK passes."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        state = json.loads(docker("inspect", "--format={{json .State}}", name).stdout)
        assert state["Running"], docker("logs", name, check=False)
        if state["Health"]["Status"] == "healthy":
            return time.monotonic() - began
        time.sleep(0.5)
    raise AssertionError(docker("logs", name, check=False))


def looked_at(docker: Docker, image: str) -> dict[str, Any]:
    """The image from outside: who it runs as, what is in it."""
    about = json.loads(docker("inspect", image).stdout)[0]
    assert about["Config"]["User"] not in ("", "0", "root")
    assert about["Config"]["Healthcheck"]["Test"][0] == "CMD"
    made = docker("create", image).stdout.strip()
    names, setuid, writable = set(), [], []
    export = ["docker", "--host", docker.url, "export", made]
    with subprocess.Popen(export, stdout=subprocess.PIPE) as exported, tarfile.open(fileobj=exported.stdout, mode="r|") as tar:
        for member in tar:
            if Path(member.name).parent.name in ("bin", "sbin"):
                names.add(Path(member.name).name)
            if member.isfile() and member.mode & 0o6000:
                setuid.append(member.name)
            if member.mode & 0o002 and not member.issym() and member.name.rstrip("/") != "tmp":
                writable.append(member.name)
    docker("rm", made)
    assert not names & set(FORBIDDEN), names & set(FORBIDDEN)
    assert setuid == []
    assert writable == []
    return {"size_mb": round(about["Size"] / 2**20), "user": about["Config"]["User"]}


@contextmanager
def running(docker: Docker, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(AssertionError):
            docker("rm", "--force", "--volumes", name)


def a_server(docker: Docker, folder: Path) -> dict[str, Any]:
    home = folder / "home"
    folder.mkdir(exist_ok=True)
    home.mkdir(mode=0o700)
    os.chown(home, SERVER, SERVER)
    folder.chmod(0o755)
    make = [
        "--volume",
        f"{MAKER}:/media:ro",
        f"--volume={home}:/var/lib/yunei",
        "--entrypoint=/opt/yunei/bin/python",
        "yunei-server",
        "-I",
        "-c",
    ]
    with running(docker, "server"):
        short = [flag for flag in flags(SERVER, "maker") if flag != "--detach"]
        keys = json.loads(docker("run", "--rm", *short, *make, MAKE, "/media", "/var/lib/yunei/home").stdout)
        docker("run", *flags(SERVER, "server"), f"--volume={home}:/var/lib/yunei", "--env=YUNEI_HOME=/var/lib/yunei/home", "yunei-server")
        ready_s = healthy(docker, "server")
        answered = docker("exec", "-i", "server", "/opt/yunei/bin/python", "-I", "-c", JOB, given=keys["operator-1"])
        assert int(answered.stdout) > 0
        for program in ("/bin/sh", "sh", "/bin/bash"):
            assert docker("exec", "server", program, "-c", "true", check=False).returncode != 0
        write = "open('/opt/yunei/x', 'w')"
        refused = docker("exec", "--user=0", "server", "/opt/yunei/bin/python", "-I", "-c", write, check=False)
        assert "Read-only file system" in refused.stderr, refused
        began = time.monotonic()
        docker("stop", "--time=60", "server")
        stop_s = time.monotonic() - began
        state = json.loads(docker("inspect", "--format={{json .State}}", "server").stdout)
        assert state["ExitCode"] == 0, state
    return {"ready_s": round(ready_s, 1), "stop_s": round(stop_s, 1)}


def a_launcher(docker: Docker, folder: Path) -> dict[str, Any]:
    """The launcher in its container opens cells of the daemon, and probes find nothing amiss that they do not find outside."""
    doors, cache = folder / "doors", Path(tempfile.mkdtemp(prefix="yunei-deploy-cells-", dir="/var/tmp"))
    doors.mkdir(mode=0o755)
    for path in (doors, cache):
        os.chown(path, LAUNCHER, LAUNCHER)
        path.chmod(0o755)
    socket = docker.url.removeprefix("unix://")
    os.chown(socket, 0, LAUNCHER)
    Path(socket).chmod(0o660)
    try:
        with running(docker, "launcher"):
            docker(
                "run", *flags(LAUNCHER, "launcher"), f"--volume={doors}:/run/yunei-cells", f"--volume={socket}:/run/docker.sock",
                f"--volume={cache}:{cache}", f"--env=YUNEI_CELLS_DIR={cache}", "--env=YUNEI_CELLS_DOCKER=unix:///run/docker.sock",
                "--env=YUNEI_CELLS_LAUNCHER_USERS=0", "yunei-launcher",
            )  # fmt: skip
            ready_s = healthy(docker, "launcher")
            settings = Settings(home=folder)
            found = Launched(doors / "socket", "docker", False, Most.from_settings(settings)).probe()
            missing = sorted(finding.feature for finding in found if not finding.ok)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    return {"ready_s": round(ready_s, 1), "features": len(found), "missing": missing}


def campaign(bundle: Path) -> dict[str, Any]:
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="yunei-deploy-") as scratch:
        folder = Path(scratch)
        with private_dockerd(folder) as url:
            docker = Docker(url)
            base = docker("import", debian_base()).stdout.strip()
            for target in ("server", "launcher"):
                began = time.monotonic()
                docker(
                    "build", "--quiet", "--network=none", f"--build-arg=BASE={base}", f"--target={target}", f"--tag=yunei-{target}",
                    f"--file={bundle}/deploy/docker/Dockerfile", bundle,
                )  # fmt: skip
                result[target] = {"build_s": round(time.monotonic() - began), **looked_at(docker, f"yunei-{target}")}
                print(target, result[target], flush=True)
            result["server"] |= a_server(docker, folder / "server")
            print("server", result["server"], flush=True)
            result["launcher"] |= a_launcher(docker, folder)
    return result
