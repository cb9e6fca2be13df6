"""The log's formats: the vector every outside verifier has read, outside verifiers themselves, and what they must refuse."""

from __future__ import annotations

import base64
from dataclasses import replace
from hashlib import sha256

import metamorphic_log
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as OutsideCheckpoint
from tlog_scales.tlog import ConsistencyProof, InclusionProof

from infra.journal import tiles
from infra.journal.checkpoint import Checkpoint
from infra.journal.leaf import EMPTY_ROOT, leaf_hash
from infra.journal.note import COSIGNATURE, Signer, VerifierKey, open_note
from infra.journal.proof import Receipt, consistency, inclusion, verify_consistency, verify_inclusion
from infra.journal.tree import CompactRange, JournalError, ReadTile, fold, range_at

LOG_KEY = "log.example/release+5531598f+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
WITNESS_KEY = "witness.example/audit+ecf07fad+BHm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk"
NOTE = """log.example/release
7
kTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=

— log.example/release VTFZj1im4ijscup9vZC4nuX3nAc1e9VX3eMI5Wj2f08CG8hR5hliGfUEukLXv66Of/wjnusibiLU155rHJ7P5Ap9NQc=
— witness.example/audit 7PB/rQAAAABq/YbATVNRW6mE4EjLZXN8RlyU309S1M72sSzAb9/HwW58uEp5S168R/BoX1zly2Y1CTmDjENDK9Nz781m6pPtsy+jCg==
"""
LOG = Signer("log.example/release", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS = Signer("witness.example/audit", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))), COSIGNATURE)


def grow(size: int) -> tuple[CompactRange, ReadTile]:
    """A log of `entry-0`… as a compact range and its tiles."""
    edge, levels = CompactRange(), {}
    for index in range(size):
        for node in edge.append(leaf_hash(b"entry-%d" % index)):
            if node.height % 8 == 0:
                levels.setdefault(node.height // 8, []).append(node.hash)
    return edge, lambda level, n: levels.get(level, [])[n * 256 : n * 256 + 256]


EDGES = {size: grow(size) for size in (*range(20), 255, 256, 257, 511, 513, 1000)}
LARGE, READ = grow(66_100)  # past 256 * 256: three levels


def test_a_subtree_is_added_as_its_leaves_are() -> None:
    leaves = [leaf_hash(b"entry-%d" % index) for index in range(1024)]
    by_leaf, by_tile = CompactRange(), CompactRange()
    for start in range(0, len(leaves), 256):
        above = [node for leaf in leaves[start : start + 256] for node in by_leaf.append(leaf) if node.height >= 8]
        assert by_tile.append_perfect(8, fold(leaves[start : start + 256])) == above
        assert (by_tile.size, by_tile.hashes) == (by_leaf.size, by_leaf.hashes)
    by_tile.append(leaves[0])
    with pytest.raises(JournalError):
        by_tile.append_perfect(8, leaves[0])


def test_the_vector_of_the_design_comes_out_byte_for_byte() -> None:
    edge, _ = EDGES[7]
    checkpoint = Checkpoint("log.example/release", 7, edge.root())
    assert (str(LOG.key), str(WITNESS.key)) == (LOG_KEY, WITNESS_KEY)
    assert checkpoint.sign(LOG) + WITNESS.cosign(checkpoint.text, 1795000000) == NOTE


def test_outside_verifiers_accept_what_we_sign() -> None:
    head = metamorphic_log.checkpoint_verify(NOTE, [LOG_KEY])
    assert (head.size, head.origin) == (7, "log.example/release")
    outside = OutsideCheckpoint.from_text(NOTE)
    outside.verify(Vkey.from_string(LOG_KEY))
    outside.verify(Vkey.from_string(WITNESS_KEY))


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 513, 1000])
def test_outside_verifiers_accept_our_proofs(size: int) -> None:
    edge, read = EDGES[size]
    for index in {0, size // 3, size - 1}:
        path, leaf = inclusion(index, size, read), leaf_hash(b"entry-%d" % index)
        metamorphic_log.verify_inclusion(index, size, leaf, path, edge.root())
        InclusionProof(index, size, path).check(leaf, edge.root())
        verify_inclusion(index, size, leaf, path, edge.root())
    for old in {1, size // 2 or 1, size - 1 or 1, size}:
        path, root = consistency(old, size, read), range_at(old, read).root()
        metamorphic_log.verify_consistency(old, size, path, root, edge.root())
        ConsistencyProof(old, size, path).check(root, edge.root())
        verify_consistency(old, size, path, root, edge.root())


def test_an_outside_reader_finds_the_same_root_and_entries_in_our_tiles() -> None:
    files = {}
    for name in tiles.tile_names(0, LARGE.size):
        files[name.path] = tiles.encode_hashes(READ(int(name.level), name.n)[: name.width])
    for name in tiles.entry_names(0, LARGE.size):
        files[name.path] = tiles.encode_entries([b"entry-%d" % index for index in range(name.n * 256, name.n * 256 + name.width)])
    files["checkpoint"] = Checkpoint("log.example/release", LARGE.size, LARGE.root()).sign(LOG).encode()

    class Folder:
        def get(self, *path: str) -> bytes | None:
            return files.get("/".join(path))

    reader = TilesReader(Folder())
    assert reader.get_checkpoint().root_hash == reader.calculate_root_hash() == LARGE.root()
    assert reader.get_inclusion_proof(65_999, LARGE.size).node_hashes == inclusion(65_999, LARGE.size, READ)
    assert reader.get_consistency_proof(300, LARGE.size).node_hashes == consistency(300, LARGE.size, READ)
    assert reader.get_entry(66_099) == b"entry-66099"


def slow_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + slow_root(leaves[:split]) + slow_root(leaves[split:])).digest()


@pytest.mark.parametrize("size", sorted(EDGES))
def test_the_compact_range_has_the_root_of_the_definition(size: int) -> None:
    edge, read = EDGES[size]
    assert edge.root() == slow_root([leaf_hash(b"entry-%d" % index) for index in range(size)])
    assert range_at(size, read).hashes == edge.hashes == CompactRange.from_bytes(size, edge.to_bytes()).hashes
    assert EDGES[0][0].root() == EMPTY_ROOT


@given(st.data())
def test_a_proof_proves_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, LARGE.size))
    index = data.draw(st.integers(0, size - 1))
    root, leaf, path = range_at(size, READ).root(), leaf_hash(b"entry-%d" % index), inclusion(index, size, READ)
    verify_inclusion(index, size, leaf, path, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda value: value != index))
    spot = data.draw(st.integers(0, len(path) - 1))
    for wrong in (
        (other, size, leaf, path, root),
        (index, size, leaf_hash(b"other"), path, root),
        (index, size, leaf, path[:-1], root),
        (index, size, leaf, [*path, path[0]], root),
        (index, size, leaf, [*path[:spot], bytes(32), *path[spot + 1 :]], root),
        (size, size, leaf, path, root),
    ):
        with pytest.raises(JournalError):
            verify_inclusion(*wrong)


@given(st.data())
def test_a_log_is_consistent_with_its_past_and_with_no_other(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, LARGE.size))
    old = data.draw(st.integers(1, new - 1))
    before, after, path = range_at(old, READ).root(), range_at(new, READ).root(), consistency(old, new, READ)
    verify_consistency(old, new, path, before, after)
    for wrong in (
        (old, new, path, bytes(32), after),
        (old, new, path, before, bytes(32)),
        (old, new, path[:-1], before, after),
        (old, new, [], before, after),
    ):
        with pytest.raises(JournalError):
            verify_consistency(*wrong)
    with pytest.raises(JournalError):
        verify_consistency(new, old, path, after, before)
    with pytest.raises(JournalError):
        verify_consistency(old, old, [], before, after)


def test_a_receipt_survives_its_text() -> None:
    receipt = Receipt(3, tuple(inclusion(3, 7, EDGES[7][1])), NOTE)
    assert Receipt.decode(receipt.encode()) == receipt
    extra = receipt.encode().replace("\n", "\nextra YWJj\n", 1)
    assert Receipt.decode(extra) == replace(receipt, extra=b"abc")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 3", "index 03"),
        ("index 3", "index -3"),
        ("index 3", "index"),
        ("\n\nlog.", "\nlog."),
    ],
)
def test_a_receipt_of_another_form_is_refused(old: str, new: str) -> None:
    text = Receipt(3, tuple(inclusion(3, 7, EDGES[7][1])), NOTE).encode().replace("\n— ", "\n~ ")
    text = text.partition("\n~ ")[0].rstrip("\n") + "\n" if "log." in old else text
    with pytest.raises(JournalError):
        Receipt.decode(text.replace(old, new, 1))


def keys(*texts: str) -> list[VerifierKey]:
    return [VerifierKey.parse(text) for text in texts]


def test_a_note_is_opened_by_any_known_key_and_by_no_other() -> None:
    assert [key.name for key in open_note(NOTE, keys(LOG_KEY, WITNESS_KEY))[1]] == ["log.example/release", "witness.example/audit"]
    assert len(open_note(NOTE, keys(WITNESS_KEY))[1]) == 1
    stranger = Signer("log.example/release", Ed25519PrivateKey.generate())
    with pytest.raises(JournalError, match="signature_missing"):
        open_note(NOTE, [stranger.key])
    with pytest.raises(JournalError, match="signature_missing"):
        Checkpoint.open(NOTE, keys(WITNESS_KEY))  # a witness alone does not make a log's checkpoint


def test_a_failing_signature_of_a_known_key_rejects_the_whole_note() -> None:
    changed = NOTE.replace("\n7\n", "\n8\n")
    with pytest.raises(JournalError, match="signature_fails"):
        open_note(changed, keys(LOG_KEY))
    lines = NOTE.split("\n")
    signature = base64.b64decode(lines[5].split(" ")[2])
    lines[5] = f"— witness.example/audit {base64.b64encode(signature[:-1] + bytes([signature[-1] ^ 1])).decode()}"
    with pytest.raises(JournalError, match="signature_fails"):
        open_note("\n".join(lines), keys(LOG_KEY, WITNESS_KEY))
    open_note("\n".join(lines), keys(LOG_KEY))  # not ours to judge when its key is not known


@pytest.mark.parametrize(
    "text",
    [
        "log.example/release\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\nextension\n",
        "log.example/release\n07\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n",
        "log.example/release\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF1=\n",  # trailing bits: another spelling of the same bytes
        "log.example/release\n7\nAAAA\n",
        "\n7\nkTlgHMHKirKnoMLBNMBIRfKxulSag9bIRc/NpDnMWF0=\n",
    ],
)
def test_a_checkpoint_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(JournalError):
        Checkpoint.parse(text)


@pytest.mark.parametrize("text", ["", "name", LOG_KEY.replace("5531598f", "5531598e"), LOG_KEY[:-4], LOG_KEY.replace("+AQ", "+Ag")])
def test_a_key_that_does_not_match_its_id_is_refused(text: str) -> None:
    with pytest.raises(JournalError):
        VerifierKey.parse(text)


def test_tiles_lie_where_the_format_says() -> None:
    assert [tiles.number_path(n) for n in (0, 255, 1234067)] == ["000", "255", "x001/x234/067"]
    names = [name.path for name in tiles.tile_names(0, 70_000)]
    assert names[0] == "tile/0/000"
    assert names[-3:] == ["tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert "tile/0/273.p/112" in names
    assert [name.path for name in tiles.entry_names(255, 257)] == ["tile/entries/000", "tile/entries/001.p/1"]
    assert [name.path for name in tiles.tile_names(256, 257)] == ["tile/0/001.p/1"]
    assert not list(tiles.tile_names(5, 5))


@given(st.lists(st.binary(max_size=300), max_size=20), st.binary(min_size=1, max_size=2))
def test_entry_tiles_survive_and_a_torn_one_is_noticed(bodies: list[bytes], tail: bytes) -> None:
    data = tiles.encode_entries(bodies)
    assert tiles.decode_entries(data) == bodies
    torn = data + b"\x01\x00" + tail
    with pytest.raises(JournalError):
        tiles.decode_entries(torn)
    assert tiles.readable_entries(torn)[0] == bodies


def test_an_entry_has_at_most_65535_bytes() -> None:
    assert len(tiles.encode_entries([bytes(65_535)])) == 65_537
    with pytest.raises(JournalError):
        tiles.encode_entries([bytes(65_536)])
