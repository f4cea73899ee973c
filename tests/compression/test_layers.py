"""One layer is traced and the others written after it: the graph is the one that a whole trace gives, or there is none."""

import numpy as np
import onnxruntime
import pytest
import torch

from savile.compression import _graphs, _layers
from savile.models import encoder

ROWS = ["a parcel", "the courier was late and the parcel never came", "money back"]


def network(layers=4):
    made = encoder.create("minilm", ["a", "b", "c"], cosine=False).eval()
    made.trunk.encoder.layer = made.layers = made.layers[:layers]
    torch.manual_seed(0)
    torch.nn.init.normal_(made.head.weight)
    return made


def answers(model, graph, rows):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name: tensor.numpy() for name, tensor in zip(graph.inputs, graph.example(rows), strict=True)}
    return session.run(None, feeds)[0]


@pytest.mark.slow
def test_the_graph_answers_as_one_that_was_traced_whole():
    made = network()
    short, long = made.encode(ROWS), made.encode([text * 9 for text in ROWS] * 3)
    graph = _graphs._graph(made, short)
    example = graph.example(short)
    quick, whole = _graphs._of_one_layer(graph, made, example), _graphs._traced(graph, example)
    assert len(made.layers) == 4  # as it was
    for rows in (short, long):
        with torch.inference_mode():
            expected = graph(*graph.example(rows)).numpy()
        assert np.abs(answers(whole, graph, rows) - expected).max() < 1e-4
        assert np.abs(answers(quick, graph, rows) - expected).max() < 1e-4
    assert len({one.name for one in quick.graph.initializer}) == len(quick.graph.initializer)


def test_layers_that_are_set_differently_are_not_alike():
    made = network()
    assert _layers.alike(made.layers)
    made.layers[2].attention.self.scaling = 0.5
    assert not _layers.alike(made.layers)


@pytest.mark.slow
def test_what_differs_from_layer_to_layer_is_traced_whole():
    made = network(layers=3)
    forward = type(made.layers[0]).forward

    def shifted(self, *args, number, **more):
        return forward(self, *args, **more) + 0.1 * number  # the numbers are no setting that could be seen

    for number, layer in enumerate(made.layers):
        layer.forward = lambda *args, layer=layer, number=number, **more: shifted(layer, *args, number=number, **more)
    rows = made.encode(ROWS)
    graph = _graphs._graph(made, rows)
    assert _graphs._of_one_layer(graph, made, graph.example(rows)) is None
