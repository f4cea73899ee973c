"""Domains: each stage gets an adapter of its own, and a router says which of them a text belongs to.

What earlier stages learned is not touched: their texts hear their own adapters, whose files stay the same to the byte. With
`module` a stage makes no new adapter but lets the one of that name learn on, alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from savile.adaptation import _experts, domains
from savile.adaptation._experts import Plan
from savile.adaptation._keeping._past import Past, Still, Taught, together
from savile.adaptation._places import parent
from savile.base.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Settings:
    """What a stage may change.

    Attributes:
        memory: rows of earlier stages that show the router what they are about; they are not learnt again.
        known: share of the texts of the domains that the router takes for theirs.
        module: the adapter that learns on, by its name; empty makes a new one.
    """

    memory: int = 1000
    known: float = 0.99
    module: str = ""


def begin(network: Any, past: Past, new: Taught, settings: Settings) -> Taught:
    """The new rows; the network is given one more adapter, or lets go of one.

    Raises:
        InputError: a model that was made by neither plain LoRA nor this, or targets that are no labels.
        UnknownNameError: there is no adapter of that name.
    """
    if network.loss != "cross_entropy" or new[1].ndim != 1:
        raise InputError("answers that are one of several labels", network.loss, "Use keep: replay.")
    if network.method == "lora":
        _apart(network, past)
    elif network.method != "domains":
        do = "Use keep: replay, or adapt by lora first."
        raise InputError("a model made by lora, or of domains", f"one made by {network.method}", do)
    names = list(network.method_settings["plan"]["names"])
    if settings.module and settings.module not in names:
        raise UnknownNameError("adapter", settings.module, names)
    chosen = names.index(settings.module) if settings.module else len(names)
    plan = {**network.method_settings["plan"], "stages": [*network.method_settings["plan"]["stages"], chosen]}
    network.method_settings = {**network.method_settings, "plan": plan}
    if not settings.module:
        _add(network, names, past, new, settings)
    learns = [p for _, one in _experts.each(network) for p in (one.a[chosen], one.b[chosen])]
    for parameter in learns:
        parameter.requires_grad_(True)
    network.keeper = _Alone(network, np.setdiff1d(past.known, np.unique(new[1])) if settings.module else past.known)
    return new


class _Alone:
    """What is not of the new stage stands still."""

    def __init__(self, network: Any, known: np.ndarray) -> None:
        self.head = Still(network, known)

    def after_step(self, network: Any, step: int, total: int) -> None:
        """Undo what the step did to rows of the head that answer for earlier labels."""
        import torch

        with torch.no_grad():
            self.head.restore()


def _apart(network: Any, past: Past) -> None:
    """The LoRA of a network as the adapter of everything that was learned before.

    Raises:
        InputError: one of its variants, whose updates are more than B A.
    """
    from peft.tuners.lora import LoraLayer

    made = network.method_settings
    if made.get("dora") or made.get("start", "zero") != "zero":
        raise InputError("a model made by plain lora", "one made by lora in a variant", "Use keep: replay.")
    updates = {}
    for name, layer in list(network.trunk.named_modules()):
        if isinstance(layer, LoraLayer):
            a, b = layer.lora_A["default"].weight.detach(), layer.lora_B["default"].weight.detach()
            updates[name] = (a.clone(), b * layer.scaling["default"])
            holder, child = parent(network, name)
            setattr(holder, child, layer.get_base_layer())
    del network.trunk.peft_config
    names, stages = ["+".join(past.names[:-1])], [0] * (len(past.names) - 1)
    plan = {**asdict(Plan.of(names, [updates])), "centres": 0, "stages": stages}
    domains.hang(network, plan)
    _experts.fill(network, [updates])
    network.method, network.method_settings = "domains", {**asdict(domains.Settings()), "plan": plan}


def _add(network: Any, names: list[str], past: Past, new: Taught, settings: Settings) -> None:
    """One more adapter, whose update is zero, and a router that knows about the new rows."""
    import torch

    dice = torch.Generator().manual_seed(past.seed + len(names))
    held = set(network.held)
    rank = max(network.method_settings["plan"]["ranks"])
    for name, one in _experts.each(network):
        width, out = one.a[0].shape[1], one.b[0].shape[0]
        one.a.append(torch.nn.Parameter(torch.randn(rank, width, generator=dice) / width**0.5))
        one.b.append(torch.nn.Parameter(torch.zeros(out, rank)))
        one.count()
        held |= {f"{name}{_experts.END}.{side}.{len(names)}" for side in "ab"}
    network.hold(held)
    fresh = past.names[-1] if past.names[-1] not in names else f"{past.names[-1]} {len(names) + 1}"
    plan = dict(network.method_settings["plan"])
    plan |= {"names": [*names, fresh], "ranks": [*plan["ranks"], rank]}
    network.method_settings = {**network.method_settings, "plan": plan}
    texts, targets = together(new, past.memory)
    whose = np.array(plan["stages"])[past.stages if past.stages is not None else np.zeros(len(past.memory[0]), np.int64)]
    network.trunk.router.owner.data = torch.zeros(0, len(names) + 1)
    whose = np.concatenate([np.full(len(new[0]), len(names), dtype=np.int64), whose.astype(np.int64)])
    domains.route(network, list(texts), np.asarray(targets), whose, settings.known)
