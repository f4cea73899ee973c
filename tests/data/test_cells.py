"""Wrong cells: what is found without examples, what corrected rows teach, and that right tables stay as they are."""

import numpy as np
import pyarrow as pa
import pytest

from savile.base.errors import DataError, InputError
from savile.data import _cell_programs, cells

CITIES = [
    ("berlin", "10115", "germany"),
    ("madrid", "28001", "spain"),
    ("lisbon", "1000", "portugal"),
    ("vienna", "1010", "austria"),
]


def people(rows=200, seed=0):
    """A right table: city determines code and country, prices are decimals, dates have one form."""
    rng = np.random.default_rng(seed)
    places = [CITIES[place] for place in rng.integers(len(CITIES), size=rows)]
    columns = {"city": [c for c, _, _ in places], "code": [c for _, c, _ in places], "country": [c for _, _, c in places]}
    columns["price"] = [f"{price:.2f}" for price in rng.uniform(1, 99, rows)]
    columns["day"] = [
        f"2024-{month:02d}-{day:02d}" for month, day in zip(rng.integers(1, 13, rows), rng.integers(1, 29, rows), strict=True)
    ]
    return columns


def dirtied(seed=0):
    """Misspelt cities, prices with a currency in a third of the rows, and where each is."""
    columns = people(seed=seed)
    right = {name: list(values) for name, values in columns.items()}
    rng = np.random.default_rng(seed + 1)
    for row in rng.choice(200, 12, replace=False):
        place = rng.integers(1, len(columns["country"][row]))
        columns["country"][row] = columns["country"][row][:place] + "q" + columns["country"][row][place + 1 :]
    for row in rng.choice(200, 70, replace=False):
        columns["price"][row] += " EUR"
    return pa.table(columns), pa.table(right)


def strings(table):
    return np.array([column.to_pylist() for column in table.columns], dtype=object).T


def test_a_right_table_is_left_alone():
    found = cells.find(pa.table(people()))
    assert (found.doubt > 0.5).sum() == 0
    assert found.repairs == ()


def test_misspelt_values_are_found_and_mended_without_examples():
    dirty, right = dirtied()
    before, after = strings(dirty), strings(right)
    made = {(one.row, one.column): one.new for one in cells.find(dirty).repairs if one.doubt * one.trust >= cells.SURE}
    wrong = {(row, 2) for row in np.flatnonzero(before[:, 2] != after[:, 2]).tolist()}
    assert len(made.keys() & wrong) >= 10
    assert all(after[row, column] == new for (row, column), new in made.items())


def test_corrected_rows_teach_a_format():
    dirty, right = dirtied()
    before, after = strings(dirty), strings(right)
    rows = cells.ask(dirty, count=12)
    assert len(set(rows)) == 12
    found = cells.find(dirty, {row: after[row].tolist() for row in rows})
    mended = before.copy()
    for one in found.repairs:
        mended[one.row, one.column] = one.new
    assert (mended != after).mean() < 0.005
    assert ((found.doubt > 0.5) == (before != after)).mean() > 0.99
    learnt = [one for one in found.repairs if one.column == 3 and one.row not in rows]
    assert learnt
    assert all(one.why for one in learnt)


def test_rows_found_right_change_nothing():
    table = pa.table(people())
    cells_ = strings(table)
    found = cells.find(table, {row: cells_[row].tolist() for row in cells.ask(table)})
    assert found.repairs == ()


def test_the_same_seed_gives_the_same():
    dirty, right = dirtied()
    after = strings(right)
    rows = {row: after[row].tolist() for row in cells.ask(dirty, count=8)}
    first, second = (cells.find(dirty, rows, seed=3) for _ in range(2))
    assert first.repairs == second.repairs


def test_bad_corrections_are_refused():
    table = pa.table(people(20))
    with pytest.raises(InputError, match="rows below 20"):
        cells.find(table, {25: ["a", "b", "c", "d", "e"]})
    with pytest.raises(InputError, match="3 cells"):
        cells.find(table, {2: ["a", "b", "c"]})
    with pytest.raises(DataError, match="empty"):
        cells.find(table.slice(0, 0))


@pytest.mark.parametrize(
    ("pairs", "asked", "wanted"),
    [
        ([("12.0 oz", "12"), ("16.0 ounce", "16")], "8.4 OZ.", "8.4"),
        ([("0.05%", "0.05"), ("0.071%", "0.071")], "0.099%", "0.099"),
        ([("9/1/14", "1/14/09"), ("7/1/08", "1/8/07")], "3/1/21", "1/21/03"),
        ([("473,927", "473927"), ("1,211", "1211")], "2,345,678", "2345678"),
        ([("Denton TX", "Denton")], "Fort Worth TX", "Fort Worth"),
        ([("O''Brien", "O'Brien")], "D''Ambra", "D'Ambra"),
    ],
)
def test_programs_generalise(pairs, asked, wanted):
    programs = _cell_programs.learn(pairs, 0)
    usable = [one for one in programs if not one.shape or one.shape == _cell_programs.shapes([asked])[0]]
    assert usable[0].run(asked) == wanted


def test_nothing_is_learnt_from_a_pair_without_a_pattern():
    best = _cell_programs.learn([("blue", "14"), ("red", "zebra")], 0)
    assert all(one.trust < 0.9 for one in best)
