"""The audit of a copied log, without server or database: tree, signatures, events, accounts, meters, products.

Runs as part of the client (`yunei log audit`) and alone: `carry` writes one file that needs Python and the package `cryptography`, nothing
else, for a machine the auditor trusts. `python yunei-audit.pyz --dir COPY --key VKEY`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yunei.problem import NotVerified, YuneiProblem, problem
from yunei.replay import Book
from yunei.replay.bill import Bill
from yunei.tiles import Folder, Progress, Tiles, Verified, successors, verify_log
from yunei.transparency import Checkpoint, Key, open_checkpoint, open_note, signer_of
from yunei.words import language_of

CARRIED = ("problem.py", "words.py", "transparency.py", "tiles.py", "replay/*.py", "auditing.py")


@dataclass(frozen=True)
class Audited:
    """All of it held. `key`: the one that signs now, reached from the one given. `products`: files held against the log."""

    verified: Verified
    key: Key
    book: Book
    products: int


def audit_folder(
    folder: Path,
    key: Key,
    *,
    since: Iterable[str] = (),
    witnesses: Sequence[Key] = (),
    products: Path | None = None,
    progress: Progress | None = None,
) -> Audited:
    """Raises the first difference as `verify_*`. `since`: checkpoint notes kept from before, under any of the log's keys. `products`: a folder
    of files, each of which the log must name as published or delivered."""
    source, keys = Folder(folder), [key]
    for following, _ in successors(key, source):
        keys.insert(0, following)  # the newest first
    note = source.checkpoint()
    current = signer_of(note, keys)
    checkpoint = open_checkpoint(note, current, witnesses)
    older = [open_checkpoint(kept, signer_of(kept, keys)) for kept in since]
    verified = verify_log(source, checkpoint, tuple(older), progress)
    book = Book(bill=Bill(document=lambda digest: _document(folder, digest)))
    for index, entry in Tiles(source, checkpoint.size).entries(0, checkpoint.size):
        book.apply(index, entry)
    book.finish()
    if book.log_keys and str(current) not in book.log_keys:
        raise problem("verify_signature", name=f"{current} (retired)")
    _seals(folder, book)
    _reports(source, checkpoint.size, book)
    return Audited(verified, current, book, _held(products, book))


def _seals(folder: Path, book: Book) -> None:
    """Every licence that was granted or amended lies beside the log under the bureau's signature, by the keys its entry names."""
    for index, signed, document, version, vkeys in book.seals:
        body = _document(folder, signed)
        if body is None or hashlib.sha256(body).hexdigest() != signed:
            raise problem("verify_replay", index=index, what="the signed licence is not beside the log")
        keys = [key for key in map(Key.parse, vkeys) if key.readable]
        text, signers = open_note(body.decode(errors="replace"), keys)
        header, number, agreement, *_ = (*text.split("\n"), "", "")
        same = (header, number) == ("yunei-licence/v1", f"version {version}") and hashlib.sha256(agreement.encode()).hexdigest() == document
        if not same or len(signers) != len(keys):
            raise problem("verify_replay", index=index, what="what the bureau signed is not the licence of the entry")


def _reports(source: Folder, size: int, book: Book) -> None:
    """The root that each report names is that of the tree at its size."""
    tiles = Tiles(source, size)
    for name, (index, of, root) in book.reports.items():
        if tiles.root(of).hex() != root:
            raise problem("verify_replay", index=index, what=f"report {name} names another root than the tree had at {of}")


def _document(folder: Path, digest: str) -> bytes | None:
    """What lies beside the log under this digest; the rules hold it against the digest."""
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        return None
    try:
        return (folder / "documents" / digest[:2] / digest).read_bytes()
    except OSError:
        return None


def _held(folder: Path | None, book: Book) -> int:
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder is not None else []
    for path in files:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        if digest.hexdigest() not in book.products:
            raise problem("verify_product", path=path, sha256=digest.hexdigest())
    return len(files)


def lines(found: Audited) -> list[str]:
    """The result as plain text: what held, then each account and meter."""
    checkpoint, book = found.verified.checkpoint, found.book
    told = [
        f"log {checkpoint.origin}",
        f"entries {checkpoint.size}",
        f"root {checkpoint.root.hex()}",
        f"key {found.key}",
        *(
            f"account {name} spent {_pair(each.spent)} reserved {_pair(each.reserved)} cap {_pair(each.cap)}"
            for name, each in sorted(book.accounts.items())
        ),
        *(
            f"meter {operator} {licence} releases {each.releases} deliveries {each.deliveries} rows {each.rows} bytes {each.bytes} "
            f"slot_ms {each.compute_ms} loss {_pair(each.cost)}"
            for (operator, licence), each in sorted(book.meters.items())
        ),
        *(f"revenue {licence} {body} {fen // 100}.{fen % 100:02d} CNY" for (licence, body), fen in sorted(book.bill.revenue.items())),
        *([f"fees computed {book.bill.computed} without document {book.bill.unpriced}"] if book.bill.computed or book.bill.unpriced else []),
        *(f"without rule {kind} {count}" for kind, count in sorted(book.unknown.items())),
    ]
    return [*told, *([f"products {found.products}"] if found.products else []), "verified"]


def _pair(amount: tuple[int, int]) -> str:
    return f"{amount[0]}e-12/{amount[1]}e-18"


def carry(target: Path) -> None:
    """Write the verifier as one file. The same modules, byte for byte, that this client runs."""
    here = Path(__file__).parent
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            parts = {f"yunei/{file.relative_to(here)}": file.read_bytes() for pattern in CARRIED for file in sorted(here.glob(pattern))}
            parts["yunei/__init__.py"] = b""
            parts["__main__.py"] = b"from yunei.auditing import main\n\nraise SystemExit(main())\n"
            for name, data in sorted(parts.items()):
                archive.writestr(zipfile.ZipInfo(name), data)  # without times: the same file each time it is written
    target.chmod(0o755)


def main(arguments: Sequence[str] | None = None) -> int:
    """0: verified; 4: a difference, the first of which is told."""
    parser = argparse.ArgumentParser(prog="yunei-audit", description="审计日志副本 · audit a copy of a log")
    parser.add_argument("--dir", type=Path, required=True, help="日志副本 · the copied log")
    parser.add_argument("--key", required=True, help="日志公钥（任一时期的） · the log's key, of any time")
    parser.add_argument("--since", type=Path, action="append", default=[], help="以前保存的检查点 · a checkpoint kept from before")
    parser.add_argument("--witness", action="append", default=[], help="必须联署的见证方公钥 · a witness that must have cosigned")
    parser.add_argument("--products", type=Path, help="逐一核对的成果文件目录 · a folder of products to hold against the log")
    parser.add_argument("--lang", default="zh", help="zh, en")
    given = parser.parse_args(arguments)
    try:
        found = audit_folder(
            given.dir,
            Key.parse(given.key),
            since=[path.read_text(encoding="utf-8") for path in given.since],
            witnesses=[Key.parse(text) for text in given.witness],
            products=given.products,
        )
    except YuneiProblem as trouble:
        trouble.language = language_of(given.lang)
        sys.stderr.write(f"{trouble}\n")
        return 4 if isinstance(trouble, NotVerified) else 2
    sys.stdout.write("".join(f"{line}\n" for line in lines(found)))
    return 0


__all__ = ["Audited", "Checkpoint", "audit_folder", "carry", "lines", "main"]
