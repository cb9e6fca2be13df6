"""Where the client finds its address, key and trust record. The only module that reads the environment.

From strongest to weakest: arguments, environment (`YUNEI_URL`, `YUNEI_KEY`, `YUNEI_LANG`, `YUNEI_STATE`, `YUNEI_CONFIG`,
`YUNEI_ALLOW_HTTP=1`, `YUNEI_CERTIFICATE`, `YUNEI_CERTIFICATE_KEY`, `YUNEI_AUTHORITIES`), the file `$XDG_CONFIG_HOME/yunei/config.toml` with
the keys `url`, `key`, `language`, `certificate`, `certificate_key`, `authorities`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from yunei.problem import problem
from yunei.tls import NAMES, Tls
from yunei.words import Language, language_of

DEFAULT_URL = "http://127.0.0.1:8640"


@dataclass(frozen=True, slots=True)
class Config:
    """`state` is the trust record's file. The key is left out of the repr."""

    url: str
    key: str | None = field(repr=False)
    language: Language
    state: Path
    path: Path
    allow_http: bool
    tls: Tls

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Raises `client_bad_config`."""
        environ = os.environ if environ is None else environ
        home = Path(environ.get("HOME") or Path.home())
        folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "yunei"
        path = Path(environ.get("YUNEI_CONFIG") or folder / "config.toml")
        language = language_from(environ)
        stored = _stored(path, language)
        if "language" in stored and not environ.get("YUNEI_LANG"):
            language = language_of(stored["language"])
        return cls(
            url=environ.get("YUNEI_URL") or stored.get("url") or DEFAULT_URL,
            key=environ.get("YUNEI_KEY") or stored.get("key") or None,
            language=language,
            state=Path(environ.get("YUNEI_STATE") or folder / "trust.json"),
            path=path,
            allow_http=environ.get("YUNEI_ALLOW_HTTP") == "1",
            tls=Tls(*(Path(value) if (value := environ.get(f"YUNEI_{name.upper()}") or stored.get(name)) else None for name in NAMES)),
        )


def language_from(environ: Mapping[str, str] | None = None) -> Language:
    """Of the environment alone: `YUNEI_LANG`, else the locale as POSIX orders its variables."""
    environ = os.environ if environ is None else environ
    names = ("YUNEI_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    return language_of(next((environ[name] for name in names if environ.get(name)), None))


def colours_wanted() -> bool:
    """The NO_COLOR convention: any non-empty NO_COLOR means none."""
    return not os.environ.get("NO_COLOR")


def _stored(path: Path, language: Language) -> dict[str, str]:
    if not path.exists():
        return {}
    import tomllib  # only here: most runs that must be quick have no file

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise problem("client_bad_config", language=language, path=path, why=_first_line(error)) from error
    wrong = [name for name, value in data.items() if name not in ("url", "key", "language", *NAMES) or not isinstance(value, str)]
    if wrong:
        raise problem("client_bad_config", language=language, path=path, why=f"{wrong[0]}?")
    return data


def _first_line(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__


def home_named(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names a server's home on this machine."""
    return bool((os.environ if environ is None else environ).get("YUNEI_HOME"))


def store(path: Path, *, url: str, key: str | None, language: Language | None = None, tls: Tls | None = None) -> None:
    """Write the config file, readable by its owner alone; it is replaced whole or not at all."""
    values = {"url": url, **({"key": key} if key else {}), **({"language": language} if language else {})} | (tls.values() if tls else {})
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".config.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in values.items())  # a JSON string is a TOML string
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
