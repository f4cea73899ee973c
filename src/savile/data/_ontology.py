"""A label ontology: which names mean the same, what is a kind of what, and what each label is about.

labels:
  refund:   {same: [refunds, money back], is_a: payments, about: money that was paid comes back}
  payments: {about: [what was paid, and how]}
into: [payments, delivery]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from savile.base.errors import InputError, nearest
from savile.base.recipe import SECTION


@dataclass(frozen=True)
class Concept:
    """One label: other names of it, what it is a kind of, and sentences on what it is about."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    same: tuple[str, ...] = ()
    is_a: str | None = None
    about: tuple[str, ...] | str = ()


@dataclass(frozen=True)
class Ontology:
    """Labels by name, and those to answer with; every label stands for itself where none are named."""

    labels: Mapping[str, Concept]
    into: tuple[str, ...] = ()

    def concept(self, name: str) -> str | None:
        """The label that a name stands for, None where it is not known; ``set:name`` comes before ``name``."""
        for asked in (name, name.partition(":")[2]):
            if asked in self.labels:
                return asked
            found = next((label for label, concept in self.labels.items() if asked and asked in concept.same), None)
            if found is not None:
                return found
        return None

    def above(self, label: str) -> list[str]:
        """The label and what it is a kind of, step by step."""
        found: list[str] = []
        step: str | None = label
        while step is not None and step not in found:
            found.append(step)
            step = self.labels[step].is_a if step in self.labels else None
        return found

    def answer(self, name: str) -> str | None:
        """What a label of the data is answered with: the nearest of `into` above it; None where nothing is."""
        label = self.concept(name)
        if label is None:
            return None
        return label if not self.into else next((one for one in self.above(label) if one in self.into), None)

    def describe(self, label: str) -> list[str]:
        """Sentences on a label: its own, and its name beside each of what it is a kind of."""
        concept = self.labels[label]
        own = [concept.about] if isinstance(concept.about, str) else list(concept.about)
        parents = [about for parent in self.above(label)[1:] for about in self._own(parent)]
        return [*own, *(f"{words(label)}: {about}" for about in parents)] or [words(label)]

    def _own(self, label: str) -> Sequence[str]:
        about = self.labels[label].about if label in self.labels else ()
        return (about,) if isinstance(about, str) else about


def checked(labels: Mapping[str, Concept], into: Sequence[str]) -> Ontology:
    """The ontology of what a step was given.

    Raises:
        InputError: a label to answer with, or one that another is a kind of, is not described; or labels are kinds of each
            other in a circle.
    """
    found = Ontology(labels, tuple(into))
    for label in (*into, *(one.is_a for one in labels.values() if one.is_a is not None)):
        if label not in labels:
            guess = nearest(label, list(labels))
            do = f"Did you mean {guess!r}?" if guess else "Add it under labels, if only as {}."
            raise InputError(f"a label among {', '.join(list(labels)[:12])}", repr(label), do)
    for label in labels:
        last = found.above(label)[-1]
        if labels[last].is_a is not None:
            raise InputError(
                "an ontology without circles", f"{label!r} is a kind of itself", "Take out one is_a of the circle."
            )
    return found


def words(label: str) -> str:
    """A label's name as words."""
    return label.replace("_", " ").replace("-", " ").strip()
