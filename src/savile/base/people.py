"""Keyed digests of what identifies people in columns that are not stored: a person's rows are found again, nothing is read.

A digest is the first 16 bytes of an HMAC-SHA256 of the normalised value under the store's key (see `mask`), as pseudonyms are,
but of another message: the one says nothing about the other. Who lacks the key can neither read a digest nor test a guess.
"""

from __future__ import annotations

import hmac
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BYTES = 16
FILE = "people.safetensors"
NOTHING, UNTOLD = 0, 255  # every byte of the digest of an empty cell, and of a cell that nobody took a digest of


@dataclass(frozen=True)
class KnownBy:
    """What a column that is not stored leaves behind.

    Attributes:
        column: its name.
        key: name of the key, see `mask.key_id`.
        digests: of the cell of each row, uint8 (n, 16).
    """

    column: str
    key: str
    digests: np.ndarray

    @classmethod
    def of(cls, column: str, values: Iterable[object], keys: Path | None) -> KnownBy:
        """The digests of a column's cells, under the key in a folder; None for the key of a single process."""
        import numpy as np

        from savile.base import mask

        key, known = mask.current_key(keys), dict[str, bytes]()
        empty = bytes([NOTHING]) * BYTES
        cells = ["" if value is None else normal(str(value)) for value in values]
        for cell in cells:
            if cell not in known:
                known[cell] = _digest(key, cell) if cell else empty
        packed = b"".join(known[cell] for cell in cells)
        return cls(column, mask.key_id(key), np.frombuffer(packed, dtype=np.uint8).reshape(-1, BYTES))

    @property
    def untold(self) -> bool:
        """Whether nobody took a digest of some rows' cells."""
        return bool((self.digests == UNTOLD).all(axis=1).any())

    def holds(self, value: str) -> np.ndarray:
        """Whether each row's cell was that value but for case and surrounding space, bool (n,).

        Raises:
            MachineError: the key is not in this store.
        """
        import numpy as np

        from savile.base import mask

        if not normal(value):
            return np.zeros(len(self.digests), dtype=bool)
        wanted = np.frombuffer(_digest(mask.key(self.key), normal(value)), dtype=np.uint8)
        found: np.ndarray = (self.digests == wanted).all(axis=1)
        return found

    def take(self, rows: np.ndarray) -> KnownBy:
        """The same of some rows, given by number or by truth."""
        return KnownBy(self.column, self.key, self.digests[rows])


Known = tuple[KnownBy, ...] | None  # None where nobody took digests


def normal(value: str) -> str:
    """One spelling of a value: compatible characters are one, as are cases, and surrounding space is gone."""
    return unicodedata.normalize("NFKC", value).strip().casefold()


def stacked(above: Known, below: Known, sizes: tuple[int, int]) -> Known:
    """What is known of the rows of two tables, one behind the other, of so many rows each."""
    import numpy as np

    sides = (above, below)
    if all(not side for side in sides):
        return None if None in sides else ()
    joined = []
    for column, key in dict.fromkeys((one.column, one.key) for side in sides for one in side or ()):
        parts = []
        for side, size in zip(sides, sizes, strict=True):
            fitting = [one.digests for one in side or () if (one.column, one.key) == (column, key)]
            fill = np.full((size, BYTES), UNTOLD if side is None else NOTHING, dtype=np.uint8)
            parts.append(fitting[0] if fitting else fill)
        joined.append(KnownBy(column, key, np.concatenate(parts)))
    return tuple(joined)


def files(known: Known) -> dict[str, bytes]:
    """What a data set keeps in a file of its own."""
    import numpy as np
    from safetensors.numpy import save

    if known is None:
        return {}
    told = json.dumps([[one.column, one.key] for one in known], ensure_ascii=False)
    digests = np.stack([one.digests for one in known]) if known else np.zeros((0, 0, BYTES), dtype=np.uint8)
    return {FILE: save({"digests": digests}, {"columns": told})}


def read(stored: Mapping[str, Path | bytes]) -> Known:
    """What a data set kept; None of one that was stored before digests were taken."""
    from safetensors import safe_open

    if FILE not in stored:
        return None
    with safe_open(str(stored[FILE]), framework="numpy") as file:
        digests, columns = file.get_tensor("digests"), json.loads(file.metadata()["columns"])
    return tuple(KnownBy(column, key, each) for (column, key), each in zip(columns, digests, strict=True))


def _digest(key: bytes, cell: str) -> bytes:
    return hmac.digest(key, f"person:{cell}".encode(), "sha256")[:BYTES]
