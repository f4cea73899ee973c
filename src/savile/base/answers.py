"""What is right in a row, and what kind of answer that is: one label, any number of labels, a number, or spans of the text.

A task may say itself how the values of a label column are read (`labels`, `targets`, see `savile.base.contracts.Task`); tasks
that do not have one label a row. The kind shows in the targets: int64 (n,), float32 (n, L), float64 (n,), or object (n,), a
tuple of spans (`savile.base.outputs.Span`) a row; texts (n,) are answers in words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from savile.base import catalogue

if TYPE_CHECKING:
    import numpy as np

    from savile.base.contracts import Inputs, Loss

NEXT: Loss = "next_token"  # loss of answers in words

PAIR = " \u241e "  # between the two texts of a row that has two
TURN = re.compile(r"^(user|assistant): ", re.MULTILINE)  # what begins a turn of a conversation
BINS = 10  # numbers are divided evenly by tenths


def in_words(task: str) -> bool:
    """Whether a task is answered in words, and not by label, number, span or vector; data without a task is not."""
    return bool(task) and bool(catalogue.get("tasks", task).head(1).loss == NEXT)


def labels(task: str, values: Sequence[Any]) -> tuple[str, ...]:
    """The labels behind the values of a label column."""
    own: Callable[[Sequence[Any]], tuple[str, ...]] | None = getattr(catalogue.get("tasks", task), "labels", None)
    return own(values) if own else tuple(sorted({str(value) for value in values}))


def targets(
    task: str, values: Sequence[Any], labels: Sequence[str], texts: Callable[[], Sequence[str]] | None = None
) -> np.ndarray:
    """What is right in each of n rows: int64 (n,), float32 (n, L), float64 (n,) or object (n,); float64 (n, 3) of vectors,
    where `texts` gives the rows as a model reads them.
    """
    import numpy as np

    paired: Callable[..., np.ndarray] | None = getattr(catalogue.get("tasks", task), "paired", None)
    if paired and texts is not None:
        return paired(values, texts())
    own: Callable[[Sequence[Any], Sequence[str]], np.ndarray] | None = getattr(catalogue.get("tasks", task), "targets", None)
    if own:
        return own(values, labels)
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index[str(value)] for value in values], dtype=np.int64)


def shares(cells: Sequence[Any], targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Cells with shares as JSON, such as ``{"refund": 0.7, "login": 0.3}``, as float32 (n, L); the target alone where empty."""
    import json

    import numpy as np

    index = {label: i for i, label in enumerate(labels)}
    found: np.ndarray = np.eye(len(labels), dtype=np.float32)[targets]
    for row, cell in enumerate(cells):
        said = {index[name]: share for name, share in json.loads(cell).items() if name in index} if cell else {}
        if sum(said.values()) > 0:
            found[row] = 0.0
            found[row, list(said)] = np.array(list(said.values())) / sum(said.values())
    return found


def pair(first: str, second: str) -> str:
    """Two texts in one; the sign between them is one that texts do not have."""
    sign = PAIR.strip()
    return PAIR.join(" ".join(text.replace(sign, " ").split(" ")) for text in (str(first), str(second)))


def parted(text: str) -> tuple[str, str]:
    """What `pair` joined; of a single text, the second is empty."""
    first, _, second = text.partition(PAIR)
    return first, second


def conversation(turns: Sequence[tuple[str, str]]) -> str:
    """Turns as (role, text) -> one text, a role before each; a lone question stands without its role."""
    return turns[0][1] if len(turns) == 1 else "\n".join(f"{role}: {text}" for role, text in turns)


def turns(prompt: str) -> list[tuple[str, str]]:
    """What `conversation` joined, where a user asks, is answered, and asks again; of any other text, that text as asked."""
    _, *parts = TURN.split(prompt) if TURN.match(prompt) else [""]
    found = [(role, text.strip()) for role, text in zip(parts[::2], parts[1::2], strict=True)]
    roles = [role for role, _ in found]
    alternate = len(roles) % 2 == 1 and roles == [("user", "assistant")[place % 2] for place in range(len(roles))]
    return found if len(roles) > 1 and alternate else [("user", prompt)]


def compared(text: str) -> str:
    """Two texts in one -> a text of the words ``shared`` and ``apart``, as often as their words or pairs of characters are.

    What families that count words read instead of the pair. A single text is left as it is.
    """
    if PAIR not in text:
        return text
    one, other = (Counter(pieces(part)) for part in parted(text))
    shared, apart = (one & other).total(), ((one - other) + (other - one)).total()
    return " ".join(["shared"] * shared + ["apart"] * apart)


def pieces(text: str) -> list[str]:
    """Words in lower case, or pairs of characters where there are no spaces."""
    words = text.casefold().split()
    return words if len(words) > 1 else [text[i : i + 2] for i in range(len(text) - 1)]


def strata(targets: np.ndarray) -> np.ndarray:
    """Targets -> a class of each row, int64 (n,), to divide rows by: the label, the rarest label given, or the tenth."""
    import numpy as np

    if targets.dtype == object:
        targets = given_labels(targets)
    if targets.dtype.kind == "T":  # of words there are no classes
        return np.zeros(len(targets), dtype=np.int64)
    if targets.ndim == 2:
        given, rarity = targets > 0, targets.sum(axis=0)
        order = np.where(given, rarity, np.inf)
        rarest: np.ndarray = np.where(given.any(axis=1), order.argmin(axis=1), targets.shape[1])
        return rarest
    if targets.dtype.kind == "f":
        edges = np.unique(np.quantile(targets, np.linspace(0, 1, BINS + 1)[1:-1])) if len(targets) else targets
        return np.searchsorted(edges, targets, side="right").astype(np.int64)
    return targets


def given_labels(spans: np.ndarray, width: int = 0) -> np.ndarray:
    """Spans of n texts, object (n,) -> 1 where a text has a span of a label, float32 (n, at least `width`)."""
    import numpy as np

    pairs = np.array([(row, span.label) for row, found in enumerate(spans) for span in found], dtype=np.int64).reshape(-1, 2)
    given = np.zeros((len(spans), max(width, int(pairs[:, 1].max(initial=-1)) + 1)), dtype=np.float32)
    given[pairs[:, 0], pairs[:, 1]] = 1.0
    return given


def take(inputs: Inputs, rows: Sequence[int] | np.ndarray) -> Inputs:
    """Some of the rows of what a model is asked."""
    return [inputs[row] for row in rows] if isinstance(inputs, list | tuple) else inputs.take(rows)  # type: ignore[union-attr]


def drawn(targets: np.ndarray, most: int, seed: int) -> np.ndarray:
    """About `most` row numbers in order, at random; where a row has one label, the same share of each and at least one."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(targets))
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        return np.sort(order[:most])
    share = most / len(targets)
    labels, counts = np.unique(targets, return_counts=True)
    wanted = dict(zip(labels.tolist(), np.maximum(1, np.floor(counts * share)).astype(int).tolist(), strict=True))
    rows = [order[targets[order] == label][: wanted[label]] for label in wanted]
    return np.sort(np.concatenate(rows))
