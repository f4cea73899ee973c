"""What share of people would give each label, read off a language model that is shown what a few of them said and why.

Labels are options behind letters, and the probabilities of the letters as first token of the answer are read. Letters and
places sway a model more than texts do, so every item is asked about in several orders of the options and with several choices
and orders of what people said, and the mean is taken (Chen et al., Findings of EMNLP 2024: human judgment distributions from a
few explanations). The model is an endpoint that gives log probabilities, or a causal language model on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any

import numpy as np

from savile.base.errors import MachineError
from savile.base.events import emit
from savile.data._endpoint import Endpoint

LETTERS = "ABCDEFGHIJKLMNOPQRST"  # an endpoint tells of 20 tokens at most
FLOOR = 1e-3  # share of a letter that is not among the likeliest tokens
BATCH = 16

Said = Sequence[tuple[str, str]]  # what people said of one item: label and why
Letters = Callable[[Sequence[str], int], np.ndarray]  # prompts and how many options -> shares of the letters, (n, options)


@dataclass(frozen=True)
class Item:
    """A text, and what people said of it."""

    text: str
    said: Said


def shares(ask: Letters, items: Sequence[Item], labels: Sequence[str], about: str, ways: tuple[int, int, int]) -> np.ndarray:
    """The share of people who would give each label, float64 (n, L).

    Args:
        ask: the language model.
        items: n of them.
        labels: names of the labels.
        about: the question, in a sentence.
        ways: orders of the options, choices of what people said, and a seed.
    """
    orders, choices, seed = ways
    rng, prompts, asked = np.random.default_rng(seed), list[str](), list[tuple[int, np.ndarray]]()
    for row, item in enumerate(items):
        for order in _orders(len(labels), orders, rng):
            for some in _choices(item.said, choices, rng):
                prompts.append(prompt(item.text, [labels[i] for i in order], some, about))
                asked.append((row, order))
    found, times = np.zeros((len(items), len(labels))), np.zeros(len(items))
    for start in range(0, len(prompts), 10 * BATCH):
        emit("progress", stage="opinions: asked", done=start, total=len(prompts))
        part = slice(start, start + 10 * BATCH)
        for (row, order), said in zip(asked[part], ask(prompts[part], len(labels)), strict=True):
            found[row, order] += said
            times[row] += 1
    mean: np.ndarray = found / np.maximum(times, 1)[:, None]
    return mean


def prompt(text: str, options: Sequence[str], said: Said, about: str) -> str:
    """What is asked about one item, in one order of the options."""
    listed = "\n".join(f"{letter}. {label}" for letter, label in zip(LETTERS, options, strict=False))
    letter = dict(zip(options, LETTERS, strict=False))
    people = "".join(f"\nSomebody chose {letter[label]}, because: {why}" for label, why in said if label in letter)
    heard = f"\nWhat some people said:{people}" if people else ""
    return f"{about}\n{text}\n{listed}{heard}\nWhat would most people choose? Answer with one letter."


def of_endpoint(endpoint: Endpoint) -> Letters:
    """Letters by an endpoint that gives the log probabilities of the likeliest first tokens."""

    def ask(prompts: Sequence[str], options: int) -> np.ndarray:
        return np.array([_read(choice, options, endpoint.url) for choice in endpoint.ask(prompts, likely=True)])

    return ask


def of_base(base: str) -> Letters:
    """Letters by a causal language model of this machine.

    Raises:
        InputError: the base is none.
        MissingBaseError: it is not on this machine.
    """
    import torch

    from savile.models._writer import Writer

    writer = Writer(base, instruction="Answer with one letter.")
    network = writer.network
    spelt = [network.tokenizer.encode(network.prompt.lead + one, add_special_tokens=False).ids[0] for one in LETTERS]

    @torch.inference_mode()
    def ask(prompts: Sequence[str], options: int) -> np.ndarray:
        rows, found = writer.rows(prompts, [""] * len(prompts)).prompts, np.zeros((len(prompts), options))
        for start in range(0, len(prompts), BATCH):
            some = np.arange(start, min(start + BATCH, len(prompts)))
            ids, mask = (torch.from_numpy(one) for one in rows.padded(some))
            scores = network.pooled(ids, mask) @ network._scaled_head()[spelt[:options]].T
            found[some] = torch.softmax(scores.double(), dim=1).numpy()
        return found

    return ask


def _orders(count: int, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Orders of the options, each label as often in each place as can be: all of them where they are few, else rotations."""
    if count <= 3:
        return [np.array(one) for one in islice(permutations(range(count)), most)]
    start = rng.permutation(count)
    return [np.roll(start, shift) for shift in np.linspace(0, count, min(most, count), endpoint=False).astype(int)]


def _choices(said: Said, most: int, rng: np.random.Generator) -> list[Said]:
    """What people said, all of it in several orders and parts of it; once nothing where nobody said anything."""
    if len(said) < 2:
        return [said]
    found: list[Said] = [said, tuple(reversed(said))]
    while len(found) < most:
        size = int(rng.integers(1, len(said) + 1))
        found.append(tuple(said[i] for i in rng.permutation(len(said))[:size]))
    return found[:most]


def _read(choice: Mapping[str, Any], options: int, url: str) -> np.ndarray:
    """Shares of the letters, (options,), from the likeliest first tokens."""
    try:
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        chance = np.full(options, 0.0)
        for one in top:
            letter = str(one["token"]).strip().strip(".").upper()
            if len(letter) == 1 and letter in LETTERS[:options]:
                chance[LETTERS.index(letter)] += np.exp(float(one["logprob"]))
    except (KeyError, IndexError, TypeError, ValueError):
        do = "Ask an endpoint that supports logprobs and top_logprobs, or leave url out and name a base."
        raise MachineError(f"log probabilities from {url}", "an answer without them", do) from None
    chance = np.maximum(chance / max(chance.sum(), 1e-12), FLOOR)
    return np.asarray(chance / chance.sum())
