"""Facts a text is read with: what is known of the things it names is put behind it, in training and when it is answered.

Names are found as they are written, the longest first; in scripts without spaces anywhere, elsewhere as whole words. The
facts are part of the model and of every form that serves, so an answer is given with the facts that the model was tested
with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

MOST = 3  # facts behind a text
BETWEEN = " | "
Read = Callable[[Sequence[str]], list[list[int]]]


class Facts:
    """What is known.

    Args:
        known: name of a thing -> a sentence on it, or several in one.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known = {name.casefold(): sentence for name, sentence in known.items() if name.strip()}

    @cached_property
    def _named(self) -> re.Pattern[str]:
        names = sorted(self.known, key=len, reverse=True)
        return re.compile("|".join(_bounded(name) for name in names) or r"(?!)")

    def __call__(self, text: str) -> str:
        """The text, and behind it the facts on the first things it names."""
        found = dict.fromkeys(match.group() for match in self._named.finditer(text.casefold()))
        return BETWEEN.join([text, *(self.known[name] for name in list(found)[:MOST])])

    def before(self, read: Read) -> Read:
        """What reads texts, with their facts."""
        return lambda texts: read([self(text) for text in texts])


def _bounded(name: str) -> str:
    """A pattern for a name: whole words, but where its first or last sign is of a script without spaces."""
    start = r"(?<!\w)" if _spaced(name[0]) else ""
    end = r"(?!\w)" if _spaced(name[-1]) else ""
    return start + re.escape(name) + end


def _spaced(sign: str) -> bool:
    return sign.isalnum() and not "\u3040" <= sign <= "\u9fff"
