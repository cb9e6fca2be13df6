"""The bundle installed where there is no network, as nobody in particular: a namespace with loopback alone, a file system without our tree.

What the installer has to refuse is tried first: an altered wheel, a file that nobody packed, another key, no signature. Then it installs, a
server starts and a job runs; a second version is put beside it, made current and taken back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.deploy.bundle import sign, sums
from tests.deploy.base import MAKE, MAKER, debian_base, release_key
from tests.deploy.images import JOB

REFUSED = 65


def inside(root: Path, *command: object, check: bool = True, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs in the tree of a fresh Debian with nothing but Python, in a network namespace whose only interface is loopback."""
    script = 'ip link set lo up && exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 "$@"'
    done = subprocess.run(
        [
            "unshare",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc=" + str(root / "proc"),
            "sh",
            "-c",
            script,
            root,
            *map(str, command),
        ],
        capture_output=True,
        text=True,
        input=given,
    )
    assert done.returncode == 0 or not check, (command, done.returncode, done.stdout[-3000:], done.stderr[-3000:])
    return done


@contextmanager
def fresh_debian(folder: Path) -> Iterator[Path]:
    """Debian's base, with devices and memory; openssl is a Debian package that the bundle names, so it is put in."""
    root = folder / "debian"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", debian_base()], check=True)
    (root / "dev/shm").mkdir(exist_ok=True)
    mounts = [("/dev", root / "dev", "--rbind")]
    subprocess.run(["mount", "--rbind", "/dev", root / "dev"], check=True)
    subprocess.run(["mount", "--make-rslave", root / "dev"], check=True)
    try:
        for name in ("openssl",):
            _with_libraries(Path(shutil.which(name) or name), root)
        yield root
    finally:
        for _, target, _ in mounts:
            subprocess.run(["umount", "--recursive", "--lazy", target], check=True)


def _with_libraries(program: Path, root: Path) -> None:
    """The machine's own program, of the same Debian, and the libraries it names."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for path in [program, *map(Path, re.findall(r"(/\S+\.so\S*)", said))]:
        target = root / str(path.resolve()).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(path.resolve(), target)
        link = root / "usr" / str(path).lstrip("/").removeprefix("usr/")
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path.resolve(), link)


def refusals(root: Path, bundle: Path) -> list[str]:
    """What is refused, with nothing installed: each is tried on a copy of links, so that a copy costs nothing."""
    other = bundle.parent / "other"
    tried = []

    def attempt(name: str, change: Any, *options: str) -> None:
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(bundle, other, copy_function=os.link)
        change(other)
        done = inside(root, "/bin/sh", "/media/other/install.sh", "--prefix", "/opt/refused", *options, check=False)
        assert done.returncode == REFUSED, (name, done)
        assert not (root / "opt/refused").exists(), name
        tried.append(name)

    def altered(folder: Path) -> None:
        wheel = next(folder.glob("wheels/structlog-*.whl"))
        content = wheel.read_bytes()
        wheel.unlink()
        wheel.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    def altered_with_sums(folder: Path) -> None:
        altered(folder)
        (folder / "SHA256SUMS").unlink()
        (folder / "SHA256SUMS").write_text(sums(folder))

    def by_another_key(folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = folder.parent / "stranger.pem"
        key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        altered_with_sums(folder)
        (folder / "SHA256SUMS.sig").unlink()
        sign(folder, key)

    key = ("--key", "/media/release.pub.pem")
    attempt("a wheel was altered", altered, *key)
    attempt("a wheel was altered, and the sums with it", altered_with_sums, *key)
    attempt("signed by somebody else", by_another_key, *key)
    attempt("a file that nobody packed", lambda folder: (folder / "wheels/evil-1.0-py3-none-any.whl").write_bytes(b""), *key)
    attempt("no signature", lambda folder: (folder / "SHA256SUMS.sig").unlink(), *key)
    shutil.rmtree(other)
    return tried


def campaign(bundle: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="yunei-offline-") as scratch, fresh_debian(Path(scratch)) as root:
        media = root / "media"
        shutil.copytree(bundle, media / bundle.name)
        shutil.copy(release_key()[1], media / "release.pub.pem")
        assert inside(root, "python3.11", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 3)", check=False).returncode != 0
        refused = refusals(root, media / bundle.name)
        began = time.monotonic()
        install = ("/bin/sh", f"/media/{bundle.name}/install.sh", "--key", "/media/release.pub.pem")
        inside(root, *install)
        install_s = time.monotonic() - began
        assert "current is" in inside(root, *install).stdout  # again: nothing is done twice
        (version,) = (root / "opt/yunei/versions").iterdir()
        shutil.copytree(MAKER, media / "maker")
        keys = json.loads(inside(root, "/opt/yunei/current/bin/python", "-I", "-c", MAKE, "/media/maker", "/home-of-server").stdout)
        serving = (
            "import os, re, signal, subprocess, sys\n"
            "command = ['/opt/yunei/current/bin/yunei', 'serve', '--home', '/home-of-server']\n"
            "server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)\n"
            "assert any('yunei is ready' in line for line in server.stdout)\n"
            "subprocess.run(['/opt/yunei/current/bin/python', '-I', '-c', sys.argv[1]], check=True)\n"
            "server.send_signal(signal.SIGTERM)\n"
            "sys.exit(server.wait(60))\n"
        )
        began = time.monotonic()
        answered = inside(root, "/opt/yunei/current/bin/python", "-I", "-c", serving, JOB, given=keys["operator-1"])
        assert int(answered.stdout.split()[0]) > 0, answered
        run_s = time.monotonic() - began
        older = root / "opt/yunei/versions/0.0.9-000000000000"
        older.symlink_to(version.name)
        inside(root, *install[:2], "--switch", older.name)
        assert (root / "opt/yunei/current").readlink() == Path("versions") / older.name
        assert inside(root, *install[:2], "--switch", "none-such", check=False).returncode == 66
        assert (root / "opt/yunei/current").readlink() == Path("versions") / older.name
    return {"refused": refused, "install_s": round(install_s), "start_and_job_s": round(run_s)}
