"""LoRA: low-rank updates beside frozen linear layers (Hu et al., ICLR 2022), and its kin, by peft.

Settings make it rsLoRA (Kalajdzievski 2023), DoRA (Liu et al., ICML 2024) or PiSSA (Meng et al., NeurIPS 2024), and give each
layer a rank of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from savile.adaptation import _peft
from savile.adaptation._places import learning, linears
from savile.base.errors import InputError

if TYPE_CHECKING:
    import torch

    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """Shape of the update W + alpha / rank * B A.

    Attributes:
        rank: r of A (r, in) and B (out, r).
        alpha: scale of the update; the field's habit is twice the rank.
        lora_dropout: probability on the input of A; `dropout` is the loop's, of the trunk.
        targets: ``all`` linear layers of the trunk, or ``attention`` only (queries and values, as in the paper).
        freeze: number of lowest layers without an update; their output is computed once.
        rslora: whether the scale is alpha / sqrt(rank), so that a high rank learns as fast as a low one.
        dora: whether the length of each row of W learns apart from its direction.
        start: ``zero`` leaves W as it is; ``pissa`` takes the largest singular values out of W and lets those learn.
        ranks: end of a linear layer's name -> its rank, 0 for none; alpha / rank stays the same. Others have `rank`.
    """

    rank: int = 8
    alpha: int = 16
    lora_dropout: float = 0.0
    targets: Literal["all", "attention"] = "all"
    freeze: int = 0
    rslora: bool = False
    dora: bool = False
    start: Literal["zero", "pissa"] = "zero"
    ranks: Mapping[str, int] = field(default_factory=dict)


HEAD: Literal["cosine", "linear"] = "cosine"
RENAMED = {"dropout": "lora_dropout"}
FIT: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 1e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}
ATTENTION_NAMES = ("query", "value", "q_lin", "v_lin", "q_proj", "v_proj", "Wqkv")


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk and put an update, zero at the start, beside each target.

    Raises:
        InputError: the trunk has no linear layer of the kind asked for, or `ranks` names none.
    """
    from peft import LoraConfig

    _peft.inject(network, LoraConfig(**shape(network, settings)))


def shape(network: TextEncoder, settings: Settings) -> dict[str, Any]:
    """The arguments of peft's ``LoraConfig``, each target by its full name."""
    if min(settings.rank, *settings.ranks.values(), 1) < 0 or not settings.rank:
        received = f"rank {settings.rank}, ranks {dict(settings.ranks)}"
        raise InputError("a rank of 1 or more, and 0 or more in ranks", received, "Correct them.")
    if settings.alpha <= 0 or not 0 <= settings.lora_dropout < 1:  # nothing would learn
        received = f"alpha {settings.alpha}, lora_dropout {settings.lora_dropout:g}"
        raise InputError("alpha above 0, and a lora_dropout from 0 to less than 1", received, "Correct them.")
    names = targets(network, settings.targets, settings.freeze)
    ranks = {name: _rank(name, settings) for name in names}
    unused = [end for end in settings.ranks if not any(name.endswith(end) for name in names)]
    if unused:
        raise InputError(f"ends of names such as {names[0]}", ", ".join(unused), "Correct the setting ranks.")
    if settings.start == "pissa" and settings.dora:
        raise InputError("one start", "pissa and dora", "Leave out one of the two.")
    scale = settings.alpha / settings.rank
    own = {name: rank for name, rank in ranks.items() if rank and rank != settings.rank}
    return {
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.lora_dropout,
        "target_modules": [name for name in names if ranks[name]],
        "bias": "none",
        "use_rslora": settings.rslora,
        "use_dora": settings.dora,
        "init_lora_weights": True if settings.start == "zero" else settings.start,
        "rank_pattern": own,
        "alpha_pattern": {name: scale * rank for name, rank in own.items()},
    }


def targets(network: TextEncoder, kind: str, freeze: int) -> list[str]:
    """Names in the trunk of the linear layers to adapt."""
    names = [name for name, _ in linears(network, freeze) if kind == "all" or name.endswith(ATTENTION_NAMES)]
    if not names:
        raise InputError("linear layers to adapt", f"none for targets {kind!r}", "Set targets to all.")
    return names


def _rank(name: str, settings: Settings) -> int:
    return next((rank for end, rank in settings.ranks.items() if name.endswith(end)), settings.rank)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """A and B of every target, and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Add every update to its linear layer and take the adapter off."""
    _peft.fold(network)
