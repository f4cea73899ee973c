"""The seams: what a plug-in has to offer. Each contract is a Protocol of a few functions, and a module satisfies it.

Nothing is inherited or registered; `savile.testing.check_task` and its sisters hold a plug-in against its contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import torch

    from savile.base.cluster import State
    from savile.base.records import Model, Outputs
    from savile.base.work import Decision, Event

Reads = Literal["text", "table"]
Inputs = Union[Sequence[str], "pa.Table"]  # what a model is asked: texts, or the feature columns of as many rows
Loss = Literal["cross_entropy", "binary_cross_entropy", "squared_error", "token_cross_entropy", "contrastive", "next_token"]


@dataclass(frozen=True)
class Fields:
    """The roles a task reads from a table: `required` must be mapped to a column, `optional` may be."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeadSpec:
    """What sits on top of a base for one task.

    Attributes:
        outputs: number of values the head gives per row, or per token.
        loss: name of the training loss. It says what kind of answer is asked for: ``cross_entropy`` one label of several,
            ``binary_cross_entropy`` any number of labels, ``squared_error`` a number, ``token_cross_entropy`` spans of the
            text, a label for each token (`savile.models._spans`), ``contrastive`` vectors of two texts, ``next_token`` words.
        decode: logits (n, outputs), already divided by the temperature -> probabilities (n, outputs); for a number, the
            number in standard units.
    """

    outputs: int
    loss: Loss
    decode: Callable[[np.ndarray], np.ndarray]


class Step(Protocol):
    """What a recipe may ask to be done to data beside the steps every file goes through.

    A step may also have ``section(page, data, outcome)``, which writes its section of the data page, and ``tell(outcome)``,
    which says by events what it came to, again when data is governed that has not changed.

    Attributes:
        Settings: frozen dataclass with the recipe's `SECTION` config; filled from ``data.steps.<name>``.
        AFTER: the step of every file behind which it runs, as in `savile.data.STEPS`.
    """

    Settings: type
    AFTER: str

    def apply(self, draft: Any, settings: Any) -> Any:
        """The draft with what was found or changed; what is to be kept it adds with ``draft.telling(name, outcome)``."""


@dataclass(frozen=True)
class Rows:
    """Rows to learn from.

    Attributes:
        inputs: n texts, or a table of n rows with the feature columns.
        targets: what is right, one a row: label index, int64 (n,); a row of 0 and 1 a label, float32 (n, L); a number in
            standard units (mean 0, deviation 1), float64 (n,); a tuple of spans, object (n,); or a text (n,). Families with
            ``SOFT = True`` may be given shares of one label, float32 (n, L), where people disagreed.
        labels: name of each label; one name for a number.
        valid: rows to stop or choose by, never to learn from; None where there are none.
        minutes: budget, or None. `seed` is that of everything random.
        stages: of a data set that grew, the stage each row came with, from 0, int64 (n,).
    """

    inputs: Inputs
    targets: np.ndarray
    labels: tuple[str, ...]
    valid: Rows | None = None
    minutes: float | None = None
    seed: int = 0
    stages: np.ndarray | None = None


class Task(Protocol):
    """What a business asks.

    Optional: `labels(values)` names the labels behind the values of a label column, by default the sorted distinct values;
    `targets(values, labels)` says what is right in each row, by default the index of its label, `paired(values, texts)` where
    its texts count. `savile.base.answers` calls them.
    """

    def fields(self) -> Fields:
        """The roles this task reads."""

    def render(self, example: Mapping[str, Any]) -> str:
        """One row, keyed by role -> the text the model reads."""

    def head(self, width: int) -> HeadSpec:
        """The head for `width` distinct labels."""

    def score(self, predicted: Sequence[Any], gold: Sequence[Any]) -> float:
        """How good the answers are, in [0, 1], higher is better; used to choose between candidates.

        Both are in the form of the targets: label indices (n,), booleans (n, L), numbers, tuples of spans, or texts (n,).
        """


class Network(Protocol):
    """A trainable answerer in memory: what a loop family loads and a method attaches itself to."""

    labels: tuple[str, ...]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut to the longest length the network reads."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ids and mask (n, s) -> logits (n, outputs), or (n, s, outputs) where spans are asked for."""


class Family(Protocol):
    """What answers: one architecture, loadable and savable.

    Families that ``trains = "loop"`` offer `create(base, labels, loss, *, cosine, max_length)`, `attach(network, method,
    settings)` and `module(network)`; to tag, also `cutter(files)`, see
    `savile.models._spans`. Families that ``trains = "own"`` offer `Settings`, a frozen dataclass, and
    `fit(data: Rows, task: str, settings) -> answerer`; they may refuse a task with an `InputError` that says why.

    Attributes:
        reads: whether it is given texts or a table of feature columns (`savile.base.records.Dataset.inputs`).
        FORM: name of the form that training leaves.
    """

    trains: Literal["loop", "own"]
    reads: Reads
    FORM: str

    def load(self, model: Model, form: str) -> Any:
        """The answerer of one saved form, ready for `predict`."""

    def save(self, answerer: Any) -> dict[str, Path | bytes]:
        """The files of the form `FORM`."""

    def predict(self, answerer: Any, inputs: Any) -> Any:
        """Inputs of the kind it reads -> uncalibrated logits, float32 (n, outputs), or `savile.base.outputs.Tokens`."""


class Method(Protocol):
    """How a base is adapted.

    Attributes:
        Settings: frozen dataclass; its defaults are the method's published or measured ones.
        HEAD: whether the classifier starts as class means (``cosine``) or as a logistic regression (``linear``).
        FIT: training settings (fields of `savile.models.FitSettings`) that suit the method.
        FIT_SMALL: the same where rows are so few that out-of-fold answers take the place of a validation part.

    Optional: ``KEEPS = False`` where attaching changes answers; ``RENAMED``, older names of settings; ``penalty(network)``
    joins the loss; ``begin_step``, ``before_step``, ``after_step(network, step, total)``; ``memory(network)``, for resuming,
    and ``remember(network, tensors)``; ``search(train, settings, fresh)``, better settings; ``begin(network, rows)``, sees rows
    first; ``facts(network)``. ``adapters`` names models it is made of; ``network.hold(names)`` stores what does not train.
    """

    Settings: type
    HEAD: Literal["cosine", "linear"]
    FIT: Mapping[str, Any]
    FIT_SMALL: Mapping[str, Any]

    def attach(self, network: Any, settings: Any) -> None:
        """Freeze what the method freezes and add what it adds; the network answers as before (identity at start)."""

    def parameters(self, network: Any) -> list[torch.nn.Parameter]:
        """What the method trains."""

    def merge(self, network: Any) -> None:
        """Fold what was added into the base's own weights; the network answers as before."""


class Technique(Protocol):
    """How a trained model is made smaller or faster."""

    def apply(self, model: Model, calibration: Sequence[str]) -> Model:
        """The model with one or more new forms; `calibration` are training texts."""


Run = Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]


class Engine(Protocol):
    """What executes a form."""

    def available(self) -> str | None:
        """None when it can run on this machine, else the reason why not."""

    def open(self, files: Mapping[str, Path], threads: int) -> Run:
        """Load a form; the result maps ids and mask, int64 (n, s), to logits, float32 (n, outputs)."""


@dataclass(frozen=True)
class Value:
    """One measured figure with its 95 % interval and the number of rows behind it."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int]:
        """The JSON form."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True)
class Predictions:
    """Everything a metric may look at: what is right, as the task's targets are, and the outputs for the same rows.

    `slices` maps a column name to that column's values, row by row, as strings. `watched` are those among them whose groups
    must be treated alike, and `good` is the index of the label that is good for whoever a row is about, None where none is.
    Where candidates are ranked, `queries` says which query a row is of, int64 (n,).
    """

    gold: np.ndarray
    outputs: Outputs
    labels: tuple[str, ...]
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    watched: tuple[str, ...] = ()
    good: int | None = None
    queries: np.ndarray | None = None


class Metric(Protocol):
    """One file of measures."""

    def measure(self, predictions: Predictions, costs: Mapping[str, float] | None = None) -> dict[str, Any]:
        """name -> `Value` (or, for tables such as per-class scores, JSON-able structures)."""


class Policy(Protocol):
    """What decides which job runs where. Pure: decisions are a function of the arguments; no clock, no files, no memory.

    A policy with settings has a frozen dataclass `Settings`, and takes one as a fourth argument with a default. Optional:
    ``explain(state, job)`` says in a sentence why a job is where it is, or waits.

    Attributes:
        deterministic: whether it leaves `rng` alone.
    """

    deterministic: bool

    def decide(self, state: State, event: Event, rng: np.random.Generator) -> Sequence[Decision]:
        """What to do now that `event` has happened."""


@dataclass(frozen=True)
class Tracked:
    """A run in the words of experiment trackers.

    Attributes:
        name: of the recipe or data.
        ref: reference of the report, which a tracker keeps so that it knows a run again.
        params: dotted name of a setting -> its value as text.
        metrics: name, such as ``test/accuracy`` -> value.
        curves: name, such as ``train/loss`` -> (step, value), by step.
        tags: references and the verdict.
        summary: the verdict screen, a sentence or two a line.
        recipe: YAML; empty when it is not known.
        files: name -> page or card on this machine.
        model: what was measured, in `form`, run by `engine` (None: by its own family).
    """

    name: str
    ref: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    tags: Mapping[str, str]
    summary: str
    recipe: str
    files: Mapping[str, Path]
    model: Model
    form: str
    engine: str | None


class Tracker(Protocol):
    """Who else is told how a run went."""

    def available(self) -> str | None:
        """None when it can work here, else the package that is missing."""

    def write(self, tracked: Tracked, folder: Path) -> str:
        """Write one run, into `folder` unless the tracker's own environment names a server; where it can be found."""


class Answerer(Protocol):
    """A model as apps meet it: what it may answer, and calibrated answers to texts."""

    labels: tuple[str, ...]

    def __call__(self, texts: Sequence[str], /) -> Outputs:
        """Texts -> answers, in the order given."""


@dataclass(frozen=True)
class Items:
    """Rows an app is put to work on; every field but `columns` has one value a row.

    Attributes:
        numbers: how the row is called: 1 for the first row of the file.
        texts: masked by the model's policy.
        labels: what people have said, None where the model is to be asked.
        times: seconds since 1970, NaN where there is no date; None without a time column.
        columns: name -> values of every other column, masked.
    """

    numbers: Sequence[int]
    texts: Sequence[str]
    labels: Sequence[str | None]
    times: np.ndarray | None = None
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What an app came to: sentences for a person, JSON for a program, and name -> HTML page."""

    summary: tuple[str, ...]
    facts: Mapping[str, Any]
    pages: Mapping[str, str]


@dataclass(frozen=True)
class Route:
    """A way into an app over HTTP: a POST of JSON.

    Attributes:
        path: under ``/v1/``.
        summary: one sentence for the API's description.
        access: ``key`` (a caller needs one, when the server asks for keys) or ``open``.
        asks: frozen dataclass of what is sent; other keys are refused, and its JSON schema is in the API's description.
        answer: what was sent and the served model -> JSON; an `InputError` is the caller's fault.
    """

    path: str
    summary: str
    access: Literal["key", "open"]
    asks: type
    answer: Callable[[Any, Answerer], Mapping[str, Any]]


class App(Protocol):
    """A ready business application: a recipe with its data policy and its bars, a sample, and words for people.

    Attributes:
        task: catalogue name of the task.
        languages: languages of the sample, the replies and the pages, as in ``en`` or ``zh``.
        routes: what it adds to the served model, beside the task's own routes.
        Settings: frozen dataclass with the recipe's `SECTION` config; filled from ``app.settings``.
    """

    task: str
    languages: tuple[str, ...]
    routes: tuple[Route, ...]
    Settings: type

    def sources(self) -> Fields:
        """The roles its data must have."""

    def accepts(self, labels: Sequence[str], settings: Any) -> str | None:
        """None when it can work with a model of these labels under `settings`, else the reason why not."""

    def sample(self, language: str) -> Path:
        """A data file to try it on."""

    def gates(self) -> dict[str, Any]:
        """The bars: dotted keys of a recipe's section ``evaluate``."""

    def recipe(self, language: str) -> dict[str, Any]:
        """Dotted keys of a recipe and their values: the sample, the policy for personal data, the budget, the bars."""

    def questions(self, language: str) -> tuple[str, ...]:
        """Three texts or more to show answers for."""

    def reply(self, label: str, probability: float, abstain: bool, language: str) -> str:
        """What to tell whoever wrote, for one answer."""

    def apply(self, items: Items, answerer: Answerer, language: str, settings: Any) -> Work:
        """Do the work the app is for on some rows; `settings` is of its `Settings`."""

    def pages(self, language: str) -> dict[str, str]:
        """name -> HTML page for the people who work with it."""
