"""Checks are mined, the smallest set that meets both limits is chosen, and later files are held against it."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from savile import data
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.data import Options, _choose, _mine, assertions
from savile.data._checks import Check, holds


@pytest.mark.parametrize(
    ("check", "passes", "fails"),
    [
        (Check("filled", "a"), "x", " "),
        (Check("matches", "a", (r"\d+-\d+",)), "12-3", "12-x"),
        (Check("length", "a", least=2, most=3), "abc", "abcd"),
        (Check("one_of", "a", ("x", "y")), "y", "z"),
        (Check("contains", "a", ("Sorry",)), "so sorry!", "hello"),
        (Check("lacks", "a", ("as an AI",)), "hello", "As an ai model"),
        (Check("json", "a", ("k",)), '{"k": 1}', '{"j": 1}'),
        (Check("range", "a", least=0, most=1), "0.5", "1.5"),
        (Check("relation", "a", other="b", relation="<="), "1", "3"),
        (Check("relation", "a", other="b", relation="equals"), "2", "3"),
    ],
)
def test_a_check_passes_and_fails(check, passes, fails):
    assert holds(check, {"a": [passes, fails], "b": ["2", "2"]}).tolist() == [True, False]
    assert Check(**{**check.plain(), "values": tuple(check.values)}) == check


def exhaustive(fails, good, alpha, tau):
    """Size of the smallest set that meets both limits, by trying all."""
    for size in range(fails.shape[1] + 1):
        for some in itertools.combinations(range(fails.shape[1]), size):
            hit = fails[:, list(some)].any(axis=1)
            if hit[~good].sum() >= alpha * (~good).sum() - 1e-9 and hit[good].sum() <= tau * good.sum() + 1e-9:
                return size
    return None


@pytest.mark.parametrize("seed", range(25))
def test_the_set_meets_the_limits_and_is_no_worse_than_greedy_or_larger_than_needed(seed):
    rng = np.random.default_rng(seed)
    good = rng.random(60) < 0.5
    fails = rng.random((60, 9)) < np.where(good, 0.03, 0.3)[:, None]
    alpha, tau = 0.7, 0.1
    found, best = _choose.smallest(fails, good, alpha, tau), exhaustive(fails, good, alpha, tau)
    near = _choose.greedy(fails, good, alpha, tau)
    assert found.feasible == (best is not None)
    assert found.false_failures <= tau + 1e-9
    if found.feasible:
        assert found.coverage >= alpha - 1e-9
    if near is not None:
        assert best <= len(found.chosen) <= len(near)
        assert found.false_failures <= fails[good][:, near].any(axis=1).mean() + 1e-9
    elif best is not None:
        assert len(found.chosen) == best


def test_what_cannot_be_reached_is_said_with_the_best_there_is():
    fails = np.array([[True, False], [False, False], [False, True], [False, True]])
    found = _choose.smallest(fails, np.array([False, False, True, True]), 1.0, 0.0)
    assert (found.feasible, found.coverage, found.false_failures, found.chosen) == (False, 0.5, 0.0, (0,))


def test_versions_of_a_prompt_say_what_is_asked_anew():
    old = "Answer the customer politely."
    new = (
        old
        + ' Never say "as an AI". Always include "Kind regards". Use at most 80 characters. Answer with one of: "yes", "no".'
    )
    assert set(_mine.from_versions(old, new, "out")) == {
        Check("lacks", "out", ("as an AI",)),
        Check("contains", "out", ("Kind regards",)),
        Check("length", "out", most=80.0),
        Check("one_of", "out", ("yes", "no")),
    }
    assert _mine.from_versions("回答问题。", "回答问题。不要提及“价格”。不超过50字。", "o") == [
        Check("lacks", "o", ("价格",)),
        Check("length", "o", most=50.0),
    ]
    assert _mine.from_versions('{"required": ["a"]}', '{"required": ["a", "b"]}', "o") == [Check("json", "o", ("b",))]


def runs():
    good = [f"Ticket {i:04d}: refund approved. Kind regards" for i in range(60)]
    bad = [f"As an AI I cannot help with {i}" for i in range(15)] + [f"Ticket {i:04d}: " + "very " * 40 for i in range(15)]
    return {"output": good + bad}, np.array([True] * 60 + [False] * 30)


def test_a_contract_is_mined_from_runs():
    columns, good = runs()
    contract = assertions.mine(columns, good, alpha=1.0, tau=0.0)
    assert (contract.choice.coverage, contract.choice.false_failures) == (1.0, 0.0)
    assert len(contract.checks) == 1 < contract.candidates
    assert contract.subsumed
    with pytest.raises(InputError):
        assertions.mine(columns, np.ones(90, dtype=bool))


def test_pandera_makes_the_same_checks(tmp_path):
    pandas, pandera = pytest.importorskip("pandas"), pytest.importorskip("pandera")
    columns, good = runs()
    space = {}
    exec(assertions.pandera(assertions.mine(columns, good, alpha=1.0, tau=0.0).checks), space)
    rows = pandas.DataFrame(columns)
    assert len(space["schema"].validate(rows[good])) == 60
    with pytest.raises(pandera.errors.SchemaError):
        space["schema"].validate(rows)


def test_a_later_file_is_held_against_the_contract(home, write, sentences):
    labels = ["refund", "delivery", "login"] * 40
    labels[7] = "refnd"
    path = write({"text": sentences(120), "label": labels, "country": ["DE", "FR"] * 60})
    checks = [{"kind": "one_of", "column": "label", "values": ["refund", "delivery", "login"]}]
    made = data.prepare(path, Options(steps={"assertions": {"checks": checks}}))
    assert [(one.count, one.rows) for one in made.findings if one.rule == "assertion_failed"] == [(1, (7,))]
    assert "What was asserted" in data.page(made).read_text(encoding="utf-8")
    with pytest.raises(DataError, match="line 9"):
        data.prepare(path, Options(steps={"assertions": {"checks": checks, "on_failure": "refuse"}}))
    with pytest.raises(UnknownNameError):
        data.prepare(path, Options(steps={"assertions": {"checks": [{"kind": "filled", "column": "town"}]}}))


def test_init_writes_a_contract_that_the_next_govern_of_the_file_runs(home, write, sentences, capsys):
    from savile.cli import main

    texts = [f"{text} kind regards" if i % 3 else text for i, text in enumerate(sentences(120))]
    columns = {"text": texts, "label": ["refund", "login"] * 60, "verdict": ["good" if i % 3 else "bad" for i in range(120)]}
    path = write(columns)
    assert main(["init", str(path), "--checks", "verdict", "--json"]) == 0
    assert '"feasible": true' in capsys.readouterr().out
    assert path.with_name("tickets.assertions.yaml").exists()
    assert main(["init", str(path), "--checks", "verdict"]) == 2
    assert main(["govern", str(path), "--label", "label", "--json"]) == 0
    assert '"failed": 40' in capsys.readouterr().out


def test_what_is_mined_is_the_same_in_every_process():
    code = (
        "import numpy as np; from savile.data import _mine; "
        "said = ['dear customer your refund is sent'] * 9 + ['error five hundred'] * 3; "
        "print(_mine.candidates({'answer': said}, np.arange(12) < 9))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert told[0]
    assert told[1:] == told[:1] * 2
