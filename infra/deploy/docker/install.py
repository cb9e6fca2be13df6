"""In the first stage of an image: a virtual environment at /opt/yunei from the bundle's wheels, their hashes checked, no index asked."""

import subprocess
import sys
from pathlib import Path

BUNDLE, TARGET = Path("/bundle"), Path("/opt/yunei")

subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", TARGET], check=True)  # noqa: S603
(pip,) = BUNDLE.glob("wheels/pip-*.whl")
options = [
    "--isolated",
    "--no-cache-dir",
    "--no-index",
    "--find-links",
    str(BUNDLE / "wheels"),
    "--no-deps",
    "--require-hashes",
    "--only-binary=:all:",
]
subprocess.run(  # noqa: S603
    [TARGET / "bin" / "python", pip / "pip", "install", "--quiet", *options, "-r", BUNDLE / "requirements.txt", "-r", BUNDLE / "project.txt"],
    check=True,
)
subprocess.run([TARGET / "bin" / "python", pip / "pip", "uninstall", "--quiet", "--yes", "pip"], check=True)  # noqa: S603
