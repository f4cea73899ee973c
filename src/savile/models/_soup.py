"""Several runs of one network that differ in their seed alone, and the mean of their weights.

Runs that start at the same weights end in one basin, and the mean of where they end is about as good as all of them asked
together, at the price of one to serve (Wortsman et al., ICML 2022, "Model soups").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from savile.models import _checkpoint
from savile.models._settings import FitSettings, Fitted

if TYPE_CHECKING:
    from savile.models._network import TextEncoder

DONE = "done"
NOTES = ("steps", "seconds", "history", "best", "tokens", "precision")

Train = Callable[[FitSettings, Path | None], Fitted]


def soup(network: TextEncoder, settings: FitSettings, checkpoint: Path | None, train: Train) -> Fitted:
    """Train `settings.runs` times from the weights there are, and leave the mean of what was found in the network.

    Args:
        network: ready to train.
        settings: of the runs; the seed of each is one more than that of the one before. A budget is for all of them.
        checkpoint: folder of all runs; those that are done outlast a kill.
        train: trains the network as it is: settings and a folder for checkpoints -> what training did.
    """
    start, mean = {name: p.detach().clone() for name, p in network.trainable()}, Mean()
    each = replace(settings, runs=1, minutes=settings.minutes / settings.runs)
    done: list[Fitted] = []
    for run in range(settings.runs):
        _put(network, start)
        folder = None if checkpoint is None else checkpoint / f"run-{run}"
        fitted = _again(network, folder) or _kept(network, folder, train(replace(each, seed=settings.seed + run), folder))
        each = replace(fitted.settings, seed=settings.seed)  # what the first run measured of a budget holds for all
        mean.add(dict(network.trainable()))
        done.append(fitted)
    mean.into(network)
    return replace(
        done[-1],
        steps=sum(one.steps for one in done),
        seconds=sum(one.seconds for one in done),
        tokens=sum(one.tokens for one in done),
        best=None,
        settings=replace(each, runs=settings.runs),
    )


class Mean:
    """The mean of the weights of networks with the same start, summed in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Those of one more network, by name."""
        self.sums = {name: one.detach().double() + self.sums.get(name, 0.0) for name, one in weights.items()}
        self.count += 1

    def into(self, network: TextEncoder) -> None:
        """Leave the mean in one of the networks, ready to answer."""
        _put(network, {name: one / self.count for name, one in self.sums.items()})
        network.eval()


def _again(network: TextEncoder, folder: Path | None) -> Fitted | None:
    """A run that was done before a kill, its weights put in place."""
    found = None if folder is None else _checkpoint.newest(folder / DONE)
    if found is None:
        return None
    _put(network, found[0])
    said: dict[str, Any] = {name: found[1][name] for name in NOTES}
    return Fitted(**{**said, "history": tuple(said["history"])}, settings=FitSettings(**found[1]["settings"]))


def _kept(network: TextEncoder, folder: Path | None, fitted: Fitted) -> Fitted:
    if folder is not None:
        state = {name: getattr(fitted, name) for name in NOTES}
        weights = {name: p.detach() for name, p in network.trainable()}
        _checkpoint.save(folder / DONE, 0, weights, {**state, "settings": asdict(fitted.settings)})
    return fitted


@torch.no_grad()
def _put(network: TextEncoder, weights: dict[str, torch.Tensor]) -> None:
    for name, p in network.trainable():
        p.copy_(weights[name])
