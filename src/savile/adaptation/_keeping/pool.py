"""Pool: a stage adds prompts to the pool of a model that has one, and leaves those of earlier stages as they are.

New keys begin where the new texts are, so that these are drawn to the new prompts and earlier texts stay with theirs (after
PromptTPP, Xue et al., NeurIPS 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from savile.adaptation import prompt_pool
from savile.adaptation._keeping._past import Past, Still, Taught
from savile.base.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How much is added.

    Attributes:
        prompts: that a stage adds.
    """

    prompts: int = 10


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows; the pool of the network is widened.

    Raises:
        InputError: the model has no pool.
    """
    import torch

    if network.method != "prompt_pool":
        do = "Use keep: replay, or adapt by prompt_pool first."
        raise InputError("a model made by prompt_pool", f"one made by {network.method}", do)
    pool, before = network.trunk.pool, len(network.trunk.pool.keys)
    dice = torch.Generator().manual_seed(past.seed + before)
    fresh = torch.randn(settings.prompts, *pool.prompts.shape[1:], generator=dice)
    keys = prompt_pool.centres(network, list(new[0]), settings.prompts, past.seed)
    pool.prompts = torch.nn.Parameter(torch.cat([pool.prompts.detach(), fresh]))
    pool.keys = torch.nn.Parameter(torch.cat([pool.keys.detach(), keys]))
    network.method_settings = {**network.method_settings, "size": before + settings.prompts}
    network.keeper = _Widened(network, before, past)
    return new


class _Widened:
    """A pool whose first prompts stand still, and the gates that hear them."""

    def __init__(self, network: Any, before: int, past: Past) -> None:
        pool = network.trunk.pool
        still: list[tuple[Any, Any]] = [(pool.prompts, slice(before)), (pool.keys, slice(before))]
        still += [(front.gate, ...) for front in network.chosen.fronts]
        self.still = [(p, where, p.detach()[where].clone()) for p, where in still]
        self.head = Still(network, past.known)

    def after_step(self, network: Any, step: int, total: int) -> None:
        """Undo what the step did to what was there before."""
        import torch

        with torch.no_grad():
            self.head.restore()
            for parameter, where, before in self.still:
                parameter[where] = before
