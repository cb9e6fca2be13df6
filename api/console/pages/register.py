"""The register: every event, newest first, and each verified before the reader's eyes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from api.console.frame import CSP, Looking, go
from api.console.said_events import EVENTS
from api.later import pages
from infra.journal.checkpoint import Checkpoint
from infra.journal.note import VerifierKey
from infra.journal.proof import Receipt, root_from_inclusion
from infra.journal.tree import JournalError

router = pages("/console/register")
PAGE = 50
# fields of events that name something with a page of its own
LINKS = {
    "job": "/console/jobs/",
    "follows": "/console/jobs/",
    "release": "/console/releases/",
    "licence": "/console/licences/",
    "account": "/console/budgets/",
    "dataset": "/console/datasets/",
    "program": "/console/programs/",
    "proposal": "/console/register/",
    "entry": "/console/register/",
}


@router.get("")
async def register(page: Looking, before: int | None = None, kind: str = "", index: str = "") -> Response:
    if index.isdigit():
        return go(f"/console/register/{int(index)}")
    start = 2**53 if before is None else before
    found = await page.api.get("/v1/log/events", before=start, limit=PAGE, kind=kind)
    checkpoint = await page.api.text("/v1/log/checkpoint")
    seen = Checkpoint.peek(checkpoint)
    kinds = sorted(EVENTS.items(), key=lambda item: item[1][0 if page.language == "zh" else 1])
    return page.show(
        "register.html.j2",
        events=found["events"],
        next=found["next"],
        first=before is None,
        kind=kind,
        kinds=kinds,
        size=seen.size,
        links=LINKS,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a verification: what was computed, and whether it came out as it must."""

    zh: str
    en: str
    shown: str
    good: bool


def verified(found: dict[str, Any], vkey: str) -> list[Step]:
    """The entry's inclusion, recomputed here from the bytes: leaf, path to the root, and the signature over that root."""
    entry = base64.b64decode(found["entry"])
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    steps = [Step("条目的叶哈希", "leaf hash of the entry", leaf.hex(), leaf.hex() == found["leaf_hash"])]
    try:
        receipt = Receipt.decode(found["receipt"])
        checkpoint = Checkpoint.peek(receipt.note)
        root = root_from_inclusion(receipt.index, checkpoint.size, leaf, receipt.path)
        steps.append(
            Step(
                f"经 {len(receipt.path)} 个哈希算得的根哈希",
                f"root computed over {len(receipt.path)} hashes",
                root.hex(),
                root == checkpoint.root,
            )
        )
        signed = Checkpoint.open(receipt.note, [VerifierKey.parse(vkey)])
        steps.append(
            Step(f"检查点（{signed.size} 条）的签名", f"signature of the checkpoint ({signed.size} entries)", vkey.partition("+")[0], True)
        )
    except (JournalError, ValueError) as error:
        steps.append(Step("核验未通过", "verification failed", type(error).__name__, False))
    return steps


@router.get("/{index}")
async def entry(page: Looking, index: int) -> Response:
    found = await page.api.get(f"/v1/log/events/{index}")
    key = await page.api.get("/v1/log/key")
    return page.show("entry.html.j2", found=found, event=found["event"], steps=verified(found, key["vkey"]), links=LINKS, vkey=key["vkey"])


@router.get("/{index}/receipt")
async def receipt(page: Looking, index: int) -> Response:
    found = await page.api.get(f"/v1/log/events/{index}")
    headers = {"Content-Disposition": f'attachment; filename="entry-{index}.tlog-proof"', "Content-Security-Policy": CSP}
    return Response(found["receipt"], media_type="text/plain; charset=utf-8", headers=headers)
