"""Texts in other words as more rows to learn from; each way is measured on rows the models did not see, and kept if it helps.

Made rows are only ever learnt from, and stay with the row they come from, so that neither judges the other. What is nearly a
test row is thrown away. Every way tried is told of with what it changed, whether it is kept or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from savile.base import mask
from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.page import Page
from savile.base.recipe import SECTION
from savile.base.records import Dataset
from savile.data import _endpoint, _held_out, _made, _rewrite, _similar
from savile.data._draft import Draft, counted, finding
from savile.data.dedup import normal

AFTER = "splits"
LONGEST = 256  # tokens of a text said otherwise
ASKING = ("paraphrase", "back_translation")


@dataclass(frozen=True)
class Settings:
    """How texts are said otherwise.

    Attributes:
        ways: to try, one after the other.
        synonyms: word -> words that may stand for it; learnt from the texts when left out.
        url: endpoint that speaks OpenAI's chat completions, for paraphrase and back_translation; empty to ask `base`.
        model: name of the model there.
        key: environment variable with the API key.
        base: causal language model on this machine.
        through: language that back_translation goes through.
        own: language of the texts.
        most: rows that are said otherwise, those of the rarest labels first.
        encoder: base whose embeddings are looked at beside words while measuring; ``words`` for none.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    ways: tuple[Literal["noise", "synonyms", "paraphrase", "back_translation"], ...] = ("noise", "synonyms")
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    url: str = ""
    model: str = "default"
    key: str = ""
    base: str = ""
    through: str = "German"
    own: str = "English"
    most: Annotated[int, Field(ge=1)] = 2_000
    encoder: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Made:
    """Rows one way made: the row each is from, int64 (k,), and its text."""

    sources: np.ndarray
    texts: list[str]


def apply(draft: Draft, settings: Settings) -> Draft:
    """Try every way, and add the rows of those that help together.

    Raises:
        InputError: rows without a text and one label each, or a way that has nobody to ask.
        MachineError: the endpoint does not answer.
    """
    if not draft.one_label or "text" not in draft.roles:
        raise InputError("rows with a text and one label each", f"the task {draft.task}", "Leave data.steps.augment out.")
    sources = _sources(draft, settings)
    texts = draft.values("text")
    made = {way: _made_by(draft, texts, sources, rewrite, settings) for way, rewrite in _ways(draft, settings).items()}
    effects, kept = _measured(draft, texts, made, settings)
    outcome = {
        "ways": [
            {
                "way": way,
                "rows": len(made[way].texts),
                "effect": effects[way].told(),
                "gain": _gain(effects[way]),
                "kept": way in kept,
            }
            for way in made
        ],
        "added": sum(len(made[way].texts) for way in kept),
        "effect": effects[" and ".join(kept)].told() if kept else "",
    }
    tell(outcome)
    for way in kept:
        draft = _made.appended(draft, made[way].sources, made[way].texts, f"augment: {way}")
    if kept:
        rows = np.arange(draft.table.num_rows - outcome["added"], draft.table.num_rows)
        said = (
            f"{counted(len(rows), 'row')} made by {' and '.join(kept)}, learnt from and never judged by: {outcome['effect']}."
        )
        draft = draft.noting(finding("augmented", "note", rows, said))
    return draft.telling("augment", outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """Say what every way changed."""
    rows = [[one["way"], f"{one['rows']:,}", one["effect"], "kept" if one["kept"] else "left out"] for one in outcome["ways"]]
    emit("table", title="Texts in other words", head=["Way", "Rows", "Right answers to rows not seen", ""], rows=rows)
    emit("note", text=verdict(outcome))


def verdict(outcome: Mapping[str, Any]) -> str:
    """What came of it, in a sentence."""
    if not outcome["added"]:
        return "Augmentation: no way helped on rows the models did not see, so nothing was added."
    kept = " and ".join(one["way"] for one in outcome["ways"] if one["kept"])
    return f"Augmentation: {outcome['added']:,} rows added by {kept}; {outcome['effect']}."


def section(page: Page, data: Dataset, outcome: Mapping[str, Any]) -> None:
    """What every way changed."""
    page.heading("Texts in other words")
    page.text(verdict(outcome))
    rows = [[one["way"], f"{one['rows']:,}", one["effect"], "kept" if one["kept"] else "left out"] for one in outcome["ways"]]
    page.table(["Way", "Rows", "Right answers to rows not seen", ""], rows)


def _gain(effect: _made.Effect) -> float:
    return round(effect.after - effect.before, 4)


def _sources(draft: Draft, settings: Settings) -> np.ndarray:
    """Rows to be said otherwise: of each label the same number as far as there are, those of rare labels first."""
    rows = np.random.default_rng(settings.seed).permutation(draft.parts["train"])
    labels = np.unique(np.array(draft.values("label"))[rows], return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(labels))[:-1]])
    turn = np.empty(len(rows), dtype=np.int64)
    turn[order] = np.arange(len(rows)) - starts[labels[order]]
    return np.sort(rows[np.argsort(turn, kind="stable")][: settings.most])


def _ways(draft: Draft, settings: Settings) -> dict[str, _rewrite.Rewrite]:
    found: dict[str, _rewrite.Rewrite] = {}
    for way in dict.fromkeys(settings.ways):
        if way == "noise":
            found[way] = _rewrite.slips
        elif way == "synonyms":
            texts = draft.values("text")
            known = dict(settings.synonyms) or _rewrite.learned([texts[row] for row in draft.parts["train"]])
            found[way] = _rewrite.swapping(known)
        else:
            through = settings.through if way == "back_translation" else ""
            found[way] = _rewrite.asking(_sayer(settings), through, settings.own)
    return found


def _sayer(settings: Settings) -> Callable[[Sequence[str]], Sequence[str]]:
    """Who answers prompts: an endpoint, or a model of this machine."""
    if not (settings.url or settings.base):
        do = "Name one: data.steps.augment.url, or data.steps.augment.base."
        raise InputError(f"an endpoint or a base for {' and '.join(ASKING)}", "neither", do)
    if settings.url:
        endpoint = _endpoint.Endpoint(settings.url, settings.model, settings.key, tokens=LONGEST)
        masker = mask.Masker(mask.policy(None))
        return lambda prompts: [_endpoint.said(one) for one in endpoint.ask([masker(prompt) for prompt in prompts])]
    from savile.models._writer import Writer

    writer = Writer(settings.base, instruction="Do what the message asks for.")
    return lambda prompts: writer.reply(prompts)


def _made_by(draft: Draft, texts: Sequence[str], sources: np.ndarray, rewrite: _rewrite.Rewrite, settings: Settings) -> Made:
    """What a way makes of the source rows, without what is there already or nearly a row that is tested on."""
    new = rewrite([texts[row] for row in sources], np.random.default_rng(settings.seed))
    known = {normal(text) for text in texts}
    fresh = [(row, text) for row, text in zip(sources, new, strict=True) if normal(text) and normal(text) not in known]
    apart = [normal(texts[row]) for row in np.concatenate([draft.parts[name] for name in ("test", "valid", "calib")])]
    family = _similar.families([*apart, *(normal(text) for _, text in fresh)]).alike
    seen = set(family[: len(apart)].tolist())
    fresh = [one for one, group in zip(fresh, family[len(apart) :].tolist(), strict=True) if group not in seen]
    return Made(np.array([row for row, _ in fresh], dtype=np.int64), [text for _, text in fresh])


def _measured(
    draft: Draft, texts: Sequence[str], made: Mapping[str, Made], settings: Settings
) -> tuple[dict[str, _made.Effect], list[str]]:
    """The effect of each way and of those that are kept together, and which are kept: the best first, each if it adds."""
    labels = draft.values("label")
    rows = np.concatenate([draft.parts[name] for name in ("train", "valid", "calib")])
    names = {name: i for i, name in enumerate(sorted({labels[row] for row in rows}))}
    origin = np.concatenate([rows, *(one.sources for one in made.values())])
    whole = [*(texts[row] for row in rows), *(text for one in made.values() for text in one.texts)]
    number = np.array([names[labels[row]] for row in origin])
    ends = np.cumsum([len(rows), *(len(one.texts) for one in made.values())])
    of = {way: np.arange(ends[i], ends[i + 1]) for i, way in enumerate(made)}
    views = _held_out.of_texts(whole, number, len(names), _held_out.base_for(settings.encoder, whole))
    place = np.full(draft.table.num_rows, -1)
    place[rows] = np.arange(len(rows))

    def right(ways: Sequence[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for split in _made.splits(draft, settings.seed):
            emit("progress", stage="augment: measured", done=len(found), total=None)
            more = [of[way][np.isin(origin[of[way]], split.learnt)] for way in ways]
            learnt, judged = np.concatenate([place[split.learnt], *more]), place[split.judged]
            scores = _made.scores(views, learnt, number[learnt], judged)
            spread = [1.0 / max(float(np.std(one)), 1e-9) for one in scores]
            found.append(_made.chance(spread, scores).argmax(axis=1) == number[judged])
        return found

    before = right([])
    effects = {way: _made.effect(before, right([way])) for way in made}
    kept: list[str] = []
    for way in sorted(made, key=lambda one: -effects[one].after):
        together = effects[way] if not kept else _made.effect(before, right([*kept, way]))
        if together.after > (effects[" and ".join(kept)].after if kept else together.before):
            kept.append(way)
            effects[" and ".join(kept)] = together
    return effects, kept
