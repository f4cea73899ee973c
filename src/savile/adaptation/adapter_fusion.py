"""AdapterFusion: adapters of several tasks, frozen, and an attention over what they say (Pfeiffer et al., EACL 2021)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from savile.adaptation._adapters import Adapter
from savile.adaptation._places import found, learning, parent
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """What is fused, and how.

    Attributes:
        adapters: stored models of the method ``bottleneck`` (behind the feed-forward block only) on the same base.
        rank: size of queries and keys; 0 is the base's own size, as published, which is a tenth of a small base in all.
        values: whether what an adapter says passes a matrix of its own, the identity at the start, as published.
        pull: weight of the penalty that keeps that matrix near the identity.
    """

    adapters: tuple[str, ...] = ()
    rank: int = 16
    values: bool = False
    pull: float = 0.01


HEAD: Literal["cosine", "linear"] = "cosine"
RENAMED = {"value": "values"}
KEEPS = False  # the adapters that are fused have learned something
FIT: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 3.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 6.0, "batch_rows": 32, "least_steps": 96}


class Fusion(nn.Module):
    """h -> sum_n softmax_n(q(h) . k(z_n)) v(z_n), where z_n = h + adapter_n(h).

    Attributes:
        weights: those of the last call, (…, N), for whoever wants to see them.
    """

    def __init__(self, width: int, adapters: list[Adapter], rank: int, value: bool) -> None:
        super().__init__()
        self.adapters = nn.ModuleList(adapters)
        self.query, self.key = (nn.Linear(width, rank or width) for _ in range(2))
        self.value = nn.Linear(width, width, bias=False) if value else None
        if self.value is not None:
            nn.init.eye_(self.value.weight)
        self.weights: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, d) -> (…, d)."""
        said = torch.stack([hidden + adapter(hidden) for adapter in self.adapters], dim=-2)
        weights = torch.softmax((self.key(said) @ self.query(hidden).unsqueeze(-1)).squeeze(-1), dim=-1)
        self.weights = weights.detach()
        mixed = (weights.unsqueeze(-1) * said).sum(-2)
        return mixed if self.value is None else self.value(mixed)


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze trunk and adapters, and put an attention over them behind each feed-forward block.

    Raises:
        InputError: less than two adapters, or one that does not fit this base.
    """
    if len(settings.adapters) < 2:
        do = "Adapt with the method bottleneck, task by task, and name the models in adapters."
        raise InputError("two adapters or more to fuse", ", ".join(settings.adapters) or "none", do)
    network.trunk.requires_grad_(False)
    stored = [_stored(network, ref) for ref in settings.adapters]
    for name, linear in found(network, "feed_out"):
        adapters = [_made(linear.out_features, name, spec, tensors) for spec, tensors in stored]
        fusion = Fusion(linear.out_features, adapters, settings.rank, settings.values)
        holder, child = parent(network, name)
        holder.add_module(f"{child}_fusion", fusion)
        linear.register_forward_hook(_through(fusion))


def _through(fusion: Fusion) -> Any:
    def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        fused: torch.Tensor = fusion(output)
        return fused

    return hook


def _stored(network: TextEncoder, ref: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Settings and tensors of a stored bottleneck model of this base."""
    from safetensors.torch import load_file

    from savile.base.store import Store

    model = Store.open().load(ref)
    files = {name: Path(str(path)) for name, path in model.forms.get("torch", {}).items()}
    spec = json.loads(files["network.json"].read_text()) if "network.json" in files else {}
    fits = model.method == "bottleneck" and not any(spec["settings"].get(name) for name in ("double", "norms"))
    if not fits or spec["base_sha256"] != network.base.sha256:
        what = f"{ref}: {model.method or model.family}, base {model.base or 'none'}, {spec.get('settings', {})}"
        raise InputError(f"a bottleneck model on {network.base.name}, one adapter a layer", what, "Adapt it anew.")
    return spec["settings"], load_file(files["trunk.safetensors"])


def _made(width: int, name: str, settings: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Adapter:
    prefix = f"{name}_adapter."
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    adapter = Adapter(width, len(own["down.weight"]), settings.get("kind", "relu"))
    adapter.load_state_dict(own)
    adapter.requires_grad_(False)
    return adapter


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """Queries, keys and values of every attention over adapters, and the head."""
    return learning(network)


def penalty(network: TextEncoder) -> torch.Tensor:
    """How far the matrices of values are from the identity, weighted."""
    pull = network.method_settings.get("pull", Settings.pull)
    values = [m.value.weight for m in network.trunk.modules() if isinstance(m, Fusion) and m.value is not None]
    total = torch.zeros((), device=network.device)
    for weight in values:
        total = total + pull * (weight - torch.eye(len(weight), device=weight.device)).square().sum()
    return total


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: which adapter is heard depends on the text."""
