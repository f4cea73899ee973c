"""Tables of amounts, categories, dates and texts: boosted trees, additive models that explain themselves, or a regression."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from savile.base import catalogue
from savile.base.contracts import Reads, Rows
from savile.base.errors import CorruptError, DataError, InputError, UnknownNameError
from savile.base.records import Model, canonical
from savile.models import _tabular_additive as additive
from savile.models import _tabular_boosting as boosting
from savile.models import _tabular_columns as columns
from savile.models import _tabular_logistic as logistic
from savile.models import _tabular_stacked as stacked
from savile.models import _tabular_text as text
from savile.models._reasons import Contributions
from savile.models._tabular_trees import Plan

if TYPE_CHECKING:
    import pyarrow as pa

trains: Literal["loop", "own"] = "own"
reads: Reads = "table"
FORM = "tabular"
MODULES = {"boosting": boosting, "additive": additive, "logistic": logistic, "stacked": stacked}
KINDS = tuple(MODULES)


@dataclass(frozen=True)
class Settings:
    """What kind of model, and what columns mean.

    Attributes:
        kind: ``boosting`` (LightGBM), ``additive`` (a curve a column and a few surfaces; reasons are the model itself),
            ``logistic`` (one-hot and standardised columns: the floor) or ``stacked``, the three weighted by rows held out.
        error: of numbers, what trees make small: the mean of the ``squared`` errors or of the ``absolute`` ones.
        without: columns that are not learned from, such as those that may not count in a decision.
        codes: column -> numbers in it that are no amounts, such as -9; other columns' codes are recognised.
        pairs: surfaces of two columns that an additive model may have.
        base: what embeds texts: ``auto``, the name of a base, or empty for their words alone.
        dimensions: of an embedded text.
    """

    kind: Literal["boosting", "additive", "logistic", "stacked"] = "boosting"
    error: Literal["squared", "absolute"] = "squared"
    without: tuple[str, ...] = ()
    codes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    pairs: int = 10
    base: str = "auto"
    dimensions: int = 16


CANDIDATES: tuple[Mapping[str, Any], ...] = tuple({"kind": kind} for kind in ("logistic", "additive", "boosting"))


@dataclass(frozen=True)
class Tabular:
    """A fitted model.

    Attributes:
        kind: see `Settings`.
        labels: label of each output.
        loss: the task's.
        features: what the columns of the encoded rows are; those of texts come last.
        texts: the blocks of text features.
        parts: the fitted model; with any number of labels one for each.
        sums: scores a part gives: 1 for two labels, for a label by itself and for a number, else one a label.
    """

    kind: str
    labels: tuple[str, ...]
    loss: str
    features: tuple[columns.Feature, ...]
    texts: tuple[text.TextBlock, ...]
    parts: tuple[Any, ...]
    sums: int


def fit(data: Rows, task: str = "classify", settings: Settings | None = None) -> Tabular:
    """Learn the columns, then the model.

    Raises:
        InputError: a setting that cannot be used, or a task that is about spans of a text.
        DataError: no column says anything.
    """
    loss = catalogue.get("tasks", task).head(len(data.labels)).loss
    if loss == "token_cross_entropy":
        raise InputError("a task about rows", f"{task}, about spans of a text", "Use minilm, use-m or linear.")
    settings, table = settings or Settings(), _table(data.inputs)
    _check(settings, table, loss)
    table = table.drop_columns([name for name in settings.without if name in table.column_names])
    declared = {name: tuple(float(code) for code in codes) for name, codes in settings.codes.items()}
    features, named = columns.learn(table, declared)
    matrix, blocks = columns.encode(features, table), []
    for name in named:
        rows = replace(data, inputs=_strings(table, name), valid=None)
        block, embedded = text.fit(name, rows, task, settings.base, settings.dimensions)
        blocks.append(block)
        features += tuple(columns.Feature(name, "text", str(place)) for place in range(block.width))
        matrix = np.concatenate([matrix, embedded], axis=1)
    if not features:
        received = ", ".join(table.column_names[:5]) or "none"
        raise DataError("a column to learn from", received, "Add columns whose values repeat, or numbers, dates or texts.")
    several = data.targets.ndim == 2
    outputs = 1 if several or len(data.labels) < 3 else len(data.labels)
    plan = Plan(loss, outputs, data.seed, 0, settings.pairs, settings.error == "absolute")
    targets = [column.astype(np.int64) for column in data.targets.T] if several else [data.targets]
    parts = tuple(_part(settings.kind, features, matrix, target, plan) for target in targets)
    return Tabular(settings.kind, tuple(data.labels), loss, features, tuple(blocks), parts, plan.outputs)


def predict(tabular: Tabular, inputs: pa.Table) -> np.ndarray:
    """Rows -> logits, float32 (n, outputs)."""
    matrix = _encoded(tabular, inputs)
    return _outputs(tabular, np.stack([_scores(tabular, part, matrix) for part in tabular.parts], axis=1)).astype(np.float32)


def contributions(tabular: Tabular, inputs: pa.Table) -> Contributions:
    """What each column of each row adds to each output; the parts of a date and the dimensions of a text count together."""
    matrix, table = _encoded(tabular, inputs), _table(inputs)
    found = np.stack([_explained(tabular, part, matrix) for part in tabular.parts], axis=2)
    found = _outputs(tabular, found)
    names = tuple(dict.fromkeys(feature.column for feature in tabular.features))
    weights = np.zeros((len(matrix), len(names), found.shape[2]))
    for place, feature in enumerate(tabular.features):
        weights[:, names.index(feature.column)] += found[:, place]
    said = [_strings(table, name) if name in table.column_names else [""] * table.num_rows for name in names]
    return Contributions([names] * len(matrix), list(zip(*said, strict=True)), list(weights), found[:, -1])


def save(tabular: Tabular) -> dict[str, Path | bytes]:
    """The files of the form ``tabular``: JSON, safetensors and LightGBM's own text."""
    about = {
        **{name: getattr(tabular, name) for name in ("kind", "labels", "loss", "sums")},
        "features": [asdict(feature) for feature in tabular.features],
        "texts": len(tabular.texts),
        "parts": len(tabular.parts),
        "constants": {str(n): part.score for n, part in enumerate(tabular.parts) if isinstance(part, Constant)},
    }
    files: dict[str, Path | bytes] = {"tabular.json": canonical(about).encode()}
    for number, block in enumerate(tabular.texts):
        files |= text.save(block, number)
    for number, part in enumerate(tabular.parts):
        if not isinstance(part, Constant):
            files |= {f"part-{number}-{name}": content for name, content in MODULES[tabular.kind].save(part).items()}
    return files


def load(model: Model, form: str = FORM) -> Tabular:
    """The fitted model of a saved one.

    Raises:
        CorruptError: its files do not fit together.
    """
    from safetensors import SafetensorError

    files = {name: Path(str(path)) for name, path in model.forms[form].items()}
    try:
        about = json.loads(files["tabular.json"].read_text())
        parts: list[Any] = []
        for number in range(about["parts"]):
            prefix = f"part-{number}-"
            own = {name.removeprefix(prefix): path.read_bytes() for name, path in files.items() if name.startswith(prefix)}
            fixed = about["constants"].get(str(number))
            parts.append(Constant(fixed) if fixed is not None else MODULES[about["kind"]].load(own))
        blocks = tuple(text.load(files, number) for number in range(about["texts"]))
        features = tuple(columns.of_json(entry) for entry in about["features"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CorruptError("the files of a tabular model", str(error).partition("\n")[0], "Adapt again.") from error
    return Tabular(about["kind"], tuple(about["labels"]), about["loss"], features, blocks, tuple(parts), about["sums"])


@dataclass(frozen=True)
class Constant:
    """The answer where all training rows have the same."""

    score: float


def _part(kind: str, features: tuple[columns.Feature, ...], matrix: np.ndarray, target: np.ndarray, plan: Plan) -> Any:
    """One model of its kind."""
    if len(np.unique(target)) < 2:
        return Constant(4.0 * np.sign(float(target[0]) - 0.5) if plan.loss != "squared_error" else float(target[0]))
    return MODULES[kind].fit(features, matrix, target, plan)


def _scores(tabular: Tabular, part: Any, matrix: np.ndarray) -> np.ndarray:
    """Raw scores, (n, sums)."""
    if isinstance(part, Constant):
        return np.full((len(matrix), tabular.sums), part.score)
    return np.asarray(MODULES[tabular.kind].scores(part, tabular.features, matrix))


def _explained(tabular: Tabular, part: Any, matrix: np.ndarray) -> np.ndarray:
    """What each feature adds to the raw scores, (n, features + 1, sums), the base last."""
    if isinstance(part, Constant):
        found = np.zeros((len(matrix), len(tabular.features) + 1, tabular.sums))
        found[:, -1] = part.score
        return found
    return np.asarray(MODULES[tabular.kind].contributions(part, tabular.features, matrix))


def _outputs(tabular: Tabular, scores: np.ndarray) -> np.ndarray:
    """Raw scores (…, parts, sums) -> one an output, (…, outputs); of two labels the score is shared, half against half."""
    flat = scores.reshape(*scores.shape[:-2], -1)
    return np.concatenate([-flat / 2, flat / 2], axis=-1) if tabular.loss == "cross_entropy" and flat.shape[-1] == 1 else flat


def _encoded(tabular: Tabular, inputs: Any) -> np.ndarray:
    """Rows as numbers, float64 (n, features)."""
    table = _table(inputs)
    matrix, start = columns.encode(tabular.features, table), len(tabular.features) - sum(b.width for b in tabular.texts)
    for block in tabular.texts:
        texts = _strings(table, block.column) if block.column in table.column_names else [""] * table.num_rows
        matrix[:, start : start + block.width] = text.encode(block, texts)
        start += block.width
    return matrix


def _strings(table: pa.Table, name: str) -> list[str]:
    return ["" if value is None else str(value) for value in table.column(name).to_pylist()]


def _table(inputs: Any) -> pa.Table:
    """What is asked, which must be a table.

    Raises:
        InputError: it is something else.
    """
    import pyarrow as pa

    if not isinstance(inputs, pa.Table):
        raise InputError("a table of feature columns", type(inputs).__name__, "Name another family for texts, such as linear.")
    return inputs


def _check(settings: Settings, table: pa.Table, loss: str) -> None:
    """Every setting can be used."""
    if settings.kind not in KINDS:
        raise UnknownNameError("kind of tabular model", str(settings.kind), KINDS)
    if settings.error not in ("squared", "absolute"):
        raise InputError("error: squared or absolute", str(settings.error), "Correct adapt.settings.")
    if settings.error == "absolute" and loss != "squared_error":
        raise InputError("numbers to predict, for error: absolute", "labels", "Leave error out, or ask for --task score.")
    for name in (*settings.without, *settings.codes):
        if name not in table.column_names:
            raise UnknownNameError("column", name, table.column_names)
    if settings.pairs < 0 or settings.dimensions < 1:
        received = f"pairs {settings.pairs}, dimensions {settings.dimensions}"
        raise InputError("pairs of 0 or more and dimensions of 1 or more", received, "Correct adapt.settings.")
