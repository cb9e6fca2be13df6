"""The client's own verifier: the published vector holds, every tampered byte is noticed, the first bad entry is named."""

from __future__ import annotations

import base64
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tests.unit.client import logs
from yunei import transparency as t
from yunei.problem import NotVerified
from yunei.tiles import Folder, check_extends, tile_path, verify_log

KEY, WITNESS = t.Key.parse(logs.VKEY), t.Key.parse(logs.WITNESS_VKEY)
SEVEN = [b"entry-%d" % number for number in range(7)]
LEAVES = [logs.hash_leaf(entry) for entry in SEVEN]


def code_of(call: object, *arguments: object, **named: object) -> str:
    with pytest.raises(NotVerified) as caught:
        call(*arguments, **named)  # type: ignore[operator]  # a test helper over any function
    return caught.value.code


def test_the_published_vector_verifies() -> None:
    checkpoint = t.open_checkpoint(logs.VECTOR, KEY, [WITNESS])
    assert (checkpoint.origin, checkpoint.size) == (logs.ORIGIN, 7)
    assert checkpoint.root == logs.root(LEAVES)
    assert str(KEY) == logs.VKEY
    tree = t.Accumulator()
    for leaf in LEAVES:
        tree.append(leaf)
    assert tree.root() == checkpoint.root


def test_no_single_byte_of_a_checkpoint_can_be_changed() -> None:
    """Under both keys, so that the witness's line counts too."""
    data = logs.VECTOR.encode()
    for at in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            changed = bytearray(data)
            changed[at] ^= flip
            try:
                note = changed.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(NotVerified):
                t.open_checkpoint(note, KEY, [WITNESS])


@pytest.mark.parametrize("end", [1, 2, 20, 100, 300])
def test_a_shortened_checkpoint_does_not_verify(end: int) -> None:
    assert code_of(t.open_checkpoint, logs.VECTOR[:-end], KEY, [WITNESS]) in {"verify_note", "verify_signature"}


def test_an_unknown_witness_is_passed_over_but_a_wanted_one_must_have_signed() -> None:
    alone = "\n".join(logs.VECTOR.split("\n")[:5]) + "\n"
    assert t.open_checkpoint(logs.VECTOR, KEY).size == 7
    assert t.open_checkpoint(alone, KEY).size == 7
    assert code_of(t.open_checkpoint, alone, KEY, [WITNESS]) == "verify_signature"


def test_a_second_false_signature_of_a_known_key_condemns_the_note() -> None:
    lines = logs.VECTOR.split("\n")
    raw = bytearray(base64.b64decode(lines[4].split(" ")[2]))
    raw[-1] ^= 1
    forged = f"\u2014 {logs.ORIGIN} {base64.b64encode(raw).decode()}"
    assert code_of(t.open_checkpoint, "\n".join([*lines[:5], forged, ""]), KEY) == "verify_signature"


def test_a_key_whose_id_is_not_its_own_is_refused() -> None:
    assert code_of(t.Key.parse, logs.VKEY.replace("5531598f", "5531598e")) == "verify_key"
    assert code_of(t.Key.parse, logs.VKEY.replace("release", "release2", 1)) == "verify_key"
    assert code_of(t.Key.parse, "nonsense") == "verify_key"


def test_a_checkpoint_of_another_log_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = logs.sign(LEAVES, other, "log.example/other")
    mixed = t.Key.parse(logs.vkey(other, "log.example/other"))
    assert t.open_checkpoint(note, mixed).size == 7
    assert code_of(t.open_checkpoint, note, KEY) == "verify_signature"
    text = note.split("\n\n")[0] + "\n"
    raw = logs.SIGNER.sign(text.encode())
    signed_by_us = f"{text}\n\u2014 {logs.ORIGIN} {base64.b64encode(KEY.id + raw).decode()}\n"
    assert code_of(t.open_checkpoint, signed_by_us, KEY) == "verify_origin"


@pytest.mark.parametrize(
    "text",
    [
        "o\n07\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n7\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "o\n7\n" + base64.b64encode(bytes(32)).decode() + "\nextension\n",
        "o\n0\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n" + "9" * 5000 + "\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "o\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    assert code_of(t.Checkpoint.parse, text) == "verify_note"


def test_a_post_quantum_witness_verifies() -> None:
    signer = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
    name, time = b"witness.example/pq", (1_795_000_000).to_bytes(8, "big")
    public = bytes([6]) + signer.public_key().public_bytes_raw()
    witness = t.Key("witness.example/pq", t.hashlib.sha256(name + b"\n" + public).digest()[:4], 6, public[1:])
    checkpoint = t.open_checkpoint(logs.VECTOR, KEY)
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name + time + bytes([len(logs.ORIGIN)]) + logs.ORIGIN.encode()
    message += (0).to_bytes(8, "big") + (7).to_bytes(8, "big") + checkpoint.root
    line = f"\u2014 {witness.name} {base64.b64encode(witness.id + time + signer.sign(message)).decode()}\n"
    assert t.open_checkpoint(logs.VECTOR + line, KEY, [t.Key.parse(str(witness))]).size == 7
    later = line.replace(base64.b64encode(witness.id + time).decode()[:14], base64.b64encode(witness.id + bytes(8)).decode()[:14])
    assert code_of(t.open_checkpoint, logs.VECTOR + later, KEY, [witness]) == "verify_signature"


def test_every_proof_of_every_small_tree_verifies_and_only_it() -> None:
    leaves = [logs.hash_leaf(b"%d" % number) for number in range(40)]

    def subtree(level: int, index: int) -> bytes:
        return logs.root(leaves[index << level : (index + 1) << level])

    for size in range(1, 41):
        new = t.Checkpoint("o", size, logs.root(leaves[:size]))
        for index in range(size):
            proof = logs.inclusion(index, leaves[:size])
            assert t.prove_inclusion(index, size, subtree) == proof
            t.check_inclusion(index, leaves[index], proof, new)
            assert t.root_from_inclusion(index, size, leaves[index - 1], proof) != new.root or size == 1
            assert t.root_from_inclusion(index, size, leaves[index], [*proof, leaves[0]]) is None
            if proof:
                assert t.root_from_inclusion(index, size, leaves[index], proof[:-1]) is None
            if size > 1:
                assert t.root_from_inclusion((index + 1) % size, size, leaves[index], proof) != new.root
        for old_size in range(size + 1):
            old = t.Checkpoint("o", old_size, logs.root(leaves[:old_size]))
            proof = t.prove_consistency(old_size, size, subtree)
            assert old_size == 0 or proof == logs.consistency(old_size, leaves[:size])
            t.check_consistency(old, new, proof)
            forged = t.Checkpoint("o", old_size, logs.hash_leaf(b"forged"))
            assert not t.is_consistent(forged, new, proof)
            assert not t.is_consistent(old, t.Checkpoint("o", size, logs.hash_leaf(b"forged")), proof) or old_size == 0
            assert not t.is_consistent(old, new, [*proof, leaves[0]])


def test_a_proof_that_is_too_short_proves_nothing() -> None:
    """Even where the hashes it has would lead to the root that is claimed."""
    leaf = logs.hash_leaf(b"x")
    assert not t.is_consistent(t.Checkpoint("o", 1, leaf), t.Checkpoint("o", 2, leaf), [])
    assert t.root_from_inclusion(0, 2, leaf, []) is None


def test_a_signature_has_one_spelling_and_a_note_no_control_characters() -> None:
    line = next(line for line in logs.VECTOR.split("\n") if line.startswith("\u2014 log.example"))
    assert line.endswith("Qc=")
    twin = line[:-2] + "d="  # the two bits that base64 leaves over
    assert base64.b64decode(twin.split(" ")[2]) == base64.b64decode(line.split(" ")[2])
    assert code_of(t.open_checkpoint, logs.VECTOR.replace(line, twin), KEY) == "verify_note"
    for character in "\r\t\0":
        assert code_of(t.split_note, logs.VECTOR.replace("release\n7", f"release{character}\n7")) == "verify_note"


def test_a_receipt_verifies_and_no_byte_of_it_can_be_changed() -> None:
    text = logs.receipt(3, LEAVES, extra=b"more")
    parsed = t.Receipt.parse(text)
    assert (parsed.index, parsed.extra) == (3, b"more")
    assert parsed.verify(SEVEN[3], KEY).size == 7
    assert code_of(parsed.verify, SEVEN[4], KEY) == "verify_inclusion"
    data, start = text.encode(), len("c2sp.org/tlog-proof@v1\nextra ")
    for at in (*range(start - 6), *range(text.index("index"), len(data))):  # the extra field is unsigned, and said to be
        for flip in (0x01, 0x40):
            changed = bytearray(data)
            changed[at] ^= flip
            with pytest.raises((NotVerified, UnicodeDecodeError)):
                t.Receipt.parse(changed.decode()).verify(SEVEN[3], KEY)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 700 entries: two full tiles, a partial one, two levels."""
    return logs.write(tmp_path_factory.mktemp("log"), [b'{"n":%d}' % number for number in range(700)])


@pytest.fixture
def log(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "log"))


def checkpoint_of(folder: Path) -> t.Checkpoint:
    return t.open_checkpoint(Folder(folder).checkpoint(), KEY)


def at_size(size: int) -> t.Checkpoint:
    leaves = [logs.hash_leaf(b'{"n":%d}' % number) for number in range(size)]
    return t.Checkpoint(logs.ORIGIN, size, logs.root(leaves))


def test_a_sound_log_verifies_through_its_older_checkpoints(log: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = verify_log(Folder(log), checkpoint_of(log), (at_size(1), at_size(256), at_size(699), at_size(700)), lambda *a: seen.append(a))
    assert report.checkpoint.size == 700
    assert report.anchors == (1, 256, 699, 700)
    assert seen == [(256, 700), (512, 700), (700, 700)]


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_flip_anywhere_in_any_file_is_noticed_and_a_flipped_entry_is_named(log: Path) -> None:
    """Every region of every file: a sample of bytes dense enough to meet lengths, bodies, first and last hashes."""
    chance = random.Random(7)
    checkpoint = checkpoint_of(log)
    for path in files(log):
        if path.name == "checkpoint":
            continue
        data = path.read_bytes()
        bounds = []
        at = 0
        while "entries" in str(path) and at < len(data):
            bounds.append(at)
            at += 2 + int.from_bytes(data[at : at + 2], "big")
        first = int(path.relative_to(log).parts[2][:3]) * 256
        for position in sorted({0, 1, 2, 3, len(data) - 1, len(data) // 2, *chance.choices(range(len(data)), k=12)}):
            changed = bytearray(data)
            changed[position] ^= 0x10
            path.write_bytes(changed)
            with pytest.raises(NotVerified) as caught:
                verify_log(Folder(log), checkpoint)
            if bounds:
                assert caught.value.code == "verify_entry"
                assert int(caught.value.fields["index"]) == first + sum(bound <= position for bound in bounds) - 1
                assert caught.value.fields["path"] == str(path.relative_to(log))
            else:
                assert caught.value.code == "verify_tile"
                assert caught.value.fields == {"path": str(path.relative_to(log)), "index": str(position // 32)}
            path.write_bytes(data)
    verify_log(Folder(log), checkpoint)


def rewrite(folder: Path, index: int, *, upper: bool = False, hide_in: int = 0) -> None:
    """Alter one entry and the hash tiles over it, as someone would who holds the files and not the key."""
    entries = [b'{"n":%d}' % number for number in range(700)]
    entries[index] = b'{"n":"altered"}'
    note = (folder / "checkpoint").read_bytes()
    top = (folder / "tile/1/000.p/2").read_bytes()
    logs.write(folder, entries)
    (folder / "checkpoint").write_bytes(note)
    if not upper:
        (folder / "tile/1/000.p/2").write_bytes(top)


@pytest.mark.parametrize(("index", "span"), [(3, ("0", "255")), (300, ("256", "511"))])
def test_an_entry_altered_with_its_hash_is_placed_by_the_level_above(log: Path, index: int, span: tuple[str, str]) -> None:
    rewrite(log, index)
    with pytest.raises(NotVerified) as caught:
        verify_log(Folder(log), checkpoint_of(log))
    assert (caught.value.code, caught.value.fields["first"], caught.value.fields["last"]) == ("verify_entries", *span)


def test_when_all_hashes_were_rewritten_an_older_checkpoint_narrows_it(log: Path) -> None:
    rewrite(log, 600, upper=True)
    with pytest.raises(NotVerified) as caught:
        verify_log(Folder(log), checkpoint_of(log), (at_size(520),))
    assert (caught.value.code, caught.value.fields["first"], caught.value.fields["last"]) == ("verify_entries", "520", "699")


def test_a_truncated_file_a_missing_file_and_trailing_bytes_are_noticed(log: Path) -> None:
    checkpoint = checkpoint_of(log)
    bundle, tile = log / "tile/entries/002.p/188", log / "tile/0/001"
    whole, hashes = bundle.read_bytes(), tile.read_bytes()
    for damaged, code in ((whole[:-1], "verify_entry"), (whole + b"\0", "verify_entry"), (b"", "verify_entry")):
        bundle.write_bytes(damaged)
        assert code_of(verify_log, Folder(log), checkpoint) == code
    bundle.write_bytes(whole)
    for damaged in (hashes[:-1], hashes + b"\0", b""):
        tile.write_bytes(damaged)
        assert code_of(verify_log, Folder(log), checkpoint) == "verify_tile"
    tile.unlink()
    assert code_of(verify_log, Folder(log), checkpoint) == "verify_missing"


def test_rewritten_history_signed_anew_is_a_fork_and_a_shorter_log_a_rollback(log: Path, tmp_path: Path) -> None:
    seen = checkpoint_of(log)
    entries = [b'{"n":%d}' % number for number in range(701)]
    entries[5] = b"rewritten"
    forked = logs.write(tmp_path / "forked", entries)
    assert verify_log(Folder(forked), checkpoint_of(forked)).checkpoint.size == 701
    assert code_of(verify_log, Folder(forked), checkpoint_of(forked), (seen,)) == "verify_fork"
    assert code_of(check_extends, seen, checkpoint_of(forked), Folder(forked)) == "verify_fork"
    same_size = logs.write(tmp_path / "same", entries[:700])
    assert code_of(check_extends, seen, checkpoint_of(same_size), Folder(same_size)) == "verify_fork"
    shorter = logs.write(tmp_path / "shorter", [b'{"n":%d}' % number for number in range(10)])
    assert code_of(verify_log, Folder(shorter), checkpoint_of(shorter), (seen,)) == "verify_rollback"


def test_extension_is_proved_from_tiles_even_when_partial_ones_were_dropped(tmp_path: Path) -> None:
    entries = [b"e%d" % number for number in range(520)]
    folder = logs.write(tmp_path / "log", entries)
    new = t.open_checkpoint(Folder(folder).checkpoint(), KEY)
    leaves = [logs.hash_leaf(entry) for entry in entries]
    for size in (1, 2, 100, 255, 256, 257, 511, 512, 513, 519, 520):
        check_extends(t.Checkpoint(logs.ORIGIN, size, logs.root(leaves[:size])), new, Folder(folder))
        old = t.Checkpoint(logs.ORIGIN, size, logs.root(leaves[:size]))
        if size % 256 == 0 or size > 512:
            assert verify_log(Folder(folder), new, (old,)).anchors == (size,)
    logs.put(folder, "tile/1", 0, 1, logs.root(leaves[:256]))
    grown = t.Checkpoint(logs.ORIGIN, 500, logs.root(leaves[:500]))  # its partial tile 001.p/244 is not on file: the full one serves
    assert verify_log(Folder(folder), grown).checkpoint.size == 500


def test_an_empty_log_verifies(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    logs.write(folder, [])
    assert verify_log(Folder(folder), checkpoint_of(folder)).entry_bytes == 0


def test_tile_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 255, 7) == "tile/entries/255.p/7"
