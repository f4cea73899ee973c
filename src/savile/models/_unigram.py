"""The tokenizer of `use-m`: a SentencePiece unigram model read from its own file, normalised here, cut by `tokenizers`.

SentencePiece replaces the longest matching key of its character map at each place, byte by byte. Nearly all keys are single
characters, so a text without the few characters that continue a longer key is translated at once.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from savile.base.errors import CorruptError

UNKNOWN, BEGIN, END = 0, 1, 2
SPACE = "\u2581"
PIECES, CHARSMAP_HOLDER = 1, 3  # fields of the file
SPACES = re.compile(" +")


class Unigram:
    """Texts -> token ids, as SentencePiece gives them.

    Args:
        model: bytes of a SentencePiece file.
        max_length: texts are cut to this many tokens, both ends included.

    Raises:
        CorruptError: the file is no SentencePiece model.
    """

    def __init__(self, model: bytes, max_length: int) -> None:
        self.max_length = max_length
        self._tokenizer, self._single, self._longer, self._continues = _read(model)
        self._longest = max(map(len, self._longer), default=1)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text between the ids of its beginning and its end."""
        normal = [self.normal(text) for text in texts]
        found = self._tokenizer.encode_batch(normal, add_special_tokens=False)
        kept = self.max_length - 2
        return [[BEGIN, *self._ids(text, one)[:kept], END] for text, one in zip(normal, found, strict=True)]

    def normal(self, text: str) -> str:
        """The text as it is cut: characters replaced, spaces collapsed and marked, one mark in front."""
        text = "".join(self._prefixes(text)) if self._continues.search(text) else text.translate(self._single)
        return (SPACE + SPACES.sub(" ", text).strip(" ").replace(" ", SPACE)).rstrip(SPACE)

    def pieces(self, units: Sequence[str]) -> list[list[tuple[int, int, int]]]:
        """The pieces of each unit, a word or a run of characters: id, and where it starts and ends in the unit.

        A mark of a space in front counts for nothing. Where the normal form is of another length, the unit is one piece.
        """
        marked = [unit.startswith(SPACE) for unit in units]
        bare = [unit.removeprefix(SPACE) for unit in units]
        normal = [self.normal(unit).removeprefix(SPACE) for unit in bare]
        named = [SPACE * mark + name for mark, name in zip(marked, normal, strict=True)]
        rows = []
        for one, name, unit, mark in zip(
            self._tokenizer.encode_batch(named, add_special_tokens=False), normal, bare, marked, strict=True
        ):
            cut = [(piece, max(0, start - mark), end - mark) for piece, (start, end) in zip(one.ids, one.offsets, strict=True)]
            whole = len(name) != len(unit) or not cut
            cut = (
                [(one.ids[-1] if one.ids else UNKNOWN, 0, len(unit))] if whole else [each for each in cut if each[2] > each[1]]
            )
            rows.append(cut or [(UNKNOWN, 0, len(unit))])
        return rows

    def _prefixes(self, text: str) -> Iterator[str]:
        """The text with the longest key at each place replaced."""
        place = 0
        while place < len(text):
            for length in range(min(self._longest, len(text) - place), 1, -1):
                if (found := self._longer.get(text[place : place + length])) is not None:
                    break
            else:
                length, letter = 1, text[place]
                found = self._single.get(ord(letter), letter)
            yield found
            place += length

    @staticmethod
    def _ids(text: str, encoding: Any) -> list[int]:
        ids: list[int] = encoding.ids
        if not ids:
            return [UNKNOWN]
        if UNKNOWN not in ids:
            return ids
        # unknown characters side by side come as one token, together with the piece whose name they have; SentencePiece counts
        spread = []
        for one, (start, end) in zip(ids, encoding.offsets, strict=True):
            spread += [one] * (len(text[start:end].replace("<unk>", "?")) if one == UNKNOWN else 1)
        return spread


@lru_cache(maxsize=2)  # every form and every fold of a model reads the same file
def _read(model: bytes) -> tuple[Any, dict[int, str], dict[str, str], re.Pattern[str]]:
    """What cuts texts, single characters and longer keys that are replaced before, and what continues a longer key."""
    from tokenizers import Tokenizer, models

    try:
        fields = dict(_several(model))
        pieces = [_piece(piece) for piece in fields[PIECES]]
        charsmap = dict(_several(fields[CHARSMAP_HOLDER][0]))[2][0]
        single, longer = _replacements(charsmap)
    except (KeyError, IndexError, ValueError, struct.error) as error:
        raise CorruptError("a SentencePiece model", repr(error), "Install the base again.") from error
    later = {letter for key in longer for letter in key[1:]}
    continues = re.compile(f"[{re.escape(''.join(sorted(later)))}]") if later else re.compile("(?!)")
    return Tokenizer(models.Unigram(pieces, UNKNOWN)), single, longer, continues


def _piece(fields: bytes) -> tuple[str, float]:
    found = dict(_several(fields))
    return found[1][0].decode(), struct.unpack("<f", found[2][0])[0] if 2 in found else 0.0


def _several(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The fields of a protocol-buffer message: number -> contents, numbers of variable length left out."""
    found: dict[int, list[bytes]] = {}
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        kind = key & 7
        if kind == 0:
            _, place = _number(data, place)
            continue
        if kind == 2:
            size, place = _number(data, place)
        else:
            size = {1: 8, 5: 4}[kind]
        found.setdefault(key >> 3, []).append(data[place : place + size])
        place += size
    yield from found.items()


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _replacements(charsmap: bytes) -> tuple[dict[int, str], dict[str, str]]:
    """The character map, a double-array trie over UTF-8 (Yata's darts-clone) and the texts its leaves point at.

    Returns:
        Code point -> replacement for keys of one character, and key -> replacement for longer ones.
    """
    size = struct.unpack("<I", charsmap[:4])[0]
    units, texts = np.frombuffer(charsmap[4 : 4 + size], "<u4").astype(np.int64), charsmap[4 + size :]
    label, offset = units & 0xFF, (units >> 10) << ((units & 0x200) >> 6)
    inner = np.flatnonzero((units & 0x80000000 == 0) & (label > 0))
    parent = inner ^ label[inner]  # a unit lies where its parent's offset and its own label meet
    inner = inner[np.argsort(parent, kind="stable")]
    parent = inner ^ label[inner]
    single: dict[int, str] = {}
    longer: dict[str, str] = {}
    nodes, keys = offset[:1], [b""]
    while len(nodes):  # a byte further at a time
        first, last = np.searchsorted(parent, nodes), np.searchsorted(parent, nodes, side="right")
        above = np.repeat(np.arange(len(nodes)), last - first)
        places = inner[np.concatenate([np.arange(*ends) for ends in zip(first, last, strict=True)])]
        keys = [keys[i] + bytes((byte,)) for i, byte in zip(above.tolist(), label[places].tolist(), strict=True)]
        nodes = places ^ offset[places]
        ends = np.flatnonzero(units[places] & 0x100)
        for i, value in zip(ends.tolist(), (units[nodes[ends]] & 0x7FFFFFFF).tolist(), strict=True):
            found, name = texts[value : texts.index(b"\0", value)].decode(), keys[i].decode()
            if len(name) == 1:
                single[ord(name)] = found
            else:
                longer[name] = found
    return single, longer
