"""A code that names members of a coalition: every cell has a secret bias p, every recipient a letter there that is 1 with probability p.

Letters and biases follow from a key by AES, a block for each cell, so that no code book is kept. Biases are those of Nuida et al. 2009 for up
to four recipients who put their copies together (Tardos 2008 with fewer letters needed); scores are symmetric (Škorić, Katzenbeisser & Celik
2008). For up to two, one bias of 1/2 would be enough; with it three could cancel each other out.

Whoever is innocent has letters that say nothing about the file, given the biases, so the sum of its scores is one of independent summands with
known distribution, whatever the coalition did: `chance` bounds how probable a sum that large is (Chernoff).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_TRIES = 24
BIAS = 0.2113248654051871  # (1 - 1/√3) / 2, and one minus it: Nuida et al. 2009, table 1, for three and four


class Code:
    """The code of one table. `secret`: 32 bytes from which keys for biases and for each recipient are derived."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Code(…)"

    def biases(self, cells: Words) -> Floats:
        """How probable the letter 1 is in each cell; `cells`: (n, 2) words that name them."""
        return np.where(self._bits("bias", cells) < 2**63, BIAS, 1 - BIAS)

    def letters(self, recipient: str, cells: Words) -> npt.NDArray[np.bool_]:
        """The recipient's letter in each cell."""
        drawn = self._bits(f"letters/{recipient}", cells).astype(np.float64) / 2.0**64
        return np.asarray(drawn < self.biases(cells), dtype=bool)

    def _bits(self, label: str, cells: Words) -> Words:
        """64 bits for each cell: AES-256 of the cell's name, which no one without the key can tell from chance."""
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"yunei/mark/" + label.encode()).derive(self._secret)
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # one block for each cell, as a keyed function
        return np.frombuffer(encryptor.update(np.ascontiguousarray(cells).tobytes()), dtype=np.uint64)[::2]


def scores(seen: Floats, letters: npt.NDArray[np.bool_], biases: Floats) -> float:
    """The sum over cells of what is seen there (−1 for a 0, 1 for a 1, in between for less sure) times the recipient's symmetric weight."""
    return float(np.dot(seen, np.where(letters, np.sqrt((1 - biases) / biases), -np.sqrt(biases / (1 - biases)))))


def chance(total: float, seen: Floats, biases: Floats) -> float:
    """The logarithm to base 10 of a bound on the probability that a recipient whose letters are independent of the file scores `total` or
    more: the least of E[exp(λ S)] exp(−λ total) over λ, the expectation exact. 0 where it says nothing."""
    shown = seen != 0
    if total <= 0 or not shown.any():
        return 0.0
    weight, bias = seen[shown], biases[shown]
    one, nought = weight * np.sqrt((1 - bias) / bias), -weight * np.sqrt(bias / (1 - bias))

    def exponent(rate: float) -> float:
        return float(np.logaddexp(np.log(bias) + rate * one, np.log1p(-bias) + rate * nought).sum()) - rate * total

    spread = float((weight**2).sum())  # each weight has mean 0 and variance 1: the best rate for a normal sum is total / spread
    rate, step, best = total / spread, total / spread, exponent(total / spread)
    for _ in range(_TRIES if total * total > 6 * spread else _TRIES // 4):  # the exponent is convex in the rate; any rate gives a valid bound
        value, near = min((exponent(other), other) for other in (max(0.0, rate - step), rate + step))
        step, rate, best = (step * 1.5, near, value) if value < best else (step / 2, rate, best)
    return min(0.0, best / math.log(10))


def named(cell_names: Words, column: int) -> Words:
    """Cells of one column, from the names of their rows."""
    return np.stack([cell_names, np.full(len(cell_names), column, dtype=np.uint64)], axis=1)


def together(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)
