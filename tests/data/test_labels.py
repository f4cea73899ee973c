"""Wrong labels are found, counted and told from right ones; nothing is changed unless asked, and test rows never."""

import subprocess
import sys

import numpy as np
import pytest

from savile import data
from savile.base.errors import InputError, RecipeError
from savile.base.store import Store
from savile.cli import main
from savile.data import Options, _noise, labels
from savile.data._labels_page import verdict

WORDS = {
    "refund": "money back refund bank amount paid invoice price",
    "delivery": "parcel courier late door address box truck street",
    "login": "password screen login account phone code browser locked",
}


def tickets(rows=450, wrong=45, seed=0):
    """Texts of a label's words and some of everybody's, a tenth of them under another label."""
    rng, names = np.random.default_rng(seed), list(WORDS)
    everybody = [word for words in WORDS.values() for word in words.split()]
    true = np.arange(rows) % 3
    texts = [
        " ".join([*rng.choice(WORDS[names[label]].split(), 5), *rng.choice(everybody, 2), f"n{i}", f"m{i * 7}"])
        for i, label in enumerate(true)
    ]
    given = true.copy()
    flipped = rng.choice(rows, wrong, replace=False)
    given[flipped] = (true[flipped] + rng.integers(1, 3, wrong)) % 3
    return {"text": texts, "label": [names[one] for one in given]}, true, given


def checked(path, **settings):
    return data.prepare(path, Options(steps={"labels": {"base": "words", **settings}}))


def finding(found, rule):
    return next((one for one in found.findings if one.rule == rule), None)


def test_wrong_labels_are_found_and_counted(home, write):
    columns, true, given = tickets()
    found = checked(write(columns))
    outcome = found.settings["steps"]["labels"]
    flagged = {one["row"] for one in outcome["listed"]}
    wrong = set(np.flatnonzero(true != given).tolist())
    hit = len(flagged & wrong)
    assert hit >= 0.85 * len(wrong)
    assert hit >= 0.85 * len(flagged)
    assert abs(outcome["rate"] - 0.1) < 0.03
    proposed = {one["row"]: one["proposed"] for one in outcome["listed"] if one["row"] in wrong}
    assert np.mean([list(WORDS)[true[row]] == name for row, name in proposed.items()]) > 0.95
    assert finding(found, "label_error").count == outcome["flagged"]
    assert set(finding(found, "label_error_test").rows) <= set(found.parts["test"].tolist())
    assert found.table.column("label").to_pylist() == columns["label"]


def test_right_labels_are_left_in_peace(home, write):
    columns, _, _ = tickets(wrong=0)
    outcome = checked(write(columns)).settings["steps"]["labels"]
    assert outcome["flagged"] <= 9
    assert outcome["expected"] < 10


def test_dropping_and_relabelling_touch_training_rows_only(home, write):
    columns, true, given = tickets()
    path = write(columns)
    plain, dropped, mended = (checked(path, repair=way) for way in ("none", "drop", "relabel"))
    assert dropped.table.equals(plain.table)
    assert np.array_equal(dropped.parts["test"], plain.parts["test"])
    out = np.setdiff1d(plain.parts["train"], dropped.parts["train"])
    assert np.mean(true[out] != given[out]) > 0.8
    now = np.array(mended.table.column("label").to_pylist())
    changed = np.flatnonzero(now != np.array(columns["label"]))
    assert len(changed)
    assert set(changed.tolist()) <= set(plain.parts["train"].tolist())
    assert np.mean(now[changed] == np.array(list(WORDS))[true[changed]]) > 0.9
    assert finding(mended, "relabelled").count == len(changed)


def test_a_share_says_how_many(home, write):
    columns, _, _ = tickets()
    found = checked(write(columns), share=0.05)
    learnt = sum(len(found.parts[part]) for part in ("train", "valid", "calib"))
    assert found.settings["steps"]["labels"]["flagged"] == round(0.05 * learnt)


def test_tables_without_texts_are_checked_too(home, write):
    rng = np.random.default_rng(0)
    size = rng.normal(size=200)
    label = np.where(size > 0, "big", "small")
    flipped = rng.choice(200, 20, replace=False)
    label[flipped] = np.where(label[flipped] == "big", "small", "big")
    path = write({"size": [f"{one:.4f}" for one in size], "age": rng.integers(20, 60, 200), "label": label})
    listed = checked(path, rounds=1).settings["steps"]["labels"]["listed"]
    hit = sum(one["row"] in set(flipped.tolist()) for one in listed)
    assert hit > 0.8 * len(listed)
    assert hit > 0.6 * len(flipped)


def test_a_number_has_no_label_to_check(home, write):
    rng = np.random.default_rng(0)
    path = write(
        {"text": [f"word{i} and more of it" for i in range(60)], "label": [f"{one:.3f}" for one in rng.normal(size=60)]}
    )
    with pytest.raises(InputError, match="one label each"):
        data.prepare(path, Options(task="score", steps={"labels": {"base": "words"}}))
    with pytest.raises(RecipeError, match="repair"):
        checked(path, repair="delete")


def test_the_command_writes_them_on_the_page(home, write, capsys):
    columns, _, _ = tickets()
    assert main(["govern", str(write(columns)), "--check-labels", "words"]) == 0
    assert "labels are wrong" in capsys.readouterr().err
    pages = [page.read_text(encoding="utf-8") for page in Store.open().pages.glob("data-*.html")]
    assert any("Labels that are probably wrong" in page and "What is taken for what" in page for page in pages)


def test_no_torch_is_needed(home, write):
    columns, _, _ = tickets(150, 15)
    code = (
        "import builtins\n"
        "real = builtins.__import__\n"
        "def without(name, *rest, **more):\n"
        "    if name.partition('.')[0] == 'torch':\n"
        "        raise ModuleNotFoundError(name)\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = without\n"
        "from savile import data\n"
        f"found = data.prepare({str(write(columns))!r}, data.Options(steps={{'labels': {{}}}}))\n"
        "print(found.settings['steps']['labels']['seen_by'])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "['words']"


def noisy(rows=4_000, classes=5, rate=0.15, close=False, seed=0):
    """Scores of a model that is right about as often as it says, and labels of which a share is wrong."""
    rng = np.random.default_rng(seed)
    scores = 1.5 * rng.gumbel(size=(rows, classes)) * 2
    chance = np.exp(scores - scores.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    true = (chance.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    given = true.copy()
    flipped = rng.random(rows) < rate
    step = 1 if close else rng.integers(1, classes, rows)
    given[flipped] = ((true + step) % classes)[flipped]
    return scores, true, given


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_the_rate_and_the_scale_of_scores_are_found(rate):
    scores, _, given = noisy(rate=rate)
    found = _noise.fit([0.2 * scores], given)
    assert abs(found.rate - rate) < 0.02
    assert found.weights[0] == pytest.approx(5.0, rel=0.15)


def test_chances_are_those_of_bayes_rule():
    scores, true, given = noisy()
    found = _noise.judge(_noise.fit([scores], given), [scores], given)
    wrong = true != given
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        some = (found.wrong >= low) & (found.wrong < high)
        assert abs(wrong[some].mean() - found.wrong[some].mean()) < 0.06
    assert np.allclose(found.true.sum(axis=1), 1.0)


def test_the_cut_is_the_best_one_to_expect():
    wrong = np.random.default_rng(0).random(12) ** 3
    order = np.argsort(-wrong)
    expected = [2 * wrong[order[:n]].sum() / (n + wrong.sum()) for n in range(1, 13)]
    assert _noise.flagged(wrong).tolist() == order[: int(np.argmax(expected)) + 1].tolist()
    assert not len(_noise.flagged(np.zeros(5)))
    assert not len(_noise.flagged(np.zeros(0)))


def test_it_finds_more_than_the_usual_way():
    cleanlab = pytest.importorskip("cleanlab.filter", reason="cleanlab is the peer here: pip install 'cleanlab>=2.9'")
    ours, theirs = [], []
    for seed in range(3):
        scores, true, given = noisy(rate=0.1, seed=seed)
        noise = _noise.fit([scores], given)
        wrong = true != given
        flags = np.zeros(len(given), dtype=bool)
        flags[_noise.flagged(_noise.judge(noise, [scores], given).wrong)] = True
        usual = cleanlab.find_label_issues(given, _noise.probabilities(noise.weights, [scores]), n_jobs=1)
        for flag, found in ((flags, ours), (usual, theirs)):
            found.append(2 * (flag & wrong).sum() / (flag.sum() + wrong.sum()))
    assert np.mean(ours) > np.mean(theirs)


@pytest.mark.parametrize("rare", [0, 4])
def test_texts_that_tell_nothing_of_their_labels_doubt_none(home, write, rare):
    rng = np.random.default_rng(0)
    words = np.array([f"w{number}" for number in range(300)])
    shares = [(1 - 0.01 * rare) / 4] * 4 + [0.01] * rare
    columns = {
        "text": [" ".join(rng.choice(words, 8)) for _ in range(500)],
        "label": [f"kind {number}" for number in rng.choice(4 + rare, 500, p=shares)],
    }
    outcome = checked(write(columns)).settings["steps"]["labels"]
    assert (outcome["flagged"], outcome["rate"], outcome["tells"]) == (0, 0.0, False)
    assert "better than by chance" in verdict(outcome)


def test_no_row_is_listed_where_no_label_is_expected_to_be_wrong():
    assert not len(_noise.flagged(np.full(600, 1e-6)))


def test_labels_of_which_few_are_expected_to_be_wrong_are_not_called_probably_wrong():
    assert [labels.likely(chance) for chance in (0.12, 0.84)] == ["perhaps", "probably"]
