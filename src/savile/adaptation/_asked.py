"""What settings ask for: which of them belong to the method, to the loop and to the network, and what a family can read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from savile.adaptation._documents import HOPS
from savile.base import answers, catalogue
from savile.base.answers import NEXT
from savile.base.errors import InputError, UnknownNameError
from savile.base.recipe import fill
from savile.models._vectors import VECTOR

Kind = TypeVar("Kind")
BESIDE = ("value", "fair")  # settings of what is done with answers
WORTH = ("right", "wrong", "person", "accuracy", "per_label")  # keys of ``value``, see `savile.models._calibrate.calibrate`
SOLVED = (
    "class_weights",
    "keep_frozen",
    "minutes",
    "most_rows",
    "precision",
    "seed",
    "strength",
    "workers",
)  # heeded by a head
LEAST_LENGTH = 4  # tokens: two that frame a text, and some of it


def reads_pairs(plugin: Any, family: str, task: str) -> bool:
    """Whether rows are of two texts.

    Raises:
        InputError: they are, and the family reads one.
    """
    pairs: bool = getattr(catalogue.get("tasks", task), "PAIRS", False)
    if pairs and not getattr(plugin, "PAIRS", False):
        do = "Use minilm, use-m, a BERT-like base of your own, or linear."
        raise InputError(f"a family that reads two texts, for the task {task}", f"{family}, which does not", do)
    return pairs


def can_write(plugin: Any, family: str, task: str) -> None:
    """Nothing, where a family does what a task asks.

    Raises:
        InputError: the task asks for words, and the family has none of its own.
    """
    if answers.in_words(task) and not getattr(plugin, "WRITES", False):
        do = "Use smollm2, or a causal language model of your own."
        raise InputError(f"a family that writes, for the task {task}", f"{family}, which does not", do)


@dataclass(frozen=True)
class Shape:
    """Settings of the network itself: texts are cut to `max_length` tokens, and read with the `facts` of a file on the things
    they name, so many `hops` from them (see `_documents.known_facts`); `instruction` stands before prompts that are answered in
    words.
    """

    max_length: int = 256
    facts: str = ""
    hops: int = HOPS
    instruction: str = ""

    def __post_init__(self) -> None:
        if self.max_length < LEAST_LENGTH:
            do = "Raise adapt.settings.max_length."
            raise InputError(f"texts of {LEAST_LENGTH} tokens or more", f"max_length {self.max_length}", do)


def taken() -> frozenset[str]:
    """Names in settings that no method may use: those of the loop, of the network, and of what is done with answers."""
    from savile.models import FitSettings

    return frozenset((*(field.name for kind in (FitSettings, Shape) for field in fields(kind)), *BESIDE))


def split(settings: Mapping[str, Any], kinds: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], Any]:
    """Settings by the kind that has a field of that name, and ``value``."""
    owner = {field.name: kind for kind in kinds for field in fields(kinds[kind])}
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, setting in settings.items():
        if name in BESIDE:
            if not isinstance(setting, Mapping | None):
                raise InputError(f"adapt.settings.{name} with keys and values", repr(setting), "Write it as {key: value}.")
            for key in setting or {} if name == "value" else ():
                if key not in WORTH:
                    raise UnknownNameError("key of adapt.settings.value", key, WORTH)
            continue
        if name not in owner:
            raise UnknownNameError("setting", name, [*owner, *BESIDE])
        found[owner[name]][name] = setting
    return found, settings.get("value")


def unheeded(asked: Collection[str], loss: str, solved: bool, held: bool) -> list[str]:
    """Which settings of the loop that were asked for change nothing.

    Args:
        asked: their names.
        loss: of the task.
        solved: whether the head alone learns, to its minimum and in no steps.
        held: whether there are validation rows.
    """
    idle = set(asked) - set(SOLVED) if solved else {"strength"}
    idle |= set() if loss == VECTOR else {"sizes", "temperature"}
    idle |= {"class_weights", "label_smoothing"} if loss in ("squared_error", VECTOR, NEXT) else set()
    idle |= {"rdrop"} if loss in (VECTOR, NEXT) else set()
    idle |= set() if held else {"patience", "evaluations"}
    return sorted(idle & set(asked))


def filled(kind: type[Kind], chosen: Mapping[str, Any], inside: str = "") -> Kind:
    """Settings of one kind by name, each of the type, and among the words, that its field takes.

    Args:
        kind: the dataclass.
        chosen: names that it has.
        inside: the setting that they are within, where they are within one.

    Raises:
        RecipeError: a value is of another type, or is none of the words.
        InputError: a number is out of its range.
    """
    return fill(kind, chosen, f"adapt.settings.{inside}" if inside else "adapt.settings")
