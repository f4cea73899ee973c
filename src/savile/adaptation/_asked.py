"""What settings ask for: which of them belong to the method, to the loop and to the network, and what a family can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from savile.adaptation._documents import HOPS
from savile.base import catalogue
from savile.base.errors import InputError, UnknownNameError

BESIDE = ("value", "fair")  # settings of what is done with answers


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


@dataclass(frozen=True)
class Shape:
    """Settings of the network itself: texts are cut to `max_length` tokens, and read with the `facts` of a file on the things
    they name, so many `hops` from them (see `_documents.known_facts`).
    """

    max_length: int = 256
    facts: str = ""
    hops: int = HOPS


def split(settings: Mapping[str, Any], kinds: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], Any]:
    """Settings by the kind that has a field of that name, and ``value``."""
    owner = {field.name: kind for kind in kinds for field in fields(kinds[kind])}
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, setting in settings.items():
        if name in BESIDE:
            continue
        if name not in owner:
            raise UnknownNameError("setting", name, [*owner, *BESIDE])
        found[owner[name]][name] = setting
    return found, settings.get("value")
