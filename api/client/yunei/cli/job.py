"""yunei job …"""

from __future__ import annotations

import inspect
import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.billing import quoted
from yunei.cli.session import Shape, session
from yunei.models import Dummy, Job, Quote
from yunei.problem import problem
from yunei.render import printable
from yunei.words import say


def _shared(
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help=say("查询语句；- 表示从标准输入读取", "the query; - reads standard input"))
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help=say("查询语句所在文件", "file that holds the query"))] = None,
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            "-r",
            metavar="FILE",
            help=say("其他类型作业的请求（TOML 或 JSON，含 kind）", "a request for another kind of job (TOML or JSON, with kind)"),
        ),
    ] = None,
    licence: Annotated[str, typer.Option("--licence", envvar="YUNEI_LICENCE", metavar="ID", help=say("协议编号", "licence"))] = ...,
    scenario: Annotated[str, typer.Option("--scenario", envvar="YUNEI_SCENARIO", metavar="ID", help=say("应用场景", "scenario"))] = ...,
    epsilon: Annotated[str | None, typer.Option("--epsilon", metavar="NUM", help=say("隐私预算 ε", "privacy budget as ε"))] = None,
    rho: Annotated[str | None, typer.Option("--rho", metavar="NUM", help=say("隐私预算 ρ（与 ε 二选一）", "or as ρ (zCDP)"))] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            "--accuracy",
            metavar="ERR",
            help=say("所要的 95 % 误差（50 或 2%），由此定价", "or the 95 % error wanted (50 or 2%), from which the price follows"),
        ),
    ] = None,
    delta: Annotated[str | None, typer.Option("--delta", metavar="NUM", help=say("总 δ，默认 1e-8", "total δ; 1e-8 by default"))] = None,
    groups_per_unit: Annotated[
        int | None,
        typer.Option("--groups-per-unit", metavar="N", help=say("每个单元最多计入的分组数", "at most how many groups a unit is counted in")),
    ] = None,
    rows_per_group: Annotated[
        int | None,
        typer.Option(
            "--rows-per-group",
            metavar="N",
            help=say("每个单元在一组内最多计入的行数", "at most how many rows of a unit are counted in a group"),
        ),
    ] = None,
    ranges: Annotated[
        list[str] | None, typer.Option("--range", metavar="COL=LO:HI", help=say("收窄取值范围，可重复", "narrow a column's range; repeatable"))
    ] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    """The parameters that check, dummy and submit have in common: one body serves all three."""


def _order(action: Callable[..., None]) -> Callable[..., None]:
    """`action(sql, job, **its own)` as a command that has the shared parameters before its own."""
    shared = inspect.signature(_shared, eval_str=True).parameters
    extra = {name: parameter for name, parameter in inspect.signature(action, eval_str=True).parameters.items() if name not in ("sql", "job")}

    def command(**given: Any) -> None:
        session.shape = given.pop("shape")
        own = {name: given.pop(name) for name in extra}
        sql = asked(given.pop("sql"), given.pop("file"), given.pop("request"))
        given["ranges"] = parsed_ranges(given["ranges"] or [])
        action(sql, given, **own)

    command.__signature__ = inspect.Signature([*shared.values(), *extra.values()])  # type: ignore[attr-defined]  # what inspect reads
    return command


def asked(argument: str | None, file: Path | None, request: Path | None) -> str | Mapping[str, Any]:
    """The SQL, or a request of another kind out of a file. Raises `client_bad_request`."""
    if request is None:
        return query(argument, file)
    if argument is not None or file is not None:
        raise problem(
            "client_bad_request",
            what=say("--request 与查询语句二者取一。", "Give either --request or a query, not both."),
            verb="job submit",
        )
    return read_request(request)


def read_request(path: Path) -> Mapping[str, Any]:
    """A table of TOML or an object of JSON, by the file's name. Raises `client_bad_request`."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise problem("client_bad_request", what=f"{path}: {error.strerror}", verb="job submit") from error
    except ValueError as error:  # neither UTF-8, nor TOML, nor JSON
        raise problem("client_bad_request", what=f"{path}: {error}", verb="job submit") from error
    if not isinstance(found, dict):
        raise problem("client_bad_request", what=f"{path}: " + say("不是一组键值。", "is not a set of keys and values."), verb="job submit")
    return found


def query(argument: str | None, file: Path | None) -> str:
    """The SQL, from exactly one of argument, standard input and file. Raises `client_bad_request`."""
    if (argument is None) == (file is None):
        raise problem(
            "client_bad_request",
            what=say("查询语句用参数或 --file 给出，二者取一。", "Give the query either as an argument or with --file."),
            verb="job submit",
        )
    if file is None:
        return sys.stdin.read() if argument == "-" else str(argument)
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "UTF-8?"
        raise problem("client_bad_request", what=f"{file}: {why}", verb="job submit") from error


def parsed_ranges(texts: list[str]) -> dict[str, tuple[str, str]]:
    """`column=low:high` as (low, high) by column; the numbers themselves are the server's to judge."""
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        column, equals, bounds = text.partition("=")
        low, colon, high = bounds.partition(":")
        if not (column and equals and low and colon and high) or column in found:
            raise problem(
                "client_bad_request",
                what=f"--range {text}: " + say("应写成 列名=下限:上限，每列一次。", "write COLUMN=LOW:HIGH, each column once."),
                verb="job submit",
            )
        found[column] = low.strip(), high.strip()
    return found


@_order
def check(sql: str | Mapping[str, Any], job: dict[str, Any]) -> None:
    with session.client() as client:
        show_quote(client.check(sql, **job))


def show_quote(quote: Quote) -> None:
    """A price and what goes with it, in the session's shape."""
    if session.shape == "json":
        output.as_json(quote.data)
        return
    if session.shape == "csv":
        output.accounts(quote.accounts)
        return
    output.facts(
        [
            (say("价格", "price"), f"{quote.price}  ρ = {quote.price.rho}"),
            (
                say("是否已有答案", "answered before"),
                say("是：正式提交不花预算，字节相同", "yes: submitting is free and returns the same bytes")
                if quote.answered
                else say("否", "no"),
            ),
            (say("最早可见", "visible after"), f"{quote.slot_ms} ms"),
            (say("费用", "fee"), quoted(quote.fee)),
        ]
    )
    words = quote.explanation.get(say.language)
    if words:
        output.line()
        output.line("\n".join(f"· {printable(sentence)}" for sentence in explained(words)))
    if quote.accounts:
        output.line()
        output.accounts(quote.accounts)


def explained(words: object) -> list[str]:
    """The explanation in one language: a text, a list of lines, or named lines."""
    if isinstance(words, Mapping):
        return [f"{name}: {value}" for name, value in words.items()]
    return [str(item) for item in words] if isinstance(words, list | tuple) else str(words).split("\n")


@_order
def dummy(sql: str | Mapping[str, Any], job: dict[str, Any]) -> None:
    with session.client() as client:
        show_dummy(client.dummy(sql, **job))


def show_dummy(found: Dummy) -> None:
    """An answer on invented rows, in the session's shape."""
    from yunei.render import grid

    if session.shape == "json":
        output.as_json(found.data)
    elif session.shape == "csv":
        labels = [column.label for column in found.columns]
        output.table(labels, [[row.get(label) for label in labels] for row in found.rows])
    else:
        output.show_grid(
            grid(found.columns, found.rows, len(found.rows)),
            [say("虚构数据：列与类型真实，数值没有意义。", "Invented rows: columns and types are real, values have no meaning.")],
        )


@_order
def submit(
    sql: str | Mapping[str, Any],
    job: dict[str, Any],
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help=say("等待结果，或提交后立即返回", "wait for the result, or return at once"))
    ] = True,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", help=say("最多等待的秒数", "longest wait in seconds"))] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="TEXT",
            help=say("同一标识的重复提交只算一次", "repeated submissions with the same key count as one job"),
        ),
    ] = None,
) -> None:
    with session.client() as client:
        show_job(client, client.submit(sql, idempotency_key=idempotency_key, **job), wait=wait, timeout=timeout)


def show_job(client: Any, submitted: Job, *, wait: bool, timeout: float | None) -> None:
    """A job just submitted: its answer, or its id when nobody waits."""
    if wait:
        _wait(client, submitted, timeout)
    else:
        _brief(submitted)


def wait(
    job: Annotated[str, typer.Argument(metavar="JOB", help=say("作业编号", "id of the job"))],
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", help=say("最多等待的秒数", "longest wait in seconds"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        _wait(client, client.job(job), timeout)


def _wait(client: Any, job: Job, timeout: float | None) -> None:
    from yunei.cli.release import show_answer

    try:
        with output.waiting(say("等待结果", "waiting for the result")) as watch:
            done = job if job.done else client.wait(job, timeout, watch)
            answer = None if done.state in ("held", "returned") else client.answer(done)
    except KeyboardInterrupt:
        output.note(say(f"作业继续运行；稍后执行 yunei job wait {job.id}", f"the job continues; later run: yunei job wait {job.id}"))
        raise
    if answer is None:
        output.note(say("精确结果已封存，待人工审核；提请审核：", "the exact table is sealed and awaits human review; request one with:"))
        output.note(f"yunei review request {done.id} --title … --purpose …")
        _brief(done)
        return
    if done.reused and session.shape == "table":
        output.note(say("同一问题此前已有答案：本次不支出预算。", "The same question was answered before: nothing was charged."))
    show_answer(answer)


def _brief(job: Job) -> None:
    if session.shape == "json":
        output.as_json(job.data)
    elif session.shape == "csv":
        _rows([job])
    else:
        output.line(job.id)
        if not job.done:
            output.note(say(f"已受理；执行 yunei job wait {job.id} 查看结果", f"admitted; to see the result: yunei job wait {job.id}"))


def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help=say("最多显示几个", "show at most this many"))] = 20,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        jobs = list(client.jobs(limit))
    if shape == "json":
        output.as_json([job.data for job in jobs])
    else:
        _rows(jobs)


def _rows(jobs: list[Job]) -> None:
    headers = ("job", "state", "submitted_at", "price", "release", "sql")
    if session.shape == "csv":
        rows = [(job.id, job.state, job.data["submitted_at"], job.price.rho if job.price else "", job.release, job.sql) for job in jobs]
        output.table(headers, rows, csv_headers=("job", "state", "submitted_at", "price_rho", "release", "sql"))
        return
    named = (
        say("作业", "job"),
        say("状态", "state"),
        say("提交时间", "submitted"),
        say("隐私支出", "price"),
        say("发布", "release"),
        say("查询", "query"),
    )
    output.table(
        named,
        [(job.id, state(job), f"{job.submitted_at:%Y-%m-%d %H:%M:%S}Z", price(job), job.release, shortened(job.sql)) for job in jobs],
    )


def state(job: Job) -> str:
    names = {"running": "运行中", "published": "已发布", "refused": "已拒绝", "cancelled": "已取消", "failed": "未能完成"}
    names |= {"held": "已封存，待审核", "returned": "审核退回", "rejected": "审核不予发布"}
    return say(names.get(job.state, job.state), job.state)


def price(job: Job) -> str:
    return say("无（已有答案）", "none (reused)") if job.reused else str(job.price) if job.price else ""


def shortened(sql: str, width: int = 60) -> str:
    flat = " ".join(sql.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def show(
    job: Annotated[str, typer.Argument(metavar="JOB", help=say("作业编号", "id of the job"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.job(job)
    if shape == "json":
        output.as_json(found.data)
        return
    if shape == "csv":
        _rows([found])
        return
    pairs: list[tuple[str, object]] = [
        (say("作业", "job"), found.id),
        (say("状态", "state"), state(found)),
        (say("协议", "licence"), found.licence),
        (say("应用场景", "scenario"), found.scenario),
        (say("提交时间", "submitted"), f"{found.submitted_at:%Y-%m-%d %H:%M:%S}Z"),
        (say("隐私支出", "price"), price(found)),
        (say("发布", "release"), found.release),
        (say("查询", "query"), found.sql.strip()),
    ]
    output.facts(pairs)
    if found.problem is not None:
        output.problem_panel(found.problem)


def cancel(
    job: Annotated[str, typer.Argument(metavar="JOB", help=say("作业编号", "id of the job"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.cancel(job)
    if shape == "json":
        output.as_json(found.data)
    elif shape == "csv":
        _rows([found])
    else:
        output.line(f"{found.id}  {state(found)}")
