"""What every provider of master keys promises, and what each does when it cannot keep it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra.masters import FolderMasters, HandedMasters, MasterKeyError, MasterKeys, MemoryMasters, Wrapped, masters_of
from infra.masters.kms import KmsMasters
from infra.masters.token import TokenMasters
from infra.settings import Settings
from tests.softhsm import MODULE, PIN
from tests.transit import TOKEN, Transit, a_transit

SECRET = bytes(range(100, 132))
CONTEXT = b"dataset/visits"


def secret_file(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.fixture
def transit() -> Iterator[Transit]:
    with a_transit() as service:
        yield service


@dataclass
class Kept:
    masters: MasterKeys
    again: Callable[[], MasterKeys]  # as another process would open it


@pytest.fixture(params=["folder", "folder-gm", "pkcs11", "kms"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "pkcs11":
        label = next(request.getfixturevalue("tokens"))
        first = TokenMasters(MODULE, label, lambda: PIN)
        assert first.create() == first.create() == "1"
        return Kept(first, lambda: TokenMasters(MODULE, label, lambda: PIN))
    if request.param == "kms":
        url = request.getfixturevalue("transit").url
        return Kept(KmsMasters(url, lambda: TOKEN), lambda: KmsMasters(url, lambda: TOKEN))
    secret_file(tmp_path / "keys" / "master", os.urandom(32))
    suite = "gm" if request.param == "folder-gm" else "international"
    return Kept(FolderMasters(tmp_path / "keys", suite), lambda: FolderMasters(tmp_path / "keys", suite))  # type: ignore[arg-type]


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(MasterKeyError) as caught:
        act()
    assert SECRET.hex() not in str(caught.value)
    assert PIN not in str(caught.value)
    assert TOKEN not in str(caught.value)
    return caught.value.code


def test_a_key_is_wrapped_by_one_process_and_unwrapped_by_another(kept: Kept) -> None:
    assert kept.masters.create() == "1"
    wrapped = kept.masters.wrap(SECRET, CONTEXT, os.urandom)
    assert SECRET not in bytes(wrapped)
    assert (wrapped.kind, wrapped.version) == (kept.masters.kind, kept.masters.current)
    assert Wrapped.read(bytes(wrapped)) == wrapped
    assert kept.again().unwrap(wrapped, CONTEXT) == SECRET


def test_every_version_unwraps_until_it_is_retired(kept: Kept) -> None:
    old = kept.masters.wrap(SECRET, CONTEXT, os.urandom)
    assert kept.masters.rotate(os.urandom) == kept.masters.current == kept.again().current == "2"
    new = kept.masters.wrap(SECRET, CONTEXT, os.urandom)
    assert new.version == "2"
    assert kept.again().versions() == ("1", "2")
    assert kept.masters.unwrap(old, CONTEXT) == kept.masters.unwrap(new, CONTEXT) == SECRET
    assert code_of(lambda: kept.masters.retire("2")) == "keys_unsupported"
    kept.masters.retire("1")
    kept.again().retire("1")  # twice is once
    for masters in (kept.masters, kept.again()):
        assert masters.versions() == ("2",)
        assert code_of(lambda masters=masters: masters.unwrap(old, CONTEXT)) == "keys_version_unknown"
        assert masters.unwrap(new, CONTEXT) == SECRET


def test_a_changed_key_is_refused(kept: Kept) -> None:
    wrapped = kept.masters.wrap(SECRET, CONTEXT, os.urandom)
    at = len(wrapped.body) - 5
    flipped = bytes([wrapped.body[at] ^ 1])
    broken = Wrapped(wrapped.kind, wrapped.version, wrapped.body[:at] + flipped + wrapped.body[at + 1 :])
    assert code_of(lambda: kept.masters.unwrap(broken, CONTEXT)) == "keys_refused"
    assert code_of(lambda: kept.masters.unwrap(Wrapped(wrapped.kind, wrapped.version, b""), CONTEXT)) == "keys_refused"
    assert code_of(lambda: kept.masters.unwrap(Wrapped("other", wrapped.version, wrapped.body), CONTEXT)) == "keys_version_unknown"
    assert kept.masters.unwrap(wrapped, CONTEXT) == SECRET


@pytest.mark.parametrize("kept", ["pkcs11", "kms"], indirect=True)
def test_a_key_is_bound_to_what_it_is_for(kept: Kept) -> None:
    wrapped = kept.masters.wrap(SECRET, CONTEXT, os.urandom)
    assert code_of(lambda: kept.masters.unwrap(wrapped, b"dataset/others")) == "keys_refused"


def test_nothing_shows_a_key(tmp_path: Path, tokens: Iterator[str], transit: Transit) -> None:
    path = secret_file(tmp_path / "master", SECRET)
    shown = [
        FolderMasters(tmp_path),
        HandedMasters([f"v1={path}"]),
        TokenMasters(MODULE, "t", lambda: PIN),
        KmsMasters(transit.url, lambda: TOKEN),
    ]
    for one in shown:
        assert not any(text in repr(one) for text in (SECRET.hex(), repr(SECRET), PIN, TOKEN))


# ── folder ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_wrapped_before_versions_had_names_opens_under_the_first(tmp_path: Path) -> None:
    secret_file(tmp_path / "master", bytes(range(32)))
    masters = FolderMasters(tmp_path)
    assert masters.unwrap(Wrapped.read(masters.wrap(SECRET, CONTEXT, os.urandom).body), CONTEXT) == SECRET


def test_a_folder_is_refused_rather_than_guessed(tmp_path: Path) -> None:
    assert code_of(lambda: FolderMasters(tmp_path / "none")) == "keys_missing"
    assert code_of(lambda: FolderMasters(tmp_path)) == "keys_missing"
    path = secret_file(tmp_path / "master", b"short")
    assert code_of(lambda: FolderMasters(tmp_path)) == "keys_malformed"
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    assert code_of(lambda: FolderMasters(tmp_path)) == "keys_exposed"


def test_a_retired_master_is_overwritten_before_it_goes(tmp_path: Path) -> None:
    secret_file(tmp_path / "master", SECRET)
    masters = FolderMasters(tmp_path)
    masters.rotate(os.urandom)
    with (tmp_path / "master").open("rb") as held:  # still has the file when its name is gone
        masters.retire("1")
        assert held.read() == bytes(32)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["master-2"]


# ── handed over ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_are_handed_over_in_files_and_descriptors(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, SECRET)
    os.close(write)
    first = secret_file(tmp_path / "a", os.urandom(32))
    old = HandedMasters([f"2025={first}"]).wrap(SECRET, CONTEXT, os.urandom)
    masters = HandedMasters([f"2025={first}", f"2026=fd:{read}"])
    assert masters.versions() == ("2025", "2026")
    assert masters.wrap(SECRET, CONTEXT, os.urandom).version == "2026"
    assert masters.unwrap(old, CONTEXT) == SECRET
    with pytest.raises(OSError):
        os.fstat(read)  # closed once read
    assert code_of(lambda: masters.rotate(os.urandom)) == "keys_unsupported"
    assert code_of(lambda: masters.retire("2025")) == "keys_unsupported"


def test_what_is_handed_over_wrongly_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "a", os.urandom(32))
    for given, code in (
        ([], "keys_missing"),
        (["v1"], "keys_malformed"),
        (["v1=relative"], "keys_malformed"),
        ([f"v1={path}", f"v1={path}"], "keys_malformed"),
        ([f"v1={tmp_path / 'none'}"], "keys_missing"),
        (["v1=fd:9999"], "keys_missing"),
    ):
        assert code_of(lambda given=given: HandedMasters(given)) == code
    path.chmod(0o644)
    assert code_of(lambda: HandedMasters([f"v1={path}"])) == "keys_exposed"


# ── token ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_of_the_token_cannot_be_taken_out(tokens: Iterator[str]) -> None:
    import pkcs11
    from pkcs11 import Attribute
    from pkcs11.exceptions import AttributeSensitive

    label = next(tokens)
    masters = TokenMasters(MODULE, label, lambda: PIN)
    masters.create()
    with masters._using("look") as session:
        (key,) = masters._keys(session, "yunei.1")
        assert key[Attribute.NEVER_EXTRACTABLE]
        with pytest.raises((AttributeSensitive, pkcs11.exceptions.PKCS11Error)):
            _ = key[Attribute.VALUE]


def test_a_token_that_is_not_there_or_does_not_let_in_is_an_error(tokens: Iterator[str], tmp_path: Path) -> None:
    label = next(tokens)
    assert code_of(lambda: TokenMasters(MODULE, label, lambda: "wrong").current) == "keys_denied"
    assert code_of(lambda: TokenMasters(MODULE, label, lambda: PIN).current) == "keys_missing"
    assert code_of(lambda: TokenMasters(MODULE, "nobody", lambda: PIN).current) == "keys_away"
    assert code_of(lambda: TokenMasters(tmp_path / "none.so", label, lambda: PIN).current) == "keys_away"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library ends a search of the session that is gone
def test_a_session_that_broke_is_opened_again(tokens: Iterator[str]) -> None:
    masters = TokenMasters(MODULE, next(tokens), lambda: PIN)
    masters.create()
    wrapped = masters.wrap(SECRET, CONTEXT, os.urandom)
    masters._session.close()  # what a module does that was pulled out
    assert code_of(lambda: masters.unwrap(wrapped, CONTEXT)) == "keys_away"
    assert masters.unwrap(wrapped, CONTEXT) == SECRET
    masters.close()
    assert masters.unwrap(wrapped, CONTEXT) == SECRET


# ── service ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_fails_gives_no_key(transit: Transit) -> None:
    masters = KmsMasters(transit.url, lambda: TOKEN)
    wrapped = masters.wrap(SECRET, CONTEXT, os.urandom)
    for status, code in ((403, "keys_denied"), (404, "keys_missing"), (500, "keys_away"), (503, "keys_away"), (302, "keys_away")):
        transit.fail = status
        assert code_of(lambda: masters.unwrap(wrapped, CONTEXT)) == code
        assert code_of(masters.versions) == code
    transit.fail = None
    for garbage in (b"", b"<html>", b"[]", b'{"data": {"plaintext": "AAAA", "latest_version": 0, "min_decryption_version": 3}}'):
        transit.garbage = garbage
        assert code_of(lambda: masters.unwrap(wrapped, CONTEXT)) == "keys_away"
        assert code_of(masters.versions) == "keys_away"
        assert code_of(lambda: masters.wrap(SECRET, CONTEXT, os.urandom)) == "keys_away"
    transit.garbage = None
    assert code_of(lambda: KmsMasters(transit.url, lambda: "stale").unwrap(wrapped, CONTEXT)) == "keys_denied"
    assert masters.unwrap(wrapped, CONTEXT) == SECRET


def test_a_service_that_is_gone_is_an_error(transit: Transit) -> None:
    with a_transit() as other:
        masters = KmsMasters(other.url, lambda: TOKEN, timeout_s=1)
        wrapped = masters.wrap(SECRET, CONTEXT, os.urandom)
    assert code_of(lambda: masters.unwrap(wrapped, CONTEXT)) == "keys_away"
    assert code_of(lambda: KmsMasters(transit.url.replace("http:", "https:"), lambda: TOKEN).versions()) == "keys_away"
    assert ssl.create_default_context().check_hostname  # what an https address is held to


def test_a_rotation_is_asked_for_once(transit: Transit) -> None:
    masters = KmsMasters(transit.url, lambda: TOKEN)
    masters.rotate(os.urandom)
    assert transit.asked.count("POST /v1/transit/keys/yunei/rotate") == 1
    assert masters.versions() == ("1", "2")


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_settings_choose_a_provider(tmp_path: Path, tokens: Iterator[str], transit: Transit) -> None:
    key, pin, token = (
        secret_file(tmp_path / name, data)
        for name, data in (("master", os.urandom(32)), ("pin", PIN.encode()), ("token", TOKEN.encode() + b"\n"))
    )
    made = masters_of(Settings(home=tmp_path, master_keys="handed", master_key_files=(f"a={key}",)))
    assert isinstance(made, HandedMasters)
    label = next(tokens)
    hsm = masters_of(Settings(home=tmp_path, master_keys="pkcs11", pkcs11_module=MODULE, pkcs11_token=label, pkcs11_pin_file=pin))
    assert isinstance(hsm, TokenMasters)
    hsm.create()
    service = masters_of(Settings(home=tmp_path, master_keys="kms", kms_url=transit.url, kms_token_file=token))
    for masters in (made, hsm, service):
        assert masters.unwrap(masters.wrap(SECRET, CONTEXT, os.urandom), CONTEXT) == SECRET
    token.chmod(0o640)
    assert code_of(service.versions) == "keys_exposed"
    token.unlink()
    assert code_of(service.versions) == "keys_missing"


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"master_keys": "handed"}, "master_key_files"),
        ({"master_keys": "pkcs11"}, "pkcs11_module, pkcs11_pin_file"),
        ({"master_keys": "kms"}, "kms_url, kms_token_file"),
        ({"master_keys": "kms", "kms_url": "http://kms.example", "kms_token_file": "/t"}, "must be https"),
    ],
)
def test_settings_that_lack_something_are_refused_at_start(values: dict[str, object], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        Settings.model_validate(values)


def test_memory_masters_take_whole_keys_only() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MemoryMasters({"1": b"short"})
