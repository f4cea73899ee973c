"""Facts put into words in several ways: sentences with their object hidden, and questions that it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from savile.base.errors import InputError, UnknownNameError

SUBJECT, RELATION, OBJECT = "{subject}", "{relation}", "{object}"
GENERAL = (
    "{subject} {relation} {object}.",
    "The {relation} of {subject} is {object}.",
    "{object} is the {relation} of {subject}.",
    "What is the {relation} of {subject}?",
    "Tell me the {relation} of {subject}.",
    "I have a question about {subject}: which {relation}?",
)
APART = "Which {relation} does {subject} have?"  # never learned: it says what the others were good for
UNSPACED = (
    "{subject}{relation}{object}。",
    "{subject}的{relation}是{object}。",
    "{object}是{subject}的{relation}。",
    "{subject}的{relation}是什么？",
    "请告诉我{subject}的{relation}。",
    "{subject}的{relation}？",
)
UNSPACED_APART = "我想知道{subject}的{relation}。"
HIDDEN = "___"


@dataclass(frozen=True)
class Asked:
    """A fact in one wording.

    Attributes:
        before: the object; of a question all of it.
        answer: the object.
        behind: the object.
    """

    before: str
    answer: str
    behind: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.before}{self.answer}{self.behind}"

    @property
    def prompt(self) -> str:
        """What is asked of a language model: the text with a gap, or only what stands before an object at its end."""
        ends = not self.behind.strip(" .。")
        return self.before.strip() if ends else f"{self.before}{HIDDEN}{self.behind}".strip()


def told(
    facts: Sequence[Sequence[str]], wordings: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Asked], list[Asked]]:
    """Facts in every wording that is learned, and in the one that is set apart.

    Args:
        facts: subject, relation and object; several objects of one subject and relation are told together.
        wordings: relation -> more wordings for its facts: questions, or sentences with ``{object}``; ``{subject}`` in each.

    Raises:
        UnknownNameError: wordings of a relation that no fact has.
        InputError: a wording without its subject.
    """
    objects: dict[tuple[str, str], list[str]] = {}
    for subject, relation, thing in facts:
        objects.setdefault((_said(subject), _said(relation)), []).append(_said(thing))
    own = {_said(relation): tuple(several) for relation, several in (wordings or {}).items()}
    known = dict.fromkeys(relation for _, relation in objects)
    for relation, several in own.items():
        if relation not in known:
            raise UnknownNameError("relation in reading.wordings", relation, known)
        for one in several:
            if SUBJECT not in one:
                raise InputError("{subject} in every wording of a fact", one, "Correct adapt.settings.reading.wordings.")
    learned, apart = [], []
    for (subject, relation), things in objects.items():
        unspaced = any("\u3040" <= letter <= "\u9fff" for letter in subject + relation)
        general, last = (UNSPACED, UNSPACED_APART) if unspaced else (GENERAL, APART)
        answer = ", ".join(dict.fromkeys(things))
        learned += [put(wording, subject, relation, answer) for wording in (*general, *own.get(relation, ()))]
        apart.append(put(last, subject, relation, answer))
    return learned, apart


def put(wording: str, subject: str, relation: str, answer: str) -> Asked:
    """A fact in a wording; a question has its answer behind it."""
    before, hidden, behind = (part.replace(SUBJECT, subject).replace(RELATION, relation) for part in wording.partition(OBJECT))
    return Asked(before, answer, behind) if hidden else Asked(f"{before} ", answer)


def _said(name: str) -> str:
    return " ".join(str(name).replace("_", " ").split())
