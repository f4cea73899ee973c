"""What the other columns of a row say about a cell: approximate functional dependencies, each row voting for the others.

A column determines another as far as the majority among other rows with the same value predicts it (leave one out). Rows vote
with a weight, so that cells thought wrong count little; where copies of one wrong source outvote the right one, weights learnt
from labelled rows turn the vote, as in truth discovery (Yin, Han, Yu 2008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from savile.data._cell_table import Column, Grid

STRONG = 4  # columns that vote about one
LEAST_LIFT = 0.2  # of a determining column over the most frequent value
PRIOR = 0.5  # of a vote for nothing seen
KNOWN = 4  # rows that the lift found in the table counts for beside those that are known
LOOKED_AT = 20_000  # rows from which dependencies are found
SMALL = 200  # values of a column up to which its values may be sources of mistakes


@dataclass(frozen=True)
class Votes:
    """Votes about one column.

    Attributes:
        own: share of the votes for what the cell holds, (n,).
        best: share for the most voted other value, (n,).
        code: that value's code, -1 without votes, int64 (n,).
        weight: how much was voted at all, 0 to 1, (n,).
        margins: for each determining column, strongest first, best minus own, (n, STRONG).
        by: numbers of the determining columns and their lift.
    """

    own: np.ndarray
    best: np.ndarray
    code: np.ndarray
    weight: np.ndarray
    margins: np.ndarray
    by: tuple[tuple[int, float], ...]


def lifts(grid: Grid, weights: np.ndarray, seed: int = 0) -> np.ndarray:
    """How much better each column (first axis) predicts each other (second axis) than its most frequent value, (m, m)."""
    rows, size = np.arange(grid.rows), len(grid.columns)
    if len(rows) > LOOKED_AT:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), LOOKED_AT, replace=False))
    found = np.zeros((size, size))
    distinct = [len(np.unique(column.codes[rows])) for column in grid.columns]
    for first, one in enumerate(grid.columns):
        if distinct[first] < 2 or distinct[first] > 0.95 * len(rows):
            continue
        for second, other in enumerate(grid.columns):
            if first != second and distinct[second] > 1:
                found[first, second] = _lift(one, other, rows, weights[rows, second])
    return found


def _lift(one: Column, other: Column, rows: np.ndarray, weight: np.ndarray) -> float:
    x, y = one.codes[rows], other.codes[rows]
    used = ~one.missing[x]
    own, best, total = left_out(x, y, weight, len(other.values))
    total_votes = np.where(used, total, 0)
    seen = total_votes > 0.5
    sure = seen * weight
    if sure.sum() < 5:
        return 0.0
    right = float(((own >= best) & (own > 0)) @ sure / sure.sum())
    usual = float(np.bincount(y, weight).max() / weight.sum())
    coverage = float(sure.sum() / weight.sum())
    return max(0.0, (right - usual) / (1 - usual + 1e-9)) * min(1.0, 2 * coverage)


def left_out(x: np.ndarray, y: np.ndarray, weight: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes for the own value, for the best other, and all, among the other rows with the same x; each (n,)."""
    keys, inverse = np.unique(x * width + y, return_inverse=True)
    sums = np.bincount(inverse, weight)
    group = keys // width
    order = np.lexsort((-sums, group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[order][1:] != group[order][:-1]
    size = int(x.max()) + 1
    top, top_key, second = np.zeros(size), np.full(size, -1), np.zeros(size)
    at = np.flatnonzero(first)
    top[group[order][at]], top_key[group[order][at]] = sums[order][at], order[at]
    after = at + 1
    after = after[after < len(order)]
    after = after[~first[after]]
    second[group[order][after]] = sums[order][after]
    own = sums[inverse] - weight
    best = np.where(top_key[x] == inverse, second[x], top[x])
    return np.maximum(own, 0), best, np.maximum(np.bincount(x, weight, size)[x] - weight, 0)


@dataclass(frozen=True)
class Ballot:
    """Who votes.

    Attributes:
        grid: n rows of m columns, as they are now.
        weights: how far each cell is to be believed, (n, m).
        lift: from `lifts`.
        known: rows whose cells are surely right in `grid`.
    """

    grid: Grid
    weights: np.ndarray
    lift: np.ndarray
    known: np.ndarray


def votes(ballot: Ballot, held: Sequence[np.ndarray]) -> list[Votes]:
    """The votes about each column; `held` has, of each, the codes of the values that are voted on, (n,)."""
    return [_of(ballot, place, codes) for place, codes in enumerate(held)]


def _of(ballot: Ballot, place: int, held: np.ndarray) -> Votes:
    from scipy.sparse import csr_array

    grid, column = ballot.grid, ballot.grid.columns[place]
    chosen = [int(one) for one in np.argsort(-ballot.lift[:, place])[: 2 * STRONG] if ballot.lift[one, place] >= LEAST_LIFT]
    said = {one: _by(ballot, place, one) for one in chosen}
    lift = {one: _checked(ballot, place, one, said[one][0]) for one in chosen}
    chosen = sorted((one for one in chosen if lift[one] >= LEAST_LIFT), key=lambda one: -lift[one])[:STRONG]
    whole = sum(_power(lift[one]) for one in chosen) or 1.0
    total, voted = csr_array((grid.rows, len(column.values))), np.zeros(grid.rows)
    margins = np.zeros((grid.rows, STRONG))
    for number, one in enumerate(chosen):
        share = _power(lift[one]) / whole
        total = total + said[one][0] * share
        voted += said[one][1] * share
        own, best, _ = _split(said[one][0], held)
        margins[:, number] = best - own
    own, best, code = _split(csr_array(total), held)
    return Votes(own, best, code, voted, margins, tuple((one, lift[one]) for one in chosen))


def _by(ballot: Ballot, place: int, one: int) -> tuple[Any, np.ndarray]:
    """What the other rows with the same value of a column say, (n, d), and how much they say at all, (n,)."""
    from scipy.sparse import csr_array

    grid, column, by = ballot.grid, ballot.grid.columns[place], ballot.grid.columns[one]
    shape, belief = (grid.rows, len(column.values)), ballot.weights[:, one] * ~by.missing[by.codes]
    counted = ballot.weights[:, place] * np.where(column.missing[column.codes], 0.2, 1.0) * (belief > 0)
    groups = csr_array((counted, (by.codes, column.codes)), shape=(len(by.values), shape[1]))
    groups.sum_duplicates()
    total = np.maximum(np.bincount(by.codes, counted, len(by.values))[by.codes] - counted, 0)
    scale = belief / (total + PRIOR)  # a doubtful cell says little of the others
    mine = csr_array((counted * scale, (np.arange(grid.rows), column.codes)), shape=shape)
    return csr_array(groups[by.codes].multiply(scale[:, None])) - mine, total * scale


def _checked(ballot: Ballot, place: int, one: int, said: Any) -> float:
    """The lift of a column, corrected by how often it is right about rows that are known."""
    lift = float(ballot.lift[one, place])
    if not len(ballot.known):
        return lift
    right = ballot.grid.columns[place].codes[ballot.known]
    own, best, _ = _split(said[ballot.known], right)
    tried = (own > 1e-9) | (best > 1e-9)
    return float((KNOWN * lift + (own > best)[tried].sum()) / (KNOWN + tried.sum()))


def _power(lift: float) -> float:
    """Odds, so that a dependency that always holds outweighs several that often do."""
    return float(lift / (1.02 - lift))


def _split(said: Any, held: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row of votes: those for one code, the most for another, and that other's code, -1 where there is none."""
    owner = np.repeat(np.arange(said.shape[0]), np.diff(said.indptr))
    mine = said.indices == held[owner]
    own = np.bincount(owner[mine], said.data[mine], said.shape[0])
    values = np.where(mine, -1.0, said.data)
    best, code = np.zeros(said.shape[0]), np.full(said.shape[0], -1)
    order = np.lexsort((values, owner))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = owner[order][1:] != owner[order][:-1]
    at = order[last]
    at = at[values[at] > 1e-9]
    best[owner[at]], code[owner[at]] = values[at], said.indices[at]
    return np.maximum(own, 0), best, code


def by_source(grid: Grid, doubt: np.ndarray, least: int = 5) -> list[np.ndarray]:
    """How doubtful the other cells of a column are in rows with the same value of a column with few values.

    Args:
        grid: n rows of m columns.
        doubt: how likely each cell is wrong, (n, m).
        least: rows of a value from which it counts.

    Returns:
        For each column, (n, 2): the doubt by the column that tells most apart, and by the next.
    """
    few = [p for p, c in enumerate(grid.columns) if 1 < len(c.values) <= min(SMALL, max(grid.rows // least, 2))]
    found = []
    for place in range(len(grid.columns)):
        mean, kept = doubt[:, place].mean(), list[tuple[float, np.ndarray]]()
        for one in few:
            if one == place:
                continue
            codes = grid.columns[one].codes
            count = np.bincount(codes)
            total = np.bincount(codes, doubt[:, place])
            other = (total[codes] - doubt[:, place] + 2 * mean) / (count[codes] - 1 + 2)
            kept.append((float(np.var(other)), other))
        kept.sort(key=lambda pair: -pair[0])
        columns = [value for _, value in kept[:2]] + [np.full(grid.rows, mean)] * 2
        found.append(np.stack(columns[:2], axis=1))
    return found
