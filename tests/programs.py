"""Packages for tests: one that is in order, and what it takes to spoil it."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping

MANIFEST = """
name = "churn"
version = "1.0"
title = {zh = "流失率", en = "Churn"}
entry = "main.py:run"

[[parameters]]
name = "months"
type = "integer"
title = {zh = "月数", en = "months"}
low = 1
high = 24

[[parameters]]
name = "kind"
type = "text"
title = {zh = "口径", en = "kind"}
choices = ["all", "new"]

[[outputs]]
name = "rate"
title = {zh = "流失率", en = "rate"}
low = 0
high = 1
"""
MAIN = """
import numpy as np
from lib.maths import mean


def run(rows, parameters):
    return {"rate": mean(np.asarray(rows["left"]))}
"""
MATHS = "import statistics\n\n\ndef mean(values):\n    return statistics.fmean(values)\n"
FILES = {"program.toml": MANIFEST, "main.py": MAIN, "lib/maths.py": MATHS}


def packed(files: Mapping[str, str | bytes] = FILES, **more: str | bytes) -> bytes:
    """A zip of the files; a name in `more` has `/` for `__` and `.` for its last `_`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in {**files, **more}.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def changed(name: str, body: str | bytes, *, without: str = "") -> bytes:
    return packed({**{path: text for path, text in FILES.items() if path != without}, name: body})


def linked(target: str = "/etc/passwd") -> bytes:
    """A package that holds a symbolic link."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in FILES.items():
            archive.writestr(name, body)
        entry = zipfile.ZipInfo("data.txt")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, target)
    return buffer.getvalue()
