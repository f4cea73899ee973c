"""The layers of a trunk are one function with different weights: one is traced, and the graph is given the others.

Tracing takes seconds a layer; writing the nodes of a traced layer again, with the weights of the next, takes milliseconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter notes the modules that a node comes from
PLAIN = (bool, int, float, str, type(None))
OWN_NUMBER = ("layer_idx", "layer_id")


def alike(layers: Sequence[nn.Module]) -> bool:
    """Whether layers are of one make: the same modules, set alike, with weights of the same shapes."""
    first = _make(layers[0])
    return all(_make(layer) == first for layer in layers[1:])


def _make(layer: nn.Module) -> list[Any]:
    make: list[Any] = [(name, tensor.shape) for name, tensor in layer.state_dict().items()]
    for name, module in layer.named_modules():
        said = {key: value for key, value in vars(module).items() if isinstance(value, PLAIN) and key not in OWN_NUMBER}
        make.append((name, type(module), said))
    return make


@contextmanager
def first_alone(graph: nn.Module, layers: nn.ModuleList) -> Iterator[str]:
    """Leave a graph the first of its layers alone while it is traced; gives that layer's name in the graph."""
    name = next(name for name, module in graph.named_modules() if module is layers)
    above, _, last = name.rpartition(".")
    holder = graph.get_submodule(above)
    setattr(holder, last, layers[:1])
    try:
        yield f"{name}.0"
    finally:
        setattr(holder, last, layers)


def repeat(model: Any, first: str, layers: Sequence[nn.Module]) -> bool:
    """Give a graph that was traced with one layer the others, in place.

    Args:
        model: ONNX model.
        first: name of its one layer, such as ``trunk.encoder.layer.0``.
        layers: all layers, `alike`.

    Returns:
        False, and the graph is as it was, where more than one thing goes from layer to layer, or a weight is not to be found.
    """
    import onnx

    graph = model.graph
    block = _Block.of(graph, first)
    sources = None if block is None else _sources(graph, block, first, layers[0])
    if block is None or sources is None:
        return False
    copies, given = [], block.leaving
    for number, layer in enumerate(layers[1:], 1):
        tensors = layer.state_dict()
        names = {name: f"{name}/{number}" for name in (*block.made, *sources)}
        for name, (source, turned) in sources.items():
            array = tensors[source].numpy()
            array = np.ascontiguousarray(array.T if turned else array)
            graph.initializer.append(onnx.numpy_helper.from_array(array, names[name]))
        for node in block.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{node.name}/{number}"
            _rename(copy.input, {**names, block.entering: given})
            _rename(copy.output, names)
            copies.append(copy)
        given = names[block.leaving]
    for node in block.after:
        _rename(node.input, {block.leaving: given})
    ordered = [*block.before, *block.nodes, *copies, *block.after]
    del graph.node[:]
    graph.node.extend(ordered)
    return True


def _rename(names: Any, now: dict[str, str]) -> None:
    for place, name in enumerate(names):
        names[place] = now.get(name, name)


@dataclass(frozen=True)
class _Block:
    """The nodes of one layer, what stands before and behind them, and what goes in and comes out.

    Attributes:
        made: names of what the layer's nodes make.
        entering: hidden states that the layer reads; whatever else it reads is the same for all layers.
        leaving: hidden states that it hands on.
    """

    nodes: list[Any]
    before: list[Any]
    after: list[Any]
    made: set[str]
    entering: str
    leaving: str

    @classmethod
    def of(cls, graph: Any, first: str) -> _Block | None:
        """The block of a layer, or None when not one thing goes in and comes out, or its nodes do not stand together."""
        inside = [first in _scopes(node) for node in graph.node]
        nodes = [node for node, own in zip(graph.node, inside, strict=True) if own]
        made = {name for node in nodes for name in node.output}
        last = max((place for place, own in enumerate(inside) if own), default=0)
        before = [node for node, own in zip(graph.node[:last], inside, strict=False) if not own]
        after = list(graph.node[last + 1 :])
        early = {name for node in before for name in node.input}
        shapes = {one.name: _shape(one) for one in graph.value_info}
        read = {name for node in after for name in node.input}
        known = made | {one.name for one in graph.initializer}
        entering = {name for node in nodes for name in node.input if name not in known and len(shapes.get(name, ())) == 3}
        leaving = {name for name in made & read if shapes.get(name) in [shapes[one] for one in entering]}
        if len(leaving) != 1 or made & early:
            return None
        (out,) = leaving
        entering = {name for name in entering if shapes[name] == shapes[out]}
        return cls(nodes, before, after, made, entering.pop(), out) if len(entering) == 1 else None


def _scopes(node: Any) -> list[str]:
    noted = {one.key: one.value for one in node.metadata_props}.get(SCOPES, "[]")
    scopes: list[str] = ast.literal_eval(noted)
    return scopes


def _shape(value: Any) -> tuple[Any, ...]:
    return tuple(dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _sources(graph: Any, block: _Block, first: str, layer: nn.Module) -> dict[str, tuple[str, bool]] | None:
    """Names of a layer's constants in the graph -> its tensor and whether that is turned; None where one has no source."""
    import onnx

    read = {name for node in block.nodes for name in node.input}
    tensors = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    found: dict[str, tuple[str, bool]] = {}
    for one in graph.initializer:
        if one.name not in read:
            continue
        own = one.name.removeprefix(f"{first}.")
        array = onnx.numpy_helper.to_array(one)
        if own in tensors:
            found[one.name] = own, False
        elif array.size > 1 and array.dtype.kind == "f":
            same = _same(array, tensors)
            if same is None:
                return None
            found[one.name] = same
    return found


def _same(array: np.ndarray, tensors: dict[str, np.ndarray]) -> tuple[str, bool] | None:
    for name, tensor in tensors.items():
        for turned in (True, False):
            one = tensor.T if turned else tensor
            if one.shape == array.shape and np.array_equal(one, array):
                return name, turned
    return None
