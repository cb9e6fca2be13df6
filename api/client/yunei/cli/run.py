"""One command line from arguments to exit code: language first, then the tree of commands, then one way to fail."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yunei import __version__
from yunei.cli.session import session
from yunei.cli.verbs import find
from yunei.config import Config, home_named, language_from
from yunei.problem import Misused, NotVerified, StillRunning, Unreachable, YuneiProblem
from yunei.words import language_of, say

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

EXIT_CODES: tuple[tuple[type[YuneiProblem], int], ...] = (
    (Unreachable, 3),
    (NotVerified, 4),
    (StillRunning, 5),
    (Misused, 2),
    (YuneiProblem, 1),
)
BEFORE_NOUN = ("--url", "--key", "--state")


@dataclass(frozen=True)
class Line:
    """A command line, taken apart: what stands before the noun, and the rest. `noun`, `verb` are "" where there is none."""

    options: Mapping[str, str]
    flags: tuple[str, ...]
    rest: tuple[str, ...]

    @property
    def noun(self) -> str:
        return self.rest[0] if self.rest else ""

    @property
    def verb(self) -> str:
        return self.rest[1] if len(self.rest) > 1 and not self.rest[1].startswith("-") else ""


def parse(arguments: Sequence[str]) -> Line:
    """`--lang` is taken from wherever it stands, so that even the words of a usage error are right; other options stand before the noun.

    ValueError, in words for the user, when one lacks its value or is none.
    """
    options: dict[str, str] = {}
    flags: list[str] = []
    rest: list[str] = []
    items = iter(arguments)
    for item in items:
        name, equals, value = item.partition("=")
        if item == "--":
            rest += [*([item] if rest else []), *items]
        elif name == "--lang" or (name in BEFORE_NOUN and not rest):
            options[name] = value if equals else next(items, "")
            if not options[name]:
                raise ValueError(say(f"{name} 需要一个值", f"{name} needs a value"))
        elif rest or not item.startswith("-"):
            rest.append(item)
        elif item in ("--help", "-h", "--version"):
            flags.append(item)
        else:
            raise ValueError(say(f"没有这个选项：{item}", f"no such option: {item}"))
    if options.get("--lang", "en") not in ("zh", "en"):
        raise ValueError(say("--lang 只能是 zh 或 en", "--lang is zh or en"))
    return Line(options, tuple(flags), tuple(rest))


def run(arguments: Sequence[str]) -> int:
    session.reset()
    say.language = language_from()
    try:
        line = parse(arguments)
        say.language = language_of(line.options["--lang"]) if "--lang" in line.options else Config.load().language
    except YuneiProblem as trouble:
        return told(trouble)
    except ValueError as error:
        return misused([f"{say('用法错误：', 'usage: ')}{error}", "→ yunei --help"])
    session.url, session.key, session.state = (line.options.get(name) for name in BEFORE_NOUN)
    if "--version" in line.flags:
        print(f"yunei {__version__}")  # noqa: T201  # this is the command line
        return 0
    if not line.noun or line.flags:
        return overviewed()
    return walk(line)


def plugins() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group="yunei.commands"))


def overviewed() -> int:
    from yunei.cli.overview import overview

    found = plugins()
    if found:
        from yunei.cli.app import added, build

        root, faults = build("", found)
        print(overview(added(root), faults))  # noqa: T201  # this is the command line
    else:
        print(overview())  # noqa: T201  # this is the command line
    return 0


def walk(line: Line) -> int:
    """Hand the line to Typer, and whatever comes of it to the one place that speaks of failure."""
    from typer import Abort, TyperException

    from yunei.cli.app import build, groups

    own = find(line.noun, line.verb)
    beside = plugins() if own is None or (own.on_home and on_home(line)) else ()
    root, faults = build(line.noun, beside, without=line.verb if own is not None and beside else "")
    try:
        alone = len(line.rest) == 1 and line.noun in groups  # a noun alone: its verbs
        result = root([*line.rest, *(["--help"] if alone else [])], prog_name="yunei", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except YuneiProblem as trouble:
        return told(trouble)
    except TyperException as error:
        return misused([*usage(error), *(f"! {fault}" for fault in faults)])
    except (KeyboardInterrupt, Abort):
        return 130
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains when it flushes at exit
        return 0


def on_home(line: Line) -> bool:
    """Whether the line is for a server's home on this machine: it says so, the environment does, or there is no key to go to a server with."""
    said = any(item == "--home" or item.startswith("--home=") for item in line.rest)
    return said or home_named() or (session.key is None and Config.load().key is None)


def told(trouble: YuneiProblem) -> int:
    from yunei.cli.output import problem_panel

    problem_panel(trouble)
    return next(code for kind, code in EXIT_CODES if isinstance(trouble, kind))


def misused(lines: Sequence[str]) -> int:
    print("\n".join(lines), file=sys.stderr)  # noqa: T201  # this is the command line
    return 2


def usage(error: Any) -> list[str]:
    """A usage error of Typer's: what, and where to read on."""
    from yunei.cli.app import translated

    text = error.format_message()
    if say.language == "zh":
        for english, chinese in PHRASES:
            text = text.replace(english, chinese)
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", None)
    lines = [f"{say('用法错误：', 'usage: ')}{translated(text)}"]
    if option in BEFORE_NOUN:
        lines.append(say(f"{option} 写在名词之前：yunei {option} …", f"{option} goes before the noun: yunei {option} …"))
    return [*lines, f"→ {context.command_path if context is not None else 'yunei'} --help"]


PHRASES = (
    ("No such option: ", "没有这个选项："),
    ("No such command ", "没有这个命令："),
    ("Missing argument ", "缺少参数 "),
    ("Missing option ", "缺少选项 "),
    ("Missing command.", "缺少命令。"),
    ("Missing parameter: ", "缺少参数："),
    ("Invalid value for ", "取值无效："),
    ("Invalid value: ", "取值无效："),
    (" requires an argument.", " 需要一个值。"),
    ("Got unexpected extra argument", "多余的参数"),
    ("Did you mean ", "是否想写 "),
    (" is not one of ", " 不在以下取值之中："),
    (" is not a valid ", " 不是有效的 "),
    ("Possible options: ", "可选："),
    ("Option ", "选项 "),
)
