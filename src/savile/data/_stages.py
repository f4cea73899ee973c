"""A data set that grows: the rows of a later file behind those of an earlier one, each remembered by its stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from savile.base import answers, mask, people
from savile.base.errors import InputError
from savile.base.events import emit
from savile.base.records import PARTS, Dataset
from savile.base.store import Store
from savile.data import _columns, _roles

if TYPE_CHECKING:
    import pyarrow as pa

ROLE = "stage"
SIDE = 0.1  # share of rows to learn from that is set apart for each of choosing and calibrating


def appended(old: Dataset, new: Dataset) -> Dataset:
    """Both as one data set, ready to be stored; its parts are those of both, and a column says which stage a row came with.

    A later row replaces earlier ones of the same text, for it corrects them; only test rows stay as they are, and later rows
    with the text of one are left out. Both have rows to choose and to calibrate by afterwards.

    Args:
        old: what a model was trained on.
        new: rows that came later, of the same task; their labels may be new ones.

    Raises:
        InputError: they differ in task, in the roles of their columns or in what is masked.
    """
    _alike(old, new)
    column = old.roles.get(ROLE, "stage" if "stage" not in old.table.column_names else "savile_stage")
    names = list(old.settings.get("stages", [old.name]))
    newest = new.name if new.name not in names else f"{new.name} {len(names) + 1}"
    texts, later = np.array(old.texts(), dtype=object), np.array(new.texts(), dtype=object)
    parts = {name: np.asarray(rows) for name, rows in old.parts.items()}
    fixed = set(texts[parts["test"]])
    kept = np.array([text not in fixed for text in later], dtype=bool)
    offered = {name: rows[kept[rows]] for name, rows in new.parts.items()}
    said = set(later[np.concatenate(list(offered.values()))])
    replaced = np.array([text in said for text in texts], dtype=bool)
    parts = {name: rows if name == "test" else rows[~replaced[rows]] for name, rows in parts.items()}
    if replaced.any() or not kept.all():
        text = f"{int(replaced.sum())} earlier rows are replaced by later ones of the same text; {int((~kept).sum())} later "
        emit("note", text=text + "rows have the text of a test row and are left out.")
    parts, offered = _sides(old, parts), _sides(new, offered)
    joined = {name: np.concatenate([parts[name], len(texts) + offered[name]]).astype(np.int64) for name in PARTS}
    values = [str(value) for value in _labels(old, new)]
    return replace(
        old,
        table=_stacked(old, new, column, names[0], newest),
        roles={**old.roles, ROLE: column},
        parts=joined,
        labels=answers.labels(old.task, values) if set(new.labels) - set(old.labels) else old.labels,
        findings=(*old.findings, *new.findings),
        units=_units(old, new),
        known_by=_known_by(old, new),
        settings={**old.settings, "stages": [*names, newest]},
        parents=tuple(ref for ref in (old.ref, new.ref) if ref),
        files={},
        ref="",
    )


def _alike(old: Dataset, new: Dataset) -> None:
    roles = {role for role in old.roles if role in ("text", "label", "second", "shares")}
    if old.task != new.task or not roles <= set(new.roles):
        received = f"the task {new.task} with {', '.join(sorted(new.roles))}"
        wanted = f"rows for the task {old.task} with {', '.join(sorted(roles))}"
        raise InputError(wanted, received, "Name its columns with --set task.label=… and --set task.text=….")
    if dict(old.mask) != dict(new.mask):
        do = "Govern the new rows with the same data.pii as the old ones."
        raise InputError("new rows masked like the old ones", "another mask policy", do)


def _sides(data: Dataset, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parts, with rows to choose and to calibrate by taken out of train where there are none; near copies stay together."""
    found = {name: parts.get(name, np.zeros(0, np.int64)) for name in PARTS}
    if len(found["valid"]) and len(found["calib"]):
        return found
    train = found["train"]
    units = np.unique(np.arange(data.table.num_rows) if data.units is None else data.units, return_inverse=True)[1][train]
    draw = np.random.default_rng(0).random(int(units.max(initial=0)) + 1)[units]
    if "made" in data.roles:
        draw[np.array([one is not None for one in data.column("made")])[train]] = 1.0  # made rows are only learnt from
    sides = {"valid": train[draw < SIDE], "calib": train[(draw >= SIDE) & (draw < 2 * SIDE)]}
    return {**found, "train": train[draw >= 2 * SIDE], **sides}


def _labels(old: Dataset, new: Dataset) -> list[str]:
    return [value for value in (*old.column("label"), *new.column("label")) if value is not None]


def _stacked(old: Dataset, new: Dataset, column: str, first: str, newest: str) -> pa.Table:
    """The rows of both in the columns of the old one, and the stage of each; what the new ones lack is empty."""
    import pyarrow as pa

    above = old.table
    if ROLE not in old.roles:
        above = above.append_column(column, pa.array([first] * above.num_rows, pa.string()))
    here = _here(old, new)
    columns = []
    for field in above.schema:
        name = here.get(field.name, field.name)
        if field.name == column:
            columns.append(pa.array([newest] * new.table.num_rows, field.type))
        elif name in new.table.column_names:
            columns.append(new.table.column(name).combine_chunks().cast(field.type, safe=False))
        else:
            columns.append(pa.nulls(new.table.num_rows, field.type))
    return pa.concat_tables([above, pa.Table.from_arrays(columns, schema=above.schema)])


def _here(old: Dataset, new: Dataset) -> dict[str, str]:
    """Column of the old rows -> that of the new ones with the same role."""
    return {own: new.roles[role] for role, own in old.roles.items() if role in new.roles}


def _known_by(old: Dataset, new: Dataset) -> people.Known:
    """What is known of the rows of both; columns of the new ones for which the old ones have no room leave digests, too."""
    import pyarrow.compute as pc

    here, find, lost = _here(old, new), mask.Masker(mask.policy(None)).find, []
    carried = {here.get(name, name) for name in old.table.column_names}
    for name in new.table.column_names:
        if name not in carried:
            values = pc.cast(new.table.column(name).combine_chunks(), "string")
            if _roles.identifies(_columns.describe(name, values), values, find):
                lost.append(people.KnownBy.of(name, values.to_pylist(), Store.open().keys))
    known = None if new.known_by is None else (*new.known_by, *lost)
    return people.stacked(old.known_by, known, (old.table.num_rows, new.table.num_rows))


def _units(old: Dataset, new: Dataset) -> np.ndarray | None:
    if old.units is None or new.units is None:
        return None
    return np.concatenate([old.units, new.units + old.units.max(initial=-1) + 1]).astype(np.int64)
