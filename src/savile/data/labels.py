"""Finds rows whose label is probably wrong, says how many there are, and leaves them out or mends them when asked to.

Every row is scored by models that did not see it, of its words and, with a base, of its embedding. The scores are explained by
the true label and a share of wrong ones, fitted together (see `_noise`), which gives each row a chance of being wrong and says
where to stop looking. Rows that are rather wrong are then left out, and all are scored again. Test rows are looked at and told
of, never learnt from and never changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from savile.base.errors import InputError
from savile.base.recipe import SECTION
from savile.data import _held_out, _labels_page, _noise, _players
from savile.data._draft import Draft, counted, finding
from savile.data._noise import Judged, Noise

AFTER = "splits"
section, tell = _labels_page.section, _labels_page.tell
LISTED = 1_000  # suspicious rows that are written down
FLOOR = 2  # rows of a label that stay, whatever looks wrong
SURE = 0.8  # chance of the proposed label from which it is put in place of the given one


@dataclass(frozen=True)
class Settings:
    """How labels are checked.

    Attributes:
        base: base model whose embeddings are looked at beside words; ``auto`` takes the one for the language where torch and
            the base are here; ``words`` needs neither.
        rounds: how often rows are scored; from the second time on without those that are probably wrong.
        repair: what happens to suspicious training rows: ``none``, ``drop``, or ``relabel`` where the right label is sure.
        share: of the rows to flag, the most suspicious first; by default as many as give the greatest expected F1.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    base: str = "auto"
    rounds: Annotated[int, Field(ge=1, le=5)] = 2
    repair: Literal["none", "drop", "relabel"] = "none"
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Checked:
    """What came out.

    Attributes:
        noise: what explains the labels.
        judged: of each row that took part.
        seen_by: what the models looked at.
    """

    noise: Noise
    judged: Judged
    seen_by: tuple[str, ...]


def apply(draft: Draft, settings: Settings) -> Draft:
    """Check the labels of all rows that are used.

    Raises:
        InputError: rows of this task have no single label.
    """
    from safetensors.numpy import save

    if not draft.one_label:
        do = "Leave data.steps.labels out for this task."
        raise InputError("rows with one label each (task classify)", f"the task {draft.task}", do)
    used = np.sort(np.concatenate(list(draft.parts.values())))
    learnt = ~np.isin(used, draft.parts["test"])
    names, number = np.unique(np.array(draft.values("label"))[used], return_inverse=True)
    found = _checked(draft, used, number, learnt, settings)
    cut = _cut(found.judged.wrong, learnt, settings.share)
    outcome = _outcome(draft, used, (number, names), found, cut, learnt)
    wrong = np.full(draft.table.num_rows, np.nan, dtype=np.float32)
    wrong[used] = found.judged.wrong
    flagged = np.zeros(len(wrong), dtype=np.uint8)
    flagged[used[cut]] = 1
    tell(outcome)
    draft = _noted(draft, used, found.judged.wrong, cut, learnt)
    draft = _repaired(draft, used, (names, found.judged), cut, settings.repair)
    return draft.telling("labels", outcome, **{"rows.safetensors": save({"wrong": wrong, "flagged": flagged})})


def check(views: list[_held_out.View], labels: np.ndarray, fold: np.ndarray, classes: int, rounds: int) -> tuple[Noise, Judged]:
    """The chance that each label is wrong, from scores of models that did not see the row.

    Args:
        views: ways to look at n rows, see `_held_out`.
        labels: label number of each, int64 (n,).
        fold: number of each row's fold, -1 for rows that are not to be learnt from.
        classes: number of labels.
        rounds: how often rows are scored, each time without those that looked wrong the time before.
    """
    learnt = fold >= 0
    kept = learnt.copy()
    for _ in range(rounds):
        scores = _held_out.scores(views, labels, fold, kept, classes)
        noise = _noise.fit([one[learnt] for one in scores], labels[learnt])
        judged = _noise.judge(noise, scores, labels)
        kept = learnt & _trusted(judged.wrong, labels, learnt)
    return noise, judged


def _checked(draft: Draft, used: np.ndarray, number: np.ndarray, learnt: np.ndarray, settings: Settings) -> Checked:
    classes, fold = int(number.max()) + 1, np.full(len(used), -1)
    fold[learnt] = _players.folds(draft.units[used[learnt]], number[learnt], np.random.default_rng(settings.seed))
    if "text" in draft.roles:
        texts = draft.values("text")
        texts = [texts[row] or " " for row in used]
        base = _held_out.base_for(settings.base, texts)
        views = _held_out.of_texts(texts, np.where(learnt, number, -1), classes, base)
    else:
        apart = {name for role, name in draft.roles.items() if role != "text"}
        apart |= {one.name for one in draft.columns if one.role in ("id", "constant", "empty")}
        kept = [name for name in draft.table.column_names if name not in apart]
        views = _held_out.of_table(draft.table.select(kept).take(used), classes, settings.seed)
    noise, judged = check(views, number, fold, classes, settings.rounds)
    return Checked(noise, judged, tuple(view.name for view in views))


def _trusted(wrong: np.ndarray, labels: np.ndarray, learnt: np.ndarray) -> np.ndarray:
    """Rows to learn from the next time: those that are rather right, and of each label at least half."""
    trusted: np.ndarray = wrong < 0.5
    for label in np.unique(labels[learnt & ~trusted]):
        rows = np.flatnonzero(learnt & (labels == label))
        least = max(FLOOR, (len(rows) + 1) // 2)
        trusted[rows[np.argsort(wrong[rows], kind="stable")[:least]]] = True
    return trusted


def _cut(wrong: np.ndarray, learnt: np.ndarray, share: float | None) -> np.ndarray:
    """Flagged rows (places among those used), the most suspicious first; test rows by the same bar as the others."""
    own = np.flatnonzero(learnt)
    order = np.argsort(-wrong[own], kind="stable")
    flagged = _noise.flagged(wrong[own]) if share is None else order[: round(share * len(own))]
    if not len(flagged):
        return flagged
    bar = wrong[own[flagged]].min()
    found: np.ndarray = np.concatenate([own[flagged], np.flatnonzero(~learnt & (wrong >= bar))])
    return found[np.argsort(-wrong[found], kind="stable")]


def _outcome(
    draft: Draft,
    used: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    found: Checked,
    cut: np.ndarray,
    learnt: np.ndarray,
) -> dict[str, Any]:
    """What is kept with the data and shown."""
    number, names = labels
    better = found.judged.true.argmax(axis=1)
    listed = [
        {
            "row": int(used[place]),
            "line": int(draft.lines[used[place]]),
            "label": str(names[number[place]]),
            "proposed": str(names[better[place]]),
            "chance": round(float(found.judged.wrong[place]), 4),
            "right": round(float(found.judged.true[place, better[place]]), 4),
            "part": "learnt from" if learnt[place] else "test",
        }
        for place in cut[:LISTED]
    ]
    pairs, times = np.unique(np.stack([number[cut], better[cut]], axis=1), axis=0, return_counts=True)
    most = np.argsort(-times, kind="stable")[:20]
    return {
        "seen_by": list(found.seen_by),
        "rows": len(used),
        "tells": found.noise.tells,
        "rate": round(found.noise.rate, 4),
        "expected": round(float(found.judged.wrong[learnt].sum()), 1),
        "expected_test": round(float(found.judged.wrong[~learnt].sum()), 1),
        "closeness": round(found.noise.closeness, 2),
        "flagged": int(learnt[cut].sum()),
        "flagged_test": int((~learnt[cut]).sum()),
        "right_flags": round(float(found.judged.wrong[cut[learnt[cut]]].mean()), 3) if learnt[cut].any() else 0.0,
        "by_label": [
            {"label": str(name), "rows": int((number == i).sum()), "flagged": int((number[cut] == i).sum())}
            for i, name in enumerate(names)
        ],
        "pairs": [{"label": str(names[pairs[i, 0]]), "proposed": str(names[pairs[i, 1]]), "rows": int(times[i])} for i in most],
        "listed": listed,
    }


def _noted(draft: Draft, used: np.ndarray, wrong: np.ndarray, cut: np.ndarray, learnt: np.ndarray) -> Draft:
    """Findings, the most suspicious rows first."""
    own, test = cut[learnt[cut]], cut[~learnt[cut]]
    if len(own):
        rows, sure = used[own], float(wrong[own].mean())
        evidence = (
            f"{counted(len(own), 'row')} whose label is {likely(sure)} wrong ({len(own) / learnt.sum():.1%}), the most "
            f"suspicious {draft.where(rows)}; about {sure:.0%} of them are expected to be."
        )
        repair = "Look at the first of them; data.steps.labels.repair: drop or relabel acts on the training rows."
        draft = draft.noting(replace(finding("label_error", "warning", rows, evidence, repair), confidence=round(sure, 3)))
    if len(test):
        rows, sure = used[test], float(wrong[test].mean())
        evidence = (
            f"{counted(len(test), 'test row')} whose label is {likely(sure)} wrong, {draft.where(rows)}: what is measured on "
            "them says less than it seems. They are left as they are."
        )
        repair = "Look at them, and mend the test file by hand."
        draft = draft.noting(replace(finding("label_error_test", "warning", rows, evidence, repair), confidence=round(sure, 3)))
    return draft


def likely(chance: float) -> str:
    """How likely labels are wrong of which this share is expected to be, in a word."""
    return "probably" if chance >= 0.5 else "perhaps"


def _repaired(draft: Draft, used: np.ndarray, labels: tuple[np.ndarray, Judged], cut: np.ndarray, repair: str) -> Draft:
    """The draft without the flagged training rows, or with the labels they should have; of every label a few rows stay."""
    import pyarrow as pa

    names, judged = labels
    cut = cut[np.isin(used[cut], draft.parts["train"])]
    if repair == "none" or not len(cut):
        return draft
    column = draft.table.column(draft.roles["label"])
    values, left = column.to_pylist(), _counts(draft)
    mended, dropped = [], []
    better = judged.true.argmax(axis=1)
    as_is = {str(value): value for value in values if value is not None}
    for place in cut:
        row, given, wanted = int(used[place]), str(values[used[place]]), str(names[better[place]])
        if left[given] <= FLOOR:
            continue
        left[given] -= 1
        if repair == "relabel" and judged.true[place, better[place]] >= SURE and wanted != given:
            values[row] = as_is[wanted]
            mended.append(row)
        else:
            dropped.append(row)
    place = draft.table.column_names.index(draft.roles["label"])
    table = draft.table.set_column(place, draft.roles["label"], pa.array(values, column.type))
    if "shares" in draft.roles and mended:  # people's shares are of the label they gave
        said, where = table.column(draft.roles["shares"]).to_pylist(), table.column_names.index(draft.roles["shares"])
        told = [None if row in set(mended) else one for row, one in enumerate(said)]
        table = table.set_column(where, draft.roles["shares"], pa.array(told, pa.string()))
    parts = {**draft.parts, "train": np.setdiff1d(draft.parts["train"], dropped)}
    draft = replace(draft, table=table, parts=parts)
    for rule, rows, said in (("relabelled", mended, "given the label proposed"), ("dropped_by_label", dropped, "left out")):
        if rows:
            some = np.array(rows)
            evidence = (
                f"{counted(len(rows), 'training row')} with a suspicious label {said}, as asked for, {draft.where(some)}."
            )
            draft = draft.noting(finding(rule, "note", some, evidence))
    return draft


def _counts(draft: Draft) -> dict[str, int]:
    """Label -> training rows."""
    labels = np.array(draft.values("label"))[draft.parts["train"]]
    return {str(name): int(count) for name, count in zip(*np.unique(labels, return_counts=True), strict=True)}
