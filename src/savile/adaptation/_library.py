"""Adapters of several models on one base, as updates of its linear layers: read, compared with one another, put in clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.records import Model, Release

if TYPE_CHECKING:
    import torch

PLAIN = ("lora", "autolora")  # methods that leave W + scale * B A and nothing else
MOST_CLUSTERS = 10
RESTARTS = 10
NEAR = 0.5  # cosine of an A and the start it was trained from; two starts have none

Update = tuple["torch.Tensor", "torch.Tensor"]  # A (r, in) and B (out, r), the scale in B


@dataclass(frozen=True)
class Member:
    """One adapter of a library.

    Attributes:
        ref: of its model.
        name: of the data it was trained on.
        labels: what it answers.
        updates: name of a linear layer in the trunk -> A and B.
        head: weight (C, d) and bias (C,) over embeddings of unit length.
    """

    ref: str
    name: str
    labels: tuple[str, ...]
    updates: Mapping[str, Update]
    head: tuple[torch.Tensor, torch.Tensor]

    @property
    def rank(self) -> int:
        """The highest rank of a layer."""
        return max(len(a) for a, _ in self.updates.values())


def settled(refs: Sequence[str]) -> tuple[str, ...]:
    """References, aliases and releases -> references of models, so that what is made of them does not move with an alias.

    Raises:
        InputError: one is neither a model nor a release.
    """
    from savile.base.store import Store

    store, found = Store.open(), []
    for ref in refs.split(",") if isinstance(refs, str) else refs:
        record = store.load(ref)
        record = store.load(record.model) if isinstance(record, Release) else record
        if not isinstance(record, Model):
            raise InputError("models or releases", str(ref), "Name those that `savile show model` lists.")
        found.append(trained(record, store).ref)
    return tuple(found)


def trained(model: Model, store: Any) -> Model:
    """The model as training left it: the one of which a compressed one was made."""
    while "compress" in model.settings:
        model = store.load(next(ref for ref in model.parents if ref.startswith("model@")))
    return model


def read(refs: Sequence[str], base: Any) -> tuple[Member, ...]:
    """The adapters of stored models, in the order given.

    Args:
        refs: references of models.
        base: what they have to be adapters of (`savile.models._bases.Base`).

    Raises:
        InputError: less than two, or one of another base or method.
    """
    if len(refs) < 2:
        do = "Adapt with the method lora, task by task, and name the models in adapters."
        raise InputError("two adapters or more", ", ".join(refs) or "none", do)
    return tuple(_member(ref, base.sha256, base.name) for ref in refs)


@lru_cache(maxsize=64)
def _member(ref: str, sha256: str, base: str) -> Member:
    from safetensors.torch import load_file

    from savile.base.store import Store

    store = Store.open()
    model: Model = store.load(ref)
    files = {name: Path(str(path)) for name, path in model.forms.get("torch", {}).items()}
    spec = json.loads(files["network.json"].read_text()) if "network.json" in files else {}
    made = spec.get("settings", {})
    plain = spec.get("method") in PLAIN and not made.get("dora") and made.get("start", "zero") == "zero"
    if not plain or spec["base_sha256"] != sha256:
        received = f"{ref}: {spec.get('method') or model.family} on {model.base or 'no base'}" + (
            " in a variant" if spec.get("method") in PLAIN and not plain else ""
        )
        raise InputError(f"a model made by plain lora on {base}", received, "Adapt it anew: method lora, on that base.")
    source = files.get("adapter_model.safetensors", files.get("trunk.safetensors"))
    head = load_file(files["head.safetensors"])
    if source is None or "weight" not in head or not model.labels:
        raise InputError("a model with a head of labels", f"{ref}, which answers in words", "Adapt it with an encoder.")
    name = next((store.get(one).body["name"] for one in model.parents if one.startswith("data@")), ref)
    return Member(ref, str(name), model.labels, _updates(load_file(source), made), _linear(head))


def _updates(tensors: Mapping[str, torch.Tensor], made: Mapping[str, Any]) -> dict[str, Update]:
    """Tensors by their names in a file -> the update of each layer."""
    from savile.models._stacked import factors

    return {layer: (one["A"], one["B"] * _scale(made, len(one["A"]))) for layer, one in sorted(factors(tensors).items())}


def learned(member: Member, base: Any) -> dict[str, torch.Tensor]:
    """Name of a layer -> what training added to A, which does not start at zero, (r, in).

    Args:
        member: one of those that `read` gave.
        base: what it is an adapter of (`savile.models._bases.Base`).
    """
    from savile.base.store import Store

    model: Model = Store.open().load(member.ref)
    made = json.loads(Path(str(model.forms["torch"]["network.json"])).read_text())
    # a model that does not say what its network was made with was made with the seed of its loop
    seed = model.settings.get("seed", model.settings["fit"]["seed"])
    found = _learned(member.updates, _start(base.name, model.family, made["method"], json.dumps(made["settings"]), seed))
    if all(found[name] is a for name, (a, _) in member.updates.items()):
        emit("note", text=f"No start of {member.ref} was found: all of its adapter counts as learned.")
    return found


def _learned(updates: Mapping[str, Update], start: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What training added to each A; all of A where it did not start there."""
    import torch.nn.functional as F

    def near(a: torch.Tensor, first: torch.Tensor) -> bool:
        return a.shape == first.shape and float(F.cosine_similarity(a.flatten(), first.flatten(), dim=0)) > NEAR

    return {name: a - start[name] if name in start and near(a, start[name]) else a for name, (a, _) in updates.items()}


@lru_cache(maxsize=8)
def _start(base: str, family: str, method: str, made: str, seed: int) -> dict[str, torch.Tensor]:
    """A of each layer before the first step: the seed of a model makes it again."""
    import torch

    from savile.base import catalogue
    from savile.models._stacked import FACTOR

    plugin = catalogue.get("families", family)
    with torch.random.fork_rng(devices=[]):
        network = plugin.create(base, ("one", "other"))
        torch.manual_seed(seed)
        plugin.attach(network, method, json.loads(made))
    named = ((FACTOR.fullmatch(name), p.detach()) for name, p in network.trunk.named_parameters())
    return {match["layer"]: p for match, p in named if match and match["side"] == "A"}


def _scale(made: Mapping[str, Any], rank: int) -> float:
    """The factor on B A of a layer of some rank: alpha / r, by the root of the rank where rsLoRA is asked for."""
    share: float = made["alpha"] / made["rank"]
    return share * rank**0.5 if made.get("rslora") else share


def _linear(head: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A stored head as weight and bias over embeddings of unit length, whatever kind it is."""
    import torch.nn.functional as F

    weight = head["weight"]
    return (head["scale"] * F.normalize(weight, dim=-1) if "scale" in head else weight), head["bias"]


def alike(refs: Sequence[str], base: str, count: int = 0) -> tuple[np.ndarray, list[int]]:
    """How alike some adapters are, float64 (n, n), and which belong together, see `similarity` and `clusters`."""
    from savile.models._bases import locate

    members = read(settled(refs), locate(base))
    return similarity(members), clusters(members, count)


def similarity(members: Sequence[Member]) -> np.ndarray:
    """Cosines of the updates of whole adapters, float64 (n, n).

    <B A, B' A'> = sum over the entries of (B^T B') * (A A'^T), so no update is ever written out, and it does not matter that
    the same update has many pairs of factors.
    """
    count = len(members)
    gram = np.zeros((count, count))
    for i, one in enumerate(members):
        for j in range(i, count):
            shared = [name for name in one.updates if name in members[j].updates]
            gram[i, j] = gram[j, i] = sum(_dot(one.updates[name], members[j].updates[name]) for name in shared)
    length = np.sqrt(np.diag(gram)).clip(min=1e-30)
    cosines: np.ndarray = gram / np.outer(length, length)
    return cosines


def _dot(one: Update, other: Update) -> float:
    return float(((one[1].T.double() @ other[1].double()) * (one[0].double() @ other[0].T.double())).sum())


def clusters(members: Sequence[Member], count: int = 0, seed: int = 0) -> list[int]:
    """Model-based clustering (Ostapenko et al., ICML 2024): k-means over adapters by the cosine of their updates.

    Args:
        members: the adapters.
        count: of clusters; 0 takes the number with the highest silhouette.
        seed: of the starts of k-means.

    Returns:
        The cluster of each adapter, numbered in the order they come.

    Raises:
        InputError: more clusters than adapters.
    """
    from sklearn.metrics import silhouette_score

    if not 0 <= count <= len(members):
        raise InputError(f"1 to {len(members)} clusters", str(count), "Ask for as many as there are adapters, or fewer.")
    cosines = similarity(members)
    values, vectors = np.linalg.eigh(cosines)
    places = vectors * np.sqrt(values.clip(min=0))  # points of unit length whose inner products are the cosines
    if count:
        return _in_order(_k_means(places, count, seed))
    tried = {k: _k_means(places, k, seed) for k in range(2, min(MOST_CLUSTERS, len(members) - 1) + 1)}
    distance = (1 - cosines).clip(min=0)
    np.fill_diagonal(distance, 0)
    best = max(tried, key=lambda k: silhouette_score(distance, tried[k], metric="precomputed"), default=1)
    return _in_order(tried.get(best, np.zeros(len(members), dtype=np.int64)))


def _k_means(places: np.ndarray, count: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    found: np.ndarray = KMeans(count, n_init=RESTARTS, random_state=seed).fit_predict(places)
    return found


def _in_order(numbers: np.ndarray) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(int(one), len(first)) for one in numbers]


def by_label(known: Sequence[Sequence[str]], labels: Sequence[str], targets: np.ndarray) -> np.ndarray:
    """The adapter that knows the label of each row, int64 (n,).

    Raises:
        InputError: one knows none of them, or several know it.
    """
    place = [[number for number, own in enumerate(known) if label in own] for label in labels]
    unsure = [label for label, those in zip(labels, place, strict=True) if len(those) != 1]
    if unsure or targets.ndim != 1 or targets.dtype.kind != "i":
        do = "Put the data of each adapter behind the other in the order of the adapters: savile combine does."
        raise InputError("labels that one adapter each knows", ", ".join(unsure[:5]) or "other targets", do)
    found: np.ndarray = np.array([those[0] for those in place], dtype=np.int64)[targets]
    return found
