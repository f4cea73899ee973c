"""AdaLoRA: updates P diag(e) Q whose ranks go where they matter, under one budget (Zhang et al., ICLR 2023), by peft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation import _peft
from savile.adaptation._places import learning
from savile.adaptation.lora import targets
from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The budget.

    Attributes:
        start_rank: rank of each update at the start; more than `rank`.
        rank: mean rank that is left in the end.
        alpha: scale of the updates, alpha / start_rank.
        targets: ``all`` linear layers of the trunk, or ``attention`` only (queries and values).
        freeze: number of lowest layers without an update.
        warm: share of the steps before ranks are taken away.
        rest: share of the steps after the last rank is taken away.
        orthogonal: weight of the penalty ||P' P - I|| + ||Q Q' - I||, averaged over the updates.
    """

    start_rank: int = 12
    rank: int = 8
    alpha: int = 24
    targets: Literal["all", "attention"] = "all"
    freeze: int = 0
    warm: float = 0.1
    rest: float = 0.3
    orthogonal: float = 0.1


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 4e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 3e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}
FOREVER = 1 << 30  # steps, until the loop says how many there are


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and put an update, zero at the start, beside each target.

    Raises:
        InputError: nothing to take away, or no linear layer of the kind asked for.
    """
    from peft import AdaLoraConfig

    if not 0 < settings.rank < settings.start_rank:
        raise InputError("0 < rank < start_rank", f"{settings.rank} and {settings.start_rank}", "Raise start_rank.")
    if settings.alpha <= 0:  # nothing would learn
        raise InputError("alpha above 0", f"{settings.alpha}", "Correct alpha.")
    if min(settings.warm, settings.rest, settings.orthogonal) < 0 or settings.warm + settings.rest >= 1:
        received = f"warm {settings.warm:g}, rest {settings.rest:g}, orthogonal {settings.orthogonal:g}"
        raise InputError("shares warm and rest that leave steps between them, and no weight below 0", received, "Correct them.")
    config = AdaLoraConfig(
        init_r=settings.start_rank,
        target_r=settings.rank,
        lora_alpha=settings.alpha,
        orth_reg_weight=settings.orthogonal,
        total_step=FOREVER,
        target_modules=targets(network, settings.targets, settings.freeze),
    )
    tuner = _peft.inject(network, config)
    # beside the network, not in it: the tuner holds the trunk, whose parameters would have two names
    object.__setattr__(network, "tuner", (tuner, settings))


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """P, e and Q of every target, and the head."""
    return learning(network)


def penalty(network: Any) -> torch.Tensor:
    """How far P and Q are from orthogonal, weighted."""
    import torch

    total, several = torch.zeros((), device=network.device), 0
    weight: float = network.tuner[1].orthogonal
    for name, p in network.trunk.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = p @ p.T if "lora_A" in name else p.T @ p
            total = total + torch.linalg.matrix_norm(square - torch.eye(len(square), device=p.device))
            several += 1
    return weight * total / max(1, several)


def after_step(network: Any, step: int, total: int) -> None:
    """Weigh the ranks by this step's gradients, and take away those beyond the budget."""
    tuner, settings = network.tuner
    config = tuner.peft_config["default"]
    config.total_step, config.tinit, config.tfinal = total, round(settings.warm * total), round(settings.rest * total)
    tuner.update_and_allocate(step)


def settled(network: Any, step: int, total: int) -> bool:
    """Whether the last rank has been taken away: weights of before then are larger than the budget, however good they are."""
    settings: Settings = network.tuner[1]
    return step >= total - round(settings.rest * total)


def memory(network: Any) -> dict[str, torch.Tensor]:
    """What the next allocation depends on beside the weights: the averages of importance, and which ranks are left."""
    import torch

    tuner, _ = network.tuner
    kept = {f"importance/{name}": p for name, p in tuner.rankallocator.exp_avg_ipt.items()}
    kept |= {f"uncertainty/{name}": p for name, p in tuner.rankallocator.exp_avg_unc.items()}
    pattern = tuner.peft_config["default"].rank_pattern or {}
    return kept | {f"left/{name}": torch.tensor(mask) for name, mask in pattern.items()}


def remember(network: Any, kept: dict[str, torch.Tensor]) -> None:
    """Go on from what `memory` gave."""
    import torch

    tuner, _ = network.tuner
    allocator, left = tuner.rankallocator, {}
    for name, tensor in kept.items():
        kind, _, of = name.partition("/")
        if kind == "left":
            left[of] = tensor.tolist()
            continue
        {"importance": allocator.exp_avg_ipt, "uncertainty": allocator.exp_avg_unc}[kind][of] = tensor.to(network.device)
        allocator.ipt[of] = torch.zeros_like(tensor)
    tuner.peft_config["default"].rank_pattern = left or None


def merge(network: TextEncoder) -> None:
    """Add every update to its linear layer and take the adapter off."""
    _peft.fold(network)
    del network.tuner
