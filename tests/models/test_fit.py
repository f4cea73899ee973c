"""The training loop: equal to plain torch, exact where it takes short cuts, resumed bit for bit, kept to its budget."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from easy_rows import rows

from savile.base import answers
from savile.base.errors import InputError
from savile.base.events import listening
from savile.models import FitSettings, _checkpoint, _fit, _team, _within, encoder, fit
from savile.models._fit import rate
from savile.models._source import Source

PLAIN = FitSettings(precision="fp32", epochs=3, learning_rate=3e-3, batch_rows=16)


def weights(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def largest_difference(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def predict(network, texts):
    return encoder.predict(network, texts).argmax(1)


def test_it_learns_and_says_what_it_did(network):
    made, (texts, targets) = network(), rows(90)
    done = fit(made, (texts, targets), dataclasses.replace(PLAIN, epochs=6), valid=rows(30, seed=1))
    assert (predict(made, texts) == targets).mean() > 0.9
    assert done.steps == 6 * 6
    assert done.best == max(entry["score"] for entry in done.history)
    assert done.tokens == 6 * sum(map(len, made.encode(texts)))


def test_steps_are_those_of_plain_torch(network):
    """One batch an epoch, so that the order of rows plays no part."""
    ours, plain, (texts, targets) = network(freeze=0), network(freeze=0), rows(12)
    settings = dataclasses.replace(PLAIN, epochs=4, schedule="constant", warmup=0.0, clip=0.5, weight_decay=0.1)
    with torch.no_grad():  # away from zero, so that the head does not start at the class means
        for made in (ours, plain):
            torch.manual_seed(1)
            made.head.weight.normal_()
    fit(ours, (texts, targets), settings)
    learning = [p for _, p in plain.trainable()]
    groups = [{"params": [p for p in learning if (p.ndim >= 2) == matrix], "weight_decay": 0.1 * matrix} for matrix in (1, 0)]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in plain.encode(texts)], batch_first=True)
    plain.eval()
    for _ in range(4):
        optimiser.zero_grad()
        F.cross_entropy(plain(ids, (ids > 0).long()), torch.from_numpy(targets)).backward()
        torch.nn.utils.clip_grad_norm_(learning, 0.5)
        optimiser.step()
    assert largest_difference(weights(ours), weights(plain)) < 1e-4


def test_kept_frozen_layers_change_nothing(network):
    kept, again, train = network(freeze=2), network(freeze=2), rows(60)
    fit(kept, train, PLAIN)
    fit(again, train, dataclasses.replace(PLAIN, keep_frozen=False))
    assert largest_difference(weights(kept), weights(again)) < 1e-4


def test_accumulated_batches_make_the_step_of_one_large_batch(network):
    """Two halves of equal size: the mean of their mean losses is the loss of the whole."""
    whole, halves, (texts, targets) = network(), network(), rows(16)
    texts = [" ".join(text.split()[:3]) for text in texts]  # of one length, or the halves would be cut elsewhere
    settings = dataclasses.replace(PLAIN, steps=1, warmup=0.0)
    fit(whole, (texts, targets), settings)
    fit(halves, (texts, targets), dataclasses.replace(settings, batch_rows=8, accumulate=2))
    assert largest_difference(weights(whole), weights(halves)) < 1e-4


def test_frozen_layers_stay_as_they_were(network):
    made = network(freeze=2)
    before = weights(made)
    fit(made, rows(30), PLAIN)
    moved = {name for name, tensor in weights(made).items() if not torch.equal(tensor, before[name])}
    assert moved
    assert not {name for name in moved if "embeddings" in name or ".layer.0." in name or ".layer.1." in name}


def test_the_best_weights_are_kept_and_patience_ends_training(network):
    made, train, (texts, targets) = network(), rows(60), rows(30, seed=1)
    wild = dataclasses.replace(PLAIN, epochs=30, learning_rate=0.3, schedule="constant", evaluations=30, patience=3)
    done = fit(made, train, wild, valid=(texts, targets))
    merits = [(entry["score"], -entry["valid_loss"]) for entry in done.history]
    assert done.best == max(merits)[0]
    assert len(merits) < 30
    assert len(merits) - 1 - merits.index(max(merits)) == 3
    assert (predict(made, texts) == targets).mean() == pytest.approx(done.best)


@pytest.mark.parametrize("changes", [{"optimizer": "sgd", "learning_rate": 0.1}, {"dropout": 0.2}, {"precision": "bf16"}])
def test_other_ways_of_training_learn_too(network, changes):
    made, (texts, targets) = network(), rows(90)
    fit(made, (texts, targets), dataclasses.replace(PLAIN, epochs=6, **changes))
    assert (predict(made, texts) == targets).mean() > 0.9


def test_class_weights_lift_rare_classes(network):
    texts, targets = rows(300)
    keep = np.flatnonzero((targets != 2) | (np.arange(300) % 60 == 2))
    train = ([texts[i] for i in keep], targets[keep])
    shares = {}
    for weighing in ("none", "balanced"):
        made = network()
        settings = dataclasses.replace(PLAIN, epochs=1, learning_rate=3e-4, class_weights=weighing)
        fit(made, train, settings)
        shares[weighing] = torch.from_numpy(encoder.predict(made, texts)).softmax(1)[:, 2].mean()
    assert shares["balanced"] > shares["none"]


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "linear", "constant"])
def test_the_rate_rises_and_falls_within_its_bounds(schedule):
    settings = FitSettings(schedule=schedule, warmup=0.2)
    rates = [rate(settings, step, 50) for step in range(50)]
    assert all(0 <= one <= 1 for one in rates)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_budget_cuts_the_steps(network):
    train = rows(120)
    assert fit(network(), train, dataclasses.replace(PLAIN, epochs=50, minutes=1e-6)).steps == 1
    assert fit(network(), train, dataclasses.replace(PLAIN, epochs=1, minutes=10)).steps == 8


def test_a_budget_too_short_for_all_rows_takes_a_share_of_each_label(network):
    train = rows(1_500)
    fitted = fit(network(), train, dataclasses.replace(PLAIN, minutes=1e-6))
    assert fitted.settings.most_rows == _within.LEAST
    assert fit(network(), train, dataclasses.replace(PLAIN, most_rows=64, batch_rows=64)).steps == PLAIN.epochs
    chosen = answers.drawn(np.repeat([0, 1, 2], [900, 99, 1]), 100, seed=0)
    assert np.bincount(np.repeat([0, 1, 2], [900, 99, 1])[chosen]).tolist() == [90, 9, 1]
    assert len(np.unique(answers.drawn(np.linspace(0.0, 1.0, 1_000), 100, seed=0))) == 100


def test_the_budget_is_settled_once_and_found_again(network, tmp_path):
    train, short = rows(120), dataclasses.replace(PLAIN, epochs=50, minutes=1e-6)
    assert fit(network(), train, short, checkpoint=tmp_path).settings.most_steps == 1
    assert fit(network(), train, dataclasses.replace(short, minutes=10), checkpoint=tmp_path).steps == 1
    assert fit(network(), train, dataclasses.replace(PLAIN, epochs=50, most_steps=3)).steps == 3


def test_workers_time_as_many_steps_as_the_first_of_them_says(network, monkeypatch):
    class Slow(_team.Team):
        def agreed(self, number):
            return math.inf

    settings, timed = dataclasses.replace(PLAIN, minutes=10.0, batch_rows=8), []
    loop = _fit._Loop(Source(network(), rows(90), settings), settings, _fit._accuracy, Slow())
    backward = loop._backward
    monkeypatch.setattr(loop, "_backward", lambda *given: timed.append(given) or backward(*given))
    loop._probe()
    assert len(timed) == 2  # one that pays for kernel caches, one that is timed


class StoppedError(Exception):
    """Ends training in the middle, as a kill would."""


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(network, tmp_path, dropout):
    train, valid = rows(90), rows(30, seed=1)
    settings = dataclasses.replace(PLAIN, dropout=dropout, checkpoint_seconds=0.0, precision="auto", keep_frozen=not dropout)
    whole = network()
    expected = fit(whole, train, settings, valid=valid)
    for last in (1, 7, 12):

        def stop(event, last=last):
            if event.kind == "progress" and event.facts["done"] == last:
                raise StoppedError

        with pytest.raises(StoppedError), listening(stop):
            fit(network(), train, settings, valid=valid, checkpoint=tmp_path)
    resumed = network()
    seen = []
    with listening(lambda event: seen.append(event.facts.get("text", ""))):
        done = fit(resumed, train, settings, valid=valid, checkpoint=tmp_path)
    assert "resumed at step 11 of 18" in seen
    assert all(torch.equal(one, weights(resumed)[name]) for name, one in weights(whole).items())
    assert (done.history, done.best, done.tokens) == (expected.history, expected.best, expected.tokens)
    assert _checkpoint.newest(tmp_path)[1]["step"] == 18  # left for whoever keeps the weights to remove


def test_the_mean_of_several_runs_is_kept_and_what_is_done_outlasts_a_kill(network, tmp_path):
    train, settings = rows(60), dataclasses.replace(PLAIN, batch_rows=8, runs=3)
    ends = []
    for seed in range(3):
        alone = network()
        fit(alone, train, dataclasses.replace(settings, runs=1, seed=seed))
        ends.append(weights(alone))
    mean = {name: torch.stack([end[name] for end in ends]).double().mean(0).float() for name in ends[0]}
    whole = network()
    fitted = fit(whole, train, settings)
    assert largest_difference(weights(whole), mean) < 1e-6
    assert fitted.steps == 3 * fit(network(), train, dataclasses.replace(settings, runs=1)).steps

    def stop(event):
        if event.kind == "progress" and event.facts["done"] == 5 and (tmp_path / "run-1").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        fit(network(), train, dataclasses.replace(settings, checkpoint_seconds=0.0), checkpoint=tmp_path)
    resumed = network()
    fit(resumed, train, dataclasses.replace(settings, checkpoint_seconds=0.0), checkpoint=tmp_path)
    assert largest_difference(weights(resumed), weights(whole)) == 0.0


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    for step in (1, 2, 3):
        _checkpoint.save(tmp_path, step, {"a": torch.full((3,), float(step))}, {"best": None})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000003"]
    newest = tmp_path / "step-000000003" / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1] + b"\xff")
    tensors, state = _checkpoint.newest(tmp_path)
    assert (float(tensors["a"][0]), state["step"]) == (2.0, 2)
    (tmp_path / "step-000000002" / "manifest.json").write_text("{")
    assert _checkpoint.newest(tmp_path) is None


@pytest.mark.parametrize(
    ("texts", "targets", "sentence"),
    [([], [], "at least one"), (["a", "b"], [0], "as many texts as targets"), (["a"], [3], "targets from 0 to 2")],
)
def test_rows_that_cannot_be_learned_from(network, texts, targets, sentence):
    with pytest.raises(InputError, match=sentence):
        fit(network(), (texts, np.array(targets, dtype=np.int64)), PLAIN)


def test_nothing_to_train_is_said(network):
    made = network()
    made.requires_grad_(False)
    with pytest.raises(InputError, match="something to train"):
        fit(made, rows(6), PLAIN)
