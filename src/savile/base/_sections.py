"""The sections of a recipe: frozen dataclasses, whose defaults are the recipe's and whose types say what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

Minutes = Annotated[float, Field(gt=0)]
Megabytes = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=65535)]
SECTION = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Task:
    """What is asked, and the columns it reads; what is left out is inferred.

    `good` is the label that is good for whoever a row is about, such as a loan granted; with it the columns in
    `evaluate.slices` are held against each other for fairness.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    kind: str | None = None
    text: str | None = None
    label: str | None = None
    time: str | None = None
    group: str | None = None
    good: str | int | None = None


@dataclass(frozen=True)
class Columns:
    """The columns to keep beside the roles (empty keeps all), and those to leave out."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    use: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """How files are read, where it is not to be found out: codec, delimiter (or ``tab``), sheet, with or without header; and in
    how many GB of `memory` (2 unless said): of rows that take more, an even sample is learnt from."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header: bool | None = None
    memory: Annotated[float, Field(ge=0.25)] | None = None


@dataclass(frozen=True)
class Data:
    """Where the rows are: `path`, split here, or `train` and `test`.

    `steps` asks for more to be done to them: step -> settings. `digest`, which Savile writes, is that of the files.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    path: str | None = None
    train: str | None = None
    test: str | None = None
    pii: Literal["mask", "names", "presidio", "keep"] = "mask"
    columns: Columns = Columns()
    read: Read = field(default=Read(), metadata={"hidden": True})
    steps: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = field(default=None, metadata={"hidden": True})

    @property
    def source(self) -> str:
        """The file with the rows to learn from."""
        return self.path or self.train or ""


@dataclass(frozen=True)
class Model:
    """What is adapted: a base by name, folder or hub id, ``auto`` by language; or a family that needs none, as ``linear``."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    base: str = "auto"
    family: str | None = None


@dataclass(frozen=True)
class Budget:
    """How long adapting may take, without one a method takes what it likes; and what an update may `forget`: the share of the
    metric that it may lose on any earlier stage of the data."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    minutes: Minutes | None = None
    forget: Share = 0.01


@dataclass(frozen=True)
class Adapt:
    """How. `settings` are those of the method and of the training loop, by name."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    method: str = "auto"
    budget: Budget = Budget()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Compress:
    """Which forms are made, how large the served one may be on disk, and what share of right answers it may lose."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    technique: str = "export"
    max_size_mb: Megabytes | None = None
    max_drop: Share | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Value:
    """What decides which answers need no person.

    `right`, `wrong` and `person` say what an item is worth when it is answered right, answered wrong, or given to a person, in
    any one currency. `accuracy` is the share of answers given without a person that must be right; `per_label` asks that of
    every label by itself.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    right: float | None = None
    wrong: float | None = None
    person: float | None = None
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    per_label: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar of the gate: a metric, on all rows or on a slice (``column`` or ``column=value``), with a min or a max."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    metric: str | None = None
    slice: str | None = None
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Evaluate:
    """What is measured and which bars a release must clear; `floor` is a bar on `metric`."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    metric: str | None = None
    floor: float | None = None
    must_beat: Literal["base", "linear", "both"] | None = None
    gates: tuple[Bar, ...] = ()
    slices: tuple[str, ...] = ()
    value: Value | None = None


@dataclass(frozen=True)
class Serve:
    """Where it answers, whether callers need a key, and the apps whose routes are added."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    host: str = "127.0.0.1"
    port: Port = 8080
    keys: Literal["required", "none"] = "required"
    apps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Monitor:
    """What to watch while serving; kept for a later version, which will act on it."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    drift: tuple[Literal["input", "output"], ...] = ()
    alert: Literal["log"] = "log"
    improve: Literal["propose", "never"] = "never"


@dataclass(frozen=True)
class App:
    """The app that is put to work on the rows once the gate is passed, the language it speaks, and its settings by name."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    name: str | None = None
    language: str = "en"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Where the work runs, what it costs there, and which trackers are told how it went.

    With ``ray`` as many `workers` share it, on the Ray cluster that RAY_ADDRESS names or on one begun on this machine.

    Costs are modelled: `watts` of one busy core with its share of memory and cooling (real ones take 5 to 15), `kwh_price` of
    a kilowatt-hour and `hour_price` of an hour of the machine, in any one currency. The defaults are a business's electricity
    and two rented cores in euros; set `hour_price` to 0 on a machine of your own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    where: Literal["local", "ray", "schedule"] = "local"
    workers: Annotated[int, Field(ge=2)] = 2
    watts: NotNegative = 10.0
    kwh_price: NotNegative = 0.25
    hour_price: NotNegative = 0.10
    track: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. Attributes are its sections, in the order of the data."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    version: Literal[1] = 1
    name: str = ""
    task: Task = Task()
    data: Data = Data()
    model: Model = Model()
    adapt: Adapt = Adapt()
    compress: Compress = Compress()
    evaluate: Evaluate = Evaluate()
    serve: Serve = Serve()
    monitor: Monitor = Monitor()
    app: App = App()
    run: Run = Run()
