"""The recipe: read, checked, printed again; whatever is wrong in it is named with its line and the nearest key."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base import recipe as recipes
from savile.base.errors import InputError, RecipeError
from savile.base.recipe import Recipe

WHOLE = """\
version: 1
name: card-support
task:     {kind: classify, text: text, label: category}
data:     {train: train.csv.gz, test: test.csv, pii: mask}
model:    {base: minilm}
adapt:    {method: lora, budget: {minutes: 10}, settings: {rank: 4}}
compress: {max_size_mb: 100, max_drop: 0.005}
evaluate: {metric: accuracy, floor: 0.90, slices: [], must_beat: base, value: {right: 0.4, wrong: -3, person: -1.2}}
serve:    {port: 8080, keys: required}
monitor:  {drift: [input, output], alert: log, improve: propose}
run:      {where: local}
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="card.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_whole_recipe_is_read(written, tmp_path):
    found = recipes.load(written(WHOLE))
    assert (found.name, found.task.label, found.adapt.method) == ("card-support", "category", "lora")
    assert (found.adapt.budget.minutes, found.adapt.settings) == (10.0, {"rank": 4})
    assert found.data.source == str(tmp_path / "train.csv.gz")
    assert (found.evaluate.value.wrong, found.evaluate.must_beat) == (-3.0, "base")


def test_paths_are_taken_from_the_recipes_folder(written, tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    path = written("data: {path: rows/all.csv, test: /elsewhere/test.csv}\nmodel: {base: base}\n")
    monkeypatch.chdir("/")
    found = recipes.load(path)
    assert (found.data.path, found.data.test) == (str(tmp_path / "rows" / "all.csv"), "/elsewhere/test.csv")
    assert found.model.base == str(tmp_path / "base")
    assert found.name == "card"


def test_what_is_left_out_has_a_default_and_is_printed_in_full(written):
    printed = recipes.dump(Recipe(), full=True)
    assert recipes.load(written(printed)).evaluate == Recipe().evaluate
    for section in fields(Recipe):
        assert f"{section.name}:" in printed
    assert recipes.dump(Recipe()) == "version: 1\n"


def test_at_most_ten_sections_of_six_keys():
    sections = [section for section in fields(Recipe) if section.name not in ("version", "name")]
    assert len(sections) <= 10
    for section in sections:
        value = getattr(Recipe(), section.name)
        assert not is_dataclass(value) or len([key for key in fields(value) if not key.metadata.get("hidden")]) <= 6


def test_what_is_printed_reads_back_the_same(written):
    found = recipes.load(written(WHOLE))
    assert recipes.load(written(recipes.dump(found), "again.yaml")) == found
    assert recipes.load(written(recipes.dump(found, full=True), "full.yaml")) == found


@pytest.mark.parametrize(
    ("text", "wanted", "received"),
    [
        ("evaluate:\n  flor: 0.9\n", "a key in evaluate among metric, floor", "'flor' in line 2 of card.yaml"),
        ("versoin: 1\n", "a key among version, name", "'versoin' in line 1"),
        ("version: 2\n", "version: 1", "2 in line 1"),
        ("name: x\nadapt:\n  budget:\n    minuts: 3\n", "a key in adapt.budget among minutes", "'minuts' in line 4"),
        ("adapt: {budget: 3}\n", "adapt.budget: a section with minutes", "3 in line 1"),
        ("adapt: {budget: {minutes: 0}}\n", "adapt.budget.minutes: greater than 0", "0 in line 1"),
        ("evaluate:\n  value: {right: 1}\n", "the key evaluate.value.wrong", "nothing in line 2"),
        ("evaluate: {floor: .nan}\n", "evaluate.floor: a finite number", "nan in line 1"),
        ("evaluate: {gates: [{metric: ece, maxx: 1}]}\n", "a key in evaluate.gates.0 among metric", "'maxx' in line 1"),
        ("evaluate: {gates: [{metric: ece, min: 0, max: 1}]}\n", "either min or max", "ece"),
        ("task: {label: yes}\n", "task.label: a valid string", "True in line 1"),
        ("name: 2024-13-45\n", "YAML", "month must be in"),
        ("serve: {port: 70000}\n", "serve.port: less than or equal to 65535", "70000 in line 1"),
        ("run: {where: moon}\n", "run.where: 'local'", "'moon' in line 1"),
        ("adapt: {method: lorra}\n", "adapt.method among auto", "'lorra' in line 1"),
        ("model: {family: liner}\n", "model.family among", "'liner' in line 1"),
        ("a: [\n", "YAML", "line 2 of card.yaml"),
        ("a: &x {b: 1}\nc: *x\n", "every value written out", "references"),
        ("name: a\nname: b\n", "every key once", "lines 1 and 2"),
        ("- 1\n", "a recipe with sections", "list at the top"),
        ("", "a recipe with sections", "empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, wanted, received, written):
    with pytest.raises(RecipeError) as caught:
        recipes.load(written(text))
    assert wanted in caught.value.wanted
    assert received in caught.value.received
    assert caught.value.do


def test_the_nearest_key_is_offered(written):
    with pytest.raises(RecipeError, match="Did you mean 'evaluate'"):
        recipes.load(written("evalute: {floor: 0.9}\n"))


def test_a_recipe_that_is_not_there_or_not_text(written, tmp_path):
    with pytest.raises(InputError, match="no file at"):
        recipes.load(tmp_path / "card.yaml")
    with pytest.raises(InputError, match="a folder"):
        recipes.load(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(RecipeError, match="UTF-8"):
        recipes.load(path)


def test_settings_replace_keys_and_leave_the_others(written):
    found = recipes.load(written(WHOLE))
    changed = recipes.override(
        found, recipes.assignments(["evaluate.floor=0.5", "adapt.settings.alpha=32", "data.columns.use=[a, b]", "name=x=y"])
    )
    assert (changed.evaluate.floor, changed.evaluate.must_beat) == (0.5, "base")
    assert changed.adapt.settings == {"rank": 4, "alpha": 32}
    assert changed.data.columns.use == ("a", "b")
    assert changed.name == "x=y"
    assert recipes.override(found, {}) is found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("evaluate.flor=1", "'flor' in the setting evaluate.flor=1"),
        ("evalute.floor=1", "Did you mean 'evaluate'"),
        ("name.x=3", "name: a valid string"),
        ("adapt=3", "adapt: a section with method"),
        ("evaluate.value.right=1", "the key evaluate.value.wrong"),
        ("evaluate.floor", "--set section.key=value"),
        ("=3", "--set section.key=value"),
        ("evaluate.floor=[", "YAML"),
    ],
)
def test_a_setting_that_is_wrong_is_named(setting, said):
    with pytest.raises(RecipeError) as caught:
        recipes.override(Recipe(), recipes.assignments([setting]))
    assert said in str(caught.value)


@settings(deadline=None)  # how long one takes says nothing on a busy machine
@given(st.floats(0, 1), st.integers(1, 65535), st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=20))
def test_any_recipe_survives_printing(floor, port, name):
    found = recipes.make({"evaluate.floor": floor, "serve.port": port, "name": name})
    raw = recipes._parsed(recipes.dump(found), "printed")[0]
    assert raw.get("name", "") == name
    assert recipes._checked(raw, {}, "printed") == found


def test_the_schema_knows_every_key_and_refuses_others():
    schema = json.dumps(recipes.schema())
    for key in ("budget", "must_beat", "max_size_mb", "pii"):
        assert f'"{key}"' in schema
    assert '"additionalProperties": false' in schema


def test_only_the_recipe_knows_yaml():
    package = Path(recipes.__file__).parents[1]
    assert [path.name for path in package.rglob("*.py") if "import yaml" in path.read_text(encoding="utf-8")] == ["recipe.py"]


def test_steps_to_add_are_named_with_their_settings(written, tmp_path):
    found = recipes.load(written("data: {path: a.csv, steps: {profile: {file: more.yaml}, splits: other.json}}\n"))
    assert found.data.steps == {
        "profile": {"file": str(tmp_path / "more.yaml")},
        "splits": {"file": str(tmp_path / "other.json")},
    }
    with pytest.raises(RecipeError) as caught:
        recipes.load(written("data:\n  path: a.csv\n  steps:\n    profil: {}\n"))
    assert "'profil' in line 4" in caught.value.received
    assert "'profile'" in caught.value.do


def test_a_document_is_written_and_read_back(tmp_path):
    path = tmp_path / "rights.yaml"
    values = {"sources": [{"name": "a", "expires": "2027-01-31"}, {"name": "b: c"}], "on_breach": "refuse", "empty": []}
    path.write_text(recipes.write(values), encoding="utf-8")
    assert recipes.document(path, "rights") == values
    with pytest.raises(InputError, match="a rights file"):
        recipes.document(tmp_path / "none.yaml", "rights")
