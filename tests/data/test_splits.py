"""Parts are disjoint, cover what can be used, keep together what belongs together, and have the sizes the rule gives."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.data import splits
from savile.data._draft import Draft, Options
from savile.data._draw import draw, shares


def draft(labels, units=None, given=None, time=None, group=None, seed=0):
    count = len(labels)
    columns = {"text": [f"text {i}" for i in range(count)], "label": [f"c{label}" for label in labels]}
    roles = {"text": "text", "label": "label"}
    for role, values in (("time", time), ("group", group)):
        if values is not None:
            columns[role], roles[role] = [str(value) for value in values], role
    given = np.zeros(count, dtype=bool) if given is None else np.asarray(given)
    return Draft(
        source=Path("t.csv"),
        options=Options(seed=seed),
        keys=None,
        table=pa.table(columns),
        lines=np.arange(2, count + 2),
        given=given,
        origin={"source": {"name": "t.csv"}, "test": {"name": "test.csv"}},
        roles=roles,
        kept=np.ones(count, dtype=bool),
        units=np.arange(count) if units is None else np.asarray(units),
    )


def skewed(count, classes, seed):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.ones(classes) * 3)
    return np.concatenate([np.repeat(np.arange(classes), 40), rng.choice(classes, size=count - 40 * classes, p=share)])


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 4_500), st.integers(2, 12), st.integers(0, 10_000))
def test_parts_are_disjoint_cover_everything_and_are_stratified_within_a_row(count, classes, seed):
    count = max(count, 41 * classes)
    labels = skewed(count, classes, seed)
    parts = splits.apply(draft(labels, seed=seed)).parts
    assert list(parts) == ["train", "valid", "calib", "test"]
    assert all(rows.dtype == np.int64 and (np.diff(rows) > 0).all() for rows in parts.values())
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(count))
    assert len(parts["test"]) == round(0.2 * count)
    all_rows = np.bincount(labels, minlength=classes)
    assert (abs(np.bincount(labels[parts["test"]], minlength=classes) - 0.2 * all_rows) <= 1).all()
    train = count - len(parts["test"])
    rest = all_rows - np.bincount(labels[parts["test"]], minlength=classes)
    if train < 2_000 or rest.min() < 30:
        assert len(parts["valid"]) == len(parts["calib"]) == 0
        return
    size = max(round(0.05 * train), 200)
    for part in ("valid", "calib"):
        counts = np.bincount(labels[parts[part]], minlength=classes)
        assert len(parts[part]) == size
        assert counts.min() >= 2
        assert (abs(counts - size * rest / train) <= np.maximum(1, 2 - size * rest / train) + 1).all()


def test_valid_and_calib_have_two_rows_of_the_rarest_label():
    labels = np.repeat([0, 1], [100_000, 40])
    parts = splits.apply(draft(labels)).parts
    assert [int(labels[parts[name]].sum()) for name in ("valid", "calib")] == [2, 2]


def test_a_part_has_its_fair_share_of_clusters():
    units = np.concatenate([np.repeat(np.arange(500), 2), np.arange(500, 1_500)])
    parts = splits.apply(draft(np.arange(2_000) % 2, units=units)).parts
    assert 190 <= (parts["test"] < 1_000).sum() <= 200


def test_valid_and_calib_stop_at_two_thousand_rows():
    parts = splits.apply(draft(np.arange(60_000) % 3)).parts
    assert (len(parts["valid"]), len(parts["calib"]), len(parts["test"])) == (2_000, 2_000, 12_000)


@pytest.mark.parametrize(("counts", "why"), [([1_200, 1_200], "1,920 rows"), ([4_000, 36], "29 rows of the rarest")])
def test_small_data_sets_no_rows_apart_and_says_why(counts, why):
    done = splits.apply(draft(np.repeat([0, 1], counts)))
    assert len(done.parts["valid"]) == len(done.parts["calib"]) == 0
    assert [why in finding.evidence for finding in done.findings if finding.rule == "small"] == [True]


@settings(max_examples=40, deadline=None)
@given(st.integers(60, 3_500), st.integers(1, 40), st.integers(0, 10_000))
def test_what_belongs_together_is_never_divided(count, largest, seed):
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(count), rng.integers(1, largest + 1, size=count))[:count]
    labels = rng.integers(0, 3, size=count)
    parts = splits.apply(draft(labels, units=units, seed=seed)).parts
    seen = [set(units[rows].tolist()) for rows in parts.values()]
    assert sum(len(part) for part in seen) == len(set().union(*seen))
    assert sum(len(rows) for rows in parts.values()) == count
    assert abs(len(parts["test"]) - 0.2 * count) <= largest + 1


@settings(max_examples=30, deadline=None)
@given(st.integers(200, 3_500), st.integers(10, 60), st.integers(0, 10_000))
def test_groups_never_straddle_even_joined_by_near_copies(count, groups, seed):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, size=count)
    units = np.arange(count)
    units[1] = units[0]  # one near copy joins two groups
    done = splits.apply(draft(rng.integers(0, 2, size=count), units=units, group=group, seed=seed))
    assert sum(len(rows) for rows in done.parts.values()) == count
    seen = [set(group[rows].tolist()) for rows in done.parts.values()]
    assert sum(len(part) for part in seen) == len(set(group.tolist()))
    assert len(done.parts["test"]) > 0
    assert any({0, 1} <= set(rows.tolist()) for rows in done.parts.values())


def test_rows_without_a_group_stand_alone():
    group = ["" if i % 2 else f"g{i % 20}" for i in range(400)]
    parts = splits.apply(draft(np.arange(400) % 2, group=group)).parts
    assert 60 <= len(parts["test"]) <= 100


@settings(max_examples=20, deadline=None)
@given(st.integers(300, 4_000), st.integers(0, 10_000))
def test_by_time_the_latest_rows_are_the_test_part(count, seed):
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 700, size=count)
    dates = np.datetime64("2023-01-01") + days
    labels = rng.integers(0, 2, size=count)
    done = splits.apply(draft(labels, time=dates, seed=seed))
    learnt = np.concatenate([done.parts[name] for name in ("train", "valid", "calib")])
    assert days[learnt].max() < days[done.parts["test"]].min()
    assert 0.1 <= len(done.parts["test"]) / count <= 0.3
    for label in np.unique(labels) if len(done.parts["valid"]) else []:
        last = {name: days[rows[labels[rows] == label]] for name, rows in done.parts.items()}
        assert last["train"].max() <= last["valid"].min()
        assert last["valid"].max() <= last["calib"].min()


def test_by_time_an_early_near_copy_of_a_late_row_is_not_learnt_from():
    dates = np.datetime64("2024-01-01") + np.arange(100)
    units = np.arange(100)
    units[3] = units[97]
    done = splits.apply(draft(np.arange(100) % 2, units=units, time=dates))
    assert done.parts["test"].tolist() == list(range(80, 100))
    assert all(3 not in rows for rows in done.parts.values())
    assert [finding.rows for finding in done.findings if finding.rule == "test_overlap"] == [(3,)]


def test_a_time_column_with_no_moment_to_cut_at_divides_every_label():
    dates = ["2024-01-01"] * 95 + ["2024-01-02"] * 5
    done = splits.apply(draft(np.arange(100) % 2, time=dates))
    assert len(done.parts["test"]) == 20
    assert "No moment" in next(finding.evidence for finding in done.findings if finding.rule == "split")


def test_a_given_test_set_is_kept_and_its_overlap_told():
    given = np.arange(3_000) >= 2_500
    units = np.arange(3_000)
    units[2_999] = units[7]
    done = splits.apply(draft(np.arange(3_000) % 2, units=units, given=given))
    assert done.parts["test"].tolist() == list(range(2_500, 3_000))
    assert sum(len(rows) for rows in done.parts.values()) == 3_000
    (overlap,) = [finding for finding in done.findings if finding.rule == "test_overlap"]
    assert (overlap.severity, overlap.rows) == ("warning", (2_999,))


def test_a_given_test_set_that_overlaps_much_is_an_error_finding():
    given = np.arange(200) >= 150
    done = splits.apply(draft(np.arange(200) % 2, units=np.arange(200) % 150, given=given))
    assert [finding.severity for finding in done.findings if finding.rule == "test_overlap"] == ["error"]


def test_labels_only_the_test_file_has_are_told():
    labels = np.where(np.arange(100) == 99, 2, np.arange(100) % 2)
    done = splits.apply(draft(labels, given=np.arange(100) >= 80))
    assert [finding.rows for finding in done.findings if finding.rule == "label_only_in_test"] == [(99,)]


def test_a_class_of_one_row_is_learnt_from():
    labels = np.where(np.arange(100) == 50, 2, np.arange(100) % 2)
    for seed in range(10):
        assert 50 in splits.apply(draft(labels, seed=seed)).parts["train"]


def test_the_seed_decides():
    labels = np.arange(1_000) % 4
    first, again, other = (splits.apply(draft(labels, seed=seed)).parts["test"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=20), st.integers(0, 2_000), st.data())
def test_shares_add_up_and_stay_in_their_bounds(counts, size, data):
    counts = np.array(counts)
    least = np.minimum(data.draw(st.integers(0, 3)), counts)
    got = shares(counts, size, most=counts, least=least)
    assert (got >= least).all()
    assert (got <= counts).all()
    assert got.sum() == min(max(size, least.sum()), counts.sum())


@settings(deadline=None)
@given(st.integers(2, 300), st.integers(0, 10_000))
def test_drawing_takes_whole_units_and_never_the_last_row_of_a_class(count, seed):
    rng = np.random.default_rng(seed)
    units, labels = rng.integers(0, count, size=count), rng.integers(0, 5, size=count)
    counts = np.bincount(labels, minlength=5)
    chosen = draw(units, labels, shares(counts, rng.integers(count + 1), most=counts), rng.permutation(count))
    assert not set(units[chosen].tolist()) & set(units[~chosen].tolist())
    assert set(labels[~chosen].tolist()) == set(labels.tolist())
