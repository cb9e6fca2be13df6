"""The story: a bureau registers data, licenses an operator, the operator asks, a builder fetches, the bureau verifies."""

from __future__ import annotations

import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from api.demo.data import CATALOGUES, frames, text_of, write_sources
from api.demo.questions import BEYOND_BUDGET, QUESTIONS, REFUSED, Frames, Question
from api.demo.stage import Stage
from yunei import Answer, Client, YuneiProblem
from yunei.cli.billing import quoted, yuan
from yunei.render import cell
from yunei.words import say

LICENCE = "demo-2026-01"
EPSILON, DELTA = "1", "1e-8"


def tell(stage: Stage) -> None:
    started = time.monotonic()
    tables = frames()
    with stage.server() as server:
        bureau_registers(stage, tables)
        stage.until_ready(server)
        keys = bureau_licenses(stage)
        answers = operator_asks(stage, tables, keys["operator"])
        builder_fetches(stage, keys, answers[0])
        bureau_verifies(stage, keys["supervisor"], answers)
    stage.console.print()
    stage.tell(f"演示结束，用时 {time.monotonic() - started:.0f} 秒。", f"The demo is over, after {time.monotonic() - started:.0f} seconds.")
    stage.aside(f"全部文件都留在 {stage.folder.name}/ 下，可以查看。", f"Everything is kept under {stage.folder.name}/ to look at.")


def bureau_registers(stage: Stage, tables: Frames) -> None:
    stage.chapter(1, "数据局登记公共数据，加密入库", "The bureau registers public data, encrypted at rest")
    stage.tell(
        "每个数据集有一份目录文件：登记号、来源部门、获取日期、分级、隐私单元、取值范围。入库时逐行核对，之后磁盘上只有密文。",
        "Each dataset has a catalogue file: registration number, source body, acquisition date, grade, privacy unit, ranges. Rows are checked "
        "against it; after that the disk holds ciphertext only.",
    )
    sources = write_sources(stage.folder / "sources", tables)
    for name in CATALOGUES:
        catalogue = stage.folder / "catalogues" / f"{name}.toml"
        catalogue.parent.mkdir(exist_ok=True)
        catalogue.write_text(text_of(f"catalogues/{name}.toml"), encoding="utf-8")
        stage.run("dataset", "add", str(catalogue), str(sources[name]))


def bureau_licenses(stage: Stage) -> dict[str, str]:
    stage.chapter(2, "数据局授权运营单位", "The bureau licenses an operator")
    keys = {role: stage.issue_key(f"demo-{role}", role) for role in ("operator", "builder", "supervisor")}
    licence = stage.folder / "licence.toml"
    licence.write_text(text_of("licence.toml"), encoding="utf-8")
    stage.run("licence", "grant", str(licence))
    return keys


def operator_asks(stage: Stage, tables: Frames, key: str) -> list[Answer]:
    stage.chapter(3, "运营单位提问：先询价，再提交", "The operator asks: price first, then the question")
    answers: list[Answer] = []
    with Client(stage.url, key, say.language) as client:
        for question in QUESTIONS:
            answers.append(ask(stage, client, tables, question))
        ask_again(stage, client, QUESTIONS[0], answers[0])
        ask_what_is_refused(stage, client)
        ask_beyond_the_budget(stage, client)
    return answers


def job_of(question: Question) -> dict[str, Any]:
    return {"licence": LICENCE, "scenario": question.scenario, "epsilon": EPSILON, "delta": DELTA, **question.bounds}


def ask(stage: Stage, client: Client, tables: Frames, question: Question) -> Answer:
    stage.console.print()
    stage.console.print(Text("● " + say(question.zh, question.en), "bold"))
    stage.console.print(Text(question.sql, "cyan"))
    quote = client.check(question.sql, **job_of(question))
    stage.aside(
        f"  询价（免费）：{quote.price}；费用 {quoted(quote.fee)}",
        f"  price (asking is free): {quote.price}; fee {quoted(quote.fee)}",
    )
    started = time.monotonic()
    answer = client.ask(question.sql, **job_of(question))
    elapsed_ms = (time.monotonic() - started) * 1000
    stage.console.print(beside_the_truth(answer, question, tables))
    stage.aside(
        "  真值一列只在演示中用公开数据另行计算；运营单位永远看不到。",
        "  The true values were computed aside, from the open data; an operator never sees them.",
    )
    if answer.release.thresholded:
        stage.aside("  涉及单元过少的分组不予显示。", "  Groups with too few units are not shown.")
    bounds = answer.release.data["bounds"]
    stage.aside(
        f"  每个单元最多计入 {bounds['groups_per_unit']} 个分组、每组 {bounds['rows_per_group']} 行，超出部分不计。",
        f"  Each unit counts in at most {bounds['groups_per_unit']} groups, with {bounds['rows_per_group']} rows in each; no more is counted.",
    )
    stage.aside(
        f"  发布 {answer.release.id}，计入日志第 {answer.release.log_index} 条；提交到取回 {elapsed_ms:.0f} 毫秒。",
        f"  release {answer.release.id}, entry {answer.release.log_index} of the log; {elapsed_ms:.0f} ms from submitting to holding it.",
    )
    if answer.release.fee is not None:
        stage.aside(f"  计费 {yuan(answer.release.fee)} 元。", f"  Charged: CNY {yuan(answer.release.fee)}.")
    return answer


def beside_the_truth(answer: Answer, question: Question, tables: Frames) -> Table:
    """The answer, and in dim columns what the operator never sees."""
    values = [column for column in answer.columns if column.kind == "value"]
    key = next(column.label for column in answer.columns if column.kind == "key")
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(key, no_wrap=True)
    for column in values:
        table.add_column(column.label, justify="right", no_wrap=True)
        table.add_column(Text(say("真值", "true"), "dim"), justify="right", style="dim", no_wrap=True)
    truth = question.truth(tables)
    for row in answer.rows():
        cells = [str(row[key])]
        for place, column in enumerate(values):
            cells.append(cell(row[column.label], row.get(column.half_width_column or "")))
            true = truth.get(row[key], (0.0,) * len(values))[place]
            cells.append(f"{true:,.0f}" if true == int(true) else f"{true:,.2f}")
        table.add_row(*cells)
    return table


def ask_again(stage: Stage, client: Client, question: Question, first: Answer) -> None:
    stage.console.print()
    stage.console.print(Text("● " + say("同一问题再问一次", "The same question, asked again"), "bold"))
    job = client.wait(client.submit(question.sql.lower().replace("\n", "  "), **job_of(question)))
    again = client.answer(job)
    same = again.arrow_bytes == first.arrow_bytes
    if not (job.reused and same):
        raise SystemExit(say("同一问题没有得到同一答案", "the same question did not get the same answer"))
    stage.tell(
        "  免费，与上次逐字节相同：反复提问不能把噪声平均掉。", "  Free, and the same bytes: asking again cannot average the noise away."
    )


def ask_what_is_refused(stage: Stage, client: Client) -> None:
    stage.console.print()
    stage.console.print(Text("● " + say("按个人分组的问题", "A question about individuals"), "bold"))
    stage.console.print(Text(REFUSED, "cyan"))
    refused(stage, client, REFUSED, QUESTIONS[2].scenario)


def ask_beyond_the_budget(stage: Stage, client: Client) -> None:
    stage.console.print()
    stage.console.print(Text("● " + say("超出剩余预算的问题", "A question beyond what is left of the budget"), "bold"))
    stage.console.print(Text(BEYOND_BUDGET, "cyan"))
    refused(stage, client, BEYOND_BUDGET, QUESTIONS[2].scenario)


def refused(stage: Stage, client: Client, sql: str, scenario: str) -> None:
    try:
        client.ask(sql, licence=LICENCE, scenario=scenario, epsilon=EPSILON, delta=DELTA)
    except YuneiProblem as problem:
        stage.console.print(
            Text(f"  ✗ {problem.title}（{problem.code}）" if say.language == "zh" else f"  ✗ {problem.title} ({problem.code})", "yellow")
        )
        stage.console.print(Text(f"    {problem.detail}"))
        stage.console.print(Text(f"    → {problem.remedy}", "green"))
        for part in problem.parts:
            stage.console.print(Text(f"    · {part.title}：{part.remedy}" if say.language == "zh" else f"    · {part.title}: {part.remedy}"))
        return
    raise SystemExit(say("本应被拒绝的问题得到了答案", "a question that should have been refused was answered"))


def builder_fetches(stage: Stage, keys: dict[str, str], answer: Answer) -> None:
    stage.chapter(4, "做成产品、登记、上架；数商取用，并离线核验", "It becomes a product; a builder fetches it and verifies it offline")
    description = stage.folder / "product.toml"
    description.write_text(text_of("product.toml"), encoding="utf-8")
    product = str(tomllib.loads(description.read_text(encoding="utf-8"))["id"])
    stage.run("product", "draft", str(description), key=keys["operator"])
    stage.run("product", "add", product, answer.release.id, key=keys["operator"])
    stage.run("product", "register", product, key=keys["supervisor"])
    stage.run("product", "publish", product, key=keys["operator"])
    stage.run("product", "entitle", product, "demo-builder", "--monthly", "30", key=keys["operator"])
    folder = stage.folder / "product"
    stage.run("log", "verify", key=keys["builder"])
    stage.run("product", "fetch", product, "-o", str(folder), key=keys["builder"])
    stage.run("product", "verify", str(folder / f"{product}-v1.intoto.json"), key=keys["builder"])


def bureau_verifies(stage: Stage, key: str, answers: list[Answer]) -> None:
    stage.chapter(5, "数据局独立核验", "The bureau verifies independently")
    stage.run("account", "list", key=key)
    with Client(stage.url, key, say.language) as client:
        period = next(client.fees()).period
    stage.run("statement", "show", period, key=key)
    stage.run("log", "verify", key=key)
    stage.run("audit")
    stage.tell(
        "再把日志复制一份，改动其中一个字节——有人想改写历史：",
        "Now a copy of the log in which one byte is changed, as someone would who wants to rewrite history:",
    )
    copy = stage.folder / "tampered-log"
    shutil.copytree(stage.home / "log", copy)
    flip_one_byte(copy, answers[0].release.id)
    stage.run("log", "verify", "--dir", str(copy), key=key, expect=4)


def flip_one_byte(log: Path, release: str) -> None:
    """Change one letter of the entry that published `release`, in the newest bundle of entries: the one that verifiers read."""
    bundles = [path for path in (log / "tile" / "entries").rglob("*") if path.is_file() and release.encode() in path.read_bytes()]
    if not bundles:
        raise SystemExit(say("日志里没有这次发布", "the log does not hold that release"))
    newest = max(bundles, key=lambda path: path.stat().st_size)
    data = bytearray(newest.read_bytes())
    data[data.index(release.encode()) + len("rel-")] ^= 0x01
    newest.chmod(0o600)
    newest.write_bytes(data)
