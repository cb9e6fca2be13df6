"""The style sheet and the mark of the house, each under a name that changes with its bytes, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from starlette.responses import Response

from api.later import pages

_FOLDER = files("api.console") / "assets"
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}


def _read(name: str) -> tuple[bytes, str]:
    data = (_FOLDER / name).read_bytes()
    stem, _, ending = name.partition(".")
    return data, f"/console/static/{stem}-{hashlib.sha256(data).hexdigest()[:16]}.{ending}"


STYLE, STYLE_PATH = _read("console.css")
ICON, ICON_PATH = _read("mark.svg")

router = pages()


@router.get(STYLE_PATH)
def style() -> Response:
    return Response(STYLE, media_type="text/css; charset=utf-8", headers=_KEEP)


@router.get(ICON_PATH)
def icon() -> Response:
    return Response(ICON, media_type="image/svg+xml", headers=_KEEP)
