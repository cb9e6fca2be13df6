"""A version's manifest: an in-toto Statement (v1) in a DSSE envelope, with everything that proves it. It verifies offline, from the files it is
about and the log's key alone.

    subject     every file: the table in the forms handed to this recipient, and the two metadata documents, by SHA-256
    predicate   what the version was made of (the document its entry in the log commits to), what is said of it, its registration, and
                receipts (tlog-proof, each with its entry) of the version, the registration, each release, and what this recipient was handed

The key that signs is named in the version's own entry, so that trust in the log's key is all that is needed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, cast

import rfc8785

from infra.database import reading
from infra.dsse import envelope
from jobs import directory
from jobs.products.deliveries import deliveries_of
from jobs.products.seen import Product, Version
from jobs.products.store import Copy
from jobs.register import Register
from jobs.seals import product_signers
from policies.product.croissant import to_croissant
from policies.product.dcat import to_product_dcat
from policies.product.facts import Facts
from sandbox.finish.streams import FORM_TYPES, SUFFIXES, Form

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:yunei:product:v1"
METADATA = {"croissant": "croissant.json", "dcat": "dcat.jsonld"}  # what follows the name of the version


def file_name(product: str, version: int, form: Form) -> str:
    """
    >>> file_name("visits", 2, "excel")
    'visits-v2.excel.csv'
    """
    return f"{product}-v{version}.{SUFFIXES[form]}"


def receipt(register: Register, index: int) -> str:
    """The entry's receipt, with the entry in it."""
    header, rest = register.receipt(index).split("\n", 1)
    return f"{header}\nextra {base64.b64encode(register.entry(index)).decode()}\n{rest}"


def facts_of(register: Register, product: Product, version: Version, held: Sequence[Copy]) -> Facts:
    with reading(register.engine) as connection:
        maker = directory.principal(connection, product.operator)
    assert maker is not None  # a product's operator is registered
    files = {copy.form: {"sha256": copy.sha256, "bytes": str(copy.bytes)} for copy in held}
    return Facts(
        description=product.description,
        record=version.document | {"files": files},
        operator=product.operator,
        operator_title=maker.title,
        code=product.code,
        issued=version.added_at,
        files={form: (file_name(product.id, version.number, form), FORM_TYPES[form]) for form in files},
    )


def metadata(register: Register, product: Product, version: Version, held: Sequence[Copy]) -> dict[str, bytes]:
    """The version, with the files there are for somebody, in the words of other catalogues: the bytes that the manifest names."""
    facts = facts_of(register, product, version, held)
    made = {"croissant": to_croissant(facts), "dcat": to_product_dcat(facts)}
    return {name: json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n" for name, document in made.items()}


def manifest(register: Register, product: Product, version: Version, held: Sequence[Copy], recipient: str | None) -> dict[str, Any]:
    """`held`: the files this recipient may have."""
    described = metadata(register, product, version, held)
    files = {file_name(product.id, version.number, copy.form): copy.sha256 for copy in held}
    files |= {f"{product.id}-v{version.number}.{METADATA[name]}": hashlib.sha256(body).hexdigest() for name, body in described.items()}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "version": version.document,
            "description": product.description.model_dump(mode="json"),
            "code": product.code,
            "recipient": recipient,
            "receipts": {
                "version": receipt(register, version.entry),
                "registration": None if product.registered_entry is None else receipt(register, product.registered_entry),
                "releases": {part["release"]: receipt(register, int(part["index"])) for part in version.document["releases"]},
                "deliveries": _deliveries(register, version, {copy.sha256 for copy in held}, recipient),
            },
        },
    }
    return envelope(cast(bytes, rfc8785.dumps(statement)), product_signers(register.key_ring, register.settings))


def _deliveries(register: Register, version: Version, digests: set[str], recipient: str | None) -> dict[str, str]:
    """Of each file that this recipient was handed, the newest delivery, by digest."""
    if recipient is None:
        return {}
    with reading(register.engine) as connection:
        made = deliveries_of(connection, product=version.product, recipient=recipient, limit=1000)
    newest: dict[str, int] = {}
    for each in made:
        if each.version == version.number and each.sha256 in digests:
            newest.setdefault(each.sha256, each.entry)
    return {digest: receipt(register, entry) for digest, entry in sorted(newest.items())}
