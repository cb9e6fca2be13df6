"""`yunei try`: the engine on one's own files, JSON lines in and out, without a server.

It keeps no ledger, so it refuses data that is registered here: what is registered is asked about through a licence.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policies.problem import declare
from yunei.words import say

if TYPE_CHECKING:
    from policies.catalogue import Dataset

LINE_LIMIT = 1 << 20

DATA_REGISTERED = declare(
    "data_registered",
    zh=("数据已登记", "数据集 {dataset}（登记号 {registration_no}）已在本平台登记。", "请凭协议提交作业；试用引擎只用于未登记的文件。"),
    en=(
        "The data is registered",
        "Dataset {dataset} (registration {registration_no}) is registered here.",
        "Submit a job under a licence; this trial desk is only for files that are not registered.",
    ),
)
LINE_UNREADABLE = declare(
    "request_line_unreadable",
    zh=("这一行不是 JSON", "第 {number} 行无法解析，或超过 {limit} 字节。", "请每行写一个 JSON 对象。"),
    en=("This line is not JSON", "Line {number} cannot be parsed, or is longer than {limit} bytes.", "Write one JSON object per line."),
)


def try_(
    catalogue: Annotated[Path, typer.Option("--catalogue", exists=True, help=say("目录文件或其文件夹", "catalogue file, or a folder of them"))],
    data: Annotated[Path, typer.Option("--data", exists=True, file_okay=False, help=say("数据文件夹", "folder of <dataset>.parquet or .csv"))],
    exact: Annotated[
        bool, typer.Option("--exact", help=say("给出加噪前的汇总及其敏感度", "totals before noise, and what one unit moves"))
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**64 - 1, help=say("选取分组的种子", "keys the choice of groups"))] = 0,
    home: Annotated[
        Path | None, typer.Option("--home", help=say("主目录，用于核对是否已登记", "home folder, to see what is registered"))
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help=say("CSV 文件编码", "encoding of CSV files"))] = "utf-8",
) -> None:
    """Read questions as JSON lines from standard input; write one JSON line each."""
    from sandbox.desk import Desk

    datasets = list(read_catalogue(catalogue))
    refuse_registered(datasets, home)
    desk = Desk.open(datasets, data, encoding)
    for asked in questions(sys.stdin.buffer):
        said = asked if isinstance(asked, Refused) else desk.answer(asked, exact=exact, seed=seed)
        sys.stdout.write(json.dumps(said.said if isinstance(said, Refused) else said, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class Refused:
    """A line that is not JSON."""

    def __init__(self, number: int) -> None:
        problem = LINE_UNREADABLE(number=number, limit=LINE_LIMIT)
        self.said = {"id": None, "status": "refused", "code": problem.code, "message": str(problem), "problem": problem.as_data()}


def questions(lines: Iterable[bytes]) -> Iterator[Any]:
    """Each line parsed, in order; an empty one is skipped."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if len(line) > LINE_LIMIT:
                raise ValueError("too long")
            yield json.loads(line)
        except (ValueError, RecursionError):
            yield Refused(number)


def read_catalogue(path: Path) -> Iterator[Dataset]:
    """Datasets of a catalogue file (one dataset, or several as `[[datasets]]`; TOML, or the same as JSON) or of all files in a folder."""
    from policies.catalogue import dataset_from_toml, datasets_of

    files = sorted(file for file in path.iterdir() if file.suffix in (".toml", ".json")) if path.is_dir() else [path]
    for file in files:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            yield from datasets_of(json.loads(text))
            continue
        try:
            several = "datasets" in tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            several = False  # the next line says where it is wrong
        yield from datasets_of(tomllib.loads(text)) if several else (dataset_from_toml(text),)


def refuse_registered(datasets: Iterable[Dataset], home: Path | None) -> None:
    """Raise `data_registered` when the register of this home knows one of them, by name or by registration number."""
    from infra.settings import Settings

    settings = Settings.load(home)
    if not (settings.home / "register.db").exists() and settings.database_url.startswith("sqlite"):
        return
    from jobs.register import Register

    register = Register.open(settings)
    try:
        known = register.catalogue()
        numbers = {snapshot.dataset.registration_no for snapshot in known.values()}
        for dataset in datasets:
            if dataset.name in known or dataset.registration_no in numbers:
                raise DATA_REGISTERED(dataset=dataset.name, registration_no=dataset.registration_no)
    finally:
        register.close()
