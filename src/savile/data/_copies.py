"""Copies among any number of texts: which are the same, which are alike, which are nearly the same, in little memory.

Every text is looked at once (`look`), in pieces that may be looked at anywhere; its normal form and its sketch go to disk.
Equal texts meet by their hashes. As long as the others fit into memory, `_similar` joins them exactly. Beyond that only texts
that have two hashes of a band of their sketches in common are compared, by the same measures; where many texts have, only those
with a third in common, and where even these are many, a text is compared with a few of like length. So nothing is joined that
should not be; what is missed is measured by ``benchmarks/data_scale.py``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from savile.data import _similar, _spill
from savile.data._sketch import sketch

if TYPE_CHECKING:
    import pyarrow as pa

NEEDS = 150  # bytes of memory that the exact join takes for a character
SHORTEST = 5  # characters; shorter texts that differ are neither alike nor nearly the same
RARE = 16  # texts that share two hashes, or three, up to which all of them are compared
FEW = 4  # those that a text is compared with where more do
LOT = 1 << 19  # characters of the texts that are compared at once
CUT = 20_000  # rows looked at together
PIECE = 1 << 20  # rows of an array in a file that are worked on at once
ROW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


@dataclass(frozen=True)
class Copies:
    """What a row is a copy of; every array runs over the rows, those without a text stand for themselves.

    Attributes:
        same: the first row with the same text, uint32.
        first: the first row with the same text and label, uint32.
        alike, near: a number that rows share whose texts belong to one family, see `_similar.Families`, uint32.
        exact: whether the families are exact.
    """

    same: np.ndarray
    first: np.ndarray
    alike: np.ndarray
    near: np.ndarray
    exact: bool


def normal(text: str) -> str:
    """The form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def look(table: pa.Table) -> pa.Table:
    """What is noted of the columns ``text`` and ``label`` of n rows, as lists in one row; an empty text takes no part.

    ``normal`` has the normal forms (n,); ``keys`` the hash of each and of its label, uint64 (2 n,), of 64 bits, so that of ten
    million texts two that differ are taken for the same with a chance of three in a million; ``meets`` two hashes of a band and
    half of a third with the number of the text, uint64 (2 m,); ``bits`` the bitmaps, uint64 (2 n,).
    """
    import pyarrow as pa

    forms = [normal(text) for text in table.column("text").to_pylist()]
    keys = np.stack([_hashes(forms), _hashes(table.column("label").to_pylist())], axis=1)
    long = np.flatnonzero(np.fromiter(map(len, forms), dtype=np.int64, count=len(forms)) >= SHORTEST)
    found = sketch([forms[i] for i in long.tolist()])
    bits = np.zeros((len(forms), 2), dtype=np.uint64)
    bits[long] = found.bits
    meets = np.stack([found.keys[:, 0], (found.keys[:, 1] >> SHIFT) << SHIFT | long[found.owner].astype(np.uint64)], axis=1)
    columns = {"normal": pa.array(forms, pa.large_string()), "keys": keys.ravel(), "meets": meets.ravel(), "bits": bits.ravel()}
    lists = {name: pa.LargeListArray.from_arrays([0, len(column)], pa.array(column)) for name, column in columns.items()}
    return pa.table(lists)


def cut(table: pa.Table) -> Iterator[pa.Table]:
    """A table in pieces that are looked at one by one."""
    return (table.slice(start, CUT).combine_chunks() for start in range(0, len(table), CUT))


def _hashes(texts: Sequence[str]) -> np.ndarray:
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype=np.uint64)


def find(pieces: Iterable[pa.Table], room: int) -> Copies:
    """The copies among the texts of all pieces that were looked at, in their order.

    Args:
        pieces: what `look` gave.
        room: bytes of memory that may be taken.
    """
    told, keys, meets = _read(pieces)
    same, first, letters = _repeats(keys, told.length)
    exact = letters * NEEDS <= room
    alike, near = _in_memory(told, same) if exact else _on_disk(told, same, meets)
    for start in range(0, len(same), PIECE):
        some = slice(start, start + PIECE)
        alike[some], near[some] = alike[same[some]], near[same[some]]
    return Copies(same, first, alike, near, exact)


class _Told(NamedTuple):
    """What is on disk of every row: its text, how many characters it has, and its bitmap."""

    texts: _spill.Strings
    length: np.ndarray
    upper: np.ndarray
    lower: np.ndarray


def _read(pieces: Iterable[pa.Table]) -> tuple[_Told, _spill.Runs, _spill.Runs]:
    """All pieces on disk: what is told of each row, hash and label of each, and the keys that texts meet by."""
    texts, keys, meets = _spill.Strings(), _spill.Runs(), _spill.Runs()
    lengths, upper, lower = _spill.Column(np.uint32), _spill.Column(np.uint64), _spill.Column(np.uint64)
    for piece in pieces:
        lists = {name: piece.column(name).combine_chunks().flatten() for name in piece.column_names}
        pairs = {name: lists[name].to_numpy().reshape(-1, 2) for name in ("keys", "meets", "bits")}
        start = np.uint64(texts.count)
        own = np.arange(len(lists["normal"]), dtype=np.uint64) + start
        keys.add(np.stack([pairs["keys"][:, 0], (pairs["keys"][:, 1] >> SHIFT) << SHIFT | own], axis=1))
        meets.add(pairs["meets"] + np.array([0, start], dtype=np.uint64))
        lengths.add(texts.add(lists["normal"]))
        upper.add(pairs["bits"][:, 0])
        lower.add(pairs["bits"][:, 1])
    texts.close()
    return _Told(texts, lengths.done(), upper.done(), lower.done()), keys, meets


def _repeats(keys: _spill.Runs, length: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The first row with each row's text, the first with its text and label, and the characters of different texts."""
    same, first, letters = _numbers(len(length)), _numbers(len(length)), 0
    for records in keys.lots():
        records = records[length[records[:, 1] & ROW] > 0]
        key, label, row = records[:, 0], records[:, 1] >> SHIFT, (records[:, 1] & ROW).astype(np.uint32)
        order = np.lexsort((row, label, key))
        key, label, row = key[order], label[order], row[order]
        new = np.append(True, key[1:] != key[:-1])[: len(key)]
        own = new | np.append(True, label[1:] != label[:-1])[: len(key)]
        begins = np.flatnonzero(new)
        firsts = np.minimum.reduceat(row, begins) if len(row) else row
        same[row] = np.repeat(firsts, np.diff(np.append(begins, len(row))))
        first[row] = row[np.maximum.accumulate(np.where(own, np.arange(len(row)), 0))]
        letters += int(length[firsts].sum(dtype=np.int64))
    return same, first, letters


def _numbers(count: int) -> np.ndarray:
    """0, 1, 2 …"""
    made = _spill.array(count, np.uint32)
    for start in range(0, count, PIECE):
        made[start : start + PIECE] = np.arange(start, min(start + PIECE, count), dtype=np.uint32)
    return made


def _in_memory(told: _Told, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The families of different texts by the exact join."""
    rows = np.flatnonzero((same == np.arange(len(same))) & (told.length > 0))
    found = list[np.ndarray]()
    for family in _similar.families(told.texts.take(rows)):
        begins, which = np.unique(family, return_index=True, return_inverse=True)[1:]
        joined = _numbers(len(same))
        joined[rows] = rows[begins][which]
        found.append(joined)
    return found[0], found[1]


def _on_disk(told: _Told, same: np.ndarray, meets: _spill.Runs) -> tuple[np.ndarray, np.ndarray]:
    """The families of different texts by the hashes they have in common."""
    alike, near = _Forest(len(same)), _Forest(len(same))
    for records in meets.lots():
        row = records[:, 1] & ROW
        for first, second in _meetings(records[same[row] == row], told.length):
            apart = near.roots(first) != near.roots(second)
            apart[~apart] = alike.roots(first[~apart]) != alike.roots(second[~apart])
            pairs = _plausible(told, first[apart], second[apart])
            for lot in np.split(pairs, _cuts(told.length[pairs].sum(axis=1, dtype=np.int64))):
                rows, place = np.unique(lot, return_inverse=True)
                one, other = place.reshape(-1, 2).T
                closest, close = _similar.compare(told.texts.take(rows), one, other)
                alike.unite(lot[closest])
                near.unite(lot[closest | close])
    return alike.done(), near.done()


def _cuts(letters: np.ndarray) -> np.ndarray:
    """Where to cut a list of pairs with so many characters, so that each piece has about a `LOT` of them."""
    cuts: np.ndarray = np.flatnonzero(np.diff(np.cumsum(letters) // LOT)) + 1
    return cuts


def _plausible(told: _Told, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The pairs whose bitmaps allow them to be nearly the same, each once, int64 (m, 2)."""
    longest = np.maximum(told.length[first], told.length[second]).astype(np.int64)
    upper, lower = (np.bitwise_count(words[first] ^ words[second]) for words in (told.upper, told.lower))
    fits = (upper.astype(np.int64) + lower <= 4 * (longest // 10)) & (first != second)
    pairs = np.sort(np.stack([first[fits], second[fits]], axis=1).astype(np.int64), axis=1)
    return np.unique(pairs, axis=0) if len(pairs) else pairs


def _meetings(records: np.ndarray, length: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that share a key: all that share a rare one, a few neighbours of those that share a common one."""
    records = records[np.argsort(records[:, 0])]
    begins = np.append(True, records[1:, 0] != records[:-1, 0])[: len(records)]
    records = records[~(begins & np.append(begins[1:], True)[: len(records)])]  # without keys that one text has
    row, third = records[:, 1] & ROW, records[:, 1] >> SHIFT
    order = np.lexsort((length[row], third, records[:, 0]))
    key, third, row = records[order, 0], third[order], row[order]
    place, new = np.arange(len(row)), np.append(True, key[1:] != key[:-1])[: len(row)]
    size, end = _extent(new)
    both, last = _extent(new | np.append(True, third[1:] != third[:-1])[: len(row)])
    reach = np.where(size <= RARE, end - place, np.where(both <= RARE, last - place, np.minimum(last - place, FEW)))
    step, at = 1, np.flatnonzero(reach >= 1)
    while len(at):
        for start in range(0, len(at), PIECE):
            some = at[start : start + PIECE]
            yield row[some], row[some + step]
        step += 1
        at = at[reach[at] >= step]


def _extent(new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of groups that begin where `new` says: each member's group's size, and its last place."""
    begins = np.flatnonzero(new)
    sizes = np.diff(np.append(begins, len(new)))
    return np.repeat(sizes, sizes), np.repeat(begins + sizes - 1, sizes)


class _Forest:
    """Families that are united again and again: every row points at another of its family, the first one at itself."""

    def __init__(self, count: int) -> None:
        self._parent = _numbers(count)

    def roots(self, rows: np.ndarray) -> np.ndarray:
        """The first row of each row's family, as far as it is united."""
        found: np.ndarray = self._parent[rows]
        while (further := self._parent[found] != found).any():
            found = np.where(further, self._parent[found], found)
        self._parent[rows] = found
        return found

    def unite(self, pairs: np.ndarray) -> None:
        """Make one family of the families of each pair, int64 (n, 2)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if not len(pairs):
            return
        nodes, place = np.unique(self.roots(pairs.ravel()), return_inverse=True)
        one, other = place.reshape(-1, 2).T
        graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(nodes), len(nodes)))
        family = connected_components(graph, directed=False)[1]
        self._parent[nodes] = nodes[np.unique(family, return_index=True)[1][family]]

    def done(self) -> np.ndarray:
        """A number for each row that its family shares, uint32."""
        for start in range(0, len(self._parent), PIECE):
            self.roots(np.arange(start, min(start + PIECE, len(self._parent))))
        return self._parent
