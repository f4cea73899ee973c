"""Write docs/matrix.md, what combines with what, from the catalogue; tests/test_matrix.py runs every cell.

Ends with 1 when the page that was there said something that is no longer so.
"""

from __future__ import annotations

import atexit
import shutil
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from savile import testing
from savile.adaptation._asked import can_write, reads_pairs
from savile.base import catalogue
from savile.base.contracts import Rows
from savile.base.errors import SavileError

PAGE = Path(__file__).parents[1] / "docs" / "matrix.md"
HEAD = """# What combines with what

Made by `scripts/matrix.py`; every cell is run by `tests/test_matrix.py`. A cell that does not combine refuses, with a reason.
What answers in words (`answer`) serves in the form `torch` alone.

| family | method | {tasks} | serves as |
|---|---|{rules}|---|
"""
KEEPING = """
## Ways of keeping what was learnt

New rows, as `savile improve` brings them, on a model made by each method; run by `tests/adaptation/test_keep.py`. What is made
of other models keeps as what they leave: `merge` as `lora`, and `domains` goes on by `domains`.

| method | {ways} |
|---|{rules}|
"""


def page() -> str:
    """The page, in Markdown."""
    tasks = catalogue.names("tasks")
    rows, reasons = [], []
    for name in catalogue.names("families"):
        family = catalogue.get("families", name)
        cells, notes = _cells(name, tasks)
        reasons += notes
        forms = getattr(family, "EXPORTS", ("openvino-bf16", "onnx-fp32", "onnx-int8"))
        serves = ", ".join(forms) if family.trains == "loop" else family.FORM
        for method in catalogue.names("methods") if family.trains == "loop" else ["–"]:
            asked = tasks if name == "decoder" else tasks[:1]  # of the others no method looks at the task
            refused = [_attached(name, method, task) if family.trains == "loop" else "" for task in asked]
            reasons += [f"- `{name}` with the method `{method}`: {reason}" for reason in dict.fromkeys(refused) if reason]
            of_task = refused if name == "decoder" else refused * len(tasks)
            kept = ["no" if reason else cell for cell, reason in zip(cells, of_task, strict=True)]
            rows.append(f"| `{name}` | {method if method == '–' else f'`{method}`'} | {' | '.join(kept)} | {serves} |")
    head = HEAD.format(tasks=" | ".join(f"`{task}`" for task in tasks), rules="|".join("---" for _ in tasks))
    whole = head + "\n".join(rows) + "\n\n## Does not combine\n\n" + "\n".join(reasons) + "\n"
    return whole + _keeping()


def _keeping() -> str:
    """Which way of keeping goes with which method, on an encoder and for one label a text."""
    ways, rows, reasons = catalogue.names("keepers"), [], []
    for method in catalogue.names("methods"):
        if _stage(method, "nothing"):
            continue  # it is made of other models, or needs a language model
        found = [_stage(method, way) for way in ways]
        rows.append(f"| `{method}` | {' | '.join('no' if reason else 'yes' for reason in found)} |")
        reasons += [f"- `{way}` with `{method}`: {reason}" for way, reason in zip(ways, found, strict=True) if reason]
    head = KEEPING.format(ways=" | ".join(f"`{way}`" for way in ways), rules="|".join("---" for _ in ways))
    return head + "\n".join([*rows, "", *reasons]) + "\n"


def _stage(method: str, way: str) -> str:
    """The reason a way of keeping gives when a model of a method is to learn a new stage, empty when it begins."""
    import numpy as np

    from savile.adaptation._keeping._past import Past
    from savile.models import encoder

    keeper = catalogue.get("keepers", way)
    memory = (["late parcel", "refund money", "a late parcel", "money again"], np.array([0, 1, 0, 1]))
    new = (["parcel is late", "my money", "so late", "refund it"], np.array([0, 1, 0, 1]))
    try:
        network = encoder.create(_small_encoder(), ("a", "b"), max_length=16)
        encoder.attach(network, method, asdict(catalogue.get("methods", method).Settings()))
        keeper.begin(network, Past(np.arange(2), memory, 0, np.zeros(4, np.int64)), new, keeper.Settings())
    except SavileError as refused:
        return f"wanted {refused.wanted}; received {refused.received}. {refused.do}"
    return ""


def _attached(name: str, method: str, task: str) -> str:
    """The reason a method gives when it cannot be attached to the base of a family for a task, empty when it can."""
    family = catalogue.get("families", name)
    small = {"encoder": ("minilm", _small_encoder()), "decoder": ("smollm2", _small_decoder())}
    known, base = small.get(name, ("use-m", "use-m"))
    try:
        network = family.create(base, ("a", "b"), catalogue.get("tasks", task).head(2).loss)
        family.attach(network, method, {})
    except SavileError as refused:
        return f"wanted {refused.wanted}; received {refused.received}. {refused.do}".replace(base, known)
    return ""


@cache
def _small_encoder() -> str:
    """A base of the same kind as minilm, which takes longer to load."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(testing.tiny_encoder(folder))


@cache
def _small_decoder() -> str:
    """A base of the same kind as smollm2, which takes seconds to load."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(testing.tiny_decoder(folder))


def _cells(name: str, tasks: list[str]) -> tuple[list[str], list[str]]:
    """For each task whether the family does it, and the reasons where it does not, as the family itself gives them."""
    cells, notes = [], []
    for task in tasks:
        reason = _tried(name, task)
        cells.append("no" if reason else "yes")
        if reason:
            notes.append(f"- `{name}` with `{task}`: {reason}")
    return cells, notes


def _tried(name: str, task: str) -> str:
    """The reason a family of its own gives when it is asked to learn a task, empty when it learns."""
    import numpy as np
    import pyarrow as pa

    family = catalogue.get("families", name)
    try:
        reads_pairs(family, name, task)
        can_write(family, name, task)
    except SavileError as refused:
        return f"wanted {refused.wanted}; received {refused.received}. {refused.do}"
    if family.trains == "loop":
        return ""
    plugin = catalogue.get("tasks", task)
    loss = plugin.head(2).loss
    number = np.arange(60) % 2
    targets = {"cross_entropy": number, "binary_cross_entropy": np.eye(2, dtype=np.float32)[number]}.get(loss, number - 0.5)
    texts = [f"{('late parcel', 'refund money')[i]} number {row}" for row, i in enumerate(number)]
    inputs = pa.table({"amount": np.arange(60.0), "kind": [str(i) for i in number]}) if family.reads == "table" else texts
    if loss == "token_cross_entropy":
        targets = plugin.targets([[[0, 4, ("a", "b")[i]]] for i in number], ("a", "b"))
    labels = ("value",) if loss in ("squared_error", "contrastive") else ("a", "b")
    try:
        brief = {"least_steps": 1, "epochs": 0.1} if name == "joint" else {}
        family.fit(Rows(inputs, targets, labels), task, family.Settings(**brief))
    except SavileError as refused:
        return f"wanted {refused.wanted}; received {refused.received}. {refused.do}"
    return ""


def main() -> None:
    """Write the page anew."""
    before, now = PAGE.read_text(encoding="utf-8"), page()
    PAGE.write_text(now, encoding="utf-8")
    gone = [line for line in before.splitlines() if line not in now.splitlines()]
    if gone:
        sys.exit("\n".join([f"{PAGE.name} is written anew; these lines of it were no longer so:", *gone]))


if __name__ == "__main__":
    main()
