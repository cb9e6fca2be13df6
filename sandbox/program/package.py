"""A package as it is handed in: a zip file with `program.toml` and Python sources, or one Python source that holds its manifest in a comment.
It is read in memory, by its bytes and not by what its directory claims, within limits; nothing is unpacked to disk and nothing is run.

A single source begins its manifest with the line `# /// program` and ends it with `# ///`, every line between being a comment: the form of
PEP 723 (inline script metadata). It is `main.py` of a package that has nothing else.

What is registered is the content, not the zip: the same files packed otherwise are the same program.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import rfc8785

from policies.reasons import Reason, explained
from sandbox.program.manifest import Manifest, manifest_from_toml
from sandbox.program.problems import PROGRAM_INVALID

PACKAGE_LIMIT = 512 * 1024  # bytes of the zip
FILES_LIMIT = 64
FILE_LIMIT = 256 * 1024  # bytes of one file
TOTAL_LIMIT = 1024 * 1024  # bytes of all files
MANIFEST = "program.toml"
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,60}(/[A-Za-z_][A-Za-z0-9_-]{0,60}){0,4}\.(py|toml|md|txt)")
_ENCRYPTED = 0x1
SINGLE = "main.py"
_INLINE = re.compile(r"(?m)^# /// program$\s(?P<content>(^#(| .*)$\s)+)^# ///$")  # PEP 723's own expression, for this type


@dataclass(frozen=True, slots=True)
class Package:
    """A package's content: every file but the manifest, by its path."""

    manifest: Manifest
    manifest_text: str
    files: Mapping[str, str]

    @property
    def document(self) -> bytes:
        """All of it as RFC 8785 canonical JSON: what the register keeps."""
        return cast(bytes, rfc8785.dumps({"manifest": self.manifest_text, "files": dict(self.files)}))

    @property
    def digest(self) -> str:
        """SHA-256 of the document: the program's name for ever."""
        return hashlib.sha256(self.document).hexdigest()

    @property
    def sources(self) -> dict[str, str]:
        return {path: text for path, text in sorted(self.files.items()) if path.endswith(".py")}


def read_package(data: bytes) -> Package:
    """PROGRAM_INVALID, located, for anything but a package within the limits."""
    if len(data) > PACKAGE_LIMIT:
        _refuse(Reason("package", f"至多 {PACKAGE_LIMIT} 字节", f"at most {PACKAGE_LIMIT} bytes"))
    files = _unzipped(data) if data.startswith(b"PK") else _single(data)
    text = files.pop(MANIFEST, None)
    if text is None:
        _refuse(Reason(MANIFEST, "缺少此文件", "is missing"))
    assert text is not None
    return _whole(text, files)


def read_document(body: bytes) -> Package:
    """A package from what the register keeps."""
    data = json.loads(body)
    return _whole(data["manifest"], data["files"])


def _whole(text: str, files: Mapping[str, str]) -> Package:
    manifest = manifest_from_toml(text)
    if manifest.entry_file not in files:
        _refuse(Reason(f"{MANIFEST}.entry", f"包内没有 {manifest.entry_file}", f"the package has no {manifest.entry_file}"))
    return Package(manifest, text, dict(files))


def _refuse(*reasons: Reason) -> None:
    raise explained(PROGRAM_INVALID, reasons)


def _single(data: bytes) -> dict[str, str]:
    """One source and the manifest in it, as the files of a package."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > FILE_LIMIT:
        _refuse(
            Reason("package", "不是可读的 zip 文件，也不是单个 Python 文件", "it is neither a zip file that can be read nor one Python file")
        )
    found = list(_INLINE.finditer(text))
    if len(found) != 1:
        reason = "须有一段以 # /// program 开头、以 # /// 结尾的注释清单", "it needs one manifest in comments, from # /// program to # ///"
        _refuse(Reason(SINGLE, *reason))
    lines = found[0].group("content").splitlines()
    return {MANIFEST: "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines) + "\n", SINGLE: text}


def _unzipped(data: bytes) -> dict[str, str]:
    files: dict[str, str] = {}
    faults: list[Reason] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > FILES_LIMIT:
                _refuse(Reason("package", f"至多 {FILES_LIMIT} 个文件", f"at most {FILES_LIMIT} files"))
            total = 0
            for entry in entries:
                fault = _entry_fault(entry, files)
                if fault is not None:
                    faults.append(fault)
                    continue
                if entry.is_dir():
                    continue
                body = _inflated(archive, entry)
                total += len(body)
                if len(body) > FILE_LIMIT or total > TOTAL_LIMIT:
                    _refuse(Reason(_shown(entry.filename), "解压后过大", "it is too large unpacked"))
                try:
                    files[entry.filename] = body.decode("utf-8")
                except UnicodeDecodeError:
                    faults.append(Reason(_shown(entry.filename), "不是 UTF-8 文本", "it is not UTF-8 text"))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError, OverflowError):
        _refuse(Reason("package", "不是可读的 zip 文件", "it is not a zip file that can be read"))
    if faults:
        _refuse(*faults)
    return files


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The entry's bytes, one more than the limit at most, whatever its directory says of their number."""
    with archive.open(entry) as file:
        return file.read(FILE_LIMIT + 1)


def _entry_fault(entry: zipfile.ZipInfo, files: Mapping[str, str]) -> Reason | None:
    name, mode = entry.filename, entry.external_attr >> 16
    place = _shown(name)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Reason(place, "不是普通文件（符号链接、设备等一律不收）", "it is not a plain file: links and devices are not taken")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Reason(place, "加密或压缩方式不受支持", "encrypted, or packed in a way that is not supported")
    if entry.orig_filename != name or "\\" in name:
        return Reason(place, "路径含有不允许的字符", "its path holds characters that are not allowed")
    if entry.is_dir():
        return None if _PATH.fullmatch(f"{name}x.py") else Reason(place, "路径不在包内，或含有不允许的字符", _OUTSIDE)
    if not _PATH.fullmatch(name):
        return Reason(place, "路径不在包内，或不是 .py、.toml、.md、.txt 文件", _OUTSIDE)
    if name.casefold() in {known.casefold() for known in files}:
        return Reason(place, "同一路径出现两次", "the path is there twice")
    return None


_OUTSIDE = "its path leaves the package, holds other characters than letters, digits, _ and -, or is no .py, .toml, .md or .txt"


def _shown(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)[:120] or "package"
