"""How results and problems look: tables for people, JSON and CSV for scripts. Results go to stdout, all else to stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from yunei.cli.session import Shape, session
from yunei.problem import YuneiProblem
from yunei.render import Grid, as_text, printable
from yunei.words import say

if TYPE_CHECKING:
    from rich.console import Console

    from yunei.client import Watch
    from yunei.models import Account, Loss
    from yunei.tiles import Progress


def console(*, err: bool = False) -> Console:
    """Rich without markup or guessing of colours: what the server says is text, not instructions."""
    from rich.console import Console

    return Console(stderr=err, markup=False, highlight=False, emoji=False)


def line(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    sys.stderr.write(text + "\n")


def as_json(data: object) -> None:
    line(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = (), *, csv_headers: Sequence[str] = ()) -> None:
    """Rows in the session's shape, table or csv. `right` are the columns set to the right; `csv_headers` are stable in every language."""
    texts = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    if session.shape == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(csv_headers or headers)
        writer.writerows(texts)
        return
    numeric = tuple(at in right for at in range(len(headers)))
    show_grid(Grid(tuple(headers), numeric, tuple(tuple(row) for row in texts), 0))


def show_grid(grid: Grid, notes: Sequence[str] = ()) -> None:
    if not sys.stdout.isatty():
        line(as_text(grid, notes, say.language))
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header, numeric in zip(grid.headers, grid.numeric, strict=True):
        shown.add_column(Text(header), justify="right" if numeric else "left", overflow="fold")
    for row in grid.rows:
        shown.add_row(*(Text(text) for text in row))
    out = console()
    out.print(shown)
    for text in notes:
        out.print(text, style="dim")


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Name and value, one a line; empty values are left out."""
    from yunei.render import columns_wide

    kept = [(name, value) for name, value in pairs if value not in (None, "")]
    width = max((columns_wide(name) for name, _ in kept), default=0)
    for name, value in kept:
        first, *rest = str(value).split("\n")
        blank = " " * (width - columns_wide(name))
        line(f"{name}{blank}  {printable(first)}")
        for text in rest:
            line(f"{' ' * width}  {printable(text)}")


def verified(pairs: Sequence[tuple[str, str, object]], shape: Shape) -> None:
    """What was verified, in the shape asked for: each a name for scripts, a name for people, and a value."""
    if shape == "json":
        as_json({"verified": True, **{name: value for name, _, value in pairs}})
    elif shape == "csv":
        table([name for name, _, _ in pairs], [[value for _, _, value in pairs]])
    else:
        facts([(name, value) for _, name, value in pairs])


def epsilon(loss: Loss) -> str:
    from yunei.models import short

    return short(loss.rho) if loss.epsilon is None else short(loss.epsilon)


def accounts(found: Sequence[Account]) -> None:
    """A table; on a terminal, of accounts by period only the fullest of each kind, with how many there are."""
    from yunei.models import by_period, short

    if session.shape == "table":
        folded = by_period(found)
        for account, among in folded:
            if among > 1:
                said = say(f"{account.id} 是 {among} 个按期账户中最满的", f"{account.id} is the fullest of {among} accounts by period")
                note(said)
        found = [account for account, _ in folded]
    rows = [
        (account.id, epsilon(account.cap), epsilon(account.used), epsilon(account.left), short(account.left.rho), short(account.left.at_delta))
        for account in found
    ]
    headers = (
        say("账户", "account"),
        say("上限 ε", "cap ε"),
        say("已用 ε", "used ε"),
        say("剩余 ε", "left ε"),
        say("剩余 ρ", "left ρ"),
        say("按 δ 计", "at δ"),
    )
    table(headers, rows, right=(1, 2, 3, 4, 5), csv_headers=("account", "cap_epsilon", "used_epsilon", "left_epsilon", "left_rho", "delta"))


def problem_panel(trouble: YuneiProblem) -> None:
    """What happened and what to do, on stderr; as JSON when JSON was asked for."""
    if session.shape == "json":
        note(json.dumps(trouble.as_data(), ensure_ascii=False, indent=2))
        return
    words = trouble.words(say.language)
    body = [printable(words.detail)] if words.detail else []
    remedies = {words.remedy: None}
    for part in trouble.parts:
        part_words = part.words(say.language)
        body.append(
            f"· {printable(part_words.title)}：{printable(part_words.detail)}"
            if say.language == "zh"
            else f"· {printable(part_words.title)}: {printable(part_words.detail)}"
        )
        remedies[part_words.remedy] = None
    body += [f"→ {printable(remedy)}" for remedy in remedies if remedy]
    if not sys.stderr.isatty():
        note("\n".join([f"✗ {printable(words.title)} [{trouble.code}]", *(f"  {text}" for text in body)]))
        return
    from rich.panel import Panel
    from rich.text import Text

    text = Text("\n".join(body))
    console(err=True).print(
        Panel(
            text,
            title=Text(f"✗ {printable(words.title)}"),
            subtitle=Text(trouble.code),
            title_align="left",
            subtitle_align="right",
            border_style="red",
        )
    )


@contextmanager
def waiting(text: str) -> Iterator[Watch]:
    """A spinner on a terminal, nothing elsewhere. What it yields may be given to `Client.wait`."""
    if not sys.stderr.isatty():
        yield lambda job: None
        return
    with console(err=True).status(text) as status:
        yield lambda job: status.update(f"{text}  {job.id}")


@contextmanager
def counting(text: str) -> Iterator[Progress | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(TextColumn(text), BarColumn(), MofNCompleteColumn(), console=console(err=True), transient=True) as bar:
        task = bar.add_task(text)
        yield lambda done, total: bar.update(task, completed=done, total=total)
