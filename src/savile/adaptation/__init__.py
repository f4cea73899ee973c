"""Adapt: make a model of a company's own from a base and its data.

In comes a `Dataset`; out goes a stored `Model` with its calibration and its threshold. One file is one method: it says what is
frozen and what is added to a base (`attach`), what learns (`parameters`), and how that is folded into the base again (`merge`);
training itself is `savile.models.fit`. ``model="linear"`` needs no base, and ``method="auto"`` tries the linear model, boosting
where there is a table, a new head on the frozen base and one tuned method, and keeps the one with the best validation score, or
the linear model and the best other one together. To add a method, add a file with these functions;
`savile.testing.check_method` holds it against the contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from savile.adaptation import _answered, _before, _search
from savile.adaptation._auto import BY_LANGUAGE, choose, chooses, language_base
from savile.adaptation._learners import Recipe
from savile.adaptation._library import alike, settled
from savile.adaptation._preference import Judged, Preference, PreferenceSettings, controlled, learn_answers, prefer
from savile.adaptation._pretrain import pretrained
from savile.adaptation._stage import EARLIER
from savile.adaptation._train import train
from savile.base import answers
from savile.base.records import Dataset, Model

if TYPE_CHECKING:
    from savile.adaptation._growth import Grown

__all__ = [
    "Judged",
    "Preference",
    "PreferenceSettings",
    "adapt",
    "alike",
    "controlled",
    "learn_answers",
    "prefer",
    "pretrained",
    "settled",
    "within",
]


def adapt(
    data: Dataset,
    model: str = "auto",
    method: str = "auto",
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Model:
    """Adapt a base to a data set and store the model; the same call on the same data returns what is stored already.

    Args:
        data: a governed data set; its test part is not read.
        model: a base (`minilm`, `use-m`, a folder or a hub id), ``auto`` for the one of the texts' language, or a family that
            needs none: ``linear`` for TF-IDF with a linear model; or a stored model (``model@…``), which goes on learning from
            the newest stage of the data by the method it was made with.
        method: a method of the catalogue, ``auto``, or ``search``, which tries methods and settings by Optuna.
        minutes: budget for all of it; None trains as long as the method likes.
        settings: settings of the method and of the training loop by name, and ``value`` (of an item answered ``right``,
            ``wrong`` or by a ``person``), which sets the threshold below which a person is asked. Of a stored model also
            ``keep``: the way it keeps what it knew, or a mapping of ``by`` and that way's settings. ``documents``, a file or
            folder that the base reads first, and how: ``reading``. ``ensemble``: how many networks teach the one that is kept;
            ``teacher``: a stored model that does, or a mapping of ``model``, ``column``, ``smooth`` and ``most``. For answers
            in words, ``instruction``: what stands before every prompt.
        seed: of shuffling, folds and dropout.

    Raises:
        UnknownNameError: no such base, method or setting.
        InputError: a setting that cannot be used, or data without rows to learn from.
    """
    own, rest = _before.asked(settings or {})
    if answers.in_words(data.task):
        model, method = _answered.settled(data.task, model, method, rest)
    model = language_base(data) if model == BY_LANGUAGE else model
    recipe = Recipe(_before.base(model, own), method, rest, seed, minutes)
    if method == _search.METHOD:
        return _search.search(data, recipe)
    return choose(data, recipe) if not model.startswith(EARLIER) and chooses(recipe) else train(data, recipe, minutes)


def within(data: Dataset, adapters: Sequence[str], base: str, max_mb: float | None = None, most: int | None = None) -> Grown:
    """Adapters shared and cut until they fit a budget, see `savile.adaptation._growth.within`.

    Args:
        data: of all adapters, a stage each, in their order.
        adapters: references of models made by ``lora``.
        base: what they are adapters of.
        max_mb: megabytes that all of them may take together.
        most: how many may be left.

    Raises:
        InputError: a budget that no adapter fits, or data that does not say whose its rows are.
    """
    from savile.adaptation import _growth

    return _growth.within(data, adapters, base, max_mb, most)
