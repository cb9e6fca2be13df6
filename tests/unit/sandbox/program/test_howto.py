"""What docs/how-to/programs.md shows is taken as it stands: manifests, a program of one file, requests, verbs."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from jobs.kinds.program import ProgramRequest
from sandbox.program.ask import RunAsk, parameters_of
from sandbox.program.manifest import manifest_from_toml
from sandbox.program.package import read_package
from sandbox.program.report import inspect
from yunei.cli.verbs import find
from yunei.programs import new_program

PAGE = (Path(__file__).resolve().parents[4] / "docs/how-to/programs.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def test_manifest_and_request_fit_each_other() -> None:
    manifest_text, request_text = blocks("toml")
    manifest = manifest_from_toml(manifest_text)
    request = tomllib.loads(request_text.replace("DIGEST", "a" * 64))
    assert request.pop("kind") == "program"
    ask = RunAsk.model_validate(request)
    assert parameters_of(manifest, ask.parameters) == {"from_age": 60}
    assert ProgramRequest(ask).text.startswith("program aaaa")


def test_the_program_of_one_file_is_taken() -> None:
    (source,) = (block for block in blocks("python") if "# /// program" in block)
    package = read_package(source.encode())
    inspect(package)
    assert package.manifest.name == "mean-age"


@pytest.mark.parametrize("line", [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines() if line.strip()])
def test_every_verb_is_there(line: str) -> None:
    program, noun, verb, *_ = shlex.split(line)
    assert program == "yunei"
    assert find(noun, verb) is not None


@pytest.mark.parametrize("mode", ["blocks", "units"])
def test_what_new_writes_is_a_package(tmp_path: Path, mode: str) -> None:
    from yunei.authority import pack

    new_program(tmp_path / "mine", mode=mode)
    package = read_package(pack(tmp_path / "mine"))
    inspect(package)
    assert (package.manifest.name, package.manifest.mode) == ("mine", mode)
    assert sorted(package.files) == ["main.py"], "the request is no part of the program"
    with pytest.raises(FileExistsError):
        new_program(tmp_path / "mine")
