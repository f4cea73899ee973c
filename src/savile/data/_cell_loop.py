"""Detect, verify, repair, and again until nothing changes.

One pass leaves over half of real mistakes unsolved, because what a column says depends on other columns that are wrong
themselves (IterClean, Ni et al. 2024). Each round looks for wrong cells by features of the table as it came, while the table as
it is now votes: a repaired cell with the trust in its repair, a doubtful one hardly. A repair is verified by that vote, by not
being a value that is itself thought wrong, and, for what is read from another column, by the rows thought right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from savile.data import _cell_ask, _cell_doubt, _cell_repair, _cell_votes
from savile.data._cell_doubt import Features
from savile.data._cell_repair import Repair
from savile.data._cell_table import Grid
from savile.data._cell_votes import Ballot

ROUNDS = 4
ASKED = 20  # rows a person corrects
AT_ONCE = 5


@dataclass(frozen=True)
class Corrected:
    """Rows a person has corrected: their numbers (k,), and what their cells should hold."""

    rows: np.ndarray
    right: tuple[tuple[str, ...], ...]

    def wrong(self, grid: Grid) -> np.ndarray:
        """Which of their cells were wrong, bool (k, m)."""
        pairs = zip(self.rows.tolist(), self.right, strict=True)
        found = [[grid.cell(row, place) != cell for place, cell in enumerate(cells)] for row, cells in pairs]
        return np.array(found, dtype=bool).reshape(len(self.rows), len(grid.columns))


NOBODY = Corrected(np.empty(0, dtype=np.int64), ())


@dataclass(frozen=True)
class Cleaned:
    """What the loop came to.

    Attributes:
        doubt: how likely each cell is wrong, (n, m).
        repairs: proposed, those of corrected rows included.
        rounds: how many were gone through.
        features: of the last round.
    """

    doubt: np.ndarray
    repairs: tuple[Repair, ...]
    rounds: int
    features: Features


def clean(grid: Grid, corrected: Corrected = NOBODY, least: float = 0.4, seed: int = 0) -> Cleaned:
    """Find wrong cells and what they should hold.

    Args:
        grid: the table.
        corrected: rows a person has corrected; without any, only strategies that need no examples speak.
        least: trust below which no repair is proposed.
        seed: of everything random.
    """
    seen, wrong = _cell_doubt.looks(grid), corrected.wrong(grid)
    given = _given(grid, corrected, wrong)
    now = _repaired(grid, given)
    nothing = np.zeros((grid.rows, len(grid.columns)))
    found = _cell_doubt.features(grid, seen, _ballot(now, nothing, given, corrected))
    doubt = _cell_doubt.doubts(found, grid, corrected.rows, wrong, seed)
    taught = _cell_repair.lessons(grid, found, corrected.rows, corrected.right, wrong)
    proposer = _cell_repair.Proposer(grid, taught)
    repairs, rounds = tuple(given), 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        found = _cell_doubt.features(grid, seen, _ballot(now, doubt, repairs, corrected), doubt)
        doubt = _cell_doubt.doubts(found, grid, corrected.rows, wrong, seed)
        doubt[corrected.rows] = wrong
        asked = doubt.copy()
        asked[corrected.rows] = 0
        new = (*given, *proposer.propose(found, now, asked, least))
        same = {(one.row, one.column): one.new for one in new} == {(one.row, one.column): one.new for one in repairs}
        repairs, now = new, _repaired(grid, new)
        if same:
            break
    return Cleaned(doubt, repairs, rounds, found)


def _given(grid: Grid, corrected: Corrected, wrong: np.ndarray) -> list[Repair]:
    """What people corrected themselves."""
    made = []
    for one, place in np.argwhere(wrong).tolist():
        row, new = int(corrected.rows[one]), corrected.right[one][place]
        made.append(Repair(row, place, grid.cell(row, place), new, 1.0, 1.0, "corrected by a person"))
    return made


def _repaired(grid: Grid, repairs: Sequence[Repair]) -> Grid:
    """The table with repairs in place, but for those that only echo what other rows say: an echo is no second witness."""
    columns = list(grid.columns)
    for place, column in enumerate(columns):
        mine = [one for one in repairs if one.column == place and not one.echo]
        if mine:
            columns[place] = column.with_cells(np.array([one.row for one in mine]), [one.new for one in mine])
    return Grid(tuple(columns))


def _ballot(now: Grid, doubt: np.ndarray, repairs: Sequence[Repair], corrected: Corrected) -> Ballot:
    """Who votes: cells as far as they are believed, of a source that is often wrong less, repaired ones as their repair."""
    blamed = np.stack([by[:, 0] for by in _cell_votes.by_source(now, doubt)], axis=1)
    belief = (1 - doubt) * (1 - blamed) ** 4
    for one in repairs:
        if not one.echo:
            belief[one.row, one.column] = 0.8 * one.trust**2 if one.trust < 1 else 1.0
    return Ballot(now, belief, _cell_votes.lifts(now, belief), corrected.rows)


def ask(grid: Grid, corrected: Corrected = NOBODY, count: int = ASKED, seed: int = 0) -> np.ndarray:
    """The next rows that a person should correct, int64 (at most count,)."""
    seen, wrong = _cell_doubt.looks(grid), corrected.wrong(grid)
    given = _given(grid, corrected, wrong)
    nothing = np.zeros((grid.rows, len(grid.columns)))
    found = _cell_doubt.features(grid, seen, _ballot(_repaired(grid, given), nothing, given, corrected))
    doubt = _cell_doubt.doubts(found, grid, corrected.rows, wrong, seed)
    return _cell_ask.choose(found, doubt, corrected.rows, count, seed)
