"""kill -9 in the middle of adapting: nothing acknowledged is lost, and the model that comes out is the same, bit for bit."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from savile.base.store import Store

HERE = Path(__file__).parent
SCRIPT = """
import sys
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from easy_data import dataset
from savile.adaptation import adapt
from savile.base.events import listening
from savile.models import _fit

def tell(event):
    if event.kind == "progress":
        print(event.facts["done"], flush=True)

with listening(tell):
    settings = dict(epochs=6, learning_rate=3e-3, batch_rows=8, checkpoint_seconds=0.0)
    print(adapt(dataset(120, held=30), {base!r}, "full", settings=settings).ref, flush=True)
"""


def start(base, home):
    environment = {**os.environ, "SAVILE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    script = SCRIPT.format(here=str(HERE), base=base)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)


def finish(base, home):
    """The weights and the number of steps of a run that is left in peace."""
    process = start(base, home)
    lines = process.stdout.read().split()
    assert process.wait() == 0
    forms = Store(home).load(lines[-1]).forms["torch"]
    return {name: load_file(path) for name, path in forms.items() if name.endswith("safetensors")}, len(lines) - 1


@pytest.mark.slow
def test_kills_lose_nothing(tiny, tmp_path):
    expected, steps = finish(tiny, tmp_path / "peace")
    assert steps == 90
    home, rng = tmp_path / "war", random.Random(0)
    reached = 0
    for _ in range(5):
        process = start(tiny, home)
        stop_at = reached + rng.randint(1, 12)
        for line in process.stdout:
            reached = int(line)
            if reached >= stop_at:
                break
        process.kill()
        process.wait()
    found, resumed_steps = finish(tiny, home)
    assert 90 - reached <= resumed_steps < 90
    for name, tensors in expected.items():
        assert all((tensors[key] == found[name][key]).all() for key in tensors)
    store = Store(home)
    assert store.audit.verify() == []
    assert not list((home / "training").iterdir())


STAGE = """
import sys
sys.path.insert(0, {here!r})
from dataclasses import replace
import torch
torch.set_num_threads(1)
from easy_data import dataset
from savile.adaptation import adapt
from savile.base.events import listening
from savile.data import appended

first = dataset(90, held=30)
quick = dict(learning_rate=3e-3, batch_rows=8, precision="fp32")
model = adapt(first, {base!r}, "lora", settings=dict(quick, steps=30))
grown = appended(replace(first, name="first"), replace(dataset(60, held=12, seed=5), name="later"))

def tell(event):
    if event.kind == "progress":
        print(event.facts["done"], flush=True)

with listening(tell):
    stage = dict(quick, steps=40, checkpoint_seconds=0.0, keep=dict(by={way!r}, memory=40))
    print(adapt(grown, model.ref, settings=stage).ref, flush=True)
"""


def staged(base, home, way):
    environment = {**os.environ, "SAVILE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    script = STAGE.format(here=str(HERE), base=base, way=way)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)


def ended(process, home):
    """The weights that a process left, and the steps it took."""
    lines = process.stdout.read().split()
    assert process.wait() == 0
    model = Store(home).load(lines[-1])
    return {name: load_file(path) for name, path in model.forms["torch"].items() if name.endswith("safetensors")}, lines[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["distil", "domains", "replay", "reversal"])
def test_a_stage_that_is_killed_goes_on_and_ends_with_the_same_weights(tiny, tmp_path, way):
    expected, steps = ended(staged(tiny, tmp_path / "peace", way), tmp_path / "peace")
    assert steps[-1] == "40"
    home = tmp_path / "war"
    process = staged(tiny, home, way)
    for line in process.stdout:
        if int(line) >= 17:
            break
    process.kill()
    process.wait()
    assert not [one for one in Store(home).list("model") if "keep" in Store(home).load(one["ref"]).facts]
    found, rest = ended(staged(tiny, home, way), home)
    assert int(rest[0]) > 16
    assert rest[-1] == "40"
    assert expected.keys() == found.keys()
    for name, tensors in expected.items():
        assert all((tensors[key] == found[name][key]).all() for key in tensors)
    assert Store(home).audit.verify() == []
    assert not list((home / "training").iterdir())
