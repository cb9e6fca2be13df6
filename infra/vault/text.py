"""Bytes in the vault's JSON."""

from __future__ import annotations

import base64


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_of(text: str) -> bytes:
    """ValueError for text that is not base64."""
    return base64.b64decode(text, validate=True)
