"""Units under other names: a keyed code of each identifier is stored, and the identifier is not, not even in scratch.

Text becomes 22 characters, the first 128 bits of HMAC-SHA-256 (RFC 2104) in base64url. An integer becomes a 64-bit integer, half of
AES-256-CMAC (NIST SP 800-38B) over its 16 bytes: one block, so a whole batch is one call. The key belongs to the unit space, so tables of one
space join on the codes, and a reference to a unit column finds its row. Whoever has the key can tell whether a code is a given person's:
codes are pseudonyms, not anonymous (Personal Information Protection Law, art. 73).

Two texts share a code with probability 2**-128; of n integers, one given unit shares its code with some other with probability n / 2**64.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from infra.vault import Vault
from policies.catalogue import Catalogue, Dataset

TEXT_CHARACTERS = 22


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The columns of a dataset that hold units of a space, and the space's key."""

    columns: tuple[str, ...]
    key: bytes

    @classmethod
    def of(cls, dataset: Dataset, catalogue: Catalogue, vault: Vault) -> Pseudonyms | None:
        """None where identifiers are stored as they come. A column that refers to a unit column under other names is one too."""
        unit = dataset.unit
        if unit is None or not unit.pseudonym:
            return None
        named = unit.column
        if unit.via is not None:
            theirs = catalogue[unit.via.table].dataset.unit_column
            if theirs is None or theirs.name.casefold() != unit.via.key.casefold():
                return None  # it refers to something that names nobody; whose it is comes with the row referred to
            named = unit.via.column
        columns = tuple(column.name for column in dataset.columns if column.name.casefold() == named.casefold())
        return cls(columns, vault.derive(f"unit/{unit.space}"))

    def apply(self, rows: pa.Table) -> pa.Table:
        """The rows, these columns under other names."""
        for name in self.columns:
            place, column = rows.column_names.index(name), rows.column(name)
            coded = _integers(column, self.key) if pa.types.is_integer(column.type) else _texts(column, self.key)
            rows = rows.set_column(place, rows.schema.field(place), coded)
        return rows


def _texts(column: pa.ChunkedArray, key: bytes) -> pa.Array:
    encoded = pc.dictionary_encode(column.combine_chunks())
    codes = [
        base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")[:16])[:TEXT_CHARACTERS].decode()
        for text in encoded.dictionary.to_pylist()
    ]
    return pa.array(codes, pa.string()).take(encoded.indices)


def _integers(column: pa.ChunkedArray, key: bytes) -> pa.Array:
    values = column.combine_chunks()
    there = values.is_valid()
    blocks = np.zeros((len(values), 2), np.dtype(">i8"))
    blocks[:, 1] = values.fill_null(0).to_numpy()
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # a block at a time is what CMAC is made of
    mixed = blocks.view(np.uint8).reshape(-1, 16) ^ np.frombuffer(_subkey(key), np.uint8)
    coded = np.frombuffer(cipher.update(mixed.tobytes()), np.dtype("<i8")).reshape(-1, 2)[:, 0]
    return pa.array(coded, pa.int64(), mask=~there.to_numpy(zero_copy_only=False))


def _subkey(key: bytes) -> bytes:
    """K1 of SP 800-38B, 6.1: for messages of whole blocks."""
    first = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))  # noqa: S305
    doubled = int.from_bytes(first, "big") << 1
    if doubled >> 128:
        doubled = doubled & (2**128 - 1) ^ 0x87
    return doubled.to_bytes(16, "big")
