"""A table with texts in it, as a user would run it: features of the words, a second model held beside, reasons over HTTP."""

import csv
import json

import numpy as np
import pytest

import savile
from savile.base.errors import InputError
from savile.base.store import Store
from savile.models import Predictor
from savile.serving import _bundle, _http

pytestmark = pytest.mark.usefixtures("no_bases")

TABLE = {"model.family": "tabular", "adapt.settings.kind": "logistic"}
NOTES = {
    "kept": ("friendly and quick", "all fine again", "happy with the branch"),
    "left": ("too expensive", "cheaper somewhere else", "nobody called back"),
}


@pytest.fixture
def customers(tmp_path):
    """600 customers: months, plan, and what was noted; who left shows in the months and in the words, in neither alone."""
    rng = np.random.default_rng(0)
    chatter = ["".join(rng.choice(list("aeioubdgklmnrst"), size=rng.integers(3, 9))) for _ in range(400)]
    rows = []
    for _ in range(600):
        left = bool(rng.random() < 0.5)
        words = NOTES["left" if left != (rng.random() < 0.15) else "kept"]
        months = float(np.round(rng.normal(20 if left else 30, 10), 1))
        note = " ".join([*rng.choice(chatter, 6), str(rng.choice(words)), *rng.choice(chatter, 6)])
        rows.append((months, rng.choice(["basic", "plus"]), note, "left" if left else "kept"))
    return written(tmp_path / "customers.csv", rows)


def written(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("months", "plan", "note", "outcome"), *rows])
    return path


def test_a_text_column_of_a_table_adds_to_it_and_is_a_reason(customers):
    silent = customers.with_name("silent.csv")
    rows = list(csv.reader(customers.open(encoding="utf-8")))[1:]
    written(silent, [(months, plan, "", outcome) for months, plan, _, outcome in rows])
    whole, alone = (savile.run(path, label="outcome", settings=TABLE) for path in (customers, silent))
    right, without = (run.json["metrics"]["accuracy"]["value"] for run in (whole, alone))
    assert right > without + 0.03
    row = {"months": 12, "plan": "basic", "note": "too expensive, said in week 3"}
    reasons = Predictor(Store.open().load(whole.json["model"]), "tabular").reasons([row])[0].reasons
    assert {"months", "note"} <= {reason.what for reason in reasons}


def test_two_models_are_measured_on_the_same_rows_and_none_against_itself(customers):
    run = savile.run(customers, label="outcome", settings=TABLE)
    other = savile.adapt(run.json["data"], model="tabular", settings={"adapt.settings.kind": "boosting"})
    report = savile.evaluate(run.json["model"], data=run.json["data"], against=other.ref)
    found = json.loads(json.dumps(report.body["differences"]["against"]))
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]
    with pytest.raises(InputError, match=run.json["model"].partition("@")[2]):
        savile.evaluate(run.json["model"], data=run.json["data"], against=run.json["model"])


def test_a_table_is_served_with_reasons(customers):
    from starlette.testclient import TestClient

    run = savile.run(customers, label="outcome", settings=TABLE)
    made = Store.open().load(run.json["release"])
    client = TestClient(_http.app(_http.Service(_bundle.opened(made), made, {"passed": True, "reason": ""}, None)))
    body = {"row": {"months": 12, "plan": "basic", "note": "too expensive"}}
    answer = client.post("/v1/classify?reasons=2", json=body).json()["answers"][0]
    assert (answer["label"], [reason["what"] for reason in answer["reasons"]]) == ("left", ["note", "months"])
