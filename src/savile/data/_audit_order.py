"""What the order of rows shows: a stretch of rows from another source, drift over time and between files, gaps in a series."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from savile.data._audit_checks import moments, numbers
from savile.data._audit_issue import Issue
from savile.data._cell_table import Column, Grid
from savile.data._draft import counted

BLOCKS = 60  # stretches that rows are averaged over
LEAST = 200  # rows from which a stretch can be told apart
EFFECT = 0.5  # standard deviations by which a stretch differs
ORDERS = 200  # random orders that chance is judged by
PSI = 0.25  # population stability index, beyond what chance gives, from which a shift is usually acted on
REGULAR = 0.9  # share of steps that are alike in a series
TEXT = 25  # characters of a value, from which a column is one of texts


def style(column: Column) -> np.ndarray:
    """How each different value is written: length, shares of kinds of letters, links and so on, (d, k)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.array(column.values, pa.string())
    length = np.maximum(pc.utf8_length(cells).to_numpy(zero_copy_only=False).astype(float), 1)
    counted = (r"\d", r"\p{Lu}", r"[^\w\s]", r"\s", r"[^\x00-\x7F]")
    met = (r"https?://", r"[@#$]\w", r"[.!?。！？]\s*$", r" [.,;:!?'] ")
    found = [np.log(length)]
    found += [pc.count_substring_regex(cells, one).to_numpy(zero_copy_only=False) / length for one in counted]
    found += [pc.match_substring_regex(cells, one).to_numpy(zero_copy_only=False).astype(float) for one in met]
    return np.stack(found, axis=1)


def foreign_rows(grid: Grid, label: str | None, seed: int = 0) -> Iterator[Issue]:
    """A stretch at the beginning or the end of a file whose texts are written in another way, whatever their label."""
    if grid.rows < 2 * LEAST:
        return
    target = next((c.codes for c in grid.columns if c.name == label and len(c.values) <= 200), np.zeros(grid.rows, dtype=int))
    for column in grid.columns:
        lengths = np.array([len(value) for value in column.values])
        if column.name == label or lengths @ column.counts / grid.rows < TEXT:
            continue
        rows = style(column)[column.codes]
        means = np.stack([np.bincount(target, rows[:, k]) for k in range(rows.shape[1])], axis=1)
        rows = rows - (means / np.maximum(np.bincount(target), 1)[:, None])[target]
        rows = rows / (rows.std(axis=0) + 1e-9)
        edges = np.linspace(0, grid.rows, BLOCKS + 1).astype(int)
        blocks = np.stack([rows[a:b].mean(axis=0) for a, b in pairwise(edges.tolist())])
        jump, place = _jump(blocks)
        rng = np.random.default_rng(seed)
        chance = [_jump(rng.permutation(blocks))[0] for _ in range(ORDERS)]
        before, after = rows[: edges[place]], rows[edges[place] :]
        effect = np.abs(before.mean(axis=0) - after.mean(axis=0))
        within = np.sqrt((before.var(axis=0) * len(before) + after.var(axis=0) * len(after)) / grid.rows) + 1e-9
        if jump <= max(chance) or (effect / within).max() < EFFECT:
            continue
        first, last = (edges[place], grid.rows) if edges[place] > grid.rows / 2 else (0, edges[place])
        evidence = (
            f"Rows {first + 1:,} to {last:,} have a {column.name!r} written in another way than the rest "
            f"(difference {(effect / within).max():.1f} deviations): they seem to come from another source."
        )
        repair = "Find out where these rows come from; leave them out, or train and test on both kinds."
        yield Issue("source_shift", "error", column.name, evidence, np.arange(first, last), 0.9, repair=repair)


def _jump(blocks: np.ndarray) -> tuple[float, int]:
    """The largest difference between what is before and after a place, and the place."""
    size = len(blocks)
    sums = np.cumsum(blocks - blocks.mean(axis=0), axis=0)[1:-2]
    left = np.arange(2, size - 1)[: len(sums)]
    score = (sums**2).sum(axis=1) * size / (left * (size - left))
    place = int(score.argmax())
    return float(score[place]), place + 2


def stability(one: np.ndarray, other: np.ndarray) -> float:
    """Population stability index of two counts over the same kinds."""
    p = (one + 0.5) / (one.sum() + 0.5 * len(one))
    q = (other + 0.5) / (other.sum() + 0.5 * len(other))
    return float(((p - q) * np.log(p / q)).sum())


def by_chance(first: int, second: int, kinds: int) -> float:
    """The stability index to expect of so many rows of one distribution over so many kinds; it is great of many kinds."""
    return (kinds - 1) * (1 / first + 1 / second)


def shifts(grid: Grid, second: np.ndarray, rule: str, said: str) -> Iterator[Issue]:
    """Columns distributed otherwise in some rows than in the rest.

    Args:
        grid: all rows.
        second: which rows are the others, bool (n,).
        rule: name of the finding.
        said: what the others are, in words.
    """
    if second.sum() < LEAST or (~second).sum() < LEAST:
        return
    for column in grid.columns:
        codes = _bins(column)
        if codes is None:
            continue
        size = int(codes.max()) + 1
        index = stability(np.bincount(codes[~second], minlength=size), np.bincount(codes[second], minlength=size))
        index -= by_chance(int((~second).sum()), int(second.sum()), len(np.unique(codes)))
        if index >= PSI:
            evidence = f"{column.name!r} is distributed otherwise in {said} (stability index {index:.2f} beyond chance; from {PSI} on it matters)."  # noqa: E501
            repair = "Train on rows like those that will be asked about, or watch this column."
            yield Issue(
                rule, "warning", column.name, evidence, np.flatnonzero(second), min(0.95, 0.5 + index / 2), repair=repair
            )


def _bins(column: Column) -> np.ndarray | None:
    """A number for each row by which distributions are compared; None for names and texts."""
    found = numbers(column)
    if np.isfinite(found)[column.codes].mean() > 0.9 and len(column.values) > 20:
        ranked = np.where(np.isfinite(found), found, np.nanmin(found) - 1)[column.codes]
        edges = np.unique(np.quantile(ranked, np.linspace(0, 1, 11)[1:-1]))
        return np.asarray(np.searchsorted(edges, ranked))
    return column.codes if 2 <= len(column.values) <= 50 else None


def series(grid: Grid) -> Iterator[Issue]:
    """Gaps and repeated times of a regular series, of each group where there are several."""
    for column in grid.columns:
        times = moments(column)
        if times is None:
            continue
        by = _group(grid, column, times)
        groups = np.zeros(grid.rows, dtype=int) if by is None else by.codes
        yield from _gaps(column.name, times, groups, by)
        yield from _later(grid, column.name, times)


def _group(grid: Grid, time: Column, times: np.ndarray) -> Column | None:
    """The column that names whose series a row belongs to, when times repeat."""
    if len(np.unique(times)) > 0.9 * grid.rows:
        return None
    few = sorted((c for c in grid.columns if c is not time and len(c.values) > 1), key=lambda c: len(c.values))
    for column in few:
        pairs = len(np.unique(np.stack([column.codes, times.astype(np.int64)]), axis=1).T)
        if pairs >= 0.99 * grid.rows and len(column.values) < 0.5 * grid.rows:
            return column
    return None


def _gaps(name: str, times: np.ndarray, groups: np.ndarray, by: Column | None) -> Iterator[Issue]:
    order = np.lexsort((times, groups))
    step = np.diff(times[order])
    inside = groups[order][1:] == groups[order][:-1]
    usual = step[inside & (step > 0)]
    if len(usual) < 20:
        return
    lengths, counts = np.unique(usual, return_counts=True)
    length = float(lengths[counts.argmax()])
    if counts.max() < REGULAR * len(usual):
        return
    again = order[1:][inside & (step == 0)]
    whose = f" of each {by.name!r}" if by is not None else ""
    if len(again):
        verb = "occurs" if len(again) == 1 else "occur"
        evidence = f"{counted(len(again), 'time')} of {name!r} {verb} twice{whose}, as when clocks go back."
        yield Issue(
            "series_repeat",
            "warning",
            name,
            evidence,
            np.sort(again),
            0.95,
            repair="Keep one row of each time, or add the zone.",
        )
    expected = round((times.max() - times.min()) / length) + 1
    distinct = len(np.unique(np.stack([groups, times.astype(np.int64)]), axis=1).T)
    missing = expected * len(np.unique(groups)) - distinct
    if 0 < missing <= 0.2 * expected * len(np.unique(groups)):
        gaps = order[1:][inside & (step > 1.5 * length)]
        steps, size = counted(missing, "step"), f"{length / 3600:g} hour{'s' * (length != 3600)}"
        evidence = f"{steps} of {size} {'is' if missing == 1 else 'are'} missing in the series {name!r}{whose}."
        yield Issue(
            "series_gap",
            "warning",
            name,
            evidence,
            np.sort(gaps),
            0.9,
            share=missing / max(len(times), 1),
            repair="Fill them from the source, or mark them as missing.",
        )


def _later(grid: Grid, name: str, times: np.ndarray) -> Iterator[Issue]:
    """Drift over time: the last third of the rows beside the first."""
    late = times >= np.quantile(times, 2 / 3)
    others = Grid(tuple(column for column in grid.columns if column.name != name))
    yield from shifts(others, late, "time_shift", f"the latest third of the rows by {name!r}")
