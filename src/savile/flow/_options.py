"""Options that words share: Python takes them by name, the shell as ``--set``, ``--task`` and ``--serve``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class Common(TypedDict, total=False):
    """What every word takes: `settings`, dotted keys of a recipe and their values, such as ``{"evaluate.floor": 0.9}``."""

    settings: Mapping[str, Any]


class OnFile(Common, total=False):
    """Words that read a data file: `task`, inferred from the label when left out."""

    task: str


class OnData(OnFile, total=False):
    """Governing: `value` and `budget` for what rows are worth, `rights` and `purpose` for what they may be used for.

    `check_labels` looks for wrong ones, by words or by a base. `against` is an earlier version of the file, `correct` a file of
    rows a person corrects, `fix` mends a copy and `undo` takes changes back. `erase` takes a person out of stored data.
    """

    value: str
    budget: float
    rights: str
    purpose: str
    check_labels: str
    against: str
    correct: str
    fix: bool
    undo: str
    erase: str


class OnLine(OnFile, total=False):
    """Words that take the whole way: `serve`, whether to answer over HTTP once the gate is passed; `app`, what is put to work
    on the rows then; `release`, with which the app reads them without any training."""

    serve: bool
    app: str
    release: str


class OnLibrary(Common, total=False):
    """Putting adapters together: `max_mb`, megabytes that they may take, and `most`, how many may be left."""

    max_mb: float
    most: int


class OnInit(OnFile, total=False):
    """Writing what later runs follow: `goal`, what it is for, settles base, method, budget and metric; `checks`, the column of
    good and bad rows, writes assertions instead of a recipe."""

    goal: str
    checks: str


class OnReview(Common, total=False):
    """Reviewing: `pick`, a file of which `rows` that pay most to label are picked `by` gain, uncertain, diverse or even;
    `text` and `label` name its columns, `base` is that whose embeddings rows are compared by."""

    pick: str
    rows: int
    by: str
    text: str
    label: str
    base: str


class OnShow(Common, total=False):
    """Showing: `passport`, of data, the page and the object for an evidence pack."""

    passport: bool


class OnServe(Common, total=False):
    """Serving: `app`, whose routes are added; or instead of it: `new_key` makes an API key for somebody of that name,
    `revoke_key` takes theirs back."""

    new_key: str
    revoke_key: str
    app: str
