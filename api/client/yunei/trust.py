"""Trust on first use: the log's key and newest checkpoint are remembered, so that a later change of key, rollback or fork is seen."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yunei.problem import problem
from yunei.tiles import Source, check_extends, successors
from yunei.transparency import Checkpoint, Key, open_checkpoint, signer_of


@dataclass(frozen=True, slots=True)
class Pin:
    """What is remembered of one log. `seen` is the newest checkpoint that verified, None before the first; `past` are keys that `key` came to
    follow, oldest first: what they signed is still believed."""

    key: Key
    seen: Checkpoint | None
    past: tuple[Key, ...] = ()


class Trust:
    """The trust record of one user: a JSON file, readable by them alone, with one pin per place a log was seen at."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pin(self, where: str) -> Pin | None:
        """What is remembered of the log at `where`. Raises `verify_state` when the record is damaged: never silently trust anew."""
        record = self._load().get(where)
        return None if record is None else self._read(record)

    def pins(self) -> list[Pin]:
        """Every log remembered."""
        return [self._read(record) for record in self._load().values()]

    def _read(self, record: Any) -> Pin:
        try:
            key, past = Key.parse(record["key"]), tuple(Key.parse(text) for text in record.get("past", ()))
            note = record["checkpoint"]
            return Pin(key, open_checkpoint(note, signer_of(note, (key, *past))) if note else None, past)
        except (KeyError, TypeError, AttributeError) as error:
            raise problem("verify_state", path=self.path, why=type(error).__name__) from error

    def remember(self, where: str, key: Key, checkpoint: Checkpoint | None, past: tuple[Key, ...] = ()) -> None:
        """Replace the pin of `where`, durably: the file is written beside, flushed, and renamed."""
        records = self._load()
        records[where] = {"key": str(key), "checkpoint": checkpoint.note if checkpoint else ""}
        if past:
            records[where]["past"] = [str(each) for each in past]
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"version": 1, "logs": records}, file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _load(self) -> dict[str, Any]:
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise problem("verify_state", path=self.path, why=type(error).__name__) from error
        logs = data.get("logs") if isinstance(data, dict) else None
        if not isinstance(logs, dict):
            raise problem("verify_state", path=self.path, why="logs")
        return logs

    def key_for(self, where: str, offered: Key, *, repin: bool = False) -> Key:
        """The key to believe of the log at `where`: the pinned one, or on first use the one `offered` (by the user or by the server).
        That the pinned key came to be followed by another is for `follow` to find.

        Raises `verify_key_changed` when the two differ, unless the user says to pin anew.
        """
        pinned = self.pin(where)
        if pinned is not None and pinned.key != offered and not repin:
            raise problem("verify_key_changed", where=where, pinned=pinned.key, now=offered)
        return offered

    def follow(self, where: str, source: Source, start: Key) -> Pin:
        """Move the pin of `where` (`start`, when there is none yet) along the chain of keys that the log itself announces, each under the one
        before. Every checkpoint on the way must be of the history remembered. Raises `verify_*`; the record then stays as it was."""
        pinned = self.pin(where) or Pin(start, None)
        key, past, seen = pinned.key, pinned.past, pinned.seen
        for following, checkpoint in successors(key, source):
            if seen is None or checkpoint.size > seen.size:
                if seen is not None:
                    check_extends(seen, checkpoint, source)
                seen = checkpoint
            else:
                check_extends(checkpoint, seen, source)
            key, past = following, (*past, key)
        if key != pinned.key:
            self.remember(where, key, seen, past)
        return Pin(key, seen, past)

    def advance(self, where: str, key: Key, now: Checkpoint, source: Source) -> Checkpoint | None:
        """Remember `now`, the newest checkpoint at `where`, once it is shown to extend the one remembered, which is returned.

        Raises `verify_rollback` when the log has become shorter and `verify_fork` when it was rewritten; the record then stays as it was.
        """
        pinned = self.pin(where)
        seen = pinned.seen if pinned is not None and pinned.key == key else None
        if seen is not None:
            if now.size < seen.size:
                raise problem("verify_rollback", seen=seen.size, now=now.size)
            check_extends(seen, now, source)
        if seen is None or now.size > seen.size:
            self.remember(where, key, now, pinned.past if pinned is not None and pinned.key == key else ())
        return seen
