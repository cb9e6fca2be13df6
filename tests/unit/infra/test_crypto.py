"""The suites: the standards' own test vectors, seals that hold, and signatures beside each other in one note."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import gmalg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.crypto import COVERAGE, SealBroken, Suite, envelope_of, sm3
from infra.crypto.envelope import MAGIC, sm4_gcm_decrypt, sm4_gcm_encrypt
from infra.crypto.sm2 import ORDER, UID, Sm2PrivateKey, sm2_verify
from infra.journal.checkpoint import Checkpoint
from infra.journal.note import SM2_LINE, SM2_MARK, Signer, VerifierKey, open_note, sign_note
from infra.journal.tree import JournalError
from infra.vault import Vault, VaultError
from yunei.transparency import Key
from yunei.transparency import open_note as client_opens

# GB/T 32918.5-2017, annex A.2 (also GM/T 0003.5-2012): the recommended curve, identifier 1234567812345678, message "message digest"
SECRET = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
PUBLIC = bytes.fromhex(
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
MESSAGE = b"message digest"


def test_sm3_of_the_standard() -> None:
    """GB/T 32905-2016, annex A."""
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert sm3(b"abcd" * 16).hex() == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"


def test_sm4_gcm_of_rfc_8998() -> None:
    """RFC 8998, appendix A.1."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce, aad = bytes.fromhex("00001234567800000000ABCD"), bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plain = bytes.fromhex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDDEEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
    )
    sealed = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    assert sm4_gcm_encrypt(key, nonce, plain, aad) == sealed
    assert sm4_gcm_decrypt(key, nonce, sealed, aad) == plain


def test_sm2_of_the_standard() -> None:
    assert sm2_verify(PUBLIC, MESSAGE, SIGNATURE)
    r, s = gmalg.SM2(SECRET, UID, b"\x04" + PUBLIC, rnd_fn=lambda bits: NONCE).sign(MESSAGE)
    assert r + s == SIGNATURE
    ours = Sm2PrivateKey((int.from_bytes(SECRET, "big") - 1).to_bytes(32, "big"))  # our keys are one above the bytes they are made of
    assert ours.public_bytes() == PUBLIC
    assert sm2_verify(PUBLIC, MESSAGE, ours.sign(MESSAGE))


def test_sm2_refuses_whatever_was_changed() -> None:
    key = Sm2PrivateKey(bytes(range(32)))
    public, signature = key.public_bytes(), key.sign(MESSAGE)
    assert sm2_verify(public, MESSAGE, signature)
    assert key.sign(MESSAGE) == signature != key.sign(b"another")
    zero, order = bytes(32), ORDER.to_bytes(32, "big")
    for wrong in (
        b"",
        signature[:-1],
        signature + b"\0",
        bytes(64),
        signature[:32] + zero,
        zero + signature[32:],
        signature[:32] + order,
        bytes([signature[0] ^ 1]) + signature[1:],
        signature[:63] + bytes([signature[63] ^ 1]),
    ):
        assert not sm2_verify(public, MESSAGE, wrong)
    assert not sm2_verify(public, b"another", signature)
    for point in (b"", bytes(64), b"\xff" * 64, public[:63] + bytes([public[63] ^ 1]), PUBLIC):
        assert not sm2_verify(point, MESSAGE, signature)
    assert "…" in repr(key)
    assert bytes(range(32)).hex() not in repr(vars(key)).replace("\\x", "")
    with pytest.raises(ValueError, match="32 bytes"):
        Sm2PrivateKey(b"short")


@pytest.mark.parametrize("suite", ["international", "gm"])
def test_a_seal_holds_and_either_suite_reads_both(suite: Suite) -> None:
    envelope, other = envelope_of(suite), envelope_of("gm" if suite == "international" else "international")
    key, secret = os.urandom(32), os.urandom(32)
    sealed, wrapped = envelope.seal(key, b"plain", b"place", os.urandom), envelope.wrap(key, secret, os.urandom)
    assert sealed.startswith(MAGIC) == wrapped.startswith(MAGIC) == (suite == "gm")
    for reader in (envelope, other):
        assert reader.open(key, sealed, b"place") == b"plain"
        assert reader.unwrap(key, wrapped) == secret
    for at in range(len(sealed)):
        with pytest.raises(SealBroken):
            envelope.open(key, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"place")
    for at in range(len(wrapped)):
        with pytest.raises(SealBroken):
            envelope.unwrap(key, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :])
    for broken in (b"", MAGIC, MAGIC + bytes(5), sealed[:-1]):
        with pytest.raises(SealBroken):
            envelope.open(key, broken, b"place")
        with pytest.raises(SealBroken):
            envelope.unwrap(key, broken)
    with pytest.raises(SealBroken):
        envelope.open(key, sealed, b"elsewhere")
    with pytest.raises(SealBroken):
        envelope.open(os.urandom(32), sealed, b"place")


def test_a_vault_may_change_its_suite(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table({"x": [1, 2, 3]})

    def write(vault: Vault, version: int) -> None:
        with vault.begin("visits", version, os.urandom) as draft:
            with draft.part(0, table.schema) as part:
                part.write(table)
            draft.commit("a" * 64)

    master = os.urandom(32)
    write(Vault(tmp_path, master), 1)
    write(Vault(tmp_path, master, "gm"), 2)
    write(Vault(tmp_path / "new", master, "gm"), 1)
    assert Vault(tmp_path / "new", master).keys.generations("visits")[0].wrapped.body.startswith(MAGIC)
    assert (tmp_path / "visits" / "v2" / "manifest").read_bytes().startswith(MAGIC)
    for suite in ("international", "gm"):
        vault = Vault(tmp_path, master, suite)  # type: ignore[arg-type]  # a name of the list above
        for version in (1, 2):
            assert vault.open("visits", version).parts[0].read().equals(table)
    path = tmp_path / "visits" / "v2" / "manifest"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(VaultError, match="manifest_damaged"):
        Vault(tmp_path, master).open("visits", 2)


def test_both_signatures_stand_in_one_note() -> None:
    plain = Signer("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    beside = Signer("log.example/1", Sm2PrivateKey(bytes(range(32))), SM2_LINE)
    note = Checkpoint("log.example/1", 0, bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")).sign(plain, beside)
    vkeys = [str(signer.key) for signer in (plain, beside)]
    assert VerifierKey.parse(vkeys[1]) == beside.key
    assert beside.key.public_key.startswith(SM2_MARK)
    for wanted in ([plain.key], [beside.key], [plain.key, beside.key]):
        assert open_note(note, wanted)[1] == tuple(wanted)
        assert [str(key) for key in client_opens(note, [Key.parse(str(key)) for key in wanted])[1]] == [str(key) for key in wanted]
    first, second = note.split("\n")[-3:-1]
    head, _, encoded = second.rpartition(" ")
    data = bytearray(base64.b64decode(encoded))
    data[40] ^= 1
    forged = note.replace(second, f"{head} {base64.b64encode(data).decode()}")
    for reads in (lambda: open_note(forged, [plain.key, beside.key]), lambda: client_opens(forged, [Key.parse(vkey) for vkey in vkeys])):
        with pytest.raises(Exception, match="signature"):
            reads()
    assert open_note(forged, [plain.key])[1] == (plain.key,)  # who does not know the key passes it over
    assert first != second


def test_a_key_of_another_private_kind_is_none() -> None:
    public = b"\xff" + b"other/kind" + bytes(64)
    name = "log.example/1"
    key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex()
    with pytest.raises(JournalError, match="key_malformed"):
        VerifierKey.parse(f"{name}+{key_id}+{base64.b64encode(public).decode()}")
    with pytest.raises(JournalError, match="not of its kind"):
        Signer(name, Sm2PrivateKey(bytes(32)))


def test_a_note_signed_by_sm2_alone_is_one() -> None:
    signer = Signer("bureau.example/licences", Sm2PrivateKey(b"k" * 32), SM2_LINE)
    assert open_note(sign_note("a\n", signer), [signer.key]) == ("a\n", (signer.key,))
    with pytest.raises(JournalError, match="cosigning key"):
        signer.cosign("a\n", 1)


def test_every_use_of_cryptography_says_what_it_is_in_each_suite() -> None:
    for covered in COVERAGE:
        assert covered.zh
        assert covered.en
        same = covered.international == covered.gm
        assert same == bool(covered.why_zh) == bool(covered.why_en), covered.en
