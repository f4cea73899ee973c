"""Texts, columns, pictures and recordings of a row, read by one network whose parts learn together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base import catalogue, media
from savile.base.contracts import Reads, Rows
from savile.base.errors import CorruptError, InputError, UnknownNameError
from savile.base.records import Model, canonical
from savile.models import _tabular_columns as columns
from savile.models import _tabular_logistic as design
from savile.models._reasons import Contributions
from savile.models._sensed import sensed

if TYPE_CHECKING:
    import pyarrow as pa

    from savile.models._joint import Fusing, Item, JointNetwork

trains: Literal["loop", "own"] = "own"
reads: Reads = "table"
FORM = "torch"
BATCH = 64


@dataclass(frozen=True)
class Settings:
    """How it is made.

    Attributes:
        fusing: ``late`` (what each says is read by two layers), ``gated`` (gates say how much of each counts) or ``cross`` (the
            text's tokens look at the others').
        base: encoder of the text; a BERT-like one.
        method: how the text's encoder is adapted, as `savile names methods` lists them; the rest learns in any case.
        encoders: column -> encoder of its pictures or recordings; by default the one named after their kind.
        text: the column of sentences; by default the one with the longest cells.
        without: columns that are not learned from.
        epochs, least_steps, learning_rate, batch_rows: of the training loop.
        workers: processes that train together, see `savile.models.FitSettings`.
    """

    fusing: Literal["late", "gated", "cross"] = "late"
    base: str = "minilm"
    method: str = "full"
    encoders: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    without: tuple[str, ...] = ()
    epochs: float = 8.0
    least_steps: int = 300
    learning_rate: float = 5e-4
    batch_rows: int = 32
    workers: int = 1


@dataclass(frozen=True)
class Plan:
    """What is read of a row.

    Attributes:
        text: column of sentences, empty where there is none.
        senses: column of pictures or recordings -> its encoder.
        features: of the other columns.
        units: medians and deviations of their amounts, (features,) each.
    """

    text: str
    senses: Mapping[str, str]
    features: tuple[columns.Feature, ...]
    units: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Joint:
    """A network and what it is told of a row."""

    network: JointNetwork
    plan: Plan
    fusing: Fusing
    method: str


def fit(data: Rows, task: str = "classify", settings: Settings | None = None) -> Joint:
    """Learn the columns, then everything together in the training loop.

    Raises:
        InputError: a setting that cannot be used, a task about spans, or a cell that holds no picture or recording.
    """
    from savile.models import FitSettings
    from savile.models import fit as loop

    settings = settings or Settings()
    loss = catalogue.get("tasks", task).head(len(data.labels)).loss
    if loss == "token_cross_entropy":
        raise InputError("a task about rows", f"{task}, about spans of a text", "Use minilm, use-m or linear.")
    table = _table(data.inputs)
    plan = _plan(table, settings)
    joint = _made(plan, settings.base, data.labels, settings.fusing, (settings.method, data.seed))
    joint.network.loss = loss
    asked: dict[str, Any] = {name: getattr(settings, name) for name in ("epochs", "least_steps", "learning_rate", "workers")}
    chosen = FitSettings(batch_rows=settings.batch_rows, seed=data.seed, minutes=data.minutes or 0.0, **asked)
    valid: Any = (items(plan, _table(data.valid.inputs)), data.valid.targets) if data.valid is not None else None
    train: Any = (items(plan, table), data.targets)
    loop(joint.network, train, chosen, valid=valid, score=catalogue.get("tasks", task).score)
    return joint


def predict(joint: Joint, inputs: Any) -> np.ndarray:
    """Rows -> logits, float32 (n, outputs)."""
    return _logits(joint, items(joint.plan, _table(inputs)))


def contributions(joint: Joint, inputs: Any) -> Contributions:
    """What each column adds to each output: by how much it falls when the column is left out; the rest is the base."""
    table, plan = _table(inputs), joint.plan
    names = tuple(dict.fromkeys([*filter(None, [plan.text]), *plan.senses, *(one.column for one in plan.features)]))
    whole = predict(joint, table).astype(np.float64)
    weights = np.stack([whole - predict(joint, _blank(table, name)) for name in names], axis=1)
    shown = [_shown(table, name) for name in names]
    base = whole - weights.sum(axis=1)
    return Contributions([names] * len(whole), list(zip(*shown, strict=True)), list(weights), base)


def save(joint: Joint) -> dict[str, Path | bytes]:
    """The files of the form ``torch``: what differs from the base, and what is read of a row."""
    from safetensors.torch import save as to_bytes

    network, plan = joint.network, joint.plan
    learned = {name: p.detach().contiguous() for name, p in network.trainable()}
    said = {
        "base": network.base.name,
        "base_sha256": network.base.sha256,
        "labels": list(network.labels),
        "loss": network.loss,
        "fusing": joint.fusing,
        "method": joint.method,
        "text": plan.text,
        "senses": dict(plan.senses),
        "features": [asdict(feature) for feature in plan.features],
        "units": [one.tolist() for one in plan.units],
    }
    return {"joint.json": canonical(said).encode(), "learned.safetensors": to_bytes(learned)}


def load(model: Model, form: str = FORM) -> Joint:
    """The network of a saved model, in evaluation mode.

    Raises:
        CorruptError: the base on this machine is another one, or a file does not fit it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    files = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        said = json.loads(files["joint.json"].read_text())
        features = tuple(columns.of_json(entry) for entry in said["features"])
        centres, scales = (np.array(one, dtype=np.float64) for one in said["units"])
        plan = Plan(said["text"], said["senses"], features, (centres, scales))
        joint = _made(plan, said["base"], said["labels"], said["fusing"], (said["method"], 0))
        joint.network.loss = said["loss"]
        tensors = load_file(files["learned.safetensors"])
        missing = {name for name, _ in joint.network.trainable()} ^ set(tensors)
        joint.network.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CorruptError("the files of a joint model", str(error).partition("\n")[0], "Adapt again.") from error
    if missing or joint.network.base.sha256 != said["base_sha256"]:
        received = f"{len(missing)} tensors that do not fit" if missing else "another one"
        raise CorruptError(f"weights for the base {said['base']} as it was", received, "Adapt again, or bring the base back.")
    joint.network.eval()
    return joint


def items(plan: Plan, table: pa.Table) -> list[Item]:
    """Rows as the network reads them.

    Raises:
        InputError: a cell that holds no picture or recording; it names row and column.
    """
    from savile.models._joint import Item

    n = table.num_rows
    texts = [value or "" for value in _cells(table, plan.text)] if plan.text else [""] * n
    numbers = np.zeros((n, 0))
    if plan.features:
        units = design.Logistic(*plan.units, np.zeros(0), np.zeros((0, 0)), np.zeros(0))
        numbers = np.concatenate(design._blocks(plan.features, columns.encode(plan.features, table), units), axis=1)
    read = [sensed(name, encoder, _cells(table, name)) for name, encoder in plan.senses.items()]
    return [Item(texts[row], numbers[row], tuple(one[row] for one in read)) for row in range(n)]


def _plan(table: pa.Table, settings: Settings) -> Plan:
    """What there is to read.

    Raises:
        UnknownNameError: a setting names a column that is not there.
    """
    for name in (*settings.without, *settings.encoders, *filter(None, [settings.text])):
        if name not in table.column_names:
            raise UnknownNameError("column", name, table.column_names)
    table = table.drop_columns([name for name in settings.without if name in table.column_names])
    kinds = {name: kind for name in table.column_names if (kind := media.kind_of(table.column(name)))}
    senses = {name: settings.encoders.get(name, kind) for name, kind in kinds.items()}
    rest = table.drop_columns(list(senses))
    features, texts = columns.learn(rest, {})
    text = settings.text or max(texts, key=lambda name: sum(map(len, filter(None, _cells(rest, name)))), default="")
    features = tuple(one for one in features if one.column != text)
    return Plan(text, senses, features, design._units(features, columns.encode(features, rest)))


def _made(plan: Plan, base: str, labels: Sequence[str], fusing: Fusing, how: tuple[str, int]) -> Joint:
    """A fresh network, its method attached, with a seed for what begins at random."""
    import torch

    from savile.models._bases import locate
    from savile.models._joint import FUSERS, JointNetwork
    from savile.models.encoder import attach

    if fusing not in FUSERS:
        raise UnknownNameError("way of fusing", str(fusing), list(FUSERS))
    found, (method, seed) = locate(base), how
    if found.kind != "encoder":
        raise InputError("an encoder as base", f"{base}, a {found.kind} model", "Use minilm, or a BERT-like model of your own.")
    width = sum(len(one.levels) + 1 if one.kind == "category" else 2 + len(one.codes) for one in plan.features)
    torch.manual_seed(seed)
    network = JointNetwork(found, labels, list(plan.senses.values()), width, fusing)
    attach(network, method, {})
    for module in network.learning():
        module.requires_grad_(True)
    return Joint(network, plan, fusing, method)


def _logits(joint: Joint, rows: Sequence[Item]) -> np.ndarray:
    import torch

    from savile.models._rows import TokenRows, sorted_batches

    network = joint.network
    found = np.zeros((len(rows), len(network.labels)), dtype=np.float32)
    tokens = TokenRows(network.encode(rows), network.pad_id)
    with torch.inference_mode():
        for batch in sorted_batches(tokens.lengths, BATCH):
            more = network.more([rows[row] for row in batch])
            found[batch] = network(*map(torch.from_numpy, (*tokens.padded(batch), *more))).numpy()
    return found


def _table(inputs: Any) -> pa.Table:
    import pyarrow as pa

    if not isinstance(inputs, pa.Table):
        raise InputError("a table of feature columns", type(inputs).__name__, "Name another family for texts, such as linear.")
    return inputs


def _cells(table: pa.Table, name: str) -> list[Any]:
    return list(table.column(name).to_pylist()) if name in table.column_names else [None] * table.num_rows


def _blank(table: pa.Table, name: str) -> pa.Table:
    """The same table with nothing in one column."""
    import pyarrow as pa

    place = table.column_names.index(name)
    return table.set_column(place, name, pa.nulls(table.num_rows, table.schema.field(place).type))


def _shown(table: pa.Table, name: str) -> list[str]:
    """What a reason says of each cell; of pictures and recordings only that there is one."""
    return ["" if value is None else str(value).partition(";base64")[0] for value in _cells(table, name)]
