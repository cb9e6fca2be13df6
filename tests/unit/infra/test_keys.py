"""The key ring: made once, whole, for one user's eyes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.keys import NAMES, KeyRing, KeyRingError


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    first = KeyRing.open_or_create(tmp_path / "keys")
    again = KeyRing.open_or_create(tmp_path / "keys")
    assert first.derive("a", b"") == again.derive("a", b"")
    assert first.log_signer.private_bytes_raw() == again.log_signer.private_bytes_raw()
    assert len({(tmp_path / "keys" / name).read_bytes() for name in NAMES}) == len(NAMES)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {(tmp_path / "keys" / name).stat().st_mode & 0o777 for name in NAMES} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_derived_keys_differ_by_label_and_context_and_stay_the_same(tmp_path: Path) -> None:
    ring = KeyRing.open_or_create(tmp_path / "keys", random=lambda size: bytes(range(size)))
    derived = [ring.derive(label, context) for label in ("seed", "seed2") for context in (b"", b"x", b"2x")]
    assert len(set(derived)) == len(derived)
    assert ring.derive("seed", b"2x") != ring.derive("seed2", b"x")
    assert ring.derive("seed", b"plan").hex() == "9e9bdd37e49b28483610c33cc3c1e8fc9eda927eab6e058e816c07b1d5538810"


def test_nothing_shows_a_key(tmp_path: Path) -> None:
    ring = KeyRing.open_or_create(tmp_path / "keys")
    assert repr(ring) == str(ring) == "KeyRing(…)"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_key_is_never_made_up(tmp_path: Path, name: str) -> None:
    KeyRing.open_or_create(tmp_path / "keys")
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(KeyRingError, match="keys_missing"):
        KeyRing.open_or_create(tmp_path / "keys")


@pytest.mark.parametrize("name", [".", *NAMES])
def test_keys_that_others_can_read_are_refused(tmp_path: Path, name: str) -> None:
    KeyRing.open_or_create(tmp_path / "keys")
    path = tmp_path / "keys" / name
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(KeyRingError, match="keys_exposed"):
        KeyRing.open_or_create(tmp_path / "keys")


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    KeyRing.open_or_create(tmp_path / "keys")
    (tmp_path / "keys" / "master").write_bytes(b"short")
    with pytest.raises(KeyRingError, match="keys_malformed"):
        KeyRing.open_or_create(tmp_path / "keys")


def test_processes_that_start_together_end_with_the_same_keys(tmp_path: Path) -> None:
    barrier, found = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        found.append(KeyRing.open_or_create(tmp_path / "keys").derive("a", b""))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]
