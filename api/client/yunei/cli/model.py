"""yunei model …"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from yunei.cli import output
from yunei.cli.job import show_dummy, show_job, show_quote
from yunei.cli.session import Shape, session
from yunei.problem import problem
from yunei.words import say


def _shared(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=say("模型文件，TOML 或 JSON", "the model: a TOML or JSON file"), show_default=False)
    ] = ...,
    licence: Annotated[str, typer.Option("--licence", envvar="YUNEI_LICENCE", metavar="ID", help=say("协议编号", "licence"))] = ...,
    scenario: Annotated[str, typer.Option("--scenario", envvar="YUNEI_SCENARIO", metavar="ID", help=say("应用场景", "scenario"))] = ...,
    epsilon: Annotated[str | None, typer.Option("--epsilon", metavar="NUM", help=say("隐私预算 ε", "privacy budget as ε"))] = None,
    rho: Annotated[str | None, typer.Option("--rho", metavar="NUM", help=say("隐私预算 ρ（与 ε 二选一）", "or as ρ (zCDP)"))] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            "--accuracy",
            metavar="ERR",
            help=say("标准化参数的 95 % 误差，由此定价", "or the 95 % error of a standardised parameter, from which the price follows"),
        ),
    ] = None,
    delta: Annotated[str | None, typer.Option("--delta", metavar="NUM", help=say("总 δ，默认 1e-8", "total δ; 1e-8 by default"))] = None,
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    """The parameters that check, dummy and submit have in common."""


def _model(action: Callable[..., None]) -> Callable[..., None]:
    """`action(model, job, **its own)` as a command that has the shared parameters before its own."""
    shared = inspect.signature(_shared, eval_str=True).parameters
    extra = {name: parameter for name, parameter in inspect.signature(action, eval_str=True).parameters.items() if name not in ("model", "job")}

    def command(**given: Any) -> None:
        session.shape = given.pop("shape")
        own = {name: given.pop(name) for name in extra}
        action(read_model(given.pop("file")), given, **own)

    command.__signature__ = inspect.Signature([*shared.values(), *extra.values()])  # type: ignore[attr-defined]  # what inspect reads
    return command


def read_model(path: Path) -> Mapping[str, Any]:
    """The request in a file, numbers exact. Raises `client_bad_request`."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text, parse_float=Decimal) if path.suffix == ".json" else tomllib.loads(text, parse_float=Decimal)
    except (OSError, ValueError) as error:  # of either format, and of text that is not UTF-8
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise problem("client_bad_request", what=f"{path}: {why}", verb="model submit") from error
    if not isinstance(found, dict):
        raise problem("client_bad_request", what=f"{path}: " + say("应为一个对象", "an object is wanted"), verb="model submit")
    return found


@_model
def check(model: Mapping[str, Any], job: dict[str, Any]) -> None:
    with session.client() as client:
        show_quote(client.check_model(model, **job))


@_model
def dummy(model: Mapping[str, Any], job: dict[str, Any]) -> None:
    with session.client() as client:
        show_dummy(client.dummy_model(model, **job))


@_model
def submit(
    model: Mapping[str, Any],
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
        show_job(client, client.submit_model(model, idempotency_key=idempotency_key, **job), wait=wait, timeout=timeout)


def card(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help=say("发布编号", "id of the release"))],
    shape: Annotated[Shape, typer.Option("--format", help=say("输出格式", "output"))] = "table",
) -> None:
    session.shape = shape
    with session.client() as client:
        found = client.model_card(release)
    if shape == "json":
        output.as_json(dict(found))
        return
    draws = [(step, draw) for step, draws in enumerate(found["steps"], 1) for draw in draws]
    if shape == "table":
        output.line("\n".join(f"· {sentence}" for sentence in found[say.language]))
        output.line()
    headers = (say("步", "step"), say("加噪的量", "draw"), say("个数", "numbers"), say("单元上限", "cap"), say("噪声", "noise"), "ρ")
    output.table(
        headers,
        [(step, draw["draw"], draw["size"], f"{draw['cap']:.4g}", f"{draw['scale']:.4g}", draw["rho"]) for step, draw in draws],
        csv_headers=("step", "draw", "size", "cap", "scale", "rho"),
    )
