"""What answers people prefer: DPO, KTO, several goals at once, and asking for a score in words.

DPO: Rafailov et al., NeurIPS 2023. KTO: Ethayarajh et al., ICML 2024. MODPO: Zhou et al., ACL Findings 2024, which takes the
margins of the other goals out of the preference, so that with the whole weight on the first goal it is DPO. Control words:
Guo et al., EMNLP 2024, whose first stage learns answers behind the scores they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.errors import InputError, UnknownNameError
from savile.base.recipe import fill

if TYPE_CHECKING:
    import torch

    from savile.models._answers import Written
    from savile.models._settings import FitSettings
    from savile.models._writer import Writer

LEAST_WEIGHT = 0.1  # of the first goal: the loss is divided by it
LOOP = (  # settings that the loop for losses of their own heeds, see `savile.models._fit_language`
    *("epochs", "steps", "least_steps", "learning_rate", "optimizer", "schedule", "warmup", "weight_decay", "dropout"),
    *("batch_rows", "batch_tokens", "clip", "precision", "seed"),
)
USUAL: Mapping[str, Any] = {"learning_rate": 5e-4, "epochs": 1.0, "batch_rows": 8}  # of preferences


@dataclass(frozen=True)
class Preference:
    """Two answers to a prompt.

    Attributes:
        prompt: what was asked.
        chosen: the answer that was preferred for the first goal.
        rejected: the other one.
        margins: for each further goal, by how much the chosen answer scores better than the other.
    """

    prompt: str
    chosen: str
    rejected: str
    margins: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judged:
    """An answer that somebody found good, or not."""

    prompt: str
    answer: str
    good: bool


@dataclass(frozen=True)
class PreferenceSettings:
    """How preferences are learned.

    Attributes:
        beta: how hard it is to move away from the model one started with.
        weights: of the goals, the first of them that of the preference itself; they sum to 1.
        good, bad: weight of good and bad answers, for `Judged`.
        fit: settings of the training loop by name, among `LOOP`; others are as in `USUAL`.
    """

    beta: float = 0.1
    weights: tuple[float, ...] = (1.0,)
    good: float = 1.0
    bad: float = 1.0
    fit: Mapping[str, Any] = field(default_factory=dict)


def prefer(writer: Writer, rows: Sequence[Preference] | Sequence[Judged], settings: PreferenceSettings | None = None) -> Any:
    """Move a writer towards preferred answers: by pairs (DPO; with margins and weights MODPO) or by single judgements (KTO).

    The model one starts with is asked once, before the first step, and not kept.

    Args:
        writer: see `savile.models._writer.Writer`; it is changed.
        rows: all of one kind.
        settings: how.

    Returns:
        What training did, `savile.models._settings.Fitted`.

    Raises:
        InputError: no rows, rows of two kinds, margins of other goals in some of them, or weights that do not fit the margins.
        UnknownNameError: a setting that the loop has not.
    """
    from savile.models._fit_language import fit_language

    settings = settings or PreferenceSettings()
    fit, kind = _loop(settings.fit, USUAL), {type(row) for row in rows}
    if kind not in ({Preference}, {Judged}):
        received = f"{len(rows)} rows of {', '.join(sorted(one.__name__ for one in kind)) or 'no kind'}"
        raise InputError("preferences, or judgements, at least one", received, "Give rows of one kind, Preference or Judged.")
    loss, *lengths = (_paired if kind == {Preference} else _single)(writer, list(rows), settings)  # type: ignore[arg-type]
    return fit_language(writer.network, lengths[0], loss, fit, by=lengths[1])


def _loop(given: Mapping[str, Any], usual: Mapping[str, Any]) -> FitSettings:
    """Settings of the training loop.

    Raises:
        UnknownNameError: one that this loop does not heed.
        RecipeError: a value of another type, or none of the words.
    """
    from savile.models._settings import FitSettings

    for name in given:
        if name not in LOOP:
            raise UnknownNameError("setting of learning answers", name, LOOP)
    return fill(FitSettings, {**usual, **given}, "fit")


def _paired(writer: Writer, rows: Sequence[Preference], settings: PreferenceSettings) -> tuple[Any, np.ndarray, np.ndarray]:
    import torch

    weights = _weights(rows, settings)
    sides = [writer.rows([row.prompt for row in rows], [getattr(row, name) for row in rows]) for name in ("chosen", "rejected")]
    before = [torch.from_numpy(writer.total(side)) for side in sides]
    margins = torch.tensor([row.margins for row in rows], dtype=torch.float64).reshape(len(rows), -1)

    def loss(chosen: np.ndarray) -> torch.Tensor:
        moved = [writer.logprobs(side, chosen)[0].sum(1) - was[chosen] for side, was in zip(sides, before, strict=True)]
        return pair_loss(moved[0], moved[1], settings.beta, weights, margins[chosen])

    return loss, sides[0].lengths + sides[1].lengths, sides[0].prompts.lengths


def pair_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, beta: float, weights: Sequence[float], margins: torch.Tensor
) -> torch.Tensor:
    """Mean loss of MODPO, which is that of DPO for the weights (1,) or (1, 0, …).

    Args:
        chosen: log-probability of the chosen answer minus that before training, (n,).
        rejected: the same of the other answer.
        beta: how hard it is to move.
        weights: of the goals, (g,).
        margins: of the goals behind the first, (n, g - 1).
    """
    import torch

    others = torch.tensor(list(weights[1:]), dtype=torch.float64)
    wanted = beta * (chosen - rejected) - (margins[:, : len(others)] @ others)
    return -torch.nn.functional.logsigmoid(wanted / weights[0]).mean()


def _single(writer: Writer, rows: Sequence[Judged], settings: PreferenceSettings) -> tuple[Any, np.ndarray, np.ndarray]:
    import torch

    prompts, answers = [row.prompt for row in rows], [row.answer for row in rows]
    own = writer.rows(prompts, answers)
    # an answer to another prompt says how far the model has moved as a whole
    other = writer.rows(prompts, [*answers[1:], answers[0]])
    before, before_other = (torch.from_numpy(writer.total(one)) for one in (own, other))
    good = torch.tensor([row.good for row in rows])

    def loss(chosen: np.ndarray) -> torch.Tensor:
        moved = settings.beta * (writer.logprobs(own, chosen)[0].sum(1) - before[chosen])
        with torch.no_grad():
            drift = settings.beta * (writer.logprobs(other, chosen)[0].sum(1) - before_other[chosen]).mean().clamp(min=0)
        return judged_loss(moved, drift, good[chosen], (settings.good, settings.bad))

    return loss, own.lengths, own.prompts.lengths


def judged_loss(moved: torch.Tensor, drift: torch.Tensor, good: torch.Tensor, weights: tuple[float, float]) -> torch.Tensor:
    """Mean loss of KTO.

    Args:
        moved: beta times the log-probability of an answer minus that before training, (n,).
        drift: the same, no less than 0, of answers to other prompts, one number.
        good: whether the answer was found good, bool (n,).
        weights: of good and of bad answers.
    """
    import torch

    value = torch.where(good, weights[0] * torch.sigmoid(moved - drift), weights[1] * torch.sigmoid(drift - moved))
    return (torch.where(good, weights[0], weights[1]) - value).mean()


def _weights(rows: Sequence[Preference], settings: PreferenceSettings) -> tuple[float, ...]:
    several, weights = {len(row.margins) for row in rows}, settings.weights
    if len(several) > 1:
        received = f"from {min(several)} to {max(several)}"
        raise InputError("margins of the same goals in every preference", received, "Give each as many.")
    goals = 1 + several.pop()
    sound = abs(sum(weights) - 1) < 1e-6 and min(weights) >= 0 and weights[0] >= LEAST_WEIGHT and len(weights) <= goals
    if not sound:
        wanted = f"at most {goals} weights that sum to 1, the first at least {LEAST_WEIGHT}"
        raise InputError(wanted, str(weights), "Correct the weights, or give each preference the margins of every goal.")
    return weights


def controlled(prompt: str, scores: Mapping[str, int]) -> str:
    """A prompt that asks for scores, such as ``[helpful: 5] [brief: 3] …``; learned behind such words, they steer answers."""
    return " ".join([*(f"[{name}: {score}]" for name, score in scores.items()), prompt])


def learn_answers(writer: Writer, rows: Sequence[tuple[str, str]], fit: Mapping[str, Any] | None = None) -> Any:
    """Supervised tuning: prompts and the answers to give; only the tokens of answers are learned.

    Args:
        writer: see `savile.models._writer.Writer`; it is changed.
        rows: a prompt and its answer each.
        fit: settings of the training loop by name, among `LOOP`.

    Raises:
        InputError: no rows.
        UnknownNameError: a setting that the loop has not.
    """
    from savile.models._fit_language import fit_language

    chosen = _loop(fit or {}, {"learning_rate": 1e-3, "epochs": 2.0, "batch_rows": 16})
    written = writer.rows([prompt for prompt, _ in rows], [answer for _, answer in rows])
    # batches of answers of one length would teach that length to every prompt in turn: prompts alone bring rows together
    return fit_language(
        writer.network, written.lengths, lambda some: answer_loss(writer, written, some), chosen, by=written.prompts.lengths
    )


def answer_loss(writer: Writer, written: Written, rows: np.ndarray) -> torch.Tensor:
    """Mean over answer tokens of minus their log-probability."""
    from savile.models._answers import mean_loss

    return mean_loss(writer.network, written, rows)
