"""The one training loop: every stage that trains a torch network calls `fit`."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from savile.base import catalogue, machine
from savile.base.errors import InputError
from savile.base.events import emit
from savile.models import _checkpoint, _robust, _shards
from savile.models._head import best_strength, convex_head, row_loss, row_mass
from savile.models._network import TextEncoder
from savile.models._rows import shuffled_batches
from savile.models._settings import FitSettings, Fitted
from savile.models._soup import soup
from savile.models._source import NAMES, OWN, Rows, Score, Source, best_device
from savile.models._team import Team, team
from savile.models._within import within

PROBE_STEPS, PROBE_SHARE = 4, 0.05  # steps that are timed, and the share of a budget after which no more are
OTHER_MASKS = 2**32 + 15  # what each worker's seed of dropout is apart from the last one's


def fit(
    network: TextEncoder,
    train: Rows,
    settings: FitSettings | None = None,
    *,
    valid: Rows | None = None,
    checkpoint: Path | None = None,
    score: Score | None = None,
) -> Fitted:
    """Train whatever in `network` requires a gradient.

    Args:
        network: ready to train: a method has frozen and added what it wants.
        train: texts and targets, as `network.loss` reads them: label indices, int64 (n,), or shares of labels, float32 (n, L);
            0 and 1 a label, (n, L); numbers in standard units, (n,); or tuples of spans, object (n,).
        settings: how.
        valid: rows that choose the weights to keep; without them the last weights are kept.
        checkpoint: folder for checkpoints; a run that finds one there goes on from it, bit for bit. It is left there: whoever
            keeps what came out removes it.
        score: answers and targets, both in the form of the targets -> a number, higher is better; by default accuracy, and of
            other answers than one label the loss alone decides.

    Raises:
        InputError: nothing to learn from, or targets out of range.
    """
    settings = settings or FitSettings()
    if getattr(network, "speaks", False) and not any(True for _ in network.trainable()):
        return Fitted(0, 0.0, settings=settings)  # it is asked as it is
    _check(network, train)
    _robust.check(settings)
    if settings.runs > 1:
        more: dict[str, Any] = {"valid": valid, "score": score}
        return soup(network, settings, checkpoint, lambda one, folder: fit(network, train, one, checkpoint=folder, **more))
    us = team()
    # a head alone is solved for at once; vectors are compared with those of a whole batch, and so are tokens of answers
    apart = network.loss in OWN or (settings.keep_frozen and network.frozen_depth() == len(network.layers))
    if settings.sharded and not apart:
        _shards.check(network, settings)
    if settings.workers > us.size and not apart:
        from savile.models._together import fit_together

        return fit_together(network, train, settings, valid=valid, checkpoint=checkpoint, score=score)
    started = time.perf_counter()
    network.set_dropout(settings.dropout)
    network.to(best_device())
    try:
        with _shards.light(network, settings, us):
            train, settings = within(network, train, settings, checkpoint)
            getattr(getattr(network, "keeper", None), "meet", lambda *_: None)(train[0], settings.seed)
            rows = Source(network, train, settings)
            if rows.depth == len(network.layers):
                return _fit_head(network, rows, settings, started)
            held = Source(network, valid, settings, rows.depth) if valid is not None else None
            loop = _Loop(rows, settings, score or (_accuracy if network.loss == "cross_entropy" else _same), us)
            loop.valid = held
            return loop.run(checkpoint, started)
    finally:
        network.cpu()


class _Loop:
    """State of one training run."""

    def __init__(self, rows: Source, settings: FitSettings, score: Score, us: Team) -> None:
        network = rows.network
        self.network, self.rows, self.settings, self.score, self.team = network, rows, settings, score, us
        self.valid: Source | None = None
        self.answers = us.joined(rows)
        self.named = dict(network.trainable())
        self.optimizer = _optimizer(self.named, settings)
        weights = _class_weights(network, rows, settings)
        self.weights = None if weights is None else weights.to(network.device)
        self.step = self.tokens = self.stale = 0
        self.total = self.most = 0
        self.loss = math.nan
        self.history: list[dict[str, Any]] = []
        self.best: float | None = None
        self.best_key = (-math.inf, -math.inf)
        self.best_weights: dict[str, torch.Tensor] = {}
        self.average = None if settings.average == "last" else _robust.Average(self.named, settings)
        self.method: Any = catalogue.get("methods", network.method) if network.method else None
        watching = {"method": self.method, "keeper": getattr(network, "keeper", None)}
        self.watching = {name: one for name, one in watching.items() if one is not None}

    def run(self, checkpoint: Path | None, started: float) -> Fitted:
        """Train to the last step or to the end of patience, and restore the best weights."""
        self.total = self._plan(checkpoint, started)
        if checkpoint is not None:
            self._resume(checkpoint)
        marks = {round(self.total * (i + 1) / self.settings.evaluations) for i in range(self.settings.evaluations)}
        saved = time.perf_counter()
        self._train_mode()
        while self.step < self.total:
            self._advance()
            if self.valid is not None and self.step in marks:
                with self.average.worn() if self.average else nullcontext():
                    tired = self._evaluate()
                if tired:
                    break
            if checkpoint is not None and self.team.agreed(time.perf_counter() - saved) >= self.settings.checkpoint_seconds:
                self._save(checkpoint)
                saved = time.perf_counter()
        kept = self.best_weights or (self.average.kept if self.average else None)
        if kept:
            self._restore(kept)
        self.network.eval()
        return Fitted(
            self.step,
            time.perf_counter() - started,
            tuple(self.history),
            self.best,
            self.tokens,
            NAMES[self.rows.precision],
            replace(self.settings, steps=self.total, most_steps=self.most, minutes=0.0),
        )

    def _plan(self, checkpoint: Path | None, started: float) -> int:
        """The number of steps: as asked, cut to what a measured probe says the time budget allows."""
        settings = self.settings
        self.per_epoch = math.ceil(len(self._epoch(0)) / settings.accumulate)
        total = settings.steps or max(1, settings.least_steps, round(settings.epochs * self.per_epoch))
        self.most = settings.most_steps
        if settings.minutes:
            affordable = _checkpoint.settle(checkpoint, "most_steps", lambda: self._affordable(started))
            self.most = min(self.most or affordable, affordable)
        return min(total, self.most) if self.most else total

    def _affordable(self, started: float) -> int:
        """How many steps the time budget allows, at least one."""
        seconds, minutes = self._probe(), self.settings.minutes
        most = max(1, int((minutes * 60 - (time.perf_counter() - started)) / seconds))
        emit("note", text=f"{seconds:.2f} s a step: up to {most} steps fit the budget of {minutes:.2g} min")
        return most

    def _probe(self) -> float:
        """Seconds a step of the usual size, from a few whose gradients are thrown away; from one when the budget is small."""
        batches = self._epoch(0)[: PROBE_STEPS + 1]
        self._backward(batches[0], 1)  # the first pass pays for kernel caches
        started, timed, spent = time.perf_counter(), list[int](), 0.0
        for batch in batches[1:] or batches:
            self._backward(batch, 1)
            timed.append(self._padded(batch))
            spent = time.perf_counter() - started
            if self.team.agreed(spent) > PROBE_SHARE * self.settings.minutes * 60:  # all take as many steps
                break
        self.optimizer.zero_grad(set_to_none=True)
        self.tokens = 0
        usual = np.mean([self._padded(batch) for batch in self._epoch(0)])
        return spent * float(usual) / sum(timed) * self.settings.accumulate

    def _padded(self, batch: np.ndarray) -> int:
        """Tokens that a batch takes time for."""
        return len(batch) * int(self.rows.tokens.lengths[batch].max())

    def _train_mode(self) -> None:
        # dropout layers draw their masks even at probability 0, so without dropout the network stays in evaluation mode
        self.network.train(self.settings.dropout > 0 or self.network.drops)

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, epoch])
        return shuffled_batches(self.rows.tokens.lengths, settings.batch_rows, settings.batch_tokens, rng, self.rows.by)

    def _advance(self) -> None:
        """One optimiser step."""
        settings = self.settings
        epoch, index = divmod(self.step, self.per_epoch)
        if index == 0 or not hasattr(self, "batches"):
            self.batches = self._epoch(epoch)
        # reseeding each step makes dropout depend on the step alone, so a resumed run draws the same masks
        torch.manual_seed(settings.seed * 1_000_003 + self.step + self.team.rank * OTHER_MASKS)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(settings, self.step, self.total)
        self._tell("begin_step")
        chosen = self.batches[index * settings.accumulate : (index + 1) * settings.accumulate]
        for one in self.watching.values():
            chosen = one.draw(self.step, chosen) if hasattr(one, "draw") else chosen
        self.loss = self.team.mean(sum(self._backward(batch, len(chosen)) for batch in chosen))
        if not math.isfinite(self.loss):
            do = f"Lower the learning rate ({settings.learning_rate:g})."
            raise InputError("a loss that is a number", f"{self.loss} at step {self.step + 1}", do)
        self._tell("before_step")
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(self.named.values(), settings.clip)
        self.optimizer.step()
        self._tell("after_step")
        if self.average is not None:
            self.average.update(self.step + 1, self.total)
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        machine.trim(self.step)
        emit("progress", stage="train", done=self.step, total=self.total, loss=round(self.loss, 4))

    def _tell(self, moment: str) -> None:
        """Let a method, and what keeps earlier knowledge, have their way with this step, counted from 1."""
        for one in self.watching.values():
            act = getattr(one, moment, None)
            if act is not None:
                act(self.network, self.step + 1, self.total)

    def _backward(self, batch: np.ndarray, share: int) -> float:
        def loss_of(disturb: _robust.Disturb | None) -> torch.Tensor:
            loss = self._loss(batch, disturb)
            for one in self.watching.values():
                if hasattr(one, "penalty"):
                    loss = loss + one.penalty(self.network)
            return loss / share

        self.tokens += int(self.rows.tokens.lengths[batch].sum())
        return _robust.backward(loss_of, self.settings)

    def _loss(self, batch: np.ndarray, disturb: _robust.Disturb | None) -> torch.Tensor:
        """The mean loss of some rows; with R-Drop, that of two passes and of their disagreement."""
        if self.network.loss in OWN:
            return self.rows.own_loss(batch, disturb)
        settings, (mine, of_loss, of_rows) = self.settings, self._part(batch)
        targets = self.rows.due(mine).to(self.network.device)
        passes = self.answers(mine, disturb, 2 if settings.rdrop else 1)
        several = [row_loss(self.network.loss, one, targets, self.weights, settings.label_smoothing) for one in passes]
        loss = torch.stack(several).mean() * of_loss
        if not settings.rdrop:
            return loss
        return loss + settings.rdrop * of_rows * _robust.agreement(passes[0], passes[1], self.network.loss)

    def _part(self, batch: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The rows of this worker, and the weights of their mean loss and of a mean over rows in the mean of all workers."""
        mine, counts = self.team.share(batch)
        if self.team.size == 1:
            return mine, 1.0, 1.0
        due = (self.rows.due(rows).to(self.network.device) for rows in (mine, batch))
        own, whole = (row_mass(self.network.loss, one, self.weights) for one in due)
        size = self.team.size * counts
        return mine, size * own / whole, size * len(mine) / len(batch)

    def _evaluate(self) -> bool:
        """Score the validation rows and keep the best weights; True when patience has run out."""
        assert self.valid is not None
        value, loss = (self.team.agreed(one) for one in self.valid.judged(self.score))
        self.history.append({"step": self.step, "loss": self.loss, "score": value, "valid_loss": loss})
        emit("evaluation", step=self.step, score=value, loss=loss)
        settled = getattr(self.method, "settled", None)
        if settled is not None and not settled(self.network, self.step, self.total):
            self._train_mode()
            return False
        if (value, -loss) > self.best_key:
            self.best, self.best_key, self.stale = value, (value, -loss), 0
            self.best_weights = {name: p.detach().clone() for name, p in self.named.items()}
        else:
            self.stale += 1
        self._train_mode()
        return bool(self.settings.patience) and self.stale >= self.settings.patience

    def _save(self, folder: Path) -> None:
        tensors = {f"weight/{name}": p.detach() for name, p in self.named.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best_weights.items()}
        for name, p in self.named.items():
            tensors |= {f"state/{name}/{key}": value for key, value in self.optimizer.state[p].items()}
        if self.average is not None:
            tensors |= {f"average/{name}": tensor for name, tensor in self.average.kept.items()}
        for name, one in self.watching.items():
            kept = one.memory(self.network) if hasattr(one, "memory") else {}
            tensors |= {f"{name}/{key}": tensor for key, tensor in kept.items()}
        state = {name: getattr(self, name) for name in ("tokens", "stale", "total", "history", "best")}
        state["best_key"] = None if self.best is None else list(self.best_key)  # JSON has no infinity
        if self.team.rank == 0:
            _checkpoint.save(folder, self.step, tensors, state)

    def _resume(self, folder: Path) -> None:
        """Go on from the newest complete checkpoint, if there is one."""
        found = _checkpoint.newest(folder)
        if found is None:
            return
        tensors, state = found
        self._restore({name: tensors[f"weight/{name}"] for name in self.named})
        for name, p in self.named.items():
            kept = _checkpoint.under(tensors, f"state/{name}/")
            self.optimizer.state[p] = {k: v.to(p.device) for k, v in kept.items()}
        self.best_weights = _checkpoint.under(tensors, "best/")
        if self.average is not None:
            self.average.kept = {name: tensors[f"average/{name}"].to(p.device) for name, p in self.named.items()}
        for name, one in self.watching.items():
            if hasattr(one, "remember"):
                one.remember(self.network, _checkpoint.under(tensors, f"{name}/"))
        self.best_key = tuple(state.pop("best_key") or self.best_key)
        for name, value in state.items():
            setattr(self, name, value)
        emit("note", text=f"resumed at step {self.step} of {self.total}")

    @torch.no_grad()
    def _restore(self, weights: dict[str, torch.Tensor]) -> None:
        for name, p in self.named.items():
            p.copy_(weights[name])


def _fit_head(network: TextEncoder, rows: Source, settings: FitSettings, started: float) -> Fitted:
    """Solve for the head on kept embeddings."""
    assert rows.pooled is not None
    features, outputs = F.normalize(rows.pooled, dim=-1).cpu(), len(network.labels)
    if network.head.cosine:
        raise InputError("a linear head when the whole trunk is frozen", "a cosine head", "Use the method head.")
    strength = settings.strength or best_strength(features, rows.targets, outputs, settings.seed, network.loss)
    weights = _class_weights(network, rows, settings)
    weight, bias = convex_head(features, rows.targets, outputs, strength, weights, network.loss)
    with torch.no_grad():
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)
    network.eval()
    seconds, tokens = time.perf_counter() - started, int(rows.tokens.lengths.sum())
    return Fitted(1, seconds, tokens=tokens, precision=NAMES[rows.precision], settings=replace(settings, strength=strength))


def rate(settings: FitSettings, step: int, total: int) -> float:
    """Share of the peak learning rate at a step."""
    warm = settings.warmup * total
    if step < warm:
        return (step + 1) / (warm + 1)
    rest = (step - warm) / max(1.0, total - warm)
    if settings.schedule == "constant":
        return 1.0
    return 1.0 - rest if settings.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * rest))


def _optimizer(named: dict[str, torch.nn.Parameter], settings: FitSettings) -> torch.optim.Optimizer:
    matrices = [p for p in named.values() if p.ndim >= 2]
    vectors = [p for p in named.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _class_weights(network: TextEncoder, rows: Source, settings: FitSettings) -> torch.Tensor | None:
    """The weight of each label, (outputs,), or of its positive rows where any number of labels is given."""
    outputs = len(network.labels)
    if settings.class_weights == "none" or network.loss in ("squared_error", *OWN):
        return None
    if rows.spans is not None:
        each = rows.spans.counts().clamp(min=1).float()
        return torch.as_tensor(each.sum() / (len(each) * each))
    targets = rows.targets
    if network.loss == "binary_cross_entropy":
        given = targets.sum(0).clamp(min=1)
        return (len(targets) - given).clamp(min=1) / given
    counts = (targets.sum(0) if targets.ndim == 2 else torch.bincount(targets, minlength=outputs)).clamp(min=1).float()
    weights: torch.Tensor = len(targets) / (outputs * counts)
    return weights


def _accuracy(predicted: np.ndarray, gold: np.ndarray) -> float:
    return float((predicted == gold).mean())


def _same(predicted: np.ndarray, gold: np.ndarray) -> float:
    return 0.0


def _check(network: TextEncoder, train: Rows) -> None:
    texts, targets = train
    outputs = len(network.labels)
    if not len(texts) or len(texts) != len(targets):
        raise InputError(
            "as many texts as targets, at least one", f"{len(texts)} texts, {len(targets)} targets", "Check the rows."
        )
    if network.loss == "cross_entropy" and np.ndim(targets) == 1 and (min(targets) < 0 or max(targets) >= outputs):
        raise InputError(f"targets from 0 to {outputs - 1}", f"{min(targets)} to {max(targets)}", "Check the labels.")
    if not any(True for _ in network.trainable()):
        raise InputError("something to train", "a network with every parameter frozen", "Attach a method first.")
