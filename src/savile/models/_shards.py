"""A language model that several workers hold in shares, so that its base may be larger than the memory of any one of them.

Of each layer's frozen matrices every worker keeps a part; they are gathered while the layer is at work and let go of again,
by torch's fully_shard (FSDP2). What learns is whole on each worker, as under DistributedDataParallel, which adds up gradients:
so a checkpoint, and what is stored, is that of one process. Embeddings and norms are whole, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from savile.base.errors import InputError
from savile.base.events import emit
from savile.models._settings import FitSettings
from savile.models._source import precision

if TYPE_CHECKING:
    from savile.models._team import Team


def check(network: Any, settings: FitSettings) -> None:
    """Refuse a network that workers cannot hold in shares.

    Raises:
        InputError: one process alone, a family whose bases are not divided, or a method that freezes no matrix.
    """
    do = "Leave adapt.settings.sharded out: every worker holds a copy."
    if settings.workers < 2:
        raise InputError("two workers or more to hold shares", "one process", "Set run: {where: ray, workers: 2}.")
    if not hasattr(network, "still"):
        raise InputError("a language model, whose layers are held in shares", network.base.name, do)
    if not network.still():
        raise InputError("frozen matrices to hold in shares", f"the method {network.method}, which leaves none", do)


def light(network: Any, settings: FitSettings, us: Team) -> AbstractContextManager[None]:
    """What stands still made light while the network learns: in the type it is multiplied in, and in shares.

    Of a worker's network nothing but what learns is of use afterwards: shares are not put together again.
    """
    kind = precision(settings, network.device)
    if settings.sharded and us.size > 1:
        _share(network, kind, us)
        return nullcontext()
    lightened: AbstractContextManager[None] = getattr(network, "lightened", lambda _: nullcontext())(kind)
    return lightened


def shares(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names and parameters of which this process holds a part, each a ``DTensor``."""
    from torch.distributed.tensor import DTensor

    return ((name, p) for name, p in module.named_parameters() if isinstance(p, DTensor))


def held(network: nn.Module) -> tuple[int, int]:
    """Bytes of the parameters that this process holds, and of all of them."""
    parts = {name: p.to_local() for name, p in shares(network)}
    each = [(parts.get(name, p), p) for name, p in network.named_parameters()]
    mine, whole = (sum(pair[side].numel() * pair[side].element_size() for pair in each) for side in (0, 1))
    return mine, whole


def _share(network: Any, kind: torch.dtype, us: Team) -> None:
    """Keep this worker's share of each layer's frozen matrices, in the type they are multiplied in."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(network.device.type, (us.size,))
    still = set(network.still())
    for depth, layer in enumerate(network.layers):
        for linear in still.intersection(layer.modules()):
            linear.weight.data = linear.weight.data.to(kind)
        divided = {linear.weight for linear in still.intersection(layer.modules())}
        fully_shard(layer, mesh=mesh, ignored_params=set(layer.parameters()) - divided)
        layer.register_forward_hook(_gathers_for_cache(depth), with_kwargs=True)
    # has none itself, and begins and ends a pass through all of them
    fully_shard(network.trunk.base_model, mesh=mesh, ignored_params=set(network.trunk.parameters()))
    mine, whole = held(network)
    text = f"Each of {us.size} workers holds {mine / 1e6:.1f} of {whole / 1e6:.1f} MB of weights."
    emit("note", text=text, held=mine, whole=whole)


def _gathers_for_cache(depth: int) -> Any:
    """A hook that gathers a layer again when a gradient comes to it through keys and values that were read of it.

    fully_shard gathers a layer when a gradient comes to what it returns; what is read before every text comes back otherwise.
    """

    def hook(layer: Any, _inputs: Any, given: dict[str, Any], _output: Any) -> None:
        cache = given.get("past_key_values")
        if cache is None or not torch.is_grad_enabled():
            return
        for tensor in (cache.layers[depth].keys, cache.layers[depth].values):
            if tensor.requires_grad:
                tensor.register_hook(lambda _: layer.unshard())

    return hook
