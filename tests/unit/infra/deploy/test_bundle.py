"""What goes into the bundle, and what its installer refuses before anything is written."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from infra.deploy.bundle import ROOT, closure, debian_packages, packed, pins, sign, sums

REFUSED = 65
LOCK = """\
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via beta
Beta[extra]==2.0 \\
    --hash=sha256:bb
"""


def test_the_server_needs_its_dependencies_and_none_of_the_tests() -> None:
    names = closure(["yunei"])
    assert {"yunei", "yunei-client", "ray", "duckdb", "opendp", "psycopg-binary", "simpy"} <= names
    assert not {"pytest", "mypy", "ruff", "playwright", "hypothesis", "cyclonedx-bom", "pip"} & names


def test_something_needed_and_absent_is_named() -> None:
    with pytest.raises(ValueError, match="no-such-package"):
        closure(["no-such-package"])


def test_pins_are_the_locks_own_lines() -> None:
    assert pins(LOCK, {"alpha"}) == "alpha==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\n"
    assert "bb" in pins(LOCK, {"alpha", "beta"})
    with pytest.raises(ValueError, match="gamma"):
        pins(LOCK, {"alpha", "gamma"})


def test_everything_the_server_needs_is_pinned_with_hashes() -> None:
    names = closure(["yunei", "pip"]) - {"yunei", "yunei-client"}
    text = pins((ROOT / "requirements.lock").read_text(), names)
    assert text.count("==") == len(names)
    assert text.count("--hash=sha256:") >= len(names)


def test_a_tar_follows_from_its_content_alone(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        folder = tmp_path / name / "yunei"
        (folder / "wheels").mkdir(parents=True)
        (folder / "install.sh").write_text("exit 0\n")
        (folder / "wheels" / "x.whl").write_bytes(b"x")
        out = io.BytesIO()
        packed(folder, out, 1_700_000_000)
        made.append(out.getvalue())
    assert made[0] == made[1]


def test_debian_packages_are_names(tmp_path: Path) -> None:
    names = debian_packages((ROOT / "infra/deploy/offline/debian.txt").read_text())
    assert "python3.11" in names
    assert all(name.replace("-", "").replace(".", "").isalnum() for name in names)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """One that is signed and would install nothing: its Python is not to be had."""
    folder = tmp_path / "yunei-0.1.0"
    (folder / "wheels").mkdir(parents=True)
    (folder / "install.sh").write_text((ROOT / "infra/deploy/offline/install.sh").read_text())
    (folder / "wheels" / "x-1.0-py3-none-any.whl").write_bytes(b"wheel")
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "pub.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "SHA256SUMS").write_text(sums(folder))
    sign(folder, tmp_path / "key.pem")
    return folder


def install(bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
    prefix = bundle.parent / "prefix"
    done = subprocess.run(
        ["/bin/sh", bundle / "install.sh", "--prefix", prefix, "--python", "/bin/false", *options], capture_output=True, text=True
    )
    assert not prefix.exists()
    return done


def test_a_bundle_as_it_was_signed_passes_and_python_is_looked_at(bundle: Path) -> None:
    assert install(bundle, "--key", str(bundle.parent / "pub.pem")).returncode == 69
    assert install(bundle, "--unsigned").returncode == 69
    assert install(bundle).returncode == 64


def _altered(bundle: Path) -> None:
    (bundle / "wheels" / "x-1.0-py3-none-any.whl").write_bytes(b"whee1")


def _altered_and_summed(bundle: Path) -> None:
    _altered(bundle)
    (bundle / "SHA256SUMS").write_text(sums(bundle))


def _added(bundle: Path) -> None:
    (bundle / "wheels" / "evil-1.0-py3-none-any.whl").write_bytes(b"")


def _removed(bundle: Path) -> None:
    (bundle / "wheels" / "x-1.0-py3-none-any.whl").unlink()


def _unsigned(bundle: Path) -> None:
    (bundle / "SHA256SUMS.sig").unlink()


@pytest.mark.parametrize("change", [_altered, _altered_and_summed, _added, _removed, _unsigned])
def test_a_bundle_that_was_changed_is_refused(bundle: Path, change: Callable[[Path], None]) -> None:
    change(bundle)
    assert install(bundle, "--key", str(bundle.parent / "pub.pem")).returncode == REFUSED


def test_another_key_is_refused(bundle: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (bundle.parent / "other.pem").write_bytes(other)
    assert install(bundle, "--key", str(bundle.parent / "other.pem")).returncode == REFUSED
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (bundle.parent / "rsa.pem").write_bytes(rsa)
    with pytest.raises(ValueError, match="Ed25519"):
        sign(bundle, bundle.parent / "rsa.pem")
