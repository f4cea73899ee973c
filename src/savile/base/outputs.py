"""What a model says: its answers, and what turned its logits into them. Records of `savile.base.records` carry both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Span(NamedTuple):
    """A piece of a text and what it is: offsets in characters, the end exclusive, and the index of its label."""

    start: int
    end: int
    label: int
    probability: float = 1.0

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes two spans the same."""
        return self.start, self.end, self.label


@dataclass(frozen=True)
class Tokens:
    """Numbers for each token of n texts: the logits of a model that answers token by token, or the probabilities.

    It is read like an array whose first axis is the texts.

    Attributes:
        flat: all texts' tokens one behind the other, (t, outputs).
        bounds: where each text's tokens begin, and the end of the last, int64 (n + 1,).
        places: start and end of each token in its text, in characters, int64 (t, 2).
    """

    flat: np.ndarray
    bounds: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, rows: np.ndarray | slice) -> Tokens:
        import numpy as np

        chosen = np.arange(len(self))[rows]
        lengths = np.diff(self.bounds)[chosen]
        bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.repeat(self.bounds[:-1][chosen] - bounds[:-1], lengths) + np.arange(bounds[-1])
        return Tokens(self.flat[index], bounds, self.places[index])

    def like(self, flat: np.ndarray) -> Tokens:
        """Other numbers for the same tokens."""
        return Tokens(flat, self.bounds, self.places)

    def moved(self, places: np.ndarray) -> Tokens:
        """The same numbers at other places."""
        return Tokens(self.flat, self.bounds, places)

    @property
    def text(self) -> np.ndarray:
        """Which text each token is of, int64 (t,)."""
        import numpy as np

        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    @classmethod
    def of(cls, rows: Sequence[tuple[np.ndarray, np.ndarray]], outputs: int) -> Tokens:
        """The tokens of texts given one by one: numbers (s, outputs) and places (s, 2)."""
        import numpy as np

        flat = np.concatenate([np.zeros((0, outputs), dtype=np.float32), *(numbers for numbers, _ in rows)])
        places = np.concatenate([np.zeros((0, 2), dtype=np.int64), *(places for _, places in rows)])
        return cls(flat, np.cumsum([0, *(len(numbers) for numbers, _ in rows)]).astype(np.int64), places)


@dataclass(frozen=True)
class Replies:
    """What was written in answer to n prompts; it is read like an array whose first axis is the prompts.

    Attributes:
        tokens: ids of what was written, one reply behind the other, the end of each included where it came to one, int64 (t,).
        bounds: where each reply begins, and the end of the last, int64 (n + 1,); a reply without tokens was not asked for.
        texts: what was written, texts (n,).
        given: of an answer that was given beside each prompt, log-probability and number of tokens, float64 (n, 2); zeros
            where there was none.
    """

    tokens: np.ndarray
    bounds: np.ndarray
    texts: np.ndarray
    given: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: np.ndarray | slice) -> Replies:
        import numpy as np

        chosen = np.arange(len(self))[rows]
        each = [self.tokens[self.bounds[row] : self.bounds[row + 1]].tolist() for row in chosen]
        return Replies.of(each, self.texts[chosen].tolist(), self.given[chosen])

    def among(self, rows: np.ndarray, given: np.ndarray) -> Replies:
        """The same as answers to some of n prompts, beside what is known of the answers `given` to all of them, (n, 2)."""
        tokens, texts = [list[int]() for _ in given], ["" for _ in given]
        for place, row in enumerate(rows):
            tokens[row] = self.tokens[self.bounds[place] : self.bounds[place + 1]].tolist()
            texts[row] = str(self.texts[place])
        return Replies.of(tokens, texts, given)

    @property
    def written(self) -> np.ndarray:
        """Which of them were asked for, bool (n,)."""
        import numpy as np

        return np.diff(self.bounds) > 0

    @classmethod
    def of(cls, tokens: Sequence[Sequence[int]], texts: Sequence[str], given: np.ndarray | None = None) -> Replies:
        """Replies given one by one."""
        import numpy as np

        bounds = np.cumsum([0, *map(len, tokens)]).astype(np.int64)
        flat = np.array([token for one in tokens for token in one], dtype=np.int64)
        said = np.array(list(texts), dtype=np.dtypes.StringDType())
        return cls(flat, bounds, said, np.zeros((len(said), 2)) if given is None else given)


def joined(parts: Sequence[Any]) -> Any:
    """Logits, or targets, of several groups of rows one behind the other."""
    import numpy as np

    if not isinstance(parts[0], Tokens):
        return np.concatenate(parts)
    ends = np.cumsum([0, *(part.bounds[-1] for part in parts)])
    bounds = [part.bounds[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
    flat, places = (np.concatenate([getattr(part, name) for part in parts]) for name in ("flat", "places"))
    return Tokens(flat, np.concatenate([[0], *bounds]).astype(np.int64), places)


def arrays(value: Any) -> dict[str, np.ndarray]:
    """Logits, or targets, as plain arrays that a file can hold; `of_arrays` reads them back."""
    import numpy as np

    if isinstance(value, Tokens):
        return {"flat": value.flat, "bounds": value.bounds, "places": value.places}
    if value.dtype != object:
        return {"": np.ascontiguousarray(value)}
    spans = np.array([span.key for row in value for span in row], dtype=np.int64).reshape(-1, 3)
    return {"spans": spans, "bounds": np.cumsum([0, *map(len, value)]).astype(np.int64)}


def of_arrays(found: Mapping[str, np.ndarray]) -> Any:
    """What `arrays` was given."""
    if "" in found:
        return found[""]
    if "flat" in found:
        return Tokens(found["flat"], found["bounds"], found["places"])
    spans, bounds = found["spans"].tolist(), found["bounds"].tolist()
    rows = [tuple(Span(*span) for span in spans[start:end]) for start, end in pairwise(bounds)]
    return spanned(rows)


def spanned(rows: Sequence[Sequence[Span]]) -> np.ndarray:
    """The spans of n texts as an array of tuples, object (n,)."""
    import numpy as np

    found = np.empty(len(rows), dtype=object)
    for row, spans in enumerate(rows):
        found[row] = tuple(spans)
    return found


@dataclass(frozen=True)
class Calibration:
    """What turns logits into decisions; lives with the model, fitted by `adapt`, refitted by `compress`, never by `evaluate`.

    Attributes:
        temperature: logits are divided by it (Guo et al. 2017).
        threshold: answers whose probability is below it are handed to a person; 0 never abstains.
        thresholds: one for each label instead, where they were asked for.
        slopes, biases: of each label's logit, before the division, where one number was not enough.
        steps, levels: a monotone curve that probabilities are bent by after it, where that was better; of spans, their own.
        leans: of each label, added to the logarithm of its probability before one is chosen, where a policy asked for it.
        cut: with any number of labels, those at least this probable are given.
        shift, scale: a number is shift + scale * logit, the mean and the deviation of the training rows.
        spread: a number's interval reaches this far to either side and holds nine in ten (split conformal).
    """

    temperature: float = 1.0
    threshold: float = 0.0
    thresholds: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    biases: tuple[float, ...] = ()
    steps: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    leans: tuple[float, ...] = ()
    cut: float = 0.5
    shift: float = 0.0
    scale: float = 1.0
    spread: float = 0.0

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Calibration:
        """The calibration of its JSON form."""
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: temperature and threshold always, the rest where it says something."""
        usual = {one.name: one.default for one in fields(self)}
        always = ("temperature", "threshold")
        told = {name: value for name, value in self.__dict__.items() if name in always or value != usual[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


@dataclass(frozen=True)
class Outputs:
    """Answers for n rows.

    Attributes:
        logits: uncalibrated, float32 (n, outputs), `Tokens` where spans are asked for, or `Replies` where words are.
        probabilities: calibrated, float64 (n, outputs); (n, 0) for numbers and words; `Tokens` where spans are asked for.
        choice: the answer in the form of the task's targets: index of the chosen label, int64 (n,); which labels are given,
            bool (n, outputs); the number, float64 (n,); a tuple of `Span` a row, object (n,); or what was written, texts (n,).
        confidence: probability of the chosen label, or of the label or span least sure to be rightly given or left out,
            float64 (n,); NaN for numbers and words.
        abstain: True where a person should answer, bool (n,).
        low, high: the interval around a number that holds nine in ten, float64 (n,); None for labels.
    """

    logits: Any
    probabilities: Any
    choice: np.ndarray
    confidence: np.ndarray
    abstain: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def rows(self, rows: np.ndarray | slice) -> Outputs:
        """The answers for some of the rows."""
        taken: dict[str, Any] = {name: None if array is None else array[rows] for name, array in vars(self).items()}
        return Outputs(**taken)
