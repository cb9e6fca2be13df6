"""A log that changes its key, as its register really does it: the client's trust follows the chain, and only the chain."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from jobs.events import PrincipalRegistered
from jobs.register import Register
from jobs.rotation import announce_log_key, retire_log_key
from tests.small_register import a_register, title
from yunei import NotVerified
from yunei.evidence import Watcher
from yunei.problem import problem
from yunei.tiles import Folder, successors
from yunei.transparency import Key, Receipt
from yunei.transport import Http
from yunei.trust import Trust


@dataclass
class Copied:
    """The server's answers about its log, from its folder."""

    register: Register
    folder: Path
    url: str = "https://yunei.example"

    def json(self, _method: str, _path: str) -> dict[str, Any]:
        return {"vkey": self.register.vkey}

    def content(self, path: str) -> bytes:
        data = Folder(self.folder).read(path.removeprefix("/v1/log/"))
        if data is None:
            missing = problem("verify_missing", path=path)
            missing.status = 404
            raise missing
        return data


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with a_register(tmp_path / "home") as register:
        add(register, "a")
        yield register


def add(register: Register, name: str) -> None:
    with register.transaction() as act:
        act.append(PrincipalRegistered(by="system", principal=name, role="builder", title=title(name)))


def watcher(register: Register, tmp_path: Path, folder: Path | None = None) -> Watcher:
    http = Copied(register, folder or register.settings.log_dir)
    return Watcher(cast(Http, http), Trust(tmp_path / "trust.json"))


def change(register: Register) -> None:
    announce_log_key(register)
    retire_log_key(register)


@pytest.mark.parametrize("finished", [False, True])
def test_trust_moves_with_the_log(register: Register, tmp_path: Path, finished: bool) -> None:
    first = register.vkey
    assert str(watcher(register, tmp_path).head(None).key) == first
    announce_log_key(register)
    if finished:
        retire_log_key(register)
    add(register, "b")
    head = watcher(register, tmp_path).head(None)
    assert str(head.key) == register.vkey != first
    assert head.since is not None
    assert head.checkpoint.size == register.size
    record = json.loads((tmp_path / "trust.json").read_text())["logs"]["https://yunei.example"]
    assert record["past"] == [first]


def test_over_several_changes_at_once_and_with_an_old_key_given(register: Register, tmp_path: Path) -> None:
    first = register.vkey
    for _ in range(3):
        change(register)
    assert str(watcher(register, tmp_path).head(first).key) == register.vkey  # never seen before, but given the first key
    add(register, "b")
    assert str(watcher(register, tmp_path).head(first).key) == register.vkey
    assert [str(key) for key, _ in successors(Key.parse(first), Folder(register.settings.log_dir))][-1] == register.vkey


def test_a_key_that_nothing_announces_is_not_followed(register: Register, tmp_path: Path) -> None:
    watcher(register, tmp_path).head(None)
    with a_register(tmp_path / "other") as other:
        add(other, "x")
        with pytest.raises(NotVerified, match="verify_key_changed"):
            watcher(other, tmp_path).head(None)
        change(other)  # its chain begins with a key of its own
        with pytest.raises(NotVerified, match="verify_key_changed"):
            watcher(other, tmp_path).head(None)


def test_an_announcement_under_another_signature_is_not_followed(register: Register, tmp_path: Path) -> None:
    first = register.vkey
    watcher(register, tmp_path).head(None)
    change(register)
    shutil.copytree(register.settings.log_dir, tmp_path / "copy")
    path = tmp_path / "copy" / "keys" / "0"
    receipt = Receipt.parse(path.read_text())
    with a_register(tmp_path / "thief") as thief:
        forged = json.dumps({**json.loads(receipt.extra), "vkey": thief.vkey}).encode()
        text = path.read_text().replace(base64.b64encode(receipt.extra).decode(), base64.b64encode(forged).decode())
        path.write_text(text)
        before = (tmp_path / "trust.json").read_text()
        with pytest.raises(NotVerified, match="verify_inclusion"):
            watcher(thief, tmp_path, tmp_path / "copy").head(None)
        assert (tmp_path / "trust.json").read_text() == before
    assert first in before


def test_a_change_of_key_does_not_hide_a_fork(register: Register, tmp_path: Path) -> None:
    register.engine.dispose()
    shutil.copytree(register.settings.home, tmp_path / "fork")
    add(register, "b")
    watcher(register, tmp_path).head(None)
    with a_register(tmp_path / "fork") as fork:
        add(fork, "c")
        change(fork)
        with pytest.raises(NotVerified, match="verify_fork"):
            watcher(fork, tmp_path).head(None)
