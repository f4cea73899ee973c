"""Static int8 for ONNX graphs: weights per channel, activations with ranges fixed beforehand, so an answer knows no companions.

Before an activation is rounded, its channels are brought to like size and the weights take the difference (SmoothQuant, Xiao
et al., ICML 2023): encoders that normalise after each block have a few channels a hundred times larger than the rest. Matrix
products that int8 would still change too much stay in fp32. The token table is kept in int8, one scale a token.

Processors without a dot product of bytes add two products of uint8 and int8 in 16 bits, which saturates and answers wrongly on
every engine; a weight of seven bits cannot get there, so that is what is made on such a processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from savile.base import events, machine
from savile.models._pairs import BETWEEN

SMOOTHING = 0.85  # how much of the spread between channels moves into the weights
SAMPLED_TOKENS = 2_048  # of each activation, to measure what rounding does
BATCH_ROWS = 16
TABLE_ROWS = 256  # a table with more rows is worth rounding
BYTE_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimd"}  # flags of processors whose sums of products never saturate
EIGHT_BITS, SEVEN_BITS = 127, 63  # the largest step of a weight


def quantised(graph: bytes, rows: Sequence[Sequence[int]], keep_error: float) -> bytes:
    """The graph with its matrix products in int8.

    Args:
        graph: an ONNX model that reads packed or padded rows.
        rows: token ids of calibration texts.
        keep_error: products whose result would change by more than this share of its size, token by token, stay as they are.
    """
    import onnx

    model = onnx.load_model_from_string(graph)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shared: dict[str, list[Any]] = {}  # products that read the same activation are rounded together
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights and weights[node.input[1]].ndim == 2:
            shared.setdefault(node.input[0], []).append(node)
    kept = 0
    steps = EIGHT_BITS if BYTE_PRODUCTS & set(machine.cpu_flags()) else SEVEN_BITS
    edit = _Edit()
    for name, seen in _observed(model, list(shared), rows).items():
        products = shared[name]
        smoothing = _smoothing(seen, [weights[node.input[1]] for node in products])
        plans = [(node, *_weight(weights[node.input[1]] * smoothing[:, None], steps)) for node in products]
        scale, zero = _range(seen, smoothing)
        rounded = _rounded(seen.sample / smoothing, scale, zero)
        exact = [seen.sample @ weights[node.input[1]] for node in products]
        good = [
            (node, weight, own_scale)
            for (node, weight, own_scale), result in zip(plans, exact, strict=True)
            if _error(result, rounded @ (weight * own_scale)) < keep_error
        ]
        kept += len(products) - len(good)
        if good:
            edit.products(name, good, (1 / smoothing, scale, zero))
    for node in model.graph.node:
        table = weights.get(node.input[0], np.zeros(0)) if node.op_type == "Gather" else np.zeros(0)
        if table.ndim == 2 and len(table) > TABLE_ROWS and table.dtype == np.float32:
            edit.table(node, table)
    rounded_products = sum(map(len, shared.values())) - kept
    why = "" if steps == EIGHT_BITS else ", weights to seven bits: this processor has no dot product of bytes"
    events.emit("note", text=f"int8: {rounded_products} matrix products rounded, {kept} kept in fp32{why}")
    edited: bytes = edit.applied(model).SerializeToString()
    return edited


@dataclass
class _Seen:
    """What an activation looked like: extremes of each channel, float32 (d,), and some of its tokens, (t, d)."""

    low: np.ndarray
    high: np.ndarray
    sample: np.ndarray

    def add(self, tokens: np.ndarray, sample: np.ndarray) -> None:
        self.low, self.high = np.minimum(self.low, tokens.min(axis=0)), np.maximum(self.high, tokens.max(axis=0))
        self.sample = np.concatenate([self.sample, sample])


def _observed(model: Any, names: Sequence[str], rows: Sequence[Sequence[int]]) -> Mapping[str, _Seen]:
    """Run the graph over the rows and look at some of its activations, padding left out."""
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rng, share = np.random.default_rng(0), SAMPLED_TOKENS / max(1, sum(map(len, rows)))
    seen: dict[str, _Seen] = {}
    inputs = [given.name for given in session.get_inputs()]
    for feeds, real in _batches(rows):
        sampled = rng.random(real.sum()) < share
        for name, value in zip(names, session.run(names, {given: feeds[given] for given in inputs}), strict=True):
            # after pooling there is one row a text, and few enough of them to keep all
            tokens, kept = (value[real], sampled) if value.ndim == 3 else (value, np.ones(len(value), dtype=bool))
            if name in seen:
                seen[name].add(tokens, tokens[kept])
            else:
                seen[name] = _Seen(tokens.min(axis=0), tokens.max(axis=0), tokens[kept])
    return seen


def _batches(rows: Sequence[Sequence[int]]) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """What a packed or a padded graph reads, one text a row, and where the real tokens are."""
    ordered = sorted(rows, key=len)
    for start in range(0, len(ordered), BATCH_ROWS):
        batch = ordered[start : start + BATCH_ROWS]
        lengths = np.array([len(row) for row in batch])
        real = np.arange(lengths.max()) < lengths[:, None]
        ids, positions = np.zeros(real.shape, dtype=np.int64), np.tile(np.arange(lengths.max()), (len(batch), 1))
        ids[real] = np.concatenate(batch)
        texts = np.where(real, np.arange(len(batch))[:, None], -1)
        pool = np.zeros((len(batch), real.size), dtype=np.float32)
        pool[texts[real], np.flatnonzero(real)] = 1.0
        feeds = {"ids": ids, "mask": real.astype(np.int64), "positions": positions, "texts": texts, "pool": pool}
        between = ids == BETWEEN
        if between.any():  # the graph reads the first texts of all rows, then the second ones
            first = between.argmax(axis=1)[:, None]
            real = np.arange(real.shape[1]) < np.concatenate([first, lengths[:, None] - first - 1])
        yield feeds, real


def _smoothing(seen: _Seen, weights: Sequence[np.ndarray]) -> np.ndarray:
    """What each channel of an activation is divided by, float32 (d,)."""
    activation = np.maximum(np.abs(seen.low), np.abs(seen.high)).clip(1e-5)
    weight = np.max([np.abs(one).max(axis=1) for one in weights], axis=0).clip(1e-5)
    factors: np.ndarray = (activation**SMOOTHING / weight ** (1 - SMOOTHING)).astype(np.float32)
    return factors


def _weight(weight: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(d, c) -> int8 (d, c), none beyond `steps`, and scale, float32 (c,)."""
    scale = (np.abs(weight).max(axis=0).clip(1e-12) / steps).astype(np.float32)
    return np.clip(np.rint(weight / scale), -steps, steps).astype(np.int8), scale


def _range(seen: _Seen, smoothing: np.ndarray) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of an activation in eight bits; zero itself is exact."""
    low, high = min(0.0, float((seen.low / smoothing).min())), max(0.0, float((seen.high / smoothing).max()))
    scale = np.float32(max(high - low, 1e-12) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def _rounded(values: np.ndarray, scale: np.float32, zero: np.uint8) -> np.ndarray:
    steps = np.clip(np.rint(values / scale) + zero, 0, 255) - zero
    rounded: np.ndarray = steps * scale
    return rounded


def _error(exact: np.ndarray, rounded: np.ndarray) -> float:
    """Mean over tokens: the few tokens with huge activations must not hide what happens to the rest."""
    return float(np.mean(np.linalg.norm(exact - rounded, axis=1) / np.linalg.norm(exact, axis=1).clip(1e-12)))


@dataclass
class _Edit:
    """Changes to a graph, collected while it is read."""

    before: dict[str, list[Any]] = field(default_factory=dict)  # output of a node -> nodes to put in front of it
    tensors: list[Any] = field(default_factory=list)
    replaced: dict[str, Any] = field(default_factory=dict)  # output of a node -> the node in its place

    def products(self, name: str, plans: Sequence[tuple[Any, np.ndarray, np.ndarray]], rounding: tuple[Any, Any, Any]) -> None:
        """Let matrix products read a rounded activation and rounded weights."""
        parts = zip(("smooth", "scale", "zero"), rounding, strict=True)
        smooth, scale, zero = (self._tensor(f"{name}_{what}", value) for what, value in parts)
        nodes = [
            _node("Mul", [name, smooth], f"{name}_smoothed"),
            _node("QuantizeLinear", [f"{name}_smoothed", scale, zero], f"{name}_int8"),
            _node("DequantizeLinear", [f"{name}_int8", scale, zero], f"{name}_rounded"),
        ]
        for product, weight, weight_scale in plans:
            own = product.output[0]
            given = [self._tensor(f"{own}_weight", weight), self._tensor(f"{own}_weight_scale", weight_scale)]
            nodes.append(_node("DequantizeLinear", given, f"{own}_weight_rounded", axis=1))
            self.replaced[own] = _node("MatMul", [f"{name}_rounded", f"{own}_weight_rounded"], own)
            self.before[own], nodes = nodes, []

    def table(self, gather: Any, table: np.ndarray) -> None:
        """Look tokens up in a rounded table, and only then bring them back to size."""
        own = gather.output[0]
        rounded, scale = _weight(table.T, EIGHT_BITS)
        places = gather.input[1]
        self.before[own] = [
            _node("Gather", [self._tensor(f"{own}_table", rounded.T), places], f"{own}_int8", axis=0),
            _node("Cast", [f"{own}_int8"], f"{own}_cast", to=1),
            _node("Gather", [self._tensor(f"{own}_table_scale", scale[:, None]), places], f"{own}_scale", axis=0),
        ]
        self.replaced[own] = _node("Mul", [f"{own}_cast", f"{own}_scale"], own)

    def applied(self, model: Any) -> Any:
        """The model with the changes, and without the tensors nobody reads any more."""
        nodes: list[Any] = []
        for node in model.graph.node:
            nodes += self.before.get(node.output[0], [])
            nodes.append(self.replaced.get(node.output[0], node))
        read = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
        tensors = [tensor for tensor in model.graph.initializer if tensor.name in read] + self.tensors
        del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(tensors)
        return model

    def _tensor(self, name: str, value: Any) -> str:
        import onnx

        self.tensors.append(onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    import onnx

    return onnx.helper.make_node(kind, inputs, [output], name=output, **attributes)
