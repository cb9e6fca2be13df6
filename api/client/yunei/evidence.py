"""What a server says about its log, held against what is remembered of it, and a release held against the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yunei.problem import NotVerified, YuneiProblem, problem
from yunei.tiles import Folder, Progress, Tiles, Verified, check_extends, decode, verify_log
from yunei.transparency import Checkpoint, Key, Receipt, open_checkpoint, signer_of
from yunei.transport import Http
from yunei.trust import Trust
from yunei.words import Language


@dataclass(frozen=True, slots=True)
class Evidence:
    """What verifying a release has established: the log signed by `key` holds, at `index`, the publication of these very bytes."""

    release: str
    index: int
    sha256: str
    checkpoint: Checkpoint
    key: Key
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """A log's newest signed checkpoint. `since` is the remembered one that it was shown to extend; None: this log is new here."""

    checkpoint: Checkpoint
    key: Key
    since: Checkpoint | None


@dataclass(frozen=True)
class RemoteLog:
    """A server's log as a `yunei.tiles.Source`."""

    http: Http

    @property
    def where(self) -> str:
        return self.http.url

    def read(self, path: str) -> bytes | None:
        try:
            return self.http.content(f"/v1/log/{path}")
        except YuneiProblem as trouble:
            if trouble.status == 404:
                return None
            raise

    def checkpoint(self) -> str:
        return decode(self.http.content("/v1/log/checkpoint"))


class Watcher:
    """Someone who remembers: every checkpoint met is held against the ones met before."""

    def __init__(self, http: Http, trust: Trust) -> None:
        self._http = http
        self._trust = trust
        self._log = RemoteLog(http)

    def key(self, given: str | Key | None, *, repin: bool = False) -> Key:
        """The log's key: `given`, else the one the server shows; either must be the pinned one, if there is one (`verify_key_changed`)."""
        if given is None:
            shown = self._http.json("GET", "/v1/log/key")
            given = shown.get("vkey") if isinstance(shown, dict) else None
            if not isinstance(given, str):
                raise problem("client_not_yunei", status=200)
        offered, where = given if isinstance(given, Key) else Key.parse(given), self._http.url
        pinned = None if repin else self._trust.pin(where)
        if pinned is not None and offered in pinned.past:
            return pinned.key
        if pinned is not None and pinned.key != offered:
            self._trust.follow(where, self._log, offered)
        return self._trust.key_for(where, offered, repin=repin)

    def head(self, key: str | Key | None, witnesses: tuple[Key, ...] = (), *, repin: bool = False) -> Head:
        trusted = self.key(key, repin=repin)
        try:
            checkpoint = open_checkpoint(self._log.checkpoint(), trusted, witnesses)
        except NotVerified:  # signed by a key that ours was followed by, perhaps
            moved = self._trust.follow(self._http.url, self._log, trusted)
            if trusted not in moved.past:
                raise
            trusted = moved.key
            checkpoint = open_checkpoint(self._log.checkpoint(), trusted, witnesses)
        return Head(checkpoint, trusted, self._trust.advance(self._http.url, trusted, checkpoint, self._log))

    def release(self, id_: str, receipt: str, arrow: bytes, key: str | Key | None) -> Evidence:
        """Raises `verify_receipt`, `verify_inclusion`, `verify_rollback`, `verify_fork`, and `verify_release` when the entry that the receipt
        proves is not the publication of `id_` with these bytes."""
        proof = Receipt.parse(receipt)
        head = self.head(key)
        pinned = self._trust.pin(self._http.url)
        stated = proof.open(signer_of(proof.note, (head.key, *(pinned.past if pinned else ()))))
        if stated.size > head.checkpoint.size:
            raise problem("verify_rollback", seen=stated.size, now=head.checkpoint.size)
        check_extends(stated, head.checkpoint, self._log)
        entry = proof.extra or next(entry for _, entry in Tiles(self._log, stated.size).entries(proof.index, proof.index + 1))
        return _held(id_, proof, entry, stated, arrow, head.key, head.checkpoint)


def verify_offline(receipt: str, arrow: bytes, key: Key) -> Evidence:
    """A release held against its receipt alone, without any server: the receipt must carry its entry, as yunei's do, and the bytes are the
    table in Arrow format. Whether the log has since been forked or rolled back is not seen. Raises `verify_*`."""
    proof = Receipt.parse(receipt)
    if not proof.extra:
        raise problem("verify_receipt", why="extra?")
    checkpoint = proof.open(key)
    return _held(None, proof, proof.extra, checkpoint, arrow, key, checkpoint)


def _held(id_: str | None, proof: Receipt, entry: bytes, stated: Checkpoint, arrow: bytes, key: Key, newest: Checkpoint) -> Evidence:
    """The entry is in the log, it is the publication of `id_` (None: of any release), and it names these bytes."""
    proof.check(entry, stated)
    event = _event(entry)
    release = event.get("release")
    if event.get("kind") != "release_published" or not isinstance(release, str) or id_ not in (None, release):
        raise problem("verify_release", what=f"{id_} ≠ {event.get('kind')} {release}")
    digest = hashlib.sha256(arrow).hexdigest()
    if event.get("table_sha256") != digest:
        raise problem("verify_release", what=f"SHA-256 {digest} ≠ {event.get('table_sha256')}")
    return Evidence(release, proof.index, digest, newest, key, event)


def verify_folder(
    folder: str | Path,
    key: Key,
    *,
    since: Iterable[Checkpoint] = (),
    witnesses: Iterable[Key] = (),
    progress: Progress | None = None,
) -> Verified:
    """A whole log copied to a folder (`checkpoint`, `tile/…`), without any server."""
    source = Folder(Path(folder))
    return verify_log(source, open_checkpoint(source.checkpoint(), key, tuple(witnesses)), tuple(since), progress)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Problems noticed by code that knows no language leave in the caller's."""
    try:
        yield
    except YuneiProblem as trouble:
        trouble.language = language
        raise


def _event(entry: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(entry)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise problem("verify_release", what="entry")
    return event
