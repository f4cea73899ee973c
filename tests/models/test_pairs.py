"""Two texts a row: each is read as it would be alone, whatever stands beside it, in every form."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from savile.base import answers
from savile.models import FitSettings, encoder, fit, sentence

TEXTS = ["my card was stolen", "the parcel is late", "card blocked", "money refund please the order is late again today"]
LABELS = ("apart", "alike")


def made(tiny, family):
    return (
        encoder.create(tiny, LABELS, pairs=True, cosine=False)
        if family == "encoder"
        else sentence.create("use-m", LABELS, pairs=True)
    )


def pairs():
    return [answers.pair(one, other) for one in TEXTS for other in TEXTS]


def test_pairs_are_joined_and_parted():
    assert answers.parted(answers.pair("one", "two ␞ three")) == ("one", "two   three")
    assert answers.parted("alone") == ("alone", "")
    assert answers.compared("alone") == "alone"
    assert answers.compared(answers.pair("a b c", "a b d")) == "shared shared apart apart"


@pytest.mark.parametrize("family", ["encoder", "sentence"])
def test_angles_are_those_of_single_texts(family, tiny):
    network = made(tiny, family).eval()
    network.pairs = False
    rows = network.encode(TEXTS)
    with torch.inference_mode():
        single = torch.cat([network.pooled(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.int64)) for row in rows])
        network.pairs = True
        read = network.encode(pairs())
        longest = max(map(len, read)) + 3
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in read])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in read])
        found = network.pooled(ids, mask)[:, 0].view(len(TEXTS), -1)
    unit = F.normalize(single, dim=-1)
    assert torch.allclose(found, unit @ unit.T, atol=1e-5)


def test_frozen_it_is_the_best_threshold_on_the_cosine(tiny):
    network = encoder.create(tiny, LABELS, pairs=True, cosine=False)
    encoder.attach(network, "head", {})
    texts, targets = pairs(), np.eye(len(TEXTS), dtype=np.int64).ravel()
    fit(network, (texts, targets), FitSettings(precision="fp32"))
    logits = encoder.predict(network, texts)
    assert ((logits[:, 1] > logits[:, 0]) == (targets == 1)).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("family", ["encoder", "sentence"])
def test_exported_pairs_answer_as_trained(family, tiny):
    import onnxruntime

    from savile.compression._graphs import to_onnx

    network = made(tiny, family)
    (encoder if family == "encoder" else sentence).attach(network, "full", {})
    fit(network, (pairs(), np.eye(len(TEXTS), dtype=np.int64).ravel()), FitSettings(steps=5, precision="fp32"))
    expected = encoder.predict(network, pairs())
    session = onnxruntime.InferenceSession(to_onnx(network, network.encode(pairs())), providers=["CPUExecutionProvider"])
    found = []
    for text in pairs():
        ids = np.array(network.encode([text]))
        found.append(session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0])
    assert np.abs(np.stack(found) - expected).max() < 1e-3
