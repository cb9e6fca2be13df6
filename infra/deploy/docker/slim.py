"""In the first stage of an image: copies what a running service needs of the base into an empty tree, and nothing else.

    slim.py OUT

Kept: Python 3.11 with its library, shared libraries and the loader, time zones, certificates, the C.UTF-8 locale, /opt/yunei. Left behind:
shells, package managers, setuid programs, documentation. Three users without a login: yunei 64000, cells 64001, launcher 64002.
"""

import os
import shutil
import stat
import sys
from pathlib import Path

KEPT = (  # patterns below /, of the base's and of Debian's layout
    "opt/yunei",
    "etc/debian_version", "etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.conf.d", "etc/localtime", "etc/nsswitch.conf", "etc/os-release",
    "etc/ssl/certs",
    "lib", "lib32", "lib64", "libx32",  # links into usr
    "usr/bin/python3.11", "usr/local/bin/python3.11",
    "usr/lib/python3.11", "usr/local/lib/python3.11", "usr/local/lib/libpython3*",
    "usr/lib/locale/C.utf8", "usr/lib/os-release", "usr/lib/ssl",
    "usr/lib/*-linux-gnu/*.so*", "usr/lib/*-linux-gnu/ossl-modules", "usr/lib64",
    "usr/share/zoneinfo", "usr/share/ca-certificates",
)  # fmt: skip
DROPPED = ("usr/lib/python3.11/test", "usr/lib/python3.11/idlelib", "usr/lib/python3.11/ensurepip", "usr/local/lib/python3.11/test")
FOLDERS = {"tmp": (0o1777, 0), "var/lib/yunei": (0o700, 64000), "run/yunei-cells": (0o755, 64002), "var/cache/yunei-cells": (0o755, 64002),
           "var/empty": (0o755, 0), "proc": (0o555, 0), "sys": (0o555, 0), "dev": (0o755, 0)}  # fmt: skip
USERS = (
    ("root", 0, "/var/empty"),
    ("yunei", 64000, "/var/lib/yunei"),
    ("yunei-cell", 64001, "/var/empty"),
    ("yunei-cells", 64002, "/var/empty"),
)


def copy(path: Path, out: Path) -> None:
    """A file, a link or a tree, to the same place below `out`. No copy is setuid."""
    target = out / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(path.readlink())
    elif path.is_dir():
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
    elif path.is_file():
        shutil.copy2(path, target)
        target.chmod(stat.S_IMODE(path.stat().st_mode) & 0o755)


def main(out: Path) -> None:
    for pattern in KEPT:
        for path in sorted(Path("/").glob(pattern)):
            if pattern != "lib" or path.is_symlink():
                copy(path, out)
    for name in DROPPED:
        shutil.rmtree(out / name, ignore_errors=True)
    for name, (mode, user) in FOLDERS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, user, user)
        folder.chmod(mode)
    (out / "etc/passwd").write_text("".join(f"{name}:x:{number}:{number}::{home}:/nonexistent\n" for name, number, home in USERS))
    (out / "etc/group").write_text("".join(f"{name}:x:{number}:\n" for name, number, _ in USERS))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
