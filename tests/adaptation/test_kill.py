"""kill -9 in the middle of adapting: nothing acknowledged is lost, and the model that comes out is the same, bit for bit."""

import multiprocessing
import os
import random
from dataclasses import replace

import pytest
from easy_data import dataset
from safetensors.numpy import load_file

from savile.adaptation import adapt
from savile.base.events import listening
from savile.base.store import Store
from savile.data import appended

FORKS = multiprocessing.get_context("forkserver")  # one process imports what all of them need, and learns nothing itself
FORKS.set_forkserver_preload(["savile.models._fit", "savile.models.encoder", "transformers.models.bert.modeling_bert"])


def plain(tell, base):
    with listening(tell):
        settings = {"epochs": 6, "learning_rate": 3e-3, "batch_rows": 8, "checkpoint_seconds": 0.0}
        return adapt(dataset(120, held=30), base, "full", settings=settings)


def staged(tell, base, way):
    first = dataset(90, held=30)
    quick = {"learning_rate": 3e-3, "batch_rows": 8, "precision": "fp32"}
    model = adapt(first, base, "lora", settings={**quick, "steps": 30})
    grown = appended(replace(first, name="first"), replace(dataset(60, held=12, seed=5), name="later"))
    with listening(tell):
        stage = {**quick, "steps": 40, "checkpoint_seconds": 0.0, "keep": {"by": way, "memory": 40}}
        return adapt(grown, model.ref, settings=stage)


def at_home(home, tells, work, given):
    """Work in a home, telling every step and last the model."""
    import torch

    os.environ["SAVILE_HOME"] = str(home)
    torch.set_num_threads(1)
    tells.send(work(lambda event: tells.send(event.facts["done"]) if event.kind == "progress" else None, *given).ref)


def begun(home, work, *given):
    """A process at some work in a home, and what it tells, which ends with it."""
    told, tells = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=at_home, args=(home, tells, work, given))
    process.start()
    tells.close()

    def heard():
        while True:
            try:
                yield told.recv()
            except EOFError:
                return

    return process, heard()


def killed_at(step, home, work, *given):
    """Kill a process as soon as it has told of a step; the last step it told of."""
    process, heard = begun(home, work, *given)
    reached = next(done for done in heard if done >= step)
    process.kill()
    process.join()
    assert process.exitcode == -9
    return reached


def in_peace(home, work, *given):
    """The weights that a process leaves, and the steps it told of."""
    process, heard = begun(home, work, *given)
    *steps, ref = heard
    process.join()
    assert process.exitcode == 0
    forms = Store(home).load(ref).forms["torch"]
    return {name: load_file(path) for name, path in forms.items() if name.endswith("safetensors")}, steps


def assert_same(expected, found, home):
    assert expected.keys() == found.keys()
    for name, tensors in expected.items():
        assert all((tensors[key] == found[name][key]).all() for key in tensors)
    assert Store(home).audit.verify() == []
    assert not list((home / "training").iterdir())


@pytest.mark.slow
def test_kills_lose_nothing(tiny, tmp_path):
    expected, steps = in_peace(tmp_path / "peace", plain, tiny)
    assert len(steps) == 90
    home, rng = tmp_path / "war", random.Random(0)
    reached = 0
    for _ in range(5):
        reached = killed_at(reached + rng.randint(1, 12), home, plain, tiny)
    found, resumed = in_peace(home, plain, tiny)
    assert 90 - reached <= len(resumed) < 90
    assert_same(expected, found, home)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["distil", "domains", "replay", "reversal"])
def test_a_stage_that_is_killed_goes_on_and_ends_with_the_same_weights(tiny, tmp_path, way):
    expected, steps = in_peace(tmp_path / "peace", staged, tiny, way)
    assert steps[-1] == 40
    home = tmp_path / "war"
    killed_at(17, home, staged, tiny, way)
    assert not [one for one in Store(home).list("model") if "keep" in Store(home).load(one["ref"]).facts]
    found, rest = in_peace(home, staged, tiny, way)
    assert rest[0] > 16
    assert rest[-1] == 40
    assert_same(expected, found, home)
