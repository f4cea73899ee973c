"""What a wrong cell should hold: candidates from corrected cells, the rest of the row and the column; the surest wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from savile.data._cell_doubt import Features
from savile.data._cell_programs import Program, learn
from savile.data._cell_table import Grid
from savile.data._cell_values import shapes
from savile.data._cell_votes import Votes

BINS = 10
SPELLED = 0.55  # trust in a spelling before any example, at full likeness
ACROSS = 6  # programs that read other columns, of one column
SEEN = 5  # rows thought right from which they say whether such a program holds
ECHO = "rows with the same "

Candidate = tuple[str, float, str]  # new string, trust, where it comes from


@dataclass(frozen=True)
class Repair:
    """A proposed repair.

    Attributes:
        row: row number.
        column: column number.
        old: what the cell holds.
        new: what it should hold.
        doubt: how likely the old value is wrong.
        trust: how likely the new value is right, given that.
        why: where the new value comes from, in words.
        echo: whether it is only what the other rows say.
    """

    row: int
    column: int
    old: str
    new: str
    doubt: float
    trust: float
    why: str
    echo: bool = False


@dataclass(frozen=True)
class Lessons:
    """What corrected cells of one column teach.

    Attributes:
        literal: wrong string -> right strings and how often.
        programs: that read this column, most trusted first.
        across: that read another.
        votes: how often the most voted value was right, of how many.
        spelled: how often the value most like it was right, of how many.
    """

    literal: Mapping[str, Mapping[str, int]]
    programs: tuple[Program, ...] = ()
    across: tuple[Program, ...] = ()
    votes: tuple[int, int] = (0, 0)
    spelled: tuple[int, int] = (0, 0)


def lessons(grid: Grid, found: Features, rows: np.ndarray, right: Sequence[Sequence[str]], wrong: np.ndarray) -> list[Lessons]:
    """What the corrected rows teach about each column.

    Args:
        grid: the table as it came.
        found: its features.
        rows: the corrected rows, (k,).
        right: their cells.
        wrong: which of them were wrong, bool (k, m).
    """
    made = []
    for place, column in enumerate(grid.columns):
        at = np.flatnonzero(wrong[:, place])
        old, new = [grid.cell(int(row), place) for row in rows[at]], [right[one][place] for one in at.tolist()]
        literal: dict[str, dict[str, int]] = {}
        for before, after in zip(old, new, strict=True):
            literal.setdefault(before, {})[after] = literal.get(before, {}).get(after, 0) + 1
        programs = learn([pair for pair in zip(old, new, strict=True) if pair[0].strip()], place)
        across = _across(grid, place, rows[at].tolist(), new)
        told = [
            _told(codes[rows[at]], column.values, new) for codes in (found.votes[place].code, found.looks.spelled[place][0])
        ]
        made.append(Lessons(literal, tuple(programs), across, *told))
    return made


def _told(codes: np.ndarray, values: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    """How often a source of candidates was right, of how many times it said something."""
    said = [code < len(values) and values[code] == new for code, new in zip(codes.tolist(), right, strict=True) if code >= 0]
    return sum(said), len(said)


def _across(grid: Grid, place: int, rows: Sequence[int], right: Sequence[str]) -> tuple[Program, ...]:
    """Programs that find the right string in another cell of the row."""
    found = list[Program]()
    for other in range(len(grid.columns)):
        pairs = [(grid.cell(row, other), new) for row, new in zip(rows, right, strict=True)]
        inside = [(old, new) for old, new in pairs if len(new) >= 2 and new.casefold() in old.casefold()]
        if other != place and len(inside) >= 0.5 * len(pairs) > 0:
            found += learn(inside, other)
    return tuple(sorted(found, key=lambda one: -one.trust)[: 10 * ACROSS])


class Proposer:
    """Proposes repairs of a table.

    Args:
        grid: the table as it came, which programs read.
        taught: what corrected rows teach about each column.
    """

    def __init__(self, grid: Grid, taught: Sequence[Lessons]) -> None:
        self.grid, self.taught = grid, taught
        self._shapes: dict[int, list[str]] = {}
        self._made: dict[tuple[int, str, str, int], str] = {}
        self._looks: dict[str, str] = {}

    def propose(self, found: Features, now: Grid, doubt: np.ndarray, least: float) -> list[Repair]:
        """The surest repair of each doubtful cell that has one.

        Args:
            found: features of the table.
            now: the table with earlier repairs, whose values the votes name.
            doubt: how likely each cell is wrong, (n, m).
            least: trust below which nothing is proposed.
        """
        made = []
        for place, column in enumerate(self.grid.columns):
            rows = np.flatnonzero(doubt[:, place] > 0.5)
            if not len(rows):
                continue
            taught = replace(self.taught[place], across=self._held(place, doubt[:, place]))
            rate = _reliability(found.votes[place], doubt[:, place], taught.votes)
            bad, usual = self._thought_wrong(place, doubt[:, place]), self._usual(place, doubt[:, place])
            for row in rows.tolist():
                old = column.values[column.codes[row]]
                best: Candidate = ("", 0.0, "")
                for one in [*self._corrected(place, row, taught, usual), *_from_table(found, now, place, row, taught, rate)]:
                    if one[0] != old and one[1] > best[1] and one[0] not in bad:
                        best = one
                if best[1] >= max(least, 1e-9):
                    trust = min(float(best[1]), 1.0)
                    echo = best[2].startswith(ECHO)
                    made.append(Repair(row, place, old, best[0], float(doubt[row, place]), trust, best[2], echo))
        return made

    def _shape(self, place: int, row: int) -> str:
        if place not in self._shapes:
            self._shapes[place] = shapes(self.grid.columns[place].values)
        return self._shapes[place][int(self.grid.columns[place].codes[row])]

    def _run(self, program: Program, row: int) -> str:
        """What a program makes of its cell of a row; computed once for each different value."""
        code = int(self.grid.columns[program.column].codes[row])
        key = (program.column, program.words, program.shape, code)
        if key not in self._made:
            self._made[key] = program.run(self.grid.columns[program.column].values[code])
        return self._made[key]

    def _held(self, place: int, doubt: np.ndarray) -> tuple[Program, ...]:
        """The programs that read other columns, trusted as far as they say what cells thought right hold."""
        held = []
        sure = np.flatnonzero(doubt < 0.2)[:2_000].tolist()
        for program in self.taught[place].across:
            on = [row for row in sure if not program.shape or self._shape(program.column, row) == program.shape]
            right = sum(self._run(program, row) == self.grid.cell(row, place) for row in on)
            if len(on) >= SEEN:
                program = replace(program, right=right, wrong=len(on) - right)
            held.append(program)
        return tuple(sorted(held, key=lambda one: -one.trust)[:ACROSS])

    def _thought_wrong(self, place: int, doubt: np.ndarray) -> frozenset[str]:
        """Values that are thought wrong in most of the rows that hold them."""
        column = self.grid.columns[place]
        count = np.bincount(column.codes, minlength=len(column.values))
        mean = np.bincount(column.codes, doubt > 0.5, len(column.values)) / np.maximum(count, 1)
        right = {new for given in self.taught[place].literal.values() for new in given}
        return frozenset(value for value, share in zip(column.values, mean.tolist(), strict=True) if share > 0.5) - right

    def _usual(self, place: int, doubt: np.ndarray) -> frozenset[str]:
        """Shapes of the values thought right."""
        column = self.grid.columns[place]
        right = np.bincount(column.codes, doubt < 0.5, len(column.values)) > 0
        given = [new for given in self.taught[place].literal.values() for new in given]
        self._shape(place, 0)
        return frozenset(
            {shape for shape, good in zip(self._shapes[place], right.tolist(), strict=True) if good} | {*shapes(given)}
        )

    def _shaped(self, made: str, usual: frozenset[str]) -> float:
        """Less trust in what looks like nothing that is right."""
        if made not in self._looks:
            self._looks[made] = shapes([made])[0]
        return 1.0 if self._looks[made] in usual else 0.5

    def _corrected(self, place: int, row: int, taught: Lessons, usual: frozenset[str]) -> list[Candidate]:
        """What corrected cells say."""
        old, found = self.grid.cell(row, place), list[Candidate]()
        given = taught.literal.get(old, {})
        for new, count in given.items():
            again = 0.8 if old.strip() else 0.3  # what was empty may have to be anything
            found.append((new, (count + 2 * again) / (sum(given.values()) + 2), f"{old!r} was corrected to it"))
        for program in taught.programs:
            if program.shape in ("", self._shape(place, row)):
                made = self._run(program, row)
                found.append((made, program.trust * self._shaped(made, usual), program.words))
        for program in taught.across:
            if not program.shape or self._shape(program.column, row) == program.shape:
                new = self._run(program, row)
                if new:
                    trust = program.trust * self._shaped(new, usual)
                    found.append((new, trust, f"{program.words} of {self.grid.columns[program.column].name}"))
        return found


def _from_table(found: Features, now: Grid, place: int, row: int, taught: Lessons, rate: np.ndarray) -> list[Candidate]:
    """What the rest of the row and the column say."""
    vote, (near, alike) = found.votes[place], found.looks.spelled[place]
    values, said, code = now.columns[place].values, list[Candidate](), int(vote.code[row])
    if code >= 0 and values[code].strip():
        share = vote.best[row] / max(vote.best[row] + vote.own[row], 1e-9) * min(1.0, 2 * vote.weight[row])
        trust = float(rate[min(int(vote.best[row] * BINS), BINS - 1)])
        names = ", ".join(now.columns[one].name for one, _ in vote.by[:2])
        said.append((values[code], trust * (0.5 + 0.5 * share), f"{ECHO}{names} say so"))
    nearest = int(near[row])
    if nearest >= 0 and (code < 0 or nearest == code or alike[row] > 0.6):
        right, told = taught.spelled
        trust = (right + SPELLED * 2) / (told + 2) * float(alike[row]) + 0.3 * (nearest == code)
        said.append((values[nearest], trust, "the frequent value most like it"))
    return said


def _reliability(vote: Votes, doubt: np.ndarray, told: tuple[int, int]) -> np.ndarray:
    """How often the most voted value is right, by its share of the votes, (BINS,).

    Measured on cells that are thought right, by what the other rows say about them; and on corrected cells.
    """
    sure = (doubt < 0.5) & (vote.weight > 0)
    top, right = np.maximum(vote.own, vote.best), vote.own > vote.best
    at = np.minimum((top * BINS).astype(int), BINS - 1)
    count = np.bincount(at[sure], minlength=BINS)
    good = np.bincount(at[sure], right[sure], BINS)
    overall = (good.sum() + 1) / (count.sum() + 2)
    rate = (good + 4 * overall) / (count + 4)
    seen, tried = told
    return np.asarray(rate * (seen + 3) / (tried + 3) if tried else rate)
