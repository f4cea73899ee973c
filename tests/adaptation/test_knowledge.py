"""What is known beside labelled rows: documents and facts that a base reads, policies, networks that teach one."""

import json

import numpy as np
import pyarrow as pa
import pytest
from easy_data import FILLER, WORDS, dataset

from savile.adaptation import _documents, _fair, _folds, _pretrain, _train, adapt, pretrained
from savile.adaptation._held import Held
from savile.base import catalogue
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.records import Calibration, Dataset
from savile.models import Predictor
from savile.models._bases import locate
from savile.models._calibrate import decide


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_folds, "FOLDS", 2)


def passages(rows=60, seed=0):
    """Sentences in which the second word says what the third is."""
    rng, subjects = np.random.default_rng(seed), sorted(WORDS.values())
    return [
        f"{FILLER[i % 4]} {words[1]} {words[2]} {FILLER[(i + 1) % 4]} number {i}"
        for i in range(rows)
        for words in (subjects[int(rng.integers(len(subjects)))],)
    ]


def test_text_files_are_read_by_passages_and_tables_by_rows(tmp_path):
    (tmp_path / "manual.md").write_text("The card is blocked.\nCall us.\n\nA parcel may be late for a week.\n\nshort")
    (tmp_path / "facts.csv").write_text("subject,relation,object\nNova card,has_fee,12 EUR\n")
    (tmp_path / "more.jsonl").write_text(json.dumps({"text": "Refunds take up to five working days."}) + "\n")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG")
    found = _documents.read(tmp_path)
    assert found == [
        "Nova card has fee 12 EUR.",
        "The card is blocked. Call us.",
        "A parcel may be late for a week.",
        "Refunds take up to five working days.",
    ]
    assert _documents.facts(tmp_path / "facts.csv") == [("Nova card", "has_fee", "12 EUR")]
    assert _documents.sentence(("新星卡", "年费", "12元")) == "新星卡年费12元。"


def test_long_passages_are_cut_between_sentences(tmp_path):
    (tmp_path / "long.txt").write_text(" ".join(f"This is sentence number {i} of the manual." for i in range(100)))
    found = _documents.read(tmp_path / "long.txt")
    assert len(found) > 2
    assert all(one.endswith(".") and len(one) < 1300 for one in found)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [("a.csv", "x,y\n1,2\n", "a column text"), ("a.jsonl", "[1]\n", "JSON object"), ("a.txt", "", "passages")],
)
def test_files_that_say_nothing_are_refused(tmp_path, name, text, wanted):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=wanted):
        _documents.read(tmp_path / name)


def test_an_encoder_reads_and_is_a_base_like_any_other(tiny_masked, tmp_path):
    (tmp_path / "docs.txt").write_text("\n\n".join(passages()))
    settings = _pretrain.Settings(steps=30, learning_rate=3e-3, batch_rows=8)
    folder = pretrained(tiny_masked, tmp_path / "docs.txt", settings)
    told = _pretrain.facts(folder)
    assert told["after"] < told["before"]
    assert locate(folder).kind == "encoder"
    assert locate(folder).sha256 != locate(tiny_masked).sha256
    assert pretrained(tiny_masked, tmp_path / "docs.txt", settings) == folder
    asked = {"documents": str(tmp_path / "docs.txt"), "reading": {"steps": 30, "learning_rate": 3e-3, "batch_rows": 8}}
    model = adapt(dataset(45), tiny_masked, "full", settings={**asked, "steps": 8})
    assert model.base == folder
    assert len(Predictor(model, "torch")(["my card was stolen"]).choice) == 1


def test_a_language_model_reads_too(tiny_decoder, tmp_path):
    (tmp_path / "docs.txt").write_text("\n\n".join(passages()))
    folder = pretrained(tiny_decoder, tmp_path / "docs.txt", _pretrain.Settings(steps=30, learning_rate=3e-3, batch_rows=8))
    told = _pretrain.facts(folder)
    assert told["measure"] == "perplexity"
    assert told["after"] < told["before"]
    assert locate(folder).kind == "decoder"


def test_who_cannot_read_says_so(tmp_path, tiny):
    (tmp_path / "docs.txt").write_text("\n\n".join(passages()))
    with pytest.raises(InputError, match="reads words in their places"):
        pretrained("use-m", tmp_path / "docs.txt")
    with pytest.raises(InputError, match="a word for hidden ones"):
        pretrained(tiny, tmp_path / "docs.txt")
    with pytest.raises(InputError, match="a base that reads documents"):
        adapt(dataset(45), "linear", settings={"documents": str(tmp_path / "docs.txt")})
    with pytest.raises(UnknownNameError, match="setting of reading"):
        adapt(dataset(45), tiny, "full", settings={"documents": str(tmp_path / "docs.txt"), "reading": {"step": 3}})


def test_networks_teach_one_and_none_answers_rows_it_has_learnt(tiny, monkeypatch):
    from savile.adaptation import _ensemble

    seen = []
    real = _ensemble.EnsembleLearner.targets

    def watched(self, rows, checkpoint):
        found = real(self, rows, checkpoint)
        seen.append(found)
        return found

    monkeypatch.setattr(_ensemble.EnsembleLearner, "targets", watched)
    data = dataset(48)
    settings = {"ensemble": 2, "teach": 0.4, "steps": 24, "learning_rate": 3e-3, "least_steps": 0}
    model = adapt(data, tiny, "full", settings=settings)
    assert model.facts["ensemble"] == 2
    assert np.allclose(seen[-1].sum(axis=1), 1.0, atol=1e-5)
    assert (seen[-1].max(axis=1) >= 0.6 - 1e-6).all()
    outputs = Predictor(model, "torch")(data.texts("test"))
    assert (outputs.choice == data.targets("test")).mean() > 0.6
    with pytest.raises(InputError, match="2 to 20 networks"):
        adapt(data, tiny, "full", settings={"ensemble": 1})


def decided(seed=0, n=2_000):
    """Answers with two groups, one of which is less often given the good label."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n)
    logit = rng.normal(size=n) + 0.8 * group
    gold = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    logits = np.column_stack([np.zeros(n), logit]).astype(np.float32)
    table = pa.table({"text": ["x"] * n, "label": [str(one) for one in gold], "sex": ["fm"[one] for one in group]})
    parts = {"train": np.arange(n), "valid": np.arange(0), "calib": np.arange(0), "test": np.arange(0)}
    return Dataset(table, {"text": "text", "label": "label"}, parts, labels=("0", "1")), Held(logits, gold), group


@pytest.mark.parametrize("policy", _fair.POLICIES)
def test_a_threshold_keeps_to_a_policy_where_one_can(policy):
    data, held, group = decided()
    head = catalogue.get("tasks", "classify").head(2)
    asked = _fair.asked({"column": "sex", "good": 1, "policy": policy, "most": 0.15}, data)
    calibration, told = _fair.leaned(data, head, held, np.arange(len(held.gold)), Calibration(), asked)
    assert told["before"] > 0.15 >= told["after"]
    choice = decide(head, held.logits, calibration).choice
    groups = [group == 0, group == 1]
    assert _fair.apart(choice == 1, held.gold == 1, groups, policy) == pytest.approx(told["after"], abs=0.01)
    assert told["accuracy_after"] <= told["accuracy_before"]
    assert decide(head, held.logits, Calibration.of_json(calibration.as_dict())).choice.tolist() == choice.tolist()


def test_a_policy_that_holds_already_changes_nothing():
    data, held, _ = decided()
    asked = _fair.asked({"column": "sex", "good": "1", "most": 0.9}, data)
    calibration, told = _fair.leaned(
        data, catalogue.get("tasks", "classify").head(2), held, np.arange(len(held.gold)), Calibration(), asked
    )
    assert calibration == Calibration()
    assert told["lean"] == 0.0


def test_a_policy_is_asked_for_by_its_names(tiny):
    data, *_ = decided(n=200)
    wrong = ({"column": "age"}, {"good": "2"}, {"policy": "parity"}, {"share": 0.1})
    for given in wrong:
        with pytest.raises(UnknownNameError):
            _fair.asked({"column": "sex", "good": "1", **given}, data)
    with pytest.raises(InputError, match="with column and good"):
        _fair.asked({"column": "sex"}, data)


def test_a_policy_that_cannot_be_kept_is_refused_before_anything_is_learned(monkeypatch):
    monkeypatch.setattr(_train, "_fit", lambda *_: pytest.fail("it was learned"))
    data = dataset(100)
    with pytest.raises(InputError, match="two groups of 30 rows or more in 'text'"):
        adapt(data, "linear", settings={"fair": {"column": "text", "good": "refund"}})
    with pytest.raises(UnknownNameError, match="column"):
        adapt(data, "linear", settings={"fair": {"column": "age", "good": "refund"}})
    named = data.table.set_column(1, "label", pa.array(["refund|card_lost"] * len(data.table)))
    several = Dataset(named, data.roles, data.parts, task="multilabel", labels=data.labels)
    with pytest.raises(InputError, match="one label a row"):
        adapt(several, "linear", settings={"fair": {"column": "text", "good": "refund"}})


def test_a_policy_is_part_of_a_model(tmp_path):
    rng = np.random.default_rng(0)
    data = dataset(300)
    table = data.table.append_column("sex", pa.array(["fm"[i] for i in rng.integers(2, size=len(data.table))]))
    data = Dataset(table, data.roles, data.parts, labels=data.labels)
    model = adapt(data, "linear", settings={"fair": {"column": "sex", "good": "refund", "most": 1.0}})
    assert model.facts["fair"]["policy"] == "demographic_parity"
