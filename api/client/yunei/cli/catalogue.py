"""yunei dataset …, yunei licence …, yunei account …: what there is and how much of it is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.session import Shape, session
from yunei.words import say


def datasets(
    find: Annotated[str, typer.Option("--find", help=say("检索词，中英文均可", "search words, Chinese or English"))] = "",
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.datasets(find)
    if shape == "json":
        output.as_json([item.data for item in found])
        return
    output.table(
        (say("数据集", "dataset"), say("名称", "title"), say("版本", "version"), say("分级", "grade"), say("隐私单元", "unit")),
        [(item.name, item.title, item.version, item.grade, item.unit or say("（公开）", "(public)")) for item in found],
        right=(2,),
        csv_headers=("dataset", "title", "version", "grade", "unit"),
    )


def dataset(
    name: Annotated[str, typer.Argument(metavar="DATASET", help=say("数据集名", "name of the dataset"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.dataset(name)
    if shape == "json":
        output.as_json(found.data)
        return
    entry = found.data["dataset"]
    if shape == "table":
        bounds = entry.get("bounds")
        output.facts(
            [
                (say("数据集", "dataset"), f"{found.name}  {found.title}"),
                (say("登记号", "registration"), entry.get("registration_no")),
                (say("来源部门", "source body"), _title(entry.get("source_body"))),
                (say("获取日期", "acquired on"), entry.get("acquired_on")),
                (say("更新日期", "updated on"), entry.get("updated_on")),
                (say("分级", "grade"), found.grade),
                (say("共享属性", "share"), (entry.get("share") or {}).get("attribute")),
                (
                    say("隐私单元", "privacy unit"),
                    f"{found.unit} ({found.data.get('unit_space') or entry['unit']['space']})" if found.unit else say("（公开）", "(public)"),
                ),
                (
                    say("贡献上限", "bounds"),
                    bounds
                    and say(
                        f"每个单元 {bounds['groups_per_unit']} 组，每组 {bounds['rows_per_group']} 行",
                        f"{bounds['groups_per_unit']} groups per unit, {bounds['rows_per_group']} rows per group",
                    ),
                ),
                (say("预算按期计算", "budgets by period"), _periods(found.data)),
                (say("版本", "version"), f"{found.version}  {found.digest}"),
            ]
        )
        output.line()
    output.table(
        (say("列", "column"), say("名称", "title"), say("类型", "type"), say("范围", "range"), say("取值", "domain"), say("用途", "uses")),
        [
            (column["name"], _title(column.get("title")), column["type"], _range(column), _domain(column), " ".join(column.get("uses", ())))
            for column in found.columns
        ],
        csv_headers=("column", "title", "type", "range", "domain", "uses"),
    )


def _title(title: Any) -> str:
    return str(title.get(say.language, "")) if isinstance(title, Mapping) else ""


def _periods(data: Mapping[str, Any]) -> str:
    """The periods that have budgets of their own, and whom that protects."""
    periods, title = data.get("periods"), _title(data.get("unit_title"))
    if not periods:
        return ""
    return say(
        f"{periods['first']} … {periods['last']}，共 {periods['count']} 期（按 {periods['column']}）；保护的是“{title}”，不是个人",
        f"{periods['first']} … {periods['last']}, {periods['count']} periods (by {periods['column']}); protected is a {title}, not a person",
    )


def _range(column: Mapping[str, Any]) -> str:
    return "" if column.get("low") is None else f"{column['low']} … {column['high']}"


def _domain(column: Mapping[str, Any]) -> str:
    domain = column.get("domain")
    if not domain:
        return ""
    shown = ", ".join(str(value) for value in domain[:6])
    return shown if len(domain) <= 6 else say(f"{shown} 等 {len(domain)} 个", f"{shown} … ({len(domain)})")


def licences(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.licences()
    if shape == "json":
        output.as_json([item.data for item in found])
        return
    output.table(
        (
            say("协议", "licence"),
            say("名称", "title"),
            say("运营单位", "operator"),
            say("状态", "state"),
            say("数据集", "datasets"),
            say("应用场景", "scenarios"),
            say("至", "until"),
        ),
        [
            (
                item.id,
                item.title,
                item.operator,
                _state(item.state),
                " ".join(item.datasets),
                " ".join(item.scenarios),
                f"{item.valid_until:%Y-%m-%d}",
            )
            for item in found
        ],
        csv_headers=("licence", "title", "operator", "state", "datasets", "scenarios", "until"),
    )


STATES = {
    "applied": "已申请",
    "consented": "来源部门已同意",
    "declined": "未予授权",
    "granted": "已授权，未到生效日期",
    "active": "有效",
    "suspended": "已暂停",
    "expired": "已期满",
    "revoked": "已撤销",
}


def _state(state: str) -> str:
    if session.shape == "csv":
        return state
    return say(STATES.get(state, state), state)


def licence(
    id_: Annotated[str, typer.Argument(metavar="LICENCE", help=say("协议编号", "id of the licence"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.licence(id_)
    if shape == "json":
        output.as_json(found.data)
        return
    if shape == "table":
        entry = found.data["licence"]
        output.facts(
            [
                (say("协议", "licence"), f"{found.id}  {found.title}"),
                (say("运营单位", "operator"), found.operator),
                (say("状态", "state"), _state(found.state)),
                (say("数据集", "datasets"), "\n".join(_grant(grant) for grant in entry["datasets"])),
                (say("应用场景", "scenarios"), " ".join(found.scenarios)),
                (say("期限", "term"), f"{found.valid_from:%Y-%m-%d} … {found.valid_until:%Y-%m-%d}"),
                (say("决策文件", "decision document"), _decision(entry.get("decision_document"))),
            ]
        )
        output.line()
    output.accounts(found.accounts)


def _decision(decision: Any) -> str:
    if not isinstance(decision, Mapping):
        return str(decision or "")
    return " ".join(str(decision[name]) for name in ("number", "decided_on", "digest") if decision.get(name))


def _grant(grant: Mapping[str, Any]) -> str:
    columns = grant.get("columns")
    if columns is None:
        return say(f"{grant['dataset']}（全部列）", f"{grant['dataset']} (all columns)")
    return f"{grant['dataset']}: " + ", ".join(f"{column['name']} ({' '.join(column['uses'])})" for column in columns)


def accounts(shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table") -> None:
    session.shape = shape
    with session.client() as client:
        found = client.accounts()
    if shape == "json":
        output.as_json([item.data for item in found])
        return
    output.accounts(found)
