"""How likely each cell is wrong: strategies without labels, and what labelled rows teach about them.

Every cell becomes a row of features from the strategies. Without labels, each strategy gives a confidence of its own and the
strongest ones add up (noisy or). With labelled rows, one model over all columns learns what a strategy is worth, one of each
column what is peculiar to it; both are forests of random trees, which need few examples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from savile.data import _cell_values, _cell_votes
from savile.data._cell_table import Grid
from savile.data._cell_votes import Ballot

WORDS = re.compile(r"[^\W_]+")
TREES = 80
TYPED = 0.6  # likeness from which a value may be another one misspelt
RARE = 0.15  # share, on a logarithmic scale, of values with the rarest pair of letters
OWN = 0.7  # what a column's own model counts beside that of all columns
RANKED = ("rare_letter", "rare_pair", "rare_triple", "mean_pair", "shape_rows", "shape_values", "length", "share")


@dataclass(frozen=True)
class Looks:
    """What the values of a table look like; stays as it is while nobody changes a cell.

    Attributes:
        shared: of each column, features that mean the same in every column, (n, f).
        own: of each column, features that mean something there only, (n, g).
        names: of the shared features.
        spelled: of each column, code of the frequent value that each row's value resembles, -1 for none, and how much.
        missing: which cells stand for none, bool (n, m).
    """

    shared: tuple[np.ndarray, ...]
    own: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    spelled: tuple[tuple[np.ndarray, np.ndarray], ...]
    missing: np.ndarray


@dataclass(frozen=True)
class Features:
    """What all strategies say.

    Attributes:
        tables: of each column, float32 (n, f); the first `shared` features mean the same in every column.
        shared: their number.
        votes: of each column.
        looks: what the values look like.
    """

    tables: tuple[np.ndarray, ...]
    shared: int
    votes: tuple[_cell_votes.Votes, ...]
    looks: Looks


def looks(grid: Grid) -> Looks:
    """The strategies that look at values alone."""
    apart = _cell_values.foreign(grid.columns)
    missing = np.stack([column.missing[column.codes] for column in grid.columns], axis=1)
    shared, own, spelled, names = [], [], [], []
    for place, column in enumerate(grid.columns):
        profile = _cell_values.profile(column)
        nearest, alike = _cell_values.spelling(column)
        common = {name: value for name, value in profile.items() if not _peculiar(name)}
        common |= {f"rank_{name}": _rank(profile[name], column.counts) for name in RANKED}
        common |= {"alike": alike, "support": column.counts / max(column.counts.max(), 1)}
        mean = {f"of_column_{name}": np.full(len(column.values), profile[name] @ column.counts / grid.rows) for name in RANKED}
        common |= mean
        local = [value for name, value in profile.items() if _peculiar(name)]
        shared.append(np.stack(list(common.values()), axis=1).astype(np.float32)[column.codes])
        own.append(np.stack([*local, apart[place]], axis=1).astype(np.float32)[column.codes])
        spelled.append((nearest[column.codes], alike[column.codes]))
        names = list(common)
    return Looks(tuple(shared), tuple(own), tuple(names), tuple(spelled), missing)


def features(grid: Grid, seen: Looks, ballot: Ballot, doubt: np.ndarray | None = None) -> Features:
    """The features of every cell as it came.

    Args:
        grid: n rows of m columns, as they came.
        seen: what its values look like.
        ballot: the same with repairs, and how far each of its cells is to be believed.
        doubt: how likely each cell is wrong by an earlier round, which tells sources of mistakes.
    """
    voted = _cell_votes.votes(ballot, [column.codes for column in grid.columns])
    blamed = _cell_votes.by_source(grid, doubt if doubt is not None else margins(voted))
    tables, size = [], 0
    for place in range(len(grid.columns)):
        vote, (nearest, _) = voted[place], seen.spelled[place]
        agree = (vote.code == nearest) & (vote.code >= 0)
        told = (vote.own, vote.best, vote.best - vote.own, vote.weight, vote.margins[:, 0], vote.margins.max(axis=1), agree)
        strength = np.full(grid.rows, max((lift for _, lift in vote.by), default=0.0))
        said = np.stack([*told, seen.missing.sum(axis=1), *blamed[place].T, strength], axis=1)
        size = seen.shared[place].shape[1] + said.shape[1]
        around = np.delete(seen.missing, place, axis=1)
        parts = (seen.shared[place], said, seen.own[place], vote.margins, around)
        tables.append(np.concatenate(parts, axis=1).astype(np.float32))
    return Features(tuple(tables), size, tuple(voted), seen)


def _peculiar(name: str) -> bool:
    return name.startswith("number_") or (name.startswith("shape_") and name[6:].isdigit())


def _rank(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share of the rows with a smaller value."""
    different, inverse = np.unique(values, return_inverse=True)
    rows = np.bincount(inverse, counts, len(different))
    below = np.cumsum(rows) - rows
    ranked: np.ndarray = (below / max(rows.sum(), 1))[inverse]
    return ranked


def margins(voted: list[_cell_votes.Votes]) -> np.ndarray:
    """How much more was voted for another value than for the cell's own, (n, m)."""
    return np.stack([np.clip(vote.best - vote.own, 0, 1) for vote in voted], axis=1)


def learned(found: Features, rows: np.ndarray, wrong: np.ndarray, seed: int = 0) -> np.ndarray:
    """How likely each cell is wrong, (n, m), after labelled rows.

    Args:
        found: the features.
        rows: the labelled rows, (k,).
        wrong: whether each of their cells is wrong, bool (k, m).
        seed: of the trees.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    size, count = len(found.tables), len(found.tables[0])
    said = wrong.T.ravel()
    if not said.any():
        return np.zeros((count, size))
    forest = ExtraTreesClassifier(TREES, random_state=seed, max_features=0.5, bootstrap=True)
    forest.fit(np.concatenate([table[rows, : found.shared] for table in found.tables]), said)
    result = np.empty((count, size))
    for place, table in enumerate(found.tables):
        mine = wrong[:, place]
        if mine.all():
            result[:, place] = 1.0
            continue
        different, inverse = np.unique(table, axis=0, return_inverse=True)
        result[:, place] = forest.predict_proba(different[:, : found.shared])[:, 1][inverse.ravel()]
        if mine.any():
            own = ExtraTreesClassifier(TREES, random_state=seed, max_features=0.5).fit(table[rows], mine)
            result[:, place] = OWN * own.predict_proba(different)[:, 1][inverse.ravel()] + (1 - OWN) * result[:, place]
    result[rows] = wrong
    return result


def alone(found: Features, grid: Grid) -> np.ndarray:
    """How likely each cell is wrong by strategies alone, (n, m): noisy or of what is told by dependencies and by spelling.

    Where columns contradict one another, nobody can tell without examples which of them is wrong; unless the value is seen
    nowhere else, or is a misspelling of what the others say. So only then is the doubt large.
    """
    result = np.zeros((grid.rows, len(grid.columns)))
    for place, column in enumerate(grid.columns):
        vote, (nearest, alike) = found.votes[place], found.looks.spelled[place]
        counts, missing = column.counts[column.codes], found.looks.missing[:, place]
        margin = np.clip(vote.best - vote.own, 0, 1)
        typed = (nearest == vote.code) & (nearest >= 0) & (alike > TYPED)
        typed &= ~_explained(grid, place, np.flatnonzero(typed & (margin > 0.3)), nearest)
        odd = np.where(typed, 1.0, np.where((counts == 1) | missing, 0.6, 0.4))
        strongest = max((lift for _, lift in vote.by), default=0.0)
        by_votes = margin * odd * min(1.0, strongest)
        usual = np.where(nearest >= 0, column.counts[np.maximum(nearest, 0)], 0)
        rare = _of(found.looks, place, "rare_pair") < RARE
        by_spelling = np.where((alike > TYPED) & rare & (usual >= 20 * counts) & (counts <= 3) & ~missing, 0.6 * alike, 0.0)
        result[:, place] = 1 - (1 - by_votes) * (1 - by_spelling)
    return result


def _explained(grid: Grid, place: int, rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Rows whose value differs from the one it resembles by a word that another cell of the row holds, bool (n,)."""
    column, found = grid.columns[place], np.zeros(grid.rows, dtype=bool)
    for row in rows.tolist():
        own, other = ({*WORDS.findall(column.values[code].casefold())} for code in (column.codes[row], nearest[row]))
        said = {grid.cell(row, number).casefold() for number in range(len(grid.columns)) if number != place}
        found[row] = any(len(word) >= 2 and word in said for word in own - other)
    return found


def _of(seen: Looks, place: int, name: str) -> np.ndarray:
    """One shared feature of a column, (n,)."""
    return np.asarray(seen.shared[place][:, seen.names.index(name)])


def doubts(found: Features, grid: Grid, rows: np.ndarray, wrong: np.ndarray, seed: int = 0) -> np.ndarray:
    """How likely each cell is wrong, (n, m): by what corrected rows teach, or by strategies alone where there are none."""
    return learned(found, rows, wrong, seed) if len(rows) else alone(found, grid)
