"""Facts behind a text: names are found as they are written, and every form reads texts with the facts it was trained with."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from savile import compression, testing
from savile.adaptation import adapt
from savile.base.errors import InputError
from savile.base.records import Dataset
from savile.base.store import Store
from savile.models import Predictor, encoder
from savile.models._facts import Facts

KNOWN = {"Nova": "Nova is a card.", "Nova Plus": "Nova Plus is a parcel.", "新星": "新星是银行卡。"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("where is my nova plus", "where is my nova plus | Nova Plus is a parcel."),
        ("NOVA, please", "NOVA, please | Nova is a card."),
        ("an innovation", "an innovation"),
        ("我的新星丢了", "我的新星丢了 | 新星是银行卡。"),
        ("", ""),
    ],
)
def test_names_are_found_as_they_are_written(text, wanted):
    assert Facts(KNOWN)(text) == wanted


def test_no_facts_change_nothing():
    assert Facts({})("nova") == "nova"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Things of which only a file says what they are."""
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    things = {f"thing{i}": ("card", "parcel", "refund")[i % 3] for i in range(30)}
    (tmp_path / "facts.csv").write_text(
        "subject,relation,object\n" + "".join(f"{name},is_a,{kind}\n" for name, kind in things.items())
    )
    order = [name for i in range(6) for name in list(things)[:24]] + list(things)[24:] * 8
    table = pa.table(
        {"text": [f"please my {name} {i % 4}" for i, name in enumerate(order)], "label": [things[one] for one in order]}
    )
    ends = np.cumsum([0, 144, 24, 24])
    parts = {name: np.arange(a, b) for name, a, b in zip(("train", "valid", "test"), ends, ends[1:], strict=False)}
    parts["calib"] = np.arange(0)
    words = ["please my is a card parcel refund", *things, "0 1 2 3"]
    base = testing.tiny_encoder(tmp_path, words)
    made = Dataset(table, {"text": "text", "label": "label"}, parts, labels=("card", "parcel", "refund"))
    return Store.open().save(made), str(base), str(tmp_path / "facts.csv")


def test_things_never_seen_are_known_by_their_facts(data):
    rows, base, file = data
    settings = {"steps": 60, "learning_rate": 5e-3, "least_steps": 0}
    plain, knowing = (adapt(rows, base, "full", settings={**settings, **more}) for more in ({}, {"facts": file}))
    texts, gold = rows.texts("test"), rows.targets("test")
    right = [(Predictor(model, "torch")(texts).choice == gold).mean() for model in (plain, knowing)]
    assert right[1] > 0.8 > right[0]
    served = compression.compress(knowing, rows)
    form = served.facts["served"]
    answers = Predictor(served, form["form"], form["engine"])(texts)
    assert (answers.choice == gold).mean() > 0.8
    assert json.loads(Path(str(knowing.forms["torch"]["network.json"])).read_text())["facts"]["thing0"] == "thing0 is a card."


def test_spans_have_no_facts(data):
    _, base, _ = data
    with pytest.raises(InputError, match="answers whole texts"):
        encoder.knowing(encoder.create(base, ("a",), "token_cross_entropy"), {"nova": "Nova is a card."})
