"""Prompt pool: a text is read behind the few learned prompts, of many, whose keys it is nearest to (Wang et al., CVPR 2022).

What a text is about is asked of the frozen base, whose mean embedding is compared with a key for each prompt; prompts and keys
learn, the base does not. Texts of another domain choose other prompts, so that later stages leave alone what earlier ones use
(PromptTPP, Xue et al., NeurIPS 2023). Every text chooses for itself, not by the majority of its batch, and keys begin where
texts are. The prompts start mute, see `_prefix`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from savile.adaptation._keeping._past import batches, pooled
from savile.adaptation._places import found, learning
from savile.adaptation._prefix import Front, hang, sizes
from savile.base.contracts import Rows
from savile.base.errors import InputError

if TYPE_CHECKING:
    from savile.models._network import TextEncoder


@dataclass(frozen=True)
class Settings:
    """The pool.

    Attributes:
        size: prompts.
        length: positions of each.
        top: prompts that a text is read behind.
        pull: weight of the penalty that draws keys to the texts that choose them.
    """

    size: int = 10
    length: int = 5
    top: int = 3
    pull: float = 0.1


HEAD: Literal["cosine", "linear"] = "cosine"
FIT: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 4.0}
FIT_SMALL: dict[str, Any] = {"learning_rate": 2e-2, "epochs": 8.0, "batch_rows": 32, "least_steps": 128}
SEEN = 2000  # texts that keys begin at


class Pool(nn.Module):
    """Prompts (M, length, d) and their keys (M, d)."""

    def __init__(self, size: int, length: int, width: int) -> None:
        super().__init__()
        self.prompts = nn.Parameter(torch.randn(size, length, width))
        self.keys = nn.Parameter(torch.randn(size, width))

    def nearness(self, query: torch.Tensor) -> torch.Tensor:
        """Embeddings of the base (n, d) -> cosines with the keys (n, M)."""
        with torch.autocast(query.device.type, enabled=False):
            return F.normalize(query.float(), dim=-1) @ F.normalize(self.keys, dim=-1).T


def attach(network: TextEncoder, settings: Settings) -> None:
    """Freeze the trunk, choose prompts for each text and put them in front of the lowest layer, and take them off at the top.

    Raises:
        InputError: the base has no attention of a known make, or turns its keys by position; or a pool that cannot be.
    """
    if not 1 <= settings.top <= settings.size or settings.length < 1:
        received = f"top {settings.top} of {settings.size} prompts of length {settings.length}"
        raise InputError("a pool with as many prompts as a text reads, or more", received, "Correct it.")
    config: Any = getattr(network.trunk, "config", None)
    if getattr(config, "rope_parameters", None) or getattr(config, "rope_theta", None):
        do = "Use prefix or lora on this base."
        raise InputError("a base that adds positions to its embeddings", f"{network.base.name}, which turns keys", do)
    network.trunk.requires_grad_(False)
    found(network, "key")
    ahead = settings.top * settings.length
    fronts = [Front(sizes(network)[0], ahead, None, None) for _ in network.layers]
    hang(network, fronts)
    network.trunk.add_module("pool", Pool(settings.size, settings.length, network.width))
    chosen = Chosen(network.pooling, settings.top, ahead, fronts)
    network.trunk.register_forward_pre_hook(chosen.before, with_kwargs=True)
    network.layers[0].register_forward_pre_hook(chosen.entering, with_kwargs=True)
    network.layers[-1].register_forward_hook(chosen.leaving)
    network.chosen = chosen  # type: ignore[assignment]  # no module: what the penalty of a step is about


class Chosen:
    """Which prompts the texts of a batch are read behind."""

    def __init__(self, pooling: str, top: int, ahead: int, fronts: list[Front]) -> None:
        self.pooling, self.top, self.ahead, self.fronts = pooling, top, ahead, fronts
        self.asking = False
        self.rows: list[torch.Tensor] = []
        self.near: list[torch.Tensor] = []  # how near the keys were that each text chose, of the batches of this step

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The base answers as it is: nobody hears what stands in front."""
        self.asking = True
        for front in self.fronts:
            front.mute = True
        try:
            with torch.no_grad():
                yield
        finally:
            self.asking = False
            for front in self.fronts:
                front.mute = False

    def before(self, trunk: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        """Run the trunk as the base has it, and choose by what comes out."""
        mask = given.get("attention_mask")
        if self.asking:
            return
        if mask is None or mask.ndim != 2:
            raise ValueError("a pool of prompts needs rows of one text each, and their mask")
        pool: Pool = trunk.pool
        with self.alone():
            query = pooled(trunk(*args, **given).last_hidden_state, mask, self.pooling)
        best = pool.nearness(query).topk(self.top, dim=-1)
        if torch.is_grad_enabled() and not torch.compiler.is_exporting():
            self.near.append(best.values.mean())
        self.rows[:] = [pool.prompts[best.indices].flatten(1, 2)]

    def entering(self, _layer: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """Put the chosen prompts in front."""
        hidden = args[0] if args else given["hidden_states"]
        nothing = hidden.new_zeros(1, self.ahead, hidden.shape[2])  # a graph must not fix the number of texts
        rows = nothing.expand(hidden.shape[0], -1, -1) if self.asking else self.rows[0].to(hidden.dtype)
        hidden = torch.cat([rows, hidden], dim=1)
        return ((hidden, *args[1:]), given) if args else (args, {**given, "hidden_states": hidden})

    def leaving(self, _layer: Any, _inputs: object, output: Any) -> Any:
        """Take them off."""
        return (output[0][:, self.ahead :], *output[1:]) if isinstance(output, tuple) else output[:, self.ahead :]


def begin(network: TextEncoder, rows: Rows) -> None:
    """Let the keys begin where the texts are."""
    pool: Any = network.trunk.pool
    pool.keys.data = centres(network, list(rows.inputs), len(pool.keys), rows.seed)


def centres(network: TextEncoder, texts: list[str], count: int, seed: int) -> torch.Tensor:
    """Centres of texts as the base embeds them, (count, d), of unit length; some twice where there are fewer texts."""
    import numpy as np
    from sklearn.cluster import KMeans

    drawn = np.random.default_rng(seed).permutation(len(texts))[:SEEN]
    unit = queries(network, [texts[row] for row in drawn]).numpy()
    groups = min(count, len(np.unique(unit, axis=0)))
    made = KMeans(groups, n_init=1, random_state=seed).fit(unit).cluster_centers_
    return F.normalize(torch.from_numpy(made[np.arange(count) % groups]).float(), dim=-1)


def queries(network: TextEncoder, texts: list[str]) -> torch.Tensor:
    """Texts -> embeddings of the base, of unit length, (n, d)."""
    chosen: Any = network.chosen
    with chosen.alone():
        return torch.cat([F.normalize(network._single(*one).float(), dim=-1) for one in batches(network, texts, 64)])


def chosen_by(network: TextEncoder, texts: list[str]) -> torch.Tensor:
    """The prompts each text is read behind, the nearest first, int64 (n, top)."""
    pool: Any = network.trunk.pool
    chosen: Any = network.chosen
    with torch.no_grad():
        nearest: torch.Tensor = pool.nearness(queries(network, texts)).topk(chosen.top, dim=-1).indices
    return nearest


def penalty(network: TextEncoder) -> torch.Tensor:
    """How far keys are from the texts that chose them, weighted."""
    chosen: Any = network.chosen
    near, chosen.near = chosen.near, []
    pull = network.method_settings.get("pull", Settings.pull)
    return pull * (1 - torch.stack(near).mean()) if near else torch.zeros((), device=network.device)


def parameters(network: TextEncoder) -> list[torch.nn.Parameter]:
    """Prompts, keys, gates, and the head."""
    return learning(network)


def merge(network: TextEncoder) -> None:
    """Nothing to fold in: the prompts stay in front."""
