"""What a network costs on this machine, from a few real passes: the longest rows first, so that memory is met at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch.nn.functional as F

from savile.base import machine
from savile.models._fit import _accuracy, _Loop
from savile.models._head import convex_head
from savile.models._rows import shuffled_batches, sorted_batches
from savile.models._settings import FitSettings
from savile.models._source import Rows, Source, best_device, predict_rows
from savile.models._team import team

STEPS = 4  # batches that are timed
STRENGTH = 30.0  # of the head that is timed; how long one takes hardly depends on it
FIT_SEARCH = 4.0  # rows that a search for the penalty reads, as a multiple of the rows it is on: 3 folds of 2/3, warm starts
CONVEX_ROWS = 4_000  # rows the search is on at most


@dataclass(frozen=True)
class Rates:
    """Seconds and bytes, each measured.

    Attributes:
        source: a row made ready to learn from: tokens, and one pass through what is frozen.
        step: an optimiser step; 0 where the head alone is solved for.
        steps_a_row: batches that a row makes up in an epoch.
        judge: a validation row answered while training; 0 where the head alone is solved for.
        answer: a row answered in fp32 by the trained form.
        solve: a row of one fit of the head.
        kept: bytes a row that stay in memory while training.
        tokens: tokens of a row.
        busy: processor seconds in a second of wall-clock time.
        peak: bytes the process holds at most, once the longest batch was learned from.
        weights: bytes of the whole network.
    """

    source: float
    step: float
    steps_a_row: float
    judge: float
    answer: float
    solve: float
    kept: float
    tokens: float
    busy: float
    peak: int
    weights: int


def probe(
    network: Any, rows: Rows, longest: Rows, settings: FitSettings, answer: Callable[[Sequence[str]], Any]
) -> tuple[Rates, tuple[np.ndarray, ...]]:
    """Measure a network that a method is attached to; what it learned on the way is of no use afterwards.

    Args:
        network: fresh, with a method attached.
        rows: some training rows, as they come.
        longest: the longest of all training rows, at most a batch; they come first and meet the memory.
        settings: how it will be trained.
        answer: texts -> logits in fp32, as the trained form answers.

    Returns:
        What was measured; and, where the head alone is solved for, logits (n / 3, outputs) of the last third of the rows by a
        head fitted on the first third and on both others, to guess how good it will be.
    """
    network.set_dropout(settings.dropout)
    network.to(best_device())
    try:
        _meet(network, longest, settings)
        clock, busy = time.perf_counter(), time.process_time()
        source = Source(network, rows, settings)
        ready = (time.perf_counter() - clock) / len(rows[0])
        frozen = source.depth == len(network.layers)
        step, batches = (0.0, 0.0) if frozen else _step(network, source, settings)
        answered = rows[0][: max(8, len(rows[0]) // 2)]
        judged = 0.0 if frozen else _seconds(lambda: predict_rows(source))
        network.cpu().eval()
        answer(answered[:8])  # pays for kernels in fp32
        spoken = _seconds(lambda: answer(answered))
        solve, held = _solve(source, len(network.labels), network.loss) if frozen else (0.0, ())
        used = (time.process_time() - busy) / (time.perf_counter() - clock)
    finally:
        network.cpu()
    count = len(rows[0])
    below = source.below.flat if source.below is not None else None
    kept = (below.element_size() * below.numel() if below is not None else 0) + source.tokens.flat.nbytes
    rates = Rates(
        source=ready,
        step=step,
        steps_a_row=batches / count,
        judge=judged / count,
        answer=spoken / len(answered),
        solve=solve,
        kept=kept / count + 8 * network.width,
        tokens=float(source.tokens.lengths.mean()),
        busy=used,
        peak=machine.peak(),
        weights=sum(one.numel() * one.element_size() for one in (*network.parameters(), *network.buffers())),
    )
    return rates, held


def scaled(rates: Rates, longer: float) -> Rates:
    """The rates of rows that are `longer` times as long."""
    names = ("source", "steps_a_row", "judge", "answer", "kept", "tokens")
    return replace(rates, **{name: getattr(rates, name) * longer for name in names})


def solving(rows: float, rates: Rates) -> float:
    """Seconds to choose the penalty of a head and to fit it on so many rows."""
    return rates.solve * (FIT_SEARCH * min(rows, CONVEX_ROWS) + rows)


def _meet(network: Any, longest: Rows, settings: FitSettings) -> None:
    """One whole step on the longest batch there will be: gradients and the optimiser's memory are there from then on."""
    source = Source(network, longest, settings)
    if source.depth == len(network.layers):
        return
    loop = _Loop(source, settings, _accuracy, team())
    loop._train_mode()
    loop._backward(next(iter(sorted_batches(source.tokens.lengths, settings.batch_rows, settings.batch_tokens))), 1)
    loop.optimizer.step()
    loop.optimizer.zero_grad(set_to_none=True)


def _step(network: Any, source: Source, settings: FitSettings) -> tuple[float, float]:
    """Seconds of an optimiser step on batches as they come, and how many batches the rows make."""
    loop = _Loop(source, settings, _accuracy, team())
    loop._train_mode()
    drawn = shuffled_batches(source.tokens.lengths, settings.batch_rows, settings.batch_tokens, np.random.default_rng(0))
    spread = [drawn[i] for i in np.linspace(0, len(drawn) - 1, min(STEPS, len(drawn))).astype(int)]
    loop._backward(spread[0], 1)  # the first pass of a shape pays for kernel caches
    clock = time.perf_counter()
    for batch in spread:
        loop._backward(batch, 1)
        loop.optimizer.step()
        loop.optimizer.zero_grad(set_to_none=True)
    return (time.perf_counter() - clock) / len(spread), len(drawn)


def _solve(source: Source, outputs: int, loss: Any) -> tuple[float, tuple[np.ndarray, ...]]:
    """Seconds a row of fitting the head once, what a call costs apart from its rows left out; and what it answers."""
    assert source.pooled is not None
    features, held = F.normalize(source.pooled, dim=-1).cpu(), list[np.ndarray]()
    third, seconds = max(1, len(features) // 3), list[float]()
    for rows in (third, 2 * third):
        clock = time.perf_counter()
        weight, bias = convex_head(features[:rows], source.targets[:rows], outputs, STRENGTH, loss=loss)
        seconds.append(time.perf_counter() - clock)
        held.append(F.linear(features[-third:], weight, bias).numpy())
    return max(seconds[1] / (2 * third) / 2, (seconds[1] - seconds[0]) / third), tuple(held)


def _seconds(act: Callable[[], Any]) -> float:
    clock = time.perf_counter()
    act()
    return time.perf_counter() - clock
