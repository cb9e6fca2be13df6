"""yunei release quality, yunei product trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.words import say

_SHAPE = typer.Option("--format", help=say("输出格式", "output"))


def quality(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help=say("发布编号", "id of the release"))],
    plots: Annotated[Path | None, typer.Option("--plots", help=say("把图（SVG）存到哪里", "where to save the picture, SVG"))] = None,
    shape: Annotated[Shape, _SHAPE] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        report = client.quality(release)
        if plots is not None:
            plots.write_bytes(client.plots(release))
    if shape == "json":
        output.as_json(report)
        return
    rows = [(" × ".join(one["columns"]), one["cells"], one["scale"], one["distance"], one["noise"]) for one in report["marginals"]]
    if shape == "table":
        output.facts(
            [
                (say("行数", "rows"), report["rows"]),
                (say("数据行数（估计）", "rows of data, estimated"), report["estimated_rows"]),
                (say("平均距离", "mean distance"), f"{report['mean_distance']:.4f}"),
            ]
        )
        output.line()
        rows = [(name, cells, f"{scale:.1f}", f"{distance:.4f}", f"{noise:.4f}") for name, cells, scale, distance, noise in rows]
    headers = (
        say("边际", "marginal"),
        say("格数", "cells"),
        say("噪声标准差", "noise sd"),
        say("距离", "distance"),
        say("噪声所致", "by noise alone"),
    )
    output.table(headers, rows, right=(1, 2, 3, 4), csv_headers=("marginal", "cells", "scale", "distance", "noise"))


def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=say("要追溯的文件", "the file to trace"))],
    product: Annotated[str | None, typer.Option("--product", metavar="PRODUCT", help=say("产品编号", "of which product"))] = None,
    version: Annotated[int | None, typer.Option("--version", min=1, help=say("版本", "which version"))] = None,
    shape: Annotated[Shape, _SHAPE] = "table",
) -> None:
    session.shape = shape
    try:
        data = file.read_bytes()
    except OSError as error:
        raise problem("client_bad_request", what=f"{file}: {error.strerror}", verb="product trace") from error
    with session.client() as client:
        answer = client.trace(data, product=product, version=version)
    if shape == "json":
        output.as_json(answer)
        return
    found = [(one, each) for one in answer["traces"] for each in one["recipients"]]
    if shape == "csv":
        rows = [
            (one["product"], one["version"], each["recipient"], each["accused"], each["score"], each["log10_chance"], one["found"])
            for one, each in found
        ]
        output.table(rows=rows, headers=_KEYS, csv_headers=_KEYS)
        return
    for one in answer["traces"]:
        accused = "、".join(one["accused"]) if one["accused"] else say("无从认定", "nobody can be named")
        output.facts(
            [
                (say("产品", "product"), f"{one['product']} v{one['version']}"),
                (say("接收方", "recipient"), accused),
                (say("误指概率上限", "false accusation below"), answer["limit"]),
                (say("认出的行", "rows found"), f"{one['found']} / {one['rows']}"),
                (say("日志序号", "log index"), one["entry"]),
            ]
        )
        likely = [each for each in one["recipients"] if each["score"] > 0][:5]
        shown = [(each["recipient"], f"{each['score']:.1f}", f"10^{each['log10_chance']:.1f}") for each in likely]
        output.table((say("接收方", "recipient"), say("得分", "score"), say("无辜者得此分的概率至多", "an innocent's chance, at most")), shown)


_KEYS = ("product", "version", "recipient", "accused", "score", "log10_chance", "found")
