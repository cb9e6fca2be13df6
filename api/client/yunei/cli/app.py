"""The tree of commands as Typer has it, with the verbs of other packages where they are wanted."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from yunei.cli.verbs import NOUNS
from yunei.words import say

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter  # Typer 0.29 carries its own Click and exports only part of it

PHRASES = {
    "Usage:": "用法：",
    "Options:": "选项：",
    "Commands:": "命令：",
    "Arguments:": "参数：",
    "Show this message and exit.": "显示本说明",
    "[default: ": "[默认：",
    "[env var: ": "[环境变量：",
    "; required]": "；必填]",
    "[required]": "[必填]",
}


def translated(text: str) -> str:
    """Help as Typer words it, in the language of the process."""
    if say.language == "zh":
        for english, chinese in PHRASES.items():
            text = text.replace(english, chinese)
    return text


class Command(TyperCommand):
    def get_help(self, ctx: Context) -> str:
        return translated(super().get_help(ctx))


class Group(TyperGroup):
    def get_help(self, ctx: Context) -> str:
        return translated(super().get_help(ctx))

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        self.format_commands(ctx, formatter)  # a noun's only option is --help: its verbs are what one looks for


class Speaking(typer.Typer):
    """A Typer whose commands speak both languages, also those that other packages add."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)

    def command(self, *arguments: Any, **settings: Any) -> Any:
        settings.setdefault("cls", Command)
        return super().command(*arguments, **settings)


groups: dict[str, Speaking] = {}


def build(noun: str, plugins: tuple[EntryPoint, ...] = (), *, without: str = "") -> tuple[Speaking, list[str]]:
    """The tree, in the language of the process, and what kept a plugin from loading. Only the verbs of `noun` are imported; the verb `without`
    is left to the plugins."""
    root = Speaking(name="yunei", context_settings={"help_option_names": ["--help", "-h"]})
    groups.clear()
    for group in NOUNS:
        home = root
        if group.name:
            home = groups[group.name] = Speaking(help=say(group.zh, group.en))
            root.add_typer(home, name=group.name)
        for verb in group.verbs:
            if noun and noun == (group.name or verb.name) and verb.name != without:
                module, _, function = verb.function.partition(":")
                home.command(verb.name, help=say(verb.zh, verb.en))(getattr(import_module(f"yunei.cli.{module}"), function))
    faults = []
    for entry in plugins:
        try:
            entry.load()(root)
        except Exception as error:  # a broken package must not take the client's own verbs with it
            faults.append(f"{entry.value}: {type(error).__name__}: {error}")
    return root, faults


def added(root: Speaking) -> list[tuple[str, str, list[str]]]:
    """What plugins put into a tree that was built for no noun: (noun or command, what it does, verbs)."""
    found = []
    for info in root.registered_groups:
        if info.typer_instance is not None and (info.name not in groups or info.typer_instance.registered_commands):
            found.append((str(info.name), _help(info.typer_instance.info.help), [_name(c) for c in info.typer_instance.registered_commands]))
    found += [
        (_name(command), _help(command.help or (command.callback and command.callback.__doc__)), []) for command in root.registered_commands
    ]
    return found


def _name(command: Any) -> str:
    return str(command.name or command.callback.__name__.replace("_", "-"))


def _help(text: object) -> str:
    return text.strip().split("\n")[0] if isinstance(text, str) else ""
