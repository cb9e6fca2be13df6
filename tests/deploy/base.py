"""What the campaign needs and no registry gives: a base image made of Debian's packages, a bundle of the last commit, and a key for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infra.deploy.bundle import ROOT

WORK = ROOT / "build" / "deploy"
VERSION = "0.1.0"


def debian_base() -> Path:
    """A tar of Debian 12 with Python 3.11, from the mirror that this machine's apt uses; kept for the next run."""
    tar = WORK / "base.tar"
    if not tar.exists():
        sources = "".join(path.read_text() for path in Path("/etc/apt").glob("sources.list.d/*.sources"))
        mirror = next((line.split()[1] for line in sources.splitlines() if line.startswith("URIs:")), "")
        folder = WORK / "base"
        subprocess.run(["rm", "-rf", folder], check=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3.11", "bookworm", folder, *([mirror] if mirror else [])],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        subprocess.run(["tar", "-C", folder, "--one-file-system", "--exclude=./var/cache", "-cf", tar.with_suffix(".part"), "."], check=True)
        tar.with_suffix(".part").rename(tar)
    return tar


def release_key() -> tuple[Path, Path]:
    """Private and public half, of this campaign alone."""
    secret, public = WORK / "release.pem", WORK / "release.pub.pem"
    if not secret.exists():
        key = Ed25519PrivateKey.generate()
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return secret, public


def bundle() -> Path:
    """The unpacked bundle of the last commit."""
    make = [sys.executable, "-m", "infra.deploy.bundle", WORK, "--version", VERSION, "--key", release_key()[0]]
    subprocess.run(make, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    folder = WORK / f"yunei-{VERSION}"
    subprocess.run(["rm", "-rf", folder], check=True)
    subprocess.run(["tar", "-C", WORK, "-xf", WORK / f"yunei-{VERSION}.tar"], check=True)
    shutil.rmtree(MAKER, ignore_errors=True)
    MAKER.mkdir()
    subprocess.run(
        ["tar", "-C", MAKER, "-x"],
        input=subprocess.run(["git", "archive", "HEAD", "tests"], cwd=ROOT, check=True, capture_output=True).stdout,
        check=True,
    )
    return folder


MAKER = WORK / "maker"
MAKE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.bureau import set_up
print(json.dumps(set_up(Path(sys.argv[2]))))
"""
"""What makes a home to serve, run by the program that is tried: this checkout's may be a later version, whose register that one refuses."""
