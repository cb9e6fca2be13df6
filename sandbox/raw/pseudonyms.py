"""Units under other names: a keyed code of each identifier is stored, and the identifier is not, not even in scratch.

Text becomes 22 characters, the first 128 bits of HMAC-SHA-256 (RFC 2104) in base64url. An integer becomes a 64-bit integer, half of
AES-256-CMAC (NIST SP 800-38B) over its 16 bytes: one block, so a whole batch is one call. The key belongs to the unit space, so tables of one
space join on the codes, and a reference to a unit column finds its row. Whoever has the key can tell whether a code is a given person's:
codes are pseudonyms, not anonymous (Personal Information Protection Law, art. 73).

Where budgets are by period the code is that of the unit and the period of the row (docs/proofs/blocks.md), under a key of that space: rows of a
person in two periods have two codes, and nobody without the key can tell that they belong together.

Two texts share a code with probability 2**-128; of n integers, one given unit shares its code with some other with probability n / 2**64.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from infra.vault import Vault
from policies.catalogue import BlockPeriod, Catalogue, Dataset, Window
from policies.catalogue.blocks import period_of

TEXT_CHARACTERS = 22
_EPOCH = date(1970, 1, 1)
_FARTHEST = 700_000  # days from then within which every date is one of Python's


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The columns of a dataset that hold units of a space, and the space's key."""

    columns: tuple[str, ...]
    key: bytes
    periods: Window | None = None  # with budgets by period: which column of a row says what period its unit is of

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
        return cls(columns, vault.derive(f"unit/{dataset.space}"), dataset.periods)

    def apply(self, rows: pa.Table) -> pa.Table:
        """The rows, these columns under other names."""
        periods = None if self.periods is None else numbers(rows.column(self.periods.column), self.periods.period)
        for name in self.columns:
            place, column = rows.column_names.index(name), rows.column(name)
            coded = _integers(column, self.key, periods) if pa.types.is_integer(column.type) else _texts(column, self.key, periods)
            rows = rows.set_column(place, rows.schema.field(place), coded)
        return rows


def numbers(column: pa.ChunkedArray, period: BlockPeriod) -> npt.NDArray[np.int64]:
    """The number of the period of each date or time stamp, as `policies.catalogue.blocks.period_of` counts them; 0 where there is none, which
    the rules of ingest refuse."""
    values = column.combine_chunks()
    if pa.types.is_date32(values.type):
        days = values.cast(pa.int32()).fill_null(0).to_numpy().astype(np.int64)
    else:
        days = values.cast(pa.int64()).fill_null(0).to_numpy() // (86_400 * 1_000_000)  # down, before 1970 too
    different, where = np.unique(days, return_inverse=True)
    known = [period_of(period, _EPOCH + timedelta(days=int(day))) if abs(day) < _FARTHEST else 0 for day in different]
    found: npt.NDArray[np.int64] = np.array(known, np.int64)[where]
    return found


def _texts(column: pa.ChunkedArray, key: bytes, periods: npt.NDArray[np.int64] | None = None) -> pa.Array:
    if periods is not None:
        return _texts_by_period(column, key, periods)
    encoded = pc.dictionary_encode(column.combine_chunks())
    codes = [
        base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")[:16])[:TEXT_CHARACTERS].decode()
        for text in encoded.dictionary.to_pylist()
    ]
    return pa.array(codes, pa.string()).take(encoded.indices)


def _texts_by_period(column: pa.ChunkedArray, key: bytes, periods: npt.NDArray[np.int64]) -> pa.Array:
    """The code of the period's number, in 8 bytes, and the text: as long a prefix for all, so that no two pairs give one message."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    texts = [None, *(text.encode() for text in encoded.dictionary.to_pylist())]
    places = encoded.indices.fill_null(-1).to_numpy().astype(np.int64) + 1  # 0: nobody
    pairs, where = np.unique(periods * len(texts) + places, return_inverse=True)
    codes = []
    for period, place in zip(*np.divmod(pairs, len(texts)), strict=True):
        text = texts[place]
        code = None if text is None else hmac.digest(key, int(period).to_bytes(8, "big") + text, "sha256")[:16]
        codes.append(None if code is None else base64.urlsafe_b64encode(code)[:TEXT_CHARACTERS].decode())
    return pa.array(codes, pa.string()).take(pa.array(where))


def _integers(column: pa.ChunkedArray, key: bytes, periods: npt.NDArray[np.int64] | None = None) -> pa.Array:
    values = column.combine_chunks()
    there = values.is_valid()
    blocks = np.zeros((len(values), 2), np.dtype(">i8"))
    blocks[:, 1] = values.fill_null(0).to_numpy()
    if periods is not None:
        blocks[:, 0] = periods
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
