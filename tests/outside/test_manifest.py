"""Manifests of products, verified by in-toto's own libraries: the envelope by securesystemslib, the statement by in-toto-attestation."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from infra.database import reading
from jobs.products import seen
from jobs.products.manifest import manifest, metadata
from jobs.seals import product_signers
from tests.bureau import Bureau, Home, opened
from tests.products import ID, on_the_shelf, taken


@pytest.fixture(scope="module")
def bureau(bureau_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    home: Path = tmp_path_factory.mktemp("manifest") / "home"
    keys = bureau_home.copy_to(home)
    made = Bureau(opened(home), keys)
    on_the_shelf(made)
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def given(bureau: Bureau) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The envelope as `builder` gets it, and files that it speaks of, by name."""
    _, copy = taken(bureau, "csv")
    register = bureau.services.register
    with reading(register.engine) as connection:
        product = seen.product(connection, ID)
    assert product is not None
    (version,) = product.versions
    described = metadata(register, product, version, [copy])
    files = {
        f"{ID}-v1.csv": copy.path.read_bytes(),
        f"{ID}-v1.dcat.jsonld": described["dcat"],
        f"{ID}-v1.croissant.json": described["croissant"],
    }
    return manifest(register, product, version, [copy], "builder"), files


def key(bureau: Bureau) -> SSlibKey:
    (signer,) = product_signers(bureau.services.register.key_ring, bureau.services.settings)
    public = Ed25519PublicKey.from_public_bytes(signer.key.public_key)
    return SSlibKey.from_crypto(public, keyid=f"{signer.key.name}+{signer.key.id.hex()}")


def test_the_envelope_is_verified_by_the_usual_library(bureau: Bureau, given: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    envelope, _ = given
    assert Envelope.from_dict(json.loads(json.dumps(envelope))).verify([key(bureau)], 1)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[len(payload) // 2] ^= 1
    for forged in ({"payload": base64.b64encode(payload).decode()}, {"payloadType": "application/json"}):
        with pytest.raises(VerificationError):
            Envelope.from_dict(json.loads(json.dumps(envelope | forged))).verify([key(bureau)], 1)


def test_the_statement_is_one_by_the_attestation_framework_and_names_the_files(given: tuple[dict[str, Any], dict[str, bytes]]) -> None:
    envelope, files = given
    read = Statement.copy_from_pb(json_format.Parse(base64.b64decode(envelope["payload"]), statement_pb2.Statement()))
    read.validate()
    named = {subject.name: subject.digest["sha256"] for subject in read.pb.subject}
    assert named == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    read.pb.ClearField("subject")
    with pytest.raises(ValueError, match="subject"):
        read.validate()
