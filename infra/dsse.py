"""DSSE, the envelope that in-toto statements travel in (secure-systems-lab/dsse, protocol and envelope, version 1).

Our own few lines: the format is one encoding and one JSON object, and the key types of the usual library leave no room for SM2. A signature's
`keyid` is `name+hex8(key id)`, the beginning of the key's vkey; a keyid is a hint and is not signed.
"""

from __future__ import annotations

import base64
from typing import Any

from infra.journal.note import Signer

IN_TOTO = "application/vnd.in-toto+json"


def pae(kind: str, payload: bytes) -> bytes:
    """What is signed: kind and payload with their lengths, so that no other pair reads the same.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def envelope(payload: bytes, signers: tuple[Signer, ...], kind: str = IN_TOTO) -> dict[str, Any]:
    """The envelope, with a signature by each."""
    signed = pae(kind, payload)
    return {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": f"{signer.key.name}+{signer.key.id.hex()}", "sig": base64.b64encode(signer.sign(signed)).decode()} for signer in signers
        ],
    }
