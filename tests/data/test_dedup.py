"""Near copies are exactly the pairs at or above the threshold, found fast, in any script."""

import functools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.data import _similar, dedup


@functools.cache
def grams(text):
    return {text[i : i + 5] for i in range(max(1, len(text) - 4))}


def jaccard(first, second):
    return len(grams(first) & grams(second)) / len(grams(first) | grams(second))


def edits(first, second):
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        row, above = [i], row
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
    return row[-1]


def alike(first, second):
    return jaccard(first, second) >= 0.85


def near(first, second):
    longest = max(len(first), len(second))
    few = 10 * abs(len(first) - len(second)) <= longest  # letters that one has more are as many edits
    return alike(first, second) or (few and 10 * edits(first, second) <= longest)


def families_by_brute_force(texts, similar):
    family = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            if similar(texts[i], texts[j]):
                family = [family[i] if other == family[j] else other for other in family]
    return family


def same_grouping(first, second):
    return len(set(zip(first, second, strict=True))) == len(set(first)) == len(set(second))


@settings(deadline=None)
@given(st.lists(st.text("ab ", min_size=1, max_size=30), max_size=25, unique=True))
def test_families_are_those_of_brute_force(texts):
    found = _similar.families(texts)
    assert same_grouping(found.alike.tolist(), families_by_brute_force(texts, alike))
    assert same_grouping(found.near.tolist(), families_by_brute_force(texts, near))


@pytest.mark.parametrize("alphabet", ["abcdefgh ", "汉字水火山石田土，"])
def test_families_of_edited_copies_are_those_of_brute_force(alphabet):
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list(alphabet), size=rng.integers(3, 80))) for _ in range(150)]
    for text in texts[:]:
        edited = list(text)
        for place in rng.integers(len(text), size=rng.integers(0, 4)):
            edited[place] = rng.choice(list(alphabet))
        texts.append("".join(edited))
    texts = sorted(set(texts))
    found = _similar.families(texts)
    assert same_grouping(found.alike.tolist(), families_by_brute_force(texts, alike))
    assert same_grouping(found.near.tolist(), families_by_brute_force(texts, near))
    assert len(set(found.near.tolist())) < len(set(found.alike.tolist())) < len(texts)


def test_the_threshold_itself_counts():
    text = "".join(chr(ord("a") + i % 26) + chr(ord("A") + i // 26) for i in range(12))[:24]  # 20 grams
    longer = text + "xyz"  # 23 grams, all 20 shared: 20 / 23 = 0.87
    longest = text + "vwxy"  # 24 grams: 20 / 24 = 0.83
    assert _similar.families([text, longer]).alike.tolist() == [0, 0]
    assert len(set(_similar.families([text, longest]).alike.tolist())) == 2


def test_a_tenth_of_edits_counts_and_one_more_does_not():
    text = "中山路的这家店环境不错服务也好只是菜上得太慢了一点下次还会来"[:30]
    assert len(text) == 30
    edited = text[:3] + "很" + text[4:12] + text[13:20] + "真" + text[20:]  # replaced, left out, put in
    assert edits(text, edited) == 3
    assert _similar.families([text, edited]).near.tolist() == [0, 0]
    assert len(set(_similar.families([text, edited[:-2] + "去吧"]).near.tolist())) == 2


def test_one_text_and_none():
    assert _similar.families([]).near.tolist() == []
    assert _similar.families(["x"]).near.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "form"), [("  Hello\n WORLD ", "hello world"), ("ＡＢＣ　１２", "abc 12"), ("STRASSE straße", "strasse strasse")]
)
def test_texts_are_compared_without_case_width_and_space(text, form):
    assert dedup.normal(text) == form


def test_ten_thousand_texts_a_second(sentences):
    texts = sentences(10_000)
    texts[5_000:6_000] = [text + "!" for text in texts[:1_000]]
    start = time.process_time()
    families = _similar.families([dedup.normal(text) for text in texts]).near
    assert len(texts) / (time.process_time() - start) > 10_000
    assert len(np.unique(families)) == 9_000


def test_thousands_of_rows_from_one_template_do_not_make_it_slow():
    texts = [f"Your order number {number} has been handed to the carrier and will arrive tomorrow." for number in range(3_000)]
    start = time.process_time()
    families = _similar.families(texts).near
    assert len(np.unique(families)) == 1
    assert time.process_time() - start < 5.0
