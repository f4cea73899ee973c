"""What share of people would give each label: read off an endpoint's log probabilities, or off a model of this machine."""

import json
import math
import re

import numpy as np
import pytest

from savile import data, testing
from savile.base.errors import DataError, InputError, MachineError, UnknownNameError
from savile.data import Options, _opinions
from savile.data._opinions import Item

LABELS = ("contradiction", "entailment", "neutral")
CHOSEN, FIRST = 2.0, 1.5  # log odds that each person and the first place add


@pytest.fixture
def endpoint(language_model):
    """A server that believes what people said and, for no good reason, the option in the first place."""

    def answer(prompt):
        scores = {letter: CHOSEN * prompt.count(f"chose {letter},") for letter in "ABC"}
        scores["A"] += FIRST
        total = math.log(sum(math.exp(one) for one in scores.values()))
        top = [{"token": f" {letter}", "logprob": score - total - 0.1} for letter, score in scores.items()]
        top.append({"token": "The", "logprob": -3.0})
        choice = {"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "top_logprobs": top}]}}
        if "silent" in prompt:
            choice.pop("logprobs")
        return choice

    return language_model(answer)


def rows():
    said = [
        [{"label": "neutral", "why": "it may be"}, {"label": "neutral", "why": "nobody knows, says ann@example.com"}],
        [{"label": "entailment", "why": "it follows"}],
        [],
    ]
    texts = [f"premise {name} / statement {i}, sent by bob@example.com" for i, name in enumerate(["one", "two", "three"] * 8)]
    told = [json.dumps(said[i % 3]) if said[i % 3] else "" for i in range(24)]
    return {"text": texts, "said": told, "label": ["neutral", "entailment", ""] * 8}


def ask(path, **settings):
    steps = {"opinions": {"explained": "said", "labels": list(LABELS), **settings}}
    return data.prepare(path, Options(text="text", steps=steps))


def test_shares_follow_what_people_said_and_not_the_place_of_an_option(home, write, endpoint):
    url, seen = endpoint
    found = ask(write(rows()), url=url)
    shares = [json.loads(cell) for cell in found.column("shares")]
    assert len(shares) == 24
    assert all(shares[i]["neutral"] > 0.85 for i in range(0, 24, 3))
    assert all(0.6 < shares[i]["entailment"] < shares[0]["neutral"] for i in range(1, 24, 3))
    assert np.allclose(list(shares[2].values()), 1 / 3, atol=1e-3)  # nobody said anything: the first place is averaged out
    assert found.column("label")[:2] == ["neutral", "entailment"]
    prompts = [prompt for prompt, _ in seen]
    assert len(prompts) == 8 * (6 * 3 + 6 + 6)
    assert not any(re.search(r"(ann|bob)@example\.com", prompt) for prompt in prompts)
    assert all(body["logprobs"] and body["max_tokens"] == 1 for _, body in seen)
    assert found.settings["steps"]["opinions"]["explained"] == 16


def test_a_model_of_this_machine_reads_the_letters(tmp_path):
    folder = testing.tiny_decoder(tmp_path / "tiny")
    items = [Item("a small cat sat", (("neutral", "who knows"),)), Item("where is my order", ())]
    found = _opinions.shares(_opinions.of_base(str(folder)), items, LABELS, "Which one?", (6, 2, 0))
    assert found.shape == (2, 3)
    assert np.allclose(found.sum(axis=1), 1.0)
    import torch
    from transformers import AutoModelForCausalLM

    from savile.models._writer import Writer

    network = Writer(str(folder), instruction="Answer with one letter.").network
    text = _opinions.prompt(items[1].text, LABELS, (), "Which one?")
    ids = torch.tensor([[*network.prompt.before, *network.encode([text])[0]]])
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = plain(ids).logits[0, -1]
    spelt = [network.tokenizer.encode(network.prompt.lead + one, add_special_tokens=False).ids[0] for one in "ABC"]
    assert np.allclose(
        _opinions.of_base(str(folder))([text], 3)[0], torch.softmax(logits[spelt].double(), 0).numpy(), atol=1e-4
    )


def test_many_labels_are_asked_about_in_rotations():
    rng = np.random.default_rng(0)
    orders = _opinions._orders(6, 3, rng)
    assert len(orders) == 3
    assert all(sorted(one.tolist()) == list(range(6)) for one in orders)
    assert len({one[0] for one in orders}) == 3


def test_what_cannot_work_is_said(home, write, endpoint):
    url, _ = endpoint
    path = write(rows())
    with pytest.raises(UnknownNameError, match="label"):
        ask(path, url=url, labels=["neutral", "entailment "])
    with pytest.raises(UnknownNameError, match="column"):
        ask(path, url=url, explained="sayd")
    with pytest.raises(InputError, match="labels to choose from"):
        ask(write({"text": ["a b c"] * 20, "said": [""] * 20}, "none.csv"), url=url, labels=[])
    bad = {**rows(), "said": ["not json"] * 24}
    with pytest.raises(DataError, match="JSON list"):
        ask(write(bad, "bad.csv"), url=url)
    with pytest.raises(MachineError, match="log probabilities"):
        ask(write({**rows(), "text": [f"silent {i} / words here" for i in range(24)]}, "silent.csv"), url=url)
