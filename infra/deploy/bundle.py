"""The offline bundle: one tar with all that an installation without internet needs, every file by its digest, the digests signed.

python -m infra.deploy.bundle OUT --version 0.1.0 [--key KEY.pem] [--debs]      in a checkout, in its environment, with the network

yunei-VERSION/ install.sh          needs Python 3.11, openssl, coreutils (infra/deploy/offline)
               wheels/             every wheel of requirements.txt and project.txt
               requirements.txt    third-party packages the server needs, with hashes: a part of requirements.lock
               project.txt         yunei and yunei-client, with hashes
               debian.txt          Debian packages by purpose; with --debs their files lie in debs/
               sbom.cdx.json       CycloneDX 1.6
               deploy/  docs/      units, manifests, configuration; these pages
               SHA256SUMS          of every other file; SHA256SUMS.sig: Ed25519 (RFC 8032) by the release key
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
SUMS = "SHA256SUMS"
PIP = ("pip", "--disable-pip-version-check", "--quiet", "--quiet")
INSTALLER = "pip"  # its wheel runs as it lies there: nothing but Python has to be installed before
CARRIED = ("docker", "compose", "kubernetes", "systemd", "proxy")


def closure(roots: Iterable[str]) -> set[str]:
    """Canonical names of `roots` and everything they need on this machine, by the metadata of what is installed here. Extras count where a
    requirement names them. ValueError when something needed is not installed."""
    found: set[tuple[str, str]] = set()
    waiting = [(str(canonicalize_name(root)), "") for root in roots]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            raise ValueError(f"{name} is needed and not installed") from None
        for each in map(Requirement, requires):
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                waiting += [(str(canonicalize_name(each.name)), wanted) for wanted in ("", *each.extras)]
    return {name for name, _ in found}


def pins(lock: str, names: set[str]) -> str:
    """The part of a lock with hashes that pins `names`. ValueError for a name that it does not pin."""
    parts = {
        str(canonicalize_name(match.group(1))): match.group(0)
        for match in re.finditer(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==[^\n]*\\\n(?:[ \t]+--hash=[^\n]*\n)+", lock, re.M)
    }
    if missing := names - set(parts):
        raise ValueError(f"not pinned: {', '.join(sorted(missing))}")
    return "".join(parts[name] for name in sorted(names))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sums(folder: Path) -> str:
    """What `sha256sum -c` reads, of every file below `folder` but the sums and their signature."""
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return "".join(f"{digest(folder / name)}  {name}\n" for name in files if name not in (SUMS, f"{SUMS}.sig"))


def sign(folder: Path, key: Path) -> None:
    """Writes the signature beside the sums, and the public half for people to compare. ValueError unless `key` is Ed25519 in PEM."""
    secret = load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(secret, Ed25519PrivateKey):
        raise ValueError(f"{key} is not an Ed25519 key")
    (folder / f"{SUMS}.sig").write_bytes(secret.sign((folder / SUMS).read_bytes()))


def packed(folder: Path, out: IO[bytes], when: int) -> None:
    """A tar of `folder` whose bytes follow from its content alone. `when`: seconds since 1970 that every file claims."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = when
        member.mode = 0o755 if member.isdir() or member.name.endswith(".sh") else 0o644
        return member

    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            tar.add(path, f"{folder.name}/{path.relative_to(folder)}".removesuffix("/."), recursive=False, filter=plain)


def debian_packages(text: str) -> list[str]:
    """Names in a debian.txt: one a line, a comment after `#`."""
    return [name for line in text.splitlines() if (name := line.partition("#")[0].strip())]


def build(folder: Path, source: Path, *, key: Path | None, debs: bool, cache: Path) -> None:
    """Fills `folder` from `source`, a tree as it was committed. `cache`: wheels that earlier runs fetched, looked into first; their hashes
    are checked all the same."""
    wheels, deploy = folder / "wheels", source / "infra" / "deploy"
    wheels.mkdir(parents=True)
    names = closure(["yunei", INSTALLER]) - {"yunei", "yunei-client"}
    (folder / "requirements.txt").write_text(pins((source / "requirements.lock").read_text(), names))
    cache.mkdir(parents=True, exist_ok=True)
    hashed = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--find-links", cache]
    _download(*hashed, "--dest", wheels, "-r", folder / "requirements.txt")
    for wheel in wheels.iterdir():
        shutil.copyfile(wheel, cache / wheel.name)
    for project in (source, source / "api" / "client"):
        _run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, project)
    ours = sorted(wheel for wheel in wheels.iterdir() if str(parse_wheel_filename(wheel.name)[0]) in ("yunei", "yunei-client"))
    (folder / "project.txt").write_text("".join(_pinned(wheel) for wheel in ours))
    _run("cyclonedx_py", "requirements", "--output-reproducible", "--pyproject", source / "pyproject.toml", "--of", "JSON", "-o",
         folder / "sbom.cdx.json", folder / "requirements.txt")  # fmt: skip
    for name in ("install.sh", "debian.txt"):
        shutil.copy(deploy / "offline" / name, folder / name)
    for name in CARRIED:
        shutil.copytree(deploy / name, folder / "deploy" / name)
    shutil.copytree(source / "docs", folder / "docs")
    shutil.copy(source / "README.md", folder / "README.md")
    if debs:
        fetch_debs(debian_packages((folder / "debian.txt").read_text()), folder / "debs")
    (folder / SUMS).write_text(sums(folder))
    if key is not None:
        sign(folder, key)


def fetch_debs(names: list[str], into: Path) -> None:
    """Packages and all they depend on, as if nothing were installed, from the sources that this machine's apt knows and checks."""
    (into / "partial").mkdir(parents=True)
    with tempfile.NamedTemporaryFile() as nothing:
        options = [f"-oDir::State::status={nothing.name}", f"-oDir::Cache::archives={into}", "-oAPT::Sandbox::User=root"]
        subprocess.run(  # noqa: S603
            ["apt-get", "-qq", *options, "install", "-y", "--download-only", "--no-install-recommends", *names], check=True  # noqa: S607
        )  # fmt: skip
    shutil.rmtree(into / "partial")
    (into / "lock").unlink(missing_ok=True)


def _pinned(wheel: Path) -> str:
    name, version, *_ = parse_wheel_filename(wheel.name)
    return f"{name}=={version} \\\n    --hash=sha256:{digest(wheel)}\n"


def _download(*options: object) -> None:
    """From the cache alone if it has everything, else with the index that this machine's pip is set up for."""
    try:
        _run(*PIP, "download", "--no-index", *options)
    except subprocess.CalledProcessError:
        _run(*PIP, "download", *options)


def _run(module: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)  # noqa: S603


def committed(into: Path) -> int:
    """Unpacks the tree of the last commit: what is not committed is in no bundle. Seconds since 1970 of that commit, which is what the
    bundle's files claim for their dates."""
    tree = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout  # noqa: S607
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        tar.extractall(into, filter="data")
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607
    return int(done.stdout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.bundle")
    parser.add_argument("out", type=Path, help="folder that the tar is written into")
    parser.add_argument("--version", required=True)
    parser.add_argument("--key", type=Path, help="Ed25519 private key in PEM; none: the bundle is not signed, and the installer says so")
    parser.add_argument("--debs", action="store_true", help="put the Debian packages in, with all they depend on")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    target = chosen.out / f"yunei-{chosen.version}.tar"
    with tempfile.TemporaryDirectory(dir=chosen.out) as scratch:
        folder = Path(scratch) / f"yunei-{chosen.version}"
        when = committed(Path(scratch) / "source")
        build(folder, Path(scratch) / "source", key=chosen.key, debs=chosen.debs, cache=chosen.out / "wheels")
        with (Path(scratch) / "tar").open("wb") as file:
            packed(folder, file, when)
        (Path(scratch) / "tar").replace(target)
        signed = (folder / f"{SUMS}.sig").exists()
    sys.stdout.write(f"{digest(target)}  {target}\n{'signed' if signed else 'not signed: give KEY=release-key.pem'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
