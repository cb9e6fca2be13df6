"""yunei program new, yunei program test"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from yunei.cli import output
from yunei.cli.job import explained, read_request
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.programs import new_program
from yunei.render import printable
from yunei.words import say


def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help=say("新程序的文件夹", "folder of the new program"))],
    mode: Annotated[
        Literal["blocks", "units"],
        typer.Option("--mode", help=say("blocks：按块运行；units：逐单元运行", "on blocks of units, or unit by unit")),
    ] = "blocks",
) -> None:
    try:
        made = new_program(folder, mode=mode)
    except OSError as error:
        raise problem("client_bad_request", what=f"{error.filename}: {error.strerror}", verb="program new") from error
    for path in made:
        output.line(str(path))
    output.note(say(f"试运行：yunei program test {folder}", f"try it: yunei program test {folder}"))


def trial(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", exists=True, help=say("程序包：文件夹或 zip", "a folder, or a zip"))],
    request: Annotated[
        Path | None,
        typer.Option("--request", "-r", metavar="FILE", help=say("运行请求；默认为包内 run.toml", "what to run; run.toml in the folder")),
    ] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    run = read_request(request or (package if package.is_dir() else package.parent) / "run.toml")
    with session.client() as client:
        found = client.test_program(package, run)
    if shape == "json":
        output.as_json(found.data)
        return
    headers = (say("调用", "call"), say("行数", "rows"), *found.outputs)
    empty: tuple[object, ...] = (None,) * len(found.outputs)
    output.table(headers, [(number, call.rows, *(call.values or empty)) for number, call in enumerate(found.calls, 1)])
    if shape == "csv":
        return
    said = dict.fromkeys(call.text for call in found.calls if call.text)
    for text in said:
        output.line()
        output.line("\n".join(printable(line) for line in text.splitlines()))
    words = found.explanation.get(say.language)
    if words:
        output.line()
        output.line("\n".join(f"· {printable(sentence)}" for sentence in explained(words)))
    output.note(say("虚构数据：数值没有意义；没有登记，没有支出。", "Invented rows: values have no meaning. Nothing was registered or spent."))
    output.line(f"{say('摘要', 'digest')}  {found.digest}")
