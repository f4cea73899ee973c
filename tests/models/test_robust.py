"""Against over-fitting: each trick is nothing at its neutral setting, and does what it says at others."""

import dataclasses

import numpy as np
import pytest
import torch
from easy_rows import rows

from savile.base.errors import InputError
from savile.models import FitSettings, _fit, _robust, encoder, fit

PLAIN = FitSettings(steps=12, learning_rate=3e-3, precision="fp32")


def trained(network, **changes):
    made = network("full", freeze=0, freeze_embeddings=False)
    fit(made, rows(90), dataclasses.replace(PLAIN, **changes))
    return made


def weights(network):
    return torch.cat([p.detach().flatten() for _, p in network.trainable()])


@pytest.mark.parametrize("changes", [{"adversarial": "fgm"}, {"adversarial": "freelb"}, {"rdrop": 1.0, "dropout": 0.1},
                                     {"average": "ema"}, {"average": "swa"}, {"label_smoothing": 0.1}])  # fmt: skip
def test_each_trick_changes_the_weights_and_still_learns(changes, network):
    made = trained(network, **changes)
    assert not torch.equal(weights(made), weights(trained(network, **{k: v for k, v in changes.items() if k == "dropout"})))
    texts, targets = rows(60, 5)
    assert (encoder.predict(made, texts).argmax(1) == targets).mean() > 0.8


def test_a_tiny_disturbance_is_none(network):
    plain, near = trained(network), trained(network, adversarial="freelb", epsilon=1e-9, ascents=2)
    assert torch.allclose(weights(plain), weights(near), atol=1e-4)


def test_moves_stay_within_epsilon_and_raise_the_loss(network):
    made = network("full", freeze=0, freeze_embeddings=False)
    source = _fit.Source(made, rows(30), PLAIN)
    moves, batch = _robust._Moves(0.5, random=True), np.arange(30)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(source.logits(batch, moves), source.targets[batch])
        loss.backward()
        losses.append(loss.item())
        moves.climb()
    assert losses[-1] > losses[0]
    assert float(moves.leaves[0].detach().flatten(1).norm(dim=1).max()) <= 0.5 + 1e-5


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_agreement_is_zero_for_equals_and_alike_both_ways(loss):
    one, other = torch.randn(5, 3), torch.randn(5, 3)
    assert float(_robust.agreement(one, one, loss)) == 0.0
    assert float(_robust.agreement(one, other, loss)) > 0
    assert torch.allclose(_robust.agreement(one, other, loss), _robust.agreement(other, one, loss))


def test_swa_is_the_mean_of_the_last_quarter():
    p = torch.nn.Parameter(torch.zeros(2))
    average = _robust.Average({"p": p}, FitSettings(average="swa"))
    for step in range(1, 9):
        p.data.fill_(float(step))
        average.update(step, 8)
    assert average.kept["p"].tolist() == [7.5, 7.5]
    with average.worn():
        assert p.tolist() == [7.5, 7.5]
    assert p.tolist() == [8.0, 8.0]


def test_a_killed_run_goes_on_with_its_average(network, tmp_path, monkeypatch):
    settings = dataclasses.replace(PLAIN, average="ema", checkpoint_seconds=0.0)
    whole = network("full")
    fit(whole, rows(60), settings)
    advance = _fit._Loop._advance

    def until(loop):
        if loop.step == 5:
            raise KeyboardInterrupt
        advance(loop)

    monkeypatch.setattr(_fit._Loop, "_advance", until)
    with pytest.raises(KeyboardInterrupt):
        fit(network("full"), rows(60), settings, checkpoint=tmp_path)
    monkeypatch.setattr(_fit._Loop, "_advance", advance)
    again = network("full")
    fit(again, rows(60), settings, checkpoint=tmp_path)
    assert torch.equal(weights(whole), weights(again))


def test_what_would_do_nothing_is_refused(network):
    for changes in ({"rdrop": 1.0}, {"adversarial": "fgm", "epsilon": 0.0}):
        with pytest.raises(InputError):
            trained(network, **changes)
