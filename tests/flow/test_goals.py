"""What somebody is after becomes a recipe: settings with their reasons, the nearest thing, or a refusal."""

import csv

import numpy as np
import pytest

from savile.base import catalogue
from savile.base import recipe as recipes
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import listening
from savile.flow import _goals
from savile.flow.init import init, plan


def file(tmp_path, columns, rows):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def messages(tmp_path):
    said = {"refund": "please give me my money back", "delivery": "where is the parcel"}
    rng = np.random.default_rng(0)
    spoken = ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), 6)) for _ in range(80)]  # so that no two are near copies
    rows = [[f"{text} {' '.join(rng.choice(spoken, 8))}", name] for _ in range(30) for name, text in said.items()]
    return file(tmp_path, ["text", "label"], rows)


def heard(act):
    told = []
    with listening(lambda event: told.append((event.kind, event.facts.get("text", "")))):
        found = act()
    return found, told


@pytest.mark.parametrize("name", sorted(_goals.GOALS))
def test_every_goal_is_a_recipe_whose_names_exist(name):
    made = recipes.make(_goals.settings(name, {"model.base": "minilm"} if name == "code" else {}))
    assert made.task.kind in catalogue.names("tasks")
    assert made.evaluate.metric or name == "code"
    assert _goals.GOALS[name].why


def test_a_goal_is_written_with_its_reasons(tmp_path):
    found, told = heard(lambda: init(messages(tmp_path), goal="support"))
    written = recipes.load(found["recipe"])
    assert written.adapt.method == "auto"
    assert written.adapt.settings == {"label_smoothing": 0.1}
    assert written.evaluate.metric == "macro_f1"
    assert any("smoothed labels" in text for _, text in told)


def test_what_the_caller_says_wins(tmp_path):
    found = plan(messages(tmp_path), goal="support", settings={"adapt.method": "lora"})
    assert "method: lora" in found["recipe"]
    assert "label_smoothing" not in found["recipe"]
    table = _goals.settings("profile", {"model.base": "minilm"})
    assert "model.family" not in table
    assert "adapt.settings.kind" not in table


def test_what_is_not_there_is_said(tmp_path):
    rows = [[f"2025-{1 + i % 12:02d}-{1 + i % 28:02d}", i % 5, 100 + i * 1.37 + i % 7] for i in range(120)]
    found, told = heard(lambda: plan(file(tmp_path, ["date", "store", "sales"], rows), label="sales", goal="forecast"))
    assert any(kind == "warning" and "no family for series" in text for kind, text in told)
    assert "kind: score" in found["recipe"]
    with pytest.raises(InputError, match="trained on code"):
        init(messages(tmp_path), goal="code")
    with pytest.raises(UnknownNameError, match="support"):
        init(messages(tmp_path), goal="suport")
