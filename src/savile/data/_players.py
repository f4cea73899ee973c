"""Who takes part when rows are valued: each different row once, those who brought it, and the questions it is tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from savile.data._draft import Draft
from savile.data._draw import draw, shares

FOLDS = 5
PRACTICE = 400  # questions from each fold
NOBODY = "(nobody named)"


@dataclass(frozen=True)
class Players:
    """Different rows, and how what each is worth is shared out.

    Rows of nearly the same text and the same label are one player, so that copies do not pay twice: whoever brought it has
    the same share of it, however many copies each brought.

    Attributes:
        rows: the row that stands for each player, int64 (p,).
        member: a row for each (row, player) pair of the copies, the row itself included, int64 (m,).
        player: its player, int64 (m,).
        part: its share of the player's value, float64 (m,), summing to one for each player.
        owners: names of owners; one that stands for nobody where no column names them.
        owner: owner of each member, int64 (m,).
    """

    rows: np.ndarray
    member: np.ndarray
    player: np.ndarray
    part: np.ndarray
    owners: tuple[str, ...]
    owner: np.ndarray

    def shares(self) -> np.ndarray:
        """Share of each player's value that each owner has, float64 (owners, p)."""
        found = np.zeros((len(self.owners), len(self.rows)))
        np.add.at(found, (self.owner, self.player), self.part)
        return found


@dataclass(frozen=True)
class Round:
    """Players (indices) that are valued by questions (row numbers)."""

    players: np.ndarray
    questions: np.ndarray


@dataclass(frozen=True)
class Trial:
    """The rounds in which players are valued, and what is kept apart to see what dropping them does.

    Attributes:
        rounds: where there are validation rows a single one with all players; else one for each fold but the first.
        learners: players (indices) that the removal curve learns from.
        held: rows that the curve is measured on; no value depends on them.
        practice: more rounds, of questions among the players themselves, each valuing those outside its fold. They sharpen the
            values of rows and not those of owners, who could otherwise raise the demand for their rows by bringing more of
            them.
    """

    rounds: tuple[Round, ...]
    learners: np.ndarray
    held: np.ndarray
    practice: tuple[Round, ...] = ()


def gather(draft: Draft, labels: np.ndarray, owner: str | None) -> Players:
    """The players among the training rows; copies that were left out as exact repeats have their share, too.

    Args:
        draft: with units and parts.
        labels: label number of each row.
        owner: column that names whose each row is.
    """
    train = draft.parts["train"]
    key = draft.units.astype(np.int64) * (int(labels.max()) + 1) + labels
    keys, first = np.unique(key[train], return_index=True)
    anywhere = np.zeros(len(key), dtype=bool)
    for rows in draft.parts.values():
        anywhere[rows] = True
    place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    copies = np.flatnonzero(~anywhere & ~draft.given & (keys[place] == key))
    member = np.sort(np.concatenate([train, copies]))
    player = place[member]
    names, owned = np.array([NOBODY]), np.zeros(len(member), dtype=np.int64)
    if owner is not None:
        values = [NOBODY if value is None or value == "" else str(value) for value in draft.table.column(owner).to_pylist()]
        names, numbers = np.unique(values, return_inverse=True)
        names, owned = _present(names, numbers[member])
    brought = np.zeros((len(names), len(keys)))
    np.add.at(brought, (owned, player), 1.0)
    part = 1.0 / (brought[owned, player] * (brought > 0).sum(axis=0)[player])
    return Players(train[first], member, player, part, tuple(map(str, names)), owned)


def alliances(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owners that play as one in a game of sources, and each one's part of what that one is worth.

    Where any one source would do, a copy of a source gains as much as the source (Shapley's symmetry), so copying would pay. An
    owner who shares more than half of its different rows with another therefore plays together with that other.

    Args:
        shares: share of each player's value that each owner has, float64 (owners, p).

    Returns:
        Number of each owner's alliance, int64 (owners,), and its part by shares of rows, float64 (owners,).
    """
    from scipy.sparse.csgraph import connected_components

    owned = (shares > 0).astype(np.float64)
    common = owned @ owned.T
    own = np.maximum(np.diag(common), 1.0)
    group = connected_components(common > 0.5 * own[:, None], directed=False)[1].astype(np.int64)
    held = shares.sum(axis=1)
    return group, held / np.maximum(np.bincount(group, weights=held)[group], 1e-12)


def trial(draft: Draft, players: Players, labels: np.ndarray, seed: int) -> Trial:
    """Questions from the validation part and a curve on the calibration part; from folds of training where there are none."""
    everybody, rng = np.arange(len(players.rows)), np.random.default_rng(seed)
    number = folds(draft.units[players.rows], labels[players.rows], rng)
    each = [everybody[number == fold] for fold in range(FOLDS)]
    asked = [rng.permutation(inside)[:PRACTICE] for inside in each]
    rounds = [Round(np.setdiff1d(everybody, inside), players.rows[few]) for inside, few in zip(each, asked, strict=True)]
    if len(draft.parts["valid"]) and len(draft.parts["calib"]):
        return Trial((Round(everybody, draft.parts["valid"]),), everybody, draft.parts["calib"], tuple(rounds))
    later = tuple(one for one in rounds[1:] if len(one.questions))
    return Trial(later, everybody[number != 0], players.rows[number == 0])


def folds(units: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fold number of each row, int64 (n,); those of nearly the same text are together, each label is spread."""
    number = np.zeros(len(units), dtype=np.int64)
    left = np.arange(len(units))
    for fold in range(FOLDS - 1, 0, -1):
        counts = np.bincount(labels[left], minlength=int(labels.max()) + 1)
        wanted = shares(counts, round(len(left) / (fold + 1)), most=counts)
        chosen = draw(units[left], labels[left], wanted, rng.permutation(len(left)))
        number[left[chosen]] = fold
        left = left[~chosen]
    return number


def _present(names: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the names that occur, and the numbers that go with them."""
    seen, again = np.unique(numbers, return_inverse=True)
    return names[seen], again
