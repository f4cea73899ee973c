"""Finds personal data by compiled patterns and checksums; puts pseudonyms in its place, the same wherever the value occurs.

A pseudonym such as ``[EMAIL-3f2a9c]`` is the start of an HMAC-SHA256 of the normalised value under a random 256-bit key that
never leaves ``$SAVILE_HOME/keys``; a policy carries only the key's id. So live text is masked exactly as the training text
was, and nobody without the key can test a guess. 24 bits are shown: of n values, about n * n / 33 million pairs share one.

What is found, and how, is in `_recognisers`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from savile.base import _presidio
from savile.base._durable import machine_errors
from savile.base._recognisers import FINDERS, USUAL, normal, suspect
from savile.base._recognisers import Span as Span
from savile.base._recognisers import chinese_id as chinese_id
from savile.base._recognisers import luhn as luhn
from savile.base.errors import InputError, MachineError

Policy = dict[str, Any]
KEY_FILE = "pseudonym.key"
KEY_BYTES = 32


@dataclass(frozen=True)
class Trace:
    """A masked text, and where each of its characters comes from.

    Attributes:
        text: the text with pseudonyms.
        starts, ends: where the character, or all that its pseudonym stands for, begins and ends in the text that came; empty
            when nothing was replaced.
    """

    text: str
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether anything was replaced."""
        return bool(self.starts)

    def origin(self, places: Any) -> Any:
        """Places in the masked text, int64 (s, 2) -> places in the text that came."""
        import numpy as np

        starts, ends = np.array(self.starts), np.array(self.ends)
        last = np.maximum(places[:, 1] - 1, places[:, 0])
        return np.stack([starts[places[:, 0]], ends[last]], axis=1)

    def inward(self, start: int, end: int) -> tuple[int, int]:
        """A span of the text that came -> the span of the masked text that holds what is left of it."""
        if not self.moved:
            return start, end
        inside = [i for i, (first, last) in enumerate(zip(self.starts, self.ends, strict=True)) if first < end and last > start]
        return (inside[0], inside[-1] + 1) if inside else (0, 0)


NAMED = ("name", "address", "organisation")  # found by the tagger that ships, or by Presidio, where a policy asks for them
KINDS = (*FINDERS, *NAMED, _presidio.OTHER)
WAYS = ("mask", "names", "presidio", "keep")
ANYTHING = re.compile(r"[^\W\d_]")
PSEUDONYM = re.compile(r"\[[A-Z_]+-[0-9a-f]{6}\]")


def policy(keys: Path | None, pii: str = "mask", kinds: Iterable[str] = USUAL) -> Policy:
    """What is done about personal data, JSON-able; makes the key at the first use.

    Args:
        keys: folder of the pseudonym key, the store's `keys`; None for the key of a single process, never written.
        pii: ``mask``; ``names``, which also replaces what the tagger takes for names, addresses and organisations;
            ``presidio``, which asks Presidio for those and for further identifiers; or ``keep``.
        kinds: what to look for.

    Raises:
        InputError: when `pii` or a kind is unknown.
        MissingExtraError: Presidio is asked for and not installed.
    """
    kinds = list(kinds)
    if pii not in WAYS:
        do = "Use mask, which replaces personal data before anything is stored."
        raise InputError(f"pii: {', '.join(WAYS[:-1])} or {WAYS[-1]}", repr(pii), do)
    more = {"names": NAMED, "presidio": (*NAMED, _presidio.OTHER)}.get(pii, ())
    kinds += [kind for kind in more if kind not in kinds]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f"kinds of personal data among {', '.join(KINDS)}", repr(unknown[0]), "Use one of those kinds.")
    if pii == "keep":
        return {"pii": "keep", "kinds": kinds}
    named = {"presidio": _presidio.version()} if pii == "presidio" else {}
    if not named and set(NAMED) & set(kinds):
        named = {"tagger": _tagger_id()}
    return {"pii": "mask", "kinds": kinds, "key": key_id(current_key(keys)), **named}


@cache
def _tagger_id() -> str:
    """The name of the tagger that ships: what it finds is part of what is served."""
    from savile.base import _tagger

    return hashlib.sha256(_tagger.SHIPPED.read_bytes()).hexdigest()[:12]


def _names(text: str, presidio: bool) -> list[Span]:
    """Names, addresses and organisations as the tagger or Presidio finds them; what touches a pseudonym is none."""
    from savile.base import _tagger

    masked = [match.span() for match in PSEUDONYM.finditer(text)]
    found = _presidio.spans(text) if presidio else []
    if not presidio:
        tagger = _tagger.shipped()
        found = [Span(tagger.labels[span.label], span.start, span.end) for span in _tagger.spans(tagger, [text])[0]]
    return [span for span in found if all(span.end <= start or end <= span.start for start, end in masked)]


def key_id(key: bytes) -> str:
    """The name of a key, which tells nothing about it."""
    return hashlib.sha256(b"savile pseudonym key" + key).hexdigest()[:12]


class Masker:
    """Replaces personal data in texts as a policy says; masking twice changes nothing.

    Args:
        policy: what `policy` gave; an empty one masks nothing.
        keys: folder of the pseudonym key; None for the one of `$SAVILE_HOME`.

    Raises:
        MachineError: when the policy's key is not in the folder, or what finds names is another version.
    """

    def __init__(self, policy: Mapping[str, Any], keys: Path | None = None) -> None:
        self.policy = dict(policy)
        kinds = tuple(kind for kind in KINDS if kind in self.policy.get("kinds", USUAL))
        self._finders = [FINDERS[kind] for kind in kinds if kind in FINDERS]
        self._named = set(kinds) & {*NAMED, _presidio.OTHER}
        self._presidio = self.policy.get("presidio")
        self._suspect = ANYTHING if self._named else suspect(kinds)
        tagger = self.policy.get("tagger")
        if tagger is not None and tagger != _tagger_id():
            do = "Govern again with this version, or serve with the one it was governed with."
            raise MachineError(f"the tagger {tagger} that the data was masked with", _tagger_id(), do)
        if self._presidio is not None and self._presidio != _presidio.version():
            do = "Install the same version of both, or govern again with this one."
            raise MachineError(f"{self._presidio}, with which the data was masked", _presidio.version(), do)
        self._key = key(self.policy["key"], keys) if self.policy.get("pii") == "mask" else b""

    def __call__(self, text: str) -> str:
        """The text with every piece of personal data replaced."""
        # Again until nothing is found: what is left of two entangled numbers may look like a third.
        while self._key and (spans := self.find(text)):
            text = "".join(piece for piece, _ in self._pieces(text, spans))
        return text

    def traced(self, text: str) -> Trace:
        """The text masked, with where each character comes from."""
        starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
        masked = text
        while self._key and (spans := self.find(masked)):
            pieces = self._pieces(masked, spans)
            firsts, lasts = list[int](), list[int]()
            for piece, span in pieces:
                whole = span.kind != ""
                firsts += [starts[span.start]] * len(piece) if whole else starts[span.start : span.end]
                lasts += [ends[span.end - 1]] * len(piece) if whole else ends[span.start : span.end]
            masked, starts, ends = "".join(piece for piece, _ in pieces), firsts, lasts
        return Trace(text) if masked == text else Trace(masked, tuple(starts), tuple(ends))

    def _pieces(self, text: str, spans: Iterable[Span]) -> list[tuple[str, Span]]:
        """The text in pieces, each with the span it stands for; what is no personal data is of no kind."""
        pieces, end = list[tuple[str, Span]](), 0
        for span in spans:
            pieces.append((text[end : span.start], Span("", end, span.start)))
            pieces.append((self._pseudonym(span.kind, text[span.start : span.end]), span))
            end = span.end
        return [*pieces, (text[end:], Span("", end, len(text)))]

    def many(self, texts: Iterable[str]) -> list[str]:
        """Each text masked."""
        suspect = self._suspect.search
        return [self(text) if suspect(text) else text for text in texts]

    def find(self, text: str) -> list[Span]:
        """The personal data in a text, in order and without overlap."""
        if not self._suspect.search(text):
            return []
        found, taken = [], bytearray(len(text))
        for finder in self._finders:
            for span in finder(text):
                if not any(taken[span.start : span.end]):
                    taken[span.start : span.end] = b"\1" * (span.end - span.start)
                    found.append(span)
        if self._named:
            names = _names(text, self._presidio is not None)
            found += [span for span in names if span.kind in self._named and not any(taken[span.start : span.end])]
        return sorted(found, key=lambda span: span.start)

    def _pseudonym(self, kind: str, value: str) -> str:
        code = hmac.new(self._key, f"{kind}:{normal(kind, value)}".encode(), hashlib.sha256).hexdigest()
        return f"[{kind.upper()}-{code[:6]}]"


_PROCESS_KEY = os.urandom(KEY_BYTES)


def current_key(keys: Path | None) -> bytes:
    """The key new policies use, made at the first call: 256 random bits, readable by the owner only.

    Args:
        keys: folder of the key; None for that of this process, never written.
    """
    if keys is None:
        return _PROCESS_KEY
    with machine_errors(keys.parent):
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = keys / KEY_FILE
        if not path.exists():
            # Written aside (mode 0600) and linked into place: of two processes one wins, and both read a whole key.
            descriptor, part = tempfile.mkstemp(dir=keys)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(part, path)
            Path(part).unlink()
        return path.read_bytes()


def key(name: str, keys: Path | None = None) -> bytes:
    """The key of that id.

    Args:
        name: what `key_id` gave.
        keys: its folder; None for the one of `$SAVILE_HOME`.

    Raises:
        MachineError: it is not there.
    """
    if name == key_id(_PROCESS_KEY):
        return _PROCESS_KEY
    keys = keys or Path(os.environ.get("SAVILE_HOME") or ".savile") / "keys"
    for path in sorted(keys.glob("*.key")):
        found = path.read_bytes()
        if key_id(found) == name:
            return found
    raise MachineError(
        f"the pseudonym key {name}",
        f"no such key in {keys}",
        "Copy the file ending in .key from the keys folder of the machine where the data was governed.",
    )
