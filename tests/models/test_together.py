"""Several workers: the run of one process, whatever is learned; killed ones explained; resumed where they were."""

import contextlib
import dataclasses
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from easy_rows import WORDS, rows

from savile import testing
from savile.base import ray_cluster
from savile.base.errors import InputError, MachineError
from savile.base.events import listening
from savile.base.outputs import Span
from savile.models import FitSettings, _checkpoint, _shards, _team, decoder, encoder, fit

HERE = Path(__file__).parent
PLAIN = FitSettings(precision="fp32", epochs=2, learning_rate=3e-3, batch_rows=16)
IN_SHARES = "decoder in shares"
NEAR = 2e-5  # sums of other order, in fp32


def spans(count):
    """Texts whose words of a class are spans."""
    texts, _ = rows(count)
    known = {word: place for place, label in enumerate(sorted(WORDS)) for word in WORDS[label]}
    found = np.empty(count, dtype=object)
    for row, text in enumerate(texts):
        at = [text.index(word) for word in text.split()]
        found[row] = tuple(
            Span(start, start + len(word), known[word]) for word, start in zip(text.split(), at, strict=True) if word in known
        )
    return texts, found


def several(count):
    """Texts with any number of labels."""
    texts, targets = rows(count)
    return texts, np.eye(3, dtype=np.float32)[targets]


def numbers(count):
    texts, targets = rows(count)
    return texts, (targets - 1.0).astype(np.float64)


CASES = {
    "full": ("encoder", "full", "cross_entropy", rows, {}),
    "weighted": ("encoder", "full", "cross_entropy", rows, {"class_weights": "balanced", "label_smoothing": 0.1}),
    "lora, batches added up": ("encoder", "lora", "cross_entropy", rows, {"accumulate": 2, "batch_rows": 8, "average": "ema"}),
    "adversarial": ("encoder", "full", "cross_entropy", rows, {"adversarial": "fgm"}),
    "any number": ("encoder", "bitfit", "binary_cross_entropy", several, {}),
    "a number": ("encoder", "full", "squared_error", numbers, {"optimizer": "sgd", "learning_rate": 0.05}),
    "spans": ("encoder", "full", "token_cross_entropy", spans, {}),
    "decoder": ("decoder", "lora", "cross_entropy", rows, {}),
    "decoder, all of it": ("decoder", "full", "cross_entropy", rows, {"learning_rate": 1e-3}),
    "decoder, looked at": ("decoder", "adalora", "cross_entropy", rows, {}),
    IN_SHARES: ("decoder", "lora", "cross_entropy", rows, {"sharded": True}),
    "decoder in shares, with a head": ("decoder", "lora", "binary_cross_entropy", several, {"sharded": True, "average": "ema"}),
}

# one process learns otherwise: bf16 rounds sums, and what all texts have before them is moved by the worker's own rows
ALIKE = {
    "in bf16": {"precision": "bf16"},
    "disturbed": {"adversarial": "fgm", "accumulate": 2, "batch_rows": 8},
}


def made(bases, case):
    kind, method, loss, _, _ = CASES[case]
    family = {"encoder": encoder, "decoder": decoder}[kind]
    cosine = loss == "cross_entropy"
    network = family.create(str(Path(bases) / kind), sorted(WORDS), loss, cosine=cosine, max_length=32)
    torch.manual_seed(0)
    family.attach(network, method, {})
    return network


def trained(bases, case, folder=None, network=None, **changes):
    """Weights that were learned, losses, and what training did."""
    _, _, _, draw, settings = CASES[case]
    network, losses = network or made(bases, case), []
    with listening(lambda event: losses.append(event.facts["loss"]) if event.kind == "progress" else None):
        one = dataclasses.replace(PLAIN, **{**settings, **changes})
        fitted = fit(network, draw(50), one, valid=draw(20), checkpoint=folder)
    return {name: p.detach() for name, p in network.trainable()}, losses, fitted


def worker(rank, port, bases, out):
    """One of two processes that torch.distributed connects, for every case."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    for place, case in enumerate(CASES):
        network = made(bases, case)
        weights, losses, fitted = trained(bases, case, network=network, workers=2)
        if rank == 0:
            said = {"losses": losses, "steps": fitted.steps, "history": fitted.history, "tokens": fitted.tokens}
            said["held"] = _shards.held(network)
            _checkpoint.save(Path(out) / str(place), 0, weights, said)
    for name, changes in ALIKE.items():
        for sharded in (False, True):
            weights, losses, fitted = trained(bases, IN_SHARES, workers=2, sharded=sharded, **changes)
            if rank == 0:
                _checkpoint.save(Path(out) / f"{name} {sharded}", 0, weights, {"losses": losses, "history": fitted.history})
    with contextlib.suppress(KeyboardInterrupt), listening(stop):
        trained(bases, IN_SHARES, Path(out) / "stopped", workers=2, checkpoint_seconds=0.0)
    weights, _, fitted = trained(bases, IN_SHARES, Path(out) / "stopped", workers=2, checkpoint_seconds=0.0)
    if rank == 0:
        _checkpoint.save(Path(out) / "resumed", 0, weights, {"history": fitted.history})
    torch.distributed.destroy_process_group()


def stop(event):
    """Ends training in the middle, as a kill would."""
    if event.kind == "progress" and event.facts["done"] == 5:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    texts = [" ".join((*words, "please the my is")) for words in WORDS.values()]
    folder = tmp_path_factory.mktemp("bases")
    for name, tiny in (("encoder", testing.tiny_encoder), ("decoder", testing.tiny_decoder)):
        (folder / name).mkdir()
        tiny(folder / name, texts)
    return folder


@pytest.fixture(scope="module")
def by_two(bases, tmp_path_factory):
    """What two processes have learned, case by case."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(worker, (port, str(bases), str(out)), nprocs=2)
    names = ["resumed", *(f"{name} {sharded}" for name in ALIKE for sharded in (False, True))]
    places = {name: name for name in names} | {case: str(place) for place, case in enumerate(CASES)}
    return {case: _checkpoint.newest(out / place) for case, place in places.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_workers_learn_what_one_process_does(case, bases, by_two):
    weights, losses, fitted = trained(bases, case, sharded=False)
    found, said = by_two[case]
    assert said["steps"] == fitted.steps
    assert said["tokens"] == fitted.tokens
    assert np.abs(np.subtract(said["losses"], losses)).max() <= 1e-3
    assert [one["score"] for one in said["history"]] == [one["score"] for one in fitted.history]
    before = dict(made(bases, case).named_parameters())
    moved = max(float((weights[name] - before[name]).abs().max()) for name in weights)
    apart = max(float((weights[name] - found[name]).abs().max()) for name in weights)
    assert moved > 1e-3
    assert apart < 0.02 * moved


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][-1].get("sharded")])
def test_each_worker_holds_half_of_what_stands_still(case, bases, by_two):
    held, whole = by_two[case][1]["held"]
    network = made(bases, case)
    still = sum(one.weight.nbytes for one in network.still())
    assert still > 0
    assert held == whole - still / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIKE)
def test_workers_with_shares_learn_to_the_bit_what_workers_with_copies_do(name, by_two):
    (copied, one), (shared, other) = (by_two[f"{name} {sharded}"] for sharded in (False, True))
    assert one == other
    assert all(torch.equal(copied[key], shared[key]) for key in copied)


@pytest.mark.slow
def test_a_network_in_shares_goes_on_bit_for_bit(by_two):
    weights, said = by_two["resumed"]
    found, whole = by_two[IN_SHARES]
    assert said["history"] == whole["history"]
    assert all(torch.equal(weights[name], found[name]) for name in found)


@pytest.mark.parametrize(
    ("case", "changes", "sentence"),
    [
        ("full", {"workers": 2}, "a language model, whose layers"),
        ("decoder", {}, "two workers or more"),
        ("decoder, quantised", {"workers": 2}, "frozen matrices .* peqa"),
    ],
)
def test_what_cannot_be_held_in_shares_is_refused(case, changes, sentence, bases, monkeypatch):
    monkeypatch.setitem(CASES, "decoder, quantised", ("decoder", "peqa", "cross_entropy", rows, {}))
    with pytest.raises(InputError, match=sentence):
        trained(bases, case, sharded=True, **changes)


class Killed:
    """The share of right answers; the second worker that is asked for it dies, once."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, predicted, gold):
        if _team.team().rank == 1 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float((predicted == gold).mean())


@pytest.fixture
def cluster():
    pytest.importorskip("ray.train", reason="the extra ray is not installed: pip install 'savile[ray]'")
    with ray_cluster.connected(3) as ray:
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
        yield ray


@pytest.mark.slow
def test_under_ray_a_killed_worker_is_told_of_and_the_team_goes_on(bases, cluster, tmp_path):
    weights, losses, fitted = trained(bases, "full", checkpoint_seconds=0.0)
    network, said = made(bases, "full"), []
    settings = dataclasses.replace(PLAIN, checkpoint_seconds=0.0, workers=2)
    with listening(said.append):
        found = fit(network, rows(50), settings, valid=rows(20), checkpoint=tmp_path, score=Killed(tmp_path / "killed"))
    warned = [event.facts["text"] for event in said if event.kind == "warning"]
    assert len(warned) == 1
    assert "of 2 was lost" in warned[0]
    assert any("resumed at step" in event.facts["text"] for event in said if event.kind == "note")
    assert found.steps == fitted.steps
    assert [one["score"] for one in found.history] == [one["score"] for one in fitted.history]
    seen = {event.facts["done"]: event.facts["loss"] for event in said if event.kind == "progress"}
    assert np.abs(np.subtract([seen[step] for step in sorted(seen)], losses)).max() <= 1e-3
    apart = max(float((p.detach() - weights[name]).abs().max()) for name, p in network.trainable())
    assert apart < 1e-3
    again = made(bases, "full")
    assert fit(again, rows(50), settings, valid=rows(20), checkpoint=tmp_path).steps == fitted.steps  # done already
    assert all(torch.equal(p, dict(network.named_parameters())[name]) for name, p in again.named_parameters())


@pytest.mark.slow
def test_under_ray_workers_that_hold_shares_leave_the_files_of_one_process(bases, cluster, tmp_path):
    one, two, said = made(bases, IN_SHARES), made(bases, IN_SHARES), []
    fit(one, rows(50), PLAIN, checkpoint=tmp_path / "one")
    settings = dataclasses.replace(PLAIN, workers=2, sharded=True, checkpoint_seconds=0.0)
    with listening(said.append):
        fit(two, rows(50), settings, checkpoint=tmp_path / "two")
    assert any("Each of 2 workers holds" in event.facts["text"] for event in said if event.kind == "note")
    answers = [decoder.predict(network, rows(9)[0]) for network in (one, two)]
    assert np.abs(answers[0] - answers[1]).max() < 1e-3
    alone, together = decoder.save(one), decoder.save(two)
    assert alone.keys() == together.keys()
    for name in alone:
        if not name.endswith(".safetensors"):
            assert alone[name] == together[name]
            continue
        here, there = safetensors.torch.load(alone[name]), safetensors.torch.load(together[name])
        assert here.keys() == there.keys()
        assert all((here[key] - there[key]).abs().max() < 1e-3 for key in here)
    theirs = {key: p.shape for key, p in _checkpoint.newest(tmp_path / "two")[0].items()}
    assert theirs["weight/trunk.model.layers.0.self_attn.q_proj.lora_A.default.weight"] == (8, 32)
    fresh = dict(made(bases, IN_SHARES).named_parameters())
    assert all(torch.equal(p, fresh[name]) for name, p in two.named_parameters() if not p.requires_grad)


@pytest.mark.slow
def test_what_a_user_can_mend_is_told_as_by_one_process(bases, cluster):
    wild = dataclasses.replace(PLAIN, learning_rate=1e30, workers=2)
    with pytest.raises(InputError, match="a loss that is a number"):
        fit(made(bases, "full"), rows(50), wild)
    with pytest.raises(MachineError, match="cores"):
        fit(made(bases, "full"), rows(50), dataclasses.replace(PLAIN, workers=9))
