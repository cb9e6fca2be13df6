"""What the server's verbs share: one way of opening a home, one way of telling problems."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from yunei.problem import from_response
from yunei.words import say

if TYPE_CHECKING:
    from api.services import Services
    from infra.settings import Settings
    from policies.problem import Problem

Verb = TypeVar("Verb", bound=Callable[..., Any])
Group = Callable[[str, str, str], typer.Typer]  # name and help in both languages → the group of verbs
NOT_VERIFIED = 4  # the client's exit code for evidence that does not hold
HOME = "域内主目录；默认 YUNEI_HOME 或 ./yunei-home", "home folder; else YUNEI_HOME or ./yunei-home"


def told(verb: Verb) -> Verb:
    """Problems of the server's packages leave through the client's one way of telling them."""

    @functools.wraps(verb)
    def run(*arguments: Any, **options: Any) -> Any:
        from infra.keys import KeyRingError
        from infra.witness import WitnessHomeError
        from jobs.register import LogForked
        from policies.problem import Problem

        try:
            return verb(*arguments, **options)
        except Problem as problem:
            raise as_client(problem) from problem
        except (KeyRingError, WitnessHomeError, LogForked, OSError) as error:
            from api.problems import SERVER_HOME

            raise as_client(SERVER_HOME(why=str(error))) from error

    return run  # type: ignore[return-value]  # functools.wraps keeps the signature, which Typer reads


def as_client(problem: Problem) -> Exception:
    return from_response(0, problem.as_data(), say.language)


def as_settings(home: Path | None, **changes: Any) -> Settings:
    from pydantic import ValidationError

    from api.problems import SERVER_SETTINGS
    from infra.settings import Settings

    try:
        settings = Settings.load(home)
        given = {name: value for name, value in changes.items() if value is not None}
        return Settings(**{**settings.model_dump(), **given}) if given else settings
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SERVER_SETTINGS(name=f"YUNEI_{name.upper()}", why=first["msg"]) from None


@contextmanager
def opened(home: Path | None) -> Iterator[Services]:
    """The home, opened for one act beside whatever server runs on it."""
    from api import logs
    from api.services import Services

    logs.configure(quiet=True)
    services = Services.open(as_settings(home))
    try:
        yield services
    finally:
        services.close()


def text_of(path: Path) -> str:
    """A file of words. Raises `server_file`."""
    from api.problems import SERVER_FILE

    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SERVER_FILE(path=path, why="UTF-8") from None
