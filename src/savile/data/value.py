"""What every row and every owner of rows is worth: drop list, split of a budget with intervals, removal curve.

Rows are valued on the validation part (or out of fold), never on the test part: exactly for a nearest-neighbour classifier
(``knn``, Jia et al. 2019), by the games of whole sources (``shapley``, ``banzhaf``), or through the parameters of a head on
frozen features (``influence``). Copies do not pay twice: rows of nearly the same text and label share one value. A curve
measured on rows that no value depends on shows what dropping the least valuable does, beside dropping at random; where it is
not better, it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from savile.base.errors import InputError, UnknownNameError
from savile.base.events import emit
from savile.base.recipe import SECTION
from savile.data import _features, _games, _influence, _players, _price, _removal, _shapley, _value_page
from savile.data._draft import Draft, counted, finding

if TYPE_CHECKING:
    from savile.data._players import Players, Trial

AFTER = "splits"
section = _value_page.section
MAX_OWNERS, MAX_SOURCES = 1_000, 60
LISTED = 50
TOLERANCE = 0.002  # of accuracy, at which a walk through an order of sources stops
FLOOR = 2  # rows of a label that dropping leaves


@dataclass(frozen=True)
class Settings:
    """How rows are valued.

    Attributes:
        owner: column that names whose each row is; without one only rows are valued.
        budget: sum to share out among owners, in any one currency.
        method: ``knn`` (exact, every row), ``influence`` (through a head), ``shapley`` or ``banzhaf`` (whole sources).
        neighbours: neighbours that vote, for ``knn``.
        soft: votes divided by how many vote (Wang and Jia 2023), for ``knn``.
        base: base model whose embeddings compare texts; TF-IDF without one.
        samples: orders or coalitions drawn when sources are too many for all of them.
        drop: share of the training rows to leave out, the least valuable first.
        seed: of everything random.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    owner: str | None = None
    budget: Annotated[float, Field(ge=0)] = 0.0
    method: Literal["knn", "influence", "shapley", "banzhaf"] = "knn"
    neighbours: Annotated[int, Field(ge=1)] = 10
    soft: bool = False
    base: str | None = None
    samples: Annotated[int, Field(ge=10)] = 500
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Valued:
    """Value of each player (p,), NaN for methods that value sources only, and of each owner for each question (owners, q)."""

    players: np.ndarray
    owners: np.ndarray


def apply(draft: Draft, settings: Settings) -> Draft:
    """Value the training rows and their owners, and leave out the least valuable when asked to.

    Raises:
        InputError: the task has no labels, or owners are too many for the method.
        UnknownNameError: there is no such owner column.
    """
    from safetensors.numpy import save

    _check(draft, settings)
    labels = draft.classes()
    players = _players.gather(draft, labels, settings.owner)
    _check_owners(players, settings)
    trial = _players.trial(draft, players, labels, settings.seed)
    features = _rows(draft, players, trial, settings.base)
    emit("progress", stage="value rows", done=0, total=len(trial.rounds))
    valued = value(features, labels, players, trial, settings)
    by_row = np.full(len(labels), np.nan)
    by_row[players.member] = valued.players[players.player] * players.part
    curve = None
    if not np.isnan(valued.players).all():
        curve = _removal.curve(features, labels, players.rows, (trial.learners, trial.held), valued.players, settings.seed)
    outcome = _outcome(draft, settings, players, valued, curve)
    tell(outcome)
    draft = _noted(draft, players, valued, by_row)
    kept = save({"rows": by_row.astype(np.float32)})
    return _dropped(draft.telling("value", outcome, **{"rows.safetensors": kept}), players, valued, settings.drop)


def value(features: np.ndarray, labels: np.ndarray, players: Players, trial: Trial, settings: Settings) -> Valued:
    """The values of players and owners, over all rounds of a trial.

    Args:
        features: of every row that takes part, (n, d); others may hold anything.
        labels: label number of each row, (n,).
        players: who is valued.
        trial: by which questions.
        settings: how.
    """
    way = {"knn": _by_neighbours, "influence": _by_influence}.get(settings.method, _by_sources)
    rounds = (*trial.rounds, *(trial.practice if settings.method == "knn" else ()))
    each = [way(features, labels, players, one, settings) for one in rounds]
    total, questions = np.zeros(len(players.rows)), sum(len(one.questions) for one in rounds)
    for one, found in zip(rounds, each, strict=True):
        total[one.players] += len(one.questions) / questions * found.players
    return Valued(total, np.concatenate([found.owners for found in each[: len(trial.rounds)]], axis=1))


def _by_neighbours(
    features: np.ndarray, labels: np.ndarray, players: Players, one: _players.Round, settings: Settings
) -> Valued:
    rows = players.rows[one.players]
    points = _shapley.Points(features[rows], labels[rows])
    questions = _shapley.Points(features[one.questions], labels[one.questions])
    shares = players.shares()[:, one.players]
    owners = np.zeros((len(shares), len(one.questions)))
    total = np.zeros(len(rows))
    for some, found in _shapley.blocks(points, questions, settings.neighbours, _classes(labels) if settings.soft else 0):
        owners[:, some] = shares @ found.T
        total += found.sum(axis=0)
    return Valued(total / len(one.questions), owners)


def _by_influence(
    features: np.ndarray, labels: np.ndarray, players: Players, one: _players.Round, settings: Settings
) -> Valued:
    rows = players.rows[one.players]
    head = _influence.fit(features[rows], labels[rows], _classes(labels))
    asked = features[one.questions], labels[one.questions]
    owners = _influence.of_groups(head, players.shares()[:, one.players], *asked)
    return Valued(_influence.values(head, *asked), owners)


def _by_sources(features: np.ndarray, labels: np.ndarray, players: Players, one: _players.Round, settings: Settings) -> Valued:
    rows, shares = players.rows[one.players], players.shares()[:, one.players]
    group, part = _players.alliances(shares)
    sources = int(group.max()) + 1
    brought = [frozenset(group[np.flatnonzero(column)].tolist()) for column in shares.T]
    small = _features.compact(features)
    asked = small[one.questions], labels[one.questions]
    utility = _games.Ridge(small[rows], labels[rows], brought, asked, _classes(labels))
    if settings.method == "banzhaf":
        found = _games.banzhaf(utility, sources, settings.samples, settings.seed)
    else:
        found = _games.shapley(utility, sources, max(settings.samples // sources, 10), settings.seed, TOLERANCE)
    return Valued(np.full(len(rows), np.nan), part[:, None] * found[group])


def _classes(labels: np.ndarray) -> int:
    return int(labels.max()) + 1


def _check(draft: Draft, settings: Settings) -> None:
    if draft.task != "classify":
        do = "Leave data.steps.value out for this task."
        raise InputError("rows with one label each (task classify)", f"the task {draft.task}", do)
    names = draft.table.column_names
    if settings.owner is not None and settings.owner not in names:
        raise UnknownNameError("column", settings.owner, names)
    if settings.method in ("shapley", "banzhaf") and settings.owner is None:
        do = "Name it with data.steps.value.owner, or value rows with method knn."
        raise InputError(f"an owner column for the method {settings.method}", "none", do)
    if settings.drop and settings.method in ("shapley", "banzhaf"):
        do = "Use method knn or influence to drop rows."
        raise InputError("values of rows to drop by", f"the method {settings.method}, which values sources", do)


def _check_owners(players: Players, settings: Settings) -> None:
    most = MAX_SOURCES if settings.method in ("shapley", "banzhaf") else MAX_OWNERS
    if len(players.owners) > most:
        received = f"{len(players.owners):,} in {settings.owner!r}"
        do = "Name a column with fewer owners" + (", or use method knn." if most == MAX_SOURCES else ".")
        raise InputError(f"at most {most:,} owners for the method {settings.method}", received, do)


def _rows(draft: Draft, players: Players, trial: Trial, base: str | None) -> np.ndarray:
    """Features of every row that takes part, (n, d); zero for the others."""
    used = np.unique(np.concatenate([players.rows, trial.held, *(one.questions for one in trial.rounds)]))
    if "text" in draft.roles:
        texts = draft.values("text")
        found = _features.of_texts([texts[row] for row in used], base)
    else:
        numbers = [column.name for column in draft.columns if column.kind in ("integer", "real") and column.role == "number"]
        columns = [
            draft.table.column(name).to_numpy().astype(np.float64)[used] for name in numbers if name in draft.table.column_names
        ]
        if not columns:
            raise InputError("texts or number columns to value rows by", "neither", "Leave data.steps.value out.")
        found = _features.of_numbers(columns)
    features = np.zeros((draft.table.num_rows, found.shape[1]), dtype=np.float32)
    features[used] = found
    return features


def _outcome(
    draft: Draft, settings: Settings, players: Players, valued: Valued, curve: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What is kept with the data and printed."""
    split = _price.split(valued.owners, settings.budget, settings.seed)
    rows = np.bincount(players.owner, minlength=len(players.owners))
    distinct = players.shares().sum(axis=1)
    owners = [
        {
            "owner": name,
            "rows": int(rows[i]),
            "different_rows": round(float(distinct[i]), 2),
            "value": share.value.as_dict(),
            "share": share.share.as_dict(),
            "price": share.price.as_dict() if settings.budget else None,
        }
        for i, (name, share) in enumerate(zip(players.owners, split, strict=True))
    ]
    order = np.argsort(valued.players, kind="stable")[: LISTED if curve else 0]
    label = draft.table.column(draft.roles["label"])
    lowest = [
        {"row": int(row), "line": int(draft.lines[row]), "label": str(label[int(row)]), "value": float(valued.players[i])}
        for i, row in zip(order, players.rows[order], strict=True)
    ]
    return {
        "method": settings.method,
        "compared_by": settings.base or "TF-IDF",
        "questions": int(valued.owners.shape[1]),
        "rows": len(players.member),
        "different_rows": len(players.rows),
        "worth": float(valued.owners.mean(axis=1).sum()),
        "below_zero": int((valued.players < 0).sum()),
        "owner_column": settings.owner,
        "budget": settings.budget,
        "owners": sorted(owners, key=lambda one: -one["value"]["value"]) if settings.owner else [],
        "lowest": lowest,
        "curve": curve,
    }


def tell(outcome: Mapping[str, Any]) -> None:
    """Say it: the owners as a table, and what the curve shows as a note."""
    if outcome["owners"]:
        emit("table", **_value_page.owners(outcome))
    if outcome["curve"]:
        emit("note", text=_value_page.verdict(outcome["curve"]))


def _noted(draft: Draft, players: Players, valued: Valued, by_row: np.ndarray) -> Draft:
    """Rows that make answers worse, the worst first."""
    worse = np.flatnonzero(valued.players < 0)
    if not len(worse):
        return draft
    rows = players.rows[worse[np.argsort(valued.players[worse], kind="stable")]]
    evidence = f"{counted(len(rows), 'training row')} of negative value, the worst {draft.where(rows)}."
    repair = "Look at the worst first; many carry a wrong label. data.steps.value.drop leaves a share of them out."
    return draft.noting(finding("negative_value", "note", rows, evidence, repair))


def _dropped(draft: Draft, players: Players, valued: Valued, share: float) -> Draft:
    """Leave the least valuable training rows out; of every label a few stay."""
    order = np.argsort(valued.players, kind="stable")
    label = np.array(draft.values("label"))[players.rows]
    left = {name: int(count) for name, count in zip(*np.unique(label, return_counts=True), strict=True)}
    out = []
    for player in order[: round(share * len(order))]:
        if left[label[player]] > FLOOR:
            left[label[player]] -= 1
            out.append(player)
    if not out:
        return draft
    rows = np.intersect1d(players.member[np.isin(players.player, out)], draft.parts["train"])
    evidence = f"{counted(len(rows), 'training row')} of the least value left out, as asked for, {draft.where(rows)}."
    parts = {**draft.parts, "train": np.setdiff1d(draft.parts["train"], rows)}
    return replace(draft, parts=parts).noting(finding("dropped_by_value", "note", rows, evidence))
