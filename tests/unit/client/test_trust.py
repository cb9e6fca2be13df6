"""Trust on first use: what was seen once is remembered, and a log that changes its key, shrinks or forks is caught."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.client import logs
from tests.unit.client.server import KEY, Bureau
from yunei import Client, NotVerified, YuneiProblem, verify_folder
from yunei.transparency import Key, open_checkpoint

pytestmark = pytest.mark.enable_socket
OTHER = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))


def code(call: object, *arguments: object, **named: object) -> str:
    with pytest.raises(NotVerified) as caught:
        call(*arguments, **named)  # type: ignore[operator]  # a test helper over any function
    return caught.value.code


def test_the_first_checkpoint_is_remembered_and_the_next_shown_to_extend_it(client: Client, bureau: Bureau, own_home: Path) -> None:
    assert client.head().since is None
    record = own_home / "trust.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    assert json.loads(record.read_text())["logs"][bureau.url]["key"] == logs.VKEY
    bureau.grow(300)
    head = client.head()
    assert head.since is not None
    assert (head.since.size, head.checkpoint.size) == (301, 601)
    assert client.head().since == head.checkpoint


def test_a_rollback_is_caught_and_does_not_replace_what_is_remembered(client: Client, bureau: Bureau) -> None:
    client.head()
    kept, bureau.entries = bureau.entries, bureau.entries[:100]
    bureau.write()
    assert code(client.head) == "verify_rollback"
    assert code(client.verify_log) == "verify_rollback"
    bureau.entries = kept
    bureau.write()
    assert client.head().since is not None


@pytest.mark.parametrize("more", [0, 1, 200])
def test_a_fork_is_caught_at_the_same_size_and_beyond(client: Client, bureau: Bureau, more: int) -> None:
    client.head()
    bureau.entries[5] = b"rewritten"
    bureau.grow(more)
    assert code(client.head) == "verify_fork"


def test_another_key_is_caught_until_the_user_pins_it(client: Client, bureau: Bureau) -> None:
    client.head()
    bureau.vkey = logs.vkey(OTHER)
    assert code(client.head) == "verify_key_changed"
    assert code(client.head, bureau.vkey) == "verify_key_changed"
    (bureau.folder / "checkpoint").write_text(logs.sign(bureau.leaves, OTHER), encoding="utf-8")
    assert client.head(bureau.vkey, repin=True).since is None
    assert str(client.head().key) == bureau.vkey


def test_a_key_given_first_is_pinned_only_once_it_has_signed(client: Client, bureau: Bureau, own_home: Path) -> None:
    assert code(client.head, logs.vkey(OTHER)) == "verify_signature"
    assert not (own_home / "trust.json").exists()
    assert str(client.head(logs.VKEY).key) == logs.VKEY


def test_a_damaged_record_is_not_trusted_anew(client: Client, own_home: Path) -> None:
    client.head()
    record = own_home / "trust.json"
    whole = record.read_text()
    tampered = whole.replace('"checkpoint": "log.example', '"checkpoint": "log.exAmple')
    assert tampered != whole
    keyless = whole.replace('"key"', '"k"')
    for text, expected in (("{", "verify_state"), ("[]", "verify_state"), (keyless, "verify_state"), (tampered, "verify_signature")):
        record.write_text(text)
        assert code(client.head) == expected
    record.write_text(whole)
    assert client.head().since is not None


@pytest.mark.parametrize("extra", [False, True])
def test_a_release_is_verified_to_its_bytes(client: Client, bureau: Bureau, tmp_path: Path, extra: bool) -> None:
    """With the entry in the receipt nobody needs to be let into the log's entries."""
    bureau.extra = bureau.entries_closed = extra
    evidence = client.verify("rel-1")
    assert (evidence.index, evidence.event["release"]) == (300, "rel-1")
    bureau.grow(10)
    assert client.answer("rel-1").verify().checkpoint.size == 311
    for format in ("arrow", "parquet", "csv", "json"):
        path = client.fetch("rel-1", format, tmp_path / f"a.{format}")
        client.verify("rel-1", path=path)
    other = client.table("rel-1", "csv").replace(b"12345", b"12346")
    (tmp_path / "a.csv").write_bytes(other)
    assert code(client.verify, "rel-1", path=tmp_path / "a.csv") == "verify_release"
    import pyarrow.parquet

    table = client.answer("rel-1").to_arrow()
    pyarrow.parquet.write_table(table.slice(1), tmp_path / "a.parquet")
    assert code(client.verify, "rel-1", path=tmp_path / "a.parquet") == "verify_release"
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="gzip")
    client.verify("rel-1", path=tmp_path / "a.parquet")


def test_other_bytes_another_release_and_a_foreign_receipt_are_caught(client: Client, bureau: Bureau) -> None:
    receipt = client.receipt("rel-1")
    arrow = bureau.files["arrow"]
    assert code(client.verify, "rel-1", arrow=arrow + b"\0") == "verify_release"
    assert code(client.verify, "rel-2", receipt=receipt, arrow=arrow) == "verify_release"
    assert code(client.verify, "rel-1", receipt=logs.receipt(5, bureau.leaves), arrow=arrow) == "verify_release"
    assert code(client.verify, "rel-1", receipt="nothing", arrow=arrow) == "verify_receipt"
    forged = logs.receipt(300, bureau.leaves, b'{"kind":"release_published","release":"rel-1","table_sha256":"00"}')
    assert code(client.verify, "rel-1", receipt=forged, arrow=arrow) == "verify_inclusion"
    elsewhere = [*bureau.leaves[:-1], logs.hash_leaf(b"x"), bureau.leaves[-1]]
    assert code(client.verify, "rel-1", receipt=logs.receipt(301, elsewhere), arrow=arrow) == "verify_rollback"
    forked = [logs.hash_leaf(b"x"), *bureau.leaves[1:]]
    assert code(client.verify, "rel-1", receipt=logs.receipt(300, forked), arrow=arrow) == "verify_fork"
    bureau.grow(5)
    assert code(client.verify, "rel-1", receipt=logs.receipt(300, forked), arrow=arrow) == "verify_fork"
    client.verify("rel-1", receipt=receipt, arrow=arrow)


def test_the_whole_log_is_recomputed_over_http_and_from_a_copy(client: Client, bureau: Bureau) -> None:
    seen: list[tuple[int, int]] = []
    report = client.verify_log(progress=lambda *at: seen.append(at))
    assert (report.checkpoint.size, report.entry_bytes) == (301, sum(map(len, bureau.entries)))
    assert seen[-1] == (301, 301)
    bureau.grow(4)
    assert client.verify_log().anchors == (301,)
    key = Key.parse(logs.VKEY)
    kept = open_checkpoint(logs.sign(bureau.leaves[:10]), key)
    assert verify_folder(bureau.folder, key, since=[kept]).anchors == (10,)
    bundle = bureau.folder / "tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b"dataset", b"datasat", 1))
    assert code(client.verify_log) == "verify_entry"
    assert code(verify_folder, bureau.folder, key) == "verify_entry"


def test_problems_of_evidence_speak_the_clients_language(bureau: Bureau) -> None:
    with Client(bureau.url, KEY, "zh") as client:
        client.head()
        bureau.entries = bureau.entries[:9]
        bureau.write()
        with pytest.raises(YuneiProblem, match="日志变短了"):
            client.head()
