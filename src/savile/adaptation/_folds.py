"""Small data: folds instead of validation and calibration parts, their models as one, names of labels as rows of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from savile.base import answers, outputs
from savile.base.records import Dataset

FOLDS = 5
MOST_JUDGED = 0.3  # of the rows, in one fold, for the models of all folds to be of one kind
Answered = tuple[Any, Any, dict[str, Any]]  # logits of the rows of a fold, what answered them, and notes
LOGITS, WEIGHT = "logits", "weight/"  # what names of tensors of a fold begin with


def few(data: Dataset) -> bool:
    """Whether out-of-fold answers take the place of validation and calibration parts."""
    return not (len(data.parts.get("valid", ())) and len(data.parts.get("calib", ())))


def together(data: Dataset) -> np.ndarray:
    """Training rows with one number must not be split between learning and judging, int64 (n,)."""
    rows = data.parts["train"]
    if data.units is not None:
        return np.asarray(data.units[rows])
    if "group" not in data.roles:
        return np.arange(len(rows))
    return np.unique([str(value) for value in data.column("group", "train")], return_inverse=True)[1]


def real(data: Dataset) -> np.ndarray:
    """Which training rows were given, bool (n,): those that a step made are learnt from and never judged by."""
    if "made" not in data.roles:
        return np.ones(len(data.parts["train"]), dtype=bool)
    return np.array([one is None for one in data.column("made", "train")])


def assign(targets: np.ndarray, together: np.ndarray, seed: int) -> np.ndarray:
    """The fold of each row, int64 (n,): labels or numbers spread evenly, and rows with one number in `together` never apart.

    A row is judged by a model that saw neither it nor a near copy of it. Only when all rows belong together they are divided.
    """
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(answers.strata(targets)[order], kind="stable")]
    _, first, unit = np.unique(together[order], return_index=True, return_inverse=True)
    if len(first) == 1:
        first = unit = np.arange(len(targets))
    place = np.argsort(np.argsort(first))  # units take their turn label by label, each where its first row stands
    number = np.empty(len(targets), dtype=np.int64)
    number[order] = (place % max(2, min(FOLDS, len(first))))[unit]
    return number


def leave_most(number: np.ndarray) -> bool:
    """Whether folds, int64 (n,), each leave most rows to learn from: where rows belong together one may take half of them."""
    return bool(np.bincount(number).max() <= MOST_JUDGED * len(number))


def packed(logits: Any, network: Any = None) -> dict[str, Any]:
    """The tensors of a fold that outlast a kill: its answers and, of a network, the weights that learned."""
    import torch

    tensors = {f"{LOGITS}{name}": torch.from_numpy(array) for name, array in outputs.arrays(logits).items()}
    learned = {} if network is None else {f"{WEIGHT}{name}": p.detach() for name, p in network.trainable()}
    return tensors | learned


def logits(tensors: Mapping[str, Any]) -> Any:
    """The answers among the tensors of a fold."""
    return outputs.of_arrays({k.removeprefix(LOGITS): one.numpy() for k, one in tensors.items() if k.startswith(LOGITS)})


class Joined:
    """Models of folds, which become one: the mean of their weights."""

    def __init__(self) -> None:
        from savile.models._soup import Mean

        self.mean, self.notes = Mean(), list[dict[str, Any]]()

    def add(self, tensors: Mapping[str, Any], notes: dict[str, Any]) -> None:
        """One more, as it was `packed`, and its notes."""
        self.mean.add({name.removeprefix(WEIGHT): one for name, one in tensors.items() if name.startswith(WEIGHT)})
        self.notes.append(notes)

    def into(self, network: Any) -> dict[str, Any]:
        """Leave the mean in a network with the same start; notes of all."""
        self.mean.into(network)
        summed = {name: sum(one[name] for one in self.notes) for name in ("steps", "tokens")}
        seconds = round(sum(one["fit_seconds"] for one in self.notes), 2)
        memory = max(one["memory_mb"] for one in self.notes)
        more = {"fit_seconds": seconds, "memory_mb": memory, "folds_joined": len(self.notes)}
        return {**self.notes[-1], **summed, **more}


def with_label_names(texts: Sequence[str], targets: np.ndarray, labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The rows and, for each label that is made of words, its name as one more row: a name is a description for free.

    Only where one label is asked for.
    """
    if targets.dtype.kind != "i":
        return list(texts), targets
    named = [(i, words) for i, words in enumerate(map(_words, labels)) if sum(map(str.isalpha, words)) >= 2]
    extra = np.array([i for i, _ in named], dtype=np.int64)
    return [*texts, *(words for _, words in named)], np.concatenate([targets, extra])


def _words(label: str) -> str:
    return label.replace("_", " ").replace("-", " ").replace("/", " ").strip()
