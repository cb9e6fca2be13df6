"""A package is taken whole or refused, each fault located; nothing in it is run."""

from __future__ import annotations

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.problem import Problem
from sandbox.program.cargo import libraries_for
from sandbox.program.package import FILES_LIMIT, PACKAGE_LIMIT, Package, read_document, read_package
from sandbox.program.report import LOCKED, Report, inspect
from tests.programs import FILES, MAIN, MANIFEST, changed, linked, packed


def taken(data: bytes) -> tuple[Package, Report]:
    package = read_package(data)
    return package, inspect(package)


def refusal(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as caught:
        taken(data)
    assert caught.value.code == "program_invalid"
    assert all(part.words("zh").detail for part in caught.value.parts)
    return [(part.fields["path"], part.fields["reason_en"]) for part in caught.value.parts]


def test_a_package_in_order_is_taken_and_reported_on() -> None:
    package, report = taken(packed())
    assert (package.manifest.name, package.manifest.version, package.manifest.entry_function) == ("churn", "1.0", "run")
    assert report.imports == ("numpy", "statistics")
    assert [(each.path, each.functions) for each in report.files] == [("lib/maths.py", ("mean",)), ("main.py", ("run",))]
    assert report.files[1].calls == {"mean": 1, "np.asarray": 1}
    assert report.lines == sum(each.lines for each in report.files) > 5
    assert read_document(package.document) == package


def test_the_same_files_packed_otherwise_are_the_same_program() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(FILES, reverse=True):
            entry = zipfile.ZipInfo(name, (1999, 1, 1, 0, 0, 0))
            archive.writestr(entry, FILES[name])
    again = read_package(buffer.getvalue())
    assert again.digest == read_package(packed()).digest
    assert read_package(changed("main.py", MAIN + "\n")).digest != again.digest
    assert json.loads(again.document).keys() == {"manifest", "files"}


HUGE = "x = 1\n" * 60_000
KEY = '[key]\nname = "kind"\ntitle = {zh = "类", en = "kind"}\ntype = "text"\ndomain = ["a", "b"]\n'
OUTPUT = '[[outputs]]\nname = "o{}"\ntitle = {{zh = "o", en = "o"}}\nlow = 0\nhigh = 1\n'


def single(manifest: str) -> bytes:
    """A program in one file, its manifest in a comment."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in manifest.strip().splitlines())
    return f"# /// program\n{lines}# ///\ndef run(rows, parameters):\n    return 0.5\n".encode()


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        (b"", "package", "zip"),
        (b"def run(rows, parameters):\n    return 1\n", "main.py", "# /// program"),
        (single(MANIFEST) * 2, "main.py", "one manifest"),
        (single(MANIFEST.replace("high = 1\n", "high = -1\n")), "outputs[0](rate)", "low must be below high"),
        (single(MANIFEST) + b"import os\n", "main.py:", "os is not among"),
        (bytes(300_000), "package", "neither a zip"),
        (b"\xff\xfe# /// program", "package", "neither a zip"),
        (changed("program.toml", MANIFEST + "default = 2\n"), "outputs[0](rate)", "default lies within"),
        (changed("program.toml", MANIFEST.replace("high = 1\n", "high = 2e12\n")), "outputs[0](rate)", "at least"),
        (changed("program.toml", MANIFEST.replace("high = 1\n", "high = 1e-10\n")), "outputs[0](rate)", "at least"),
        (changed("program.toml", MANIFEST.replace('"rate"', '"rate__half_width"')), "outputs[0](rate__half_width)", "does not end in"),
        (changed("program.toml", MANIFEST + KEY), ".", "mode units"),
        (changed("program.toml", "mode = 'units'\n" + MANIFEST + KEY.replace('"a", "b"', '"a", "a"')), "key", "each once"),
        (changed("program.toml", "mode = 'units'\n" + MANIFEST + KEY.replace('"a", "b"', '"a", 2')), "key", "of type text"),
        (changed("program.toml", "mode = 'all'\n" + MANIFEST), "mode", "'blocks' or 'units'"),
        (changed("program.toml", "\n".join([MANIFEST, *(OUTPUT.format(number) for number in range(101))])), "outputs", "at most 100"),
        (changed("yunei_adapter.py", "x = 1"), "yunei_adapter.py", "name of a module"),
        (b"PK\x03\x04" + bytes(100), "package", "zip"),
        (packed()[:-30], "package", "zip"),
        (bytes(PACKAGE_LIMIT + 1), "package", "bytes"),
        (packed({"main.py": MAIN}), "program.toml", "missing"),
        (changed("../evil.py", "x = 1"), "../evil.py", "leaves the package"),
        (changed("/etc/evil.py", "x = 1"), "/etc/evil.py", "leaves the package"),
        (changed("lib/../../evil.py", "x = 1"), "lib/../../evil.py", "leaves the package"),
        (changed("C:evil.py", "x = 1"), "C:evil.py", "leaves the package"),
        (changed("lib\\evil.py", "x = 1"), "lib\\evil.py", "characters"),
        (changed("a/b/c/d/e/f.py", "x = 1"), "a/b/c/d/e/f.py", "leaves the package"),
        (changed("data.so", b"\x7fELF"), "data.so", "leaves the package"),
        (changed("inner.zip", packed()), "inner.zip", "leaves the package"),
        (changed("Main.py", "x = 1"), "Main.py", "twice"),
        (linked(), "data.txt", "plain file"),
        (linked("main.py"), "data.txt", "plain file"),
        (packed({**FILES, **{f"m{number}.py": "x = 1" for number in range(FILES_LIMIT)}}), "package", "files"),
        (changed("big.py", HUGE), "big.py", "too large"),
        (changed("bomb.txt", bytes(60_000_000)), "bomb.txt", "too large"),
        (packed({**FILES, **{f"m{number}.py": "x = 1\n" * 40_000 for number in range(6)}}), "m4.py", "too large"),
        (changed("main.py", "\ufeff".encode("utf-16")), "main.py", "UTF-8"),
        (changed("program.toml", MANIFEST.replace("main.py:run", "other.py:run")), "program.toml.entry", "other.py"),
        (changed("program.toml", MANIFEST.replace("main.py:run", "main.py:start")), "program.toml.entry", "start"),
        (changed("program.toml", MANIFEST.replace("main.py:run", "main.py")), "entry", "main.py:run"),
        (changed("program.toml", MANIFEST.replace("low = 0\nhigh = 1", "low = 1\nhigh = 0")), "outputs[0](rate)", "low must be below high"),
        (changed("program.toml", MANIFEST.replace("low = 0\nhigh = 1", "low = 1\nhigh = 1")), "outputs[0](rate)", "low must be below high"),
        (changed("program.toml", MANIFEST.replace("low = 0\nhigh = 1", "low = nan\nhigh = 1")), "outputs[0](rate).low", "finite"),
        (changed("program.toml", MANIFEST.replace("low = 0\nhigh = 1", "low = 0\nhigh = inf")), "outputs[0](rate).high", "finite"),
        (changed("program.toml", MANIFEST.replace("low = 1\nhigh = 24", "low = 24\nhigh = 1")), "parameters[0](months)", "below"),
        (changed("program.toml", MANIFEST.replace("low = 1\nhigh = 24", "low = 1.5\nhigh = 24")), "parameters[0](months)", "integers"),
        (changed("program.toml", MANIFEST.replace("low = 1\nhigh = 24", "low = 1")), "parameters[0](months)", "low and high"),
        (changed("program.toml", MANIFEST.replace('choices = ["all", "new"]', "")), "parameters[1](kind)", "choices"),
        (changed("program.toml", MANIFEST.replace('name = "kind"', 'name = "Months"')), ".", "once"),
        (changed("program.toml", MANIFEST.split("[[outputs]]")[0]), "outputs", "required"),
        (changed("program.toml", MANIFEST + "\n[run]\nnetwork = true\n"), "run", "not permitted"),
        (changed("program.toml", "name ="), "end of document", "TOML"),
        (changed("main.py", MAIN + "import os\n"), "main.py:8", "os is not among"),
        (changed("main.py", MAIN + "from socket import socket as s\n"), "main.py:8", "socket is not among"),
        (changed("main.py", MAIN + "import numpy, ctypes.util\n"), "main.py:8", "ctypes.util is not among"),
        (changed("os.py", "x = 1"), "os.py", "name of a module"),
        (changed("numpy/core.py", "x = 1"), "numpy/core.py", "name of a module"),
        (changed("main.py", MAIN + 'eval("1")\n'), "main.py:8", "eval is not for programs"),
        (changed("main.py", MAIN + "e = exec\n"), "main.py:8", "exec is not for programs"),
        (changed("main.py", MAIN + '__import__("os")\n'), "main.py:8", "__import__ is not for programs"),
        (changed("main.py", "def run(rows):\n    return {}\n"), "program.toml.entry", "run(rows, parameters)"),
        (changed("main.py", MAIN + "def broken(:\n"), "main.py:8", "not Python"),
        (changed("main.py", MAIN + "x = " + "(" * 5000 + ")" * 5000), "main.py", ""),
        (changed("main.py", MAIN + "x = " + "-" * 100_000 + "1"), "main.py", ""),
        (changed("main.py", MAIN + "x = " + "[" * 150 + "]" * 150 + "\n" + "y = " + "a." * 60_000 + "b"), "main.py", ""),
        (changed("main.py", MAIN + "x = " + "9" * 200_000), "main.py", ""),
        (changed("main.py", MAIN + "x = " + "+".join(["1"] * 90_000)), "main.py", ""),
        (changed("main.py", MAIN + "x = [" + "1," * 110_000 + "]"), "main.py", "too many nodes"),
        (changed("main.py", MAIN + "\0"), "main.py", ""),
    ],
    ids=[f"fault {number}" for number in range(69)],
)  # fmt: skip
def test_a_package_that_is_not_in_order_is_refused_and_its_faults_located(data: bytes, path: str, said: str) -> None:
    places = refusal(data)
    assert any(found.startswith(path) or (not said and found == "package") for found, _ in places), places
    assert any(said in reason for _, reason in places), places


def test_one_file_is_a_package_of_one_file() -> None:
    package, report = taken(single(MANIFEST))
    assert (package.manifest.name, list(package.files), [each.path for each in report.files]) == ("churn", ["main.py"], ["main.py"])
    assert read_document(package.document).digest == package.digest


def test_parameters_are_a_json_schema() -> None:
    schema = read_package(packed()).manifest.parameters_schema
    assert schema["required"] == ["months", "kind"]
    assert schema["properties"] == {
        "months": {"title": "months", "description": "月数", "type": "integer", "minimum": 1, "maximum": 24},
        "kind": {"title": "kind", "description": "口径", "type": "string", "enum": ["all", "new"]},
    }


def test_what_a_directory_claims_of_sizes_is_not_believed() -> None:
    """The central directory says 10 bytes; the stream holds 60 million."""
    data = bytearray(changed("bomb.txt", bytes(60_000_000)))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"bomb.txt"))
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    assert refusal(bytes(data))[0][0] in ("package", "bomb.txt")


@pytest.mark.parametrize(
    ("line", "rows", "expected"),
    [
        ("", "arrow", ("numpy", "pyarrow")),
        ("", "pandas", ("numpy", "pandas", "pyarrow")),
        ("def frame(rows):\n    return rows.to_pandas()\n", "arrow", ("numpy", "pandas", "pyarrow")),
    ],
)
def test_pandas_is_loaded_where_a_program_asks_for_it_in_any_way(line: str, rows: str, expected: tuple[str, ...]) -> None:
    assert libraries_for(read_package(changed("main.py", MAIN + line)), rows, ["numpy"]) == expected


def test_nothing_in_a_package_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"{MAIN}\nopen({str(mark)!r}, 'w').write('x')\n"
    _, report = taken(changed("main.py", text))
    assert not mark.exists()
    assert ("open", 9) in report.files[1].marked  # told to the reviewers: the cell has no files, so it could only fail


def test_the_locked_set_holds_nothing_that_reaches_out() -> None:
    assert LOCKED.isdisjoint({"os", "sys", "socket", "subprocess", "ctypes", "importlib", "pickle", "threading", "multiprocessing", "time"})


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused_or_gives_a_package(at: int, bit: int) -> None:
    """Never another failure than PROGRAM_INVALID."""
    data = bytearray(packed())
    data[at % len(data)] ^= 1 << bit
    try:
        read_package(bytes(data))
    except Problem as problem:
        code = problem.code
    else:
        code = "program_invalid"
    assert code == "program_invalid"
