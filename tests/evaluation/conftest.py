"""Simulated answers with the shape of real ones; the makers are fixtures of the session."""

import numpy as np
import pyarrow as pa
import pytest

from savile.base.contracts import Predictions
from savile.base.records import Calibration, Dataset, Model, Outputs


def _outputs_of(logits, threshold=0.0):
    logits = np.asarray(logits, dtype=np.float64)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exp / exp.sum(axis=1, keepdims=True)
    choice, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return Outputs(logits.astype(np.float32), probabilities, choice, confidence, confidence < threshold)


def _simulated(rows, classes, seed=0, skill=3.0, threshold=0.0, slices=None):
    """Calibrated answers: the gold label is drawn from the very probabilities that are answered."""
    rng = np.random.default_rng(seed)
    outputs = _outputs_of(rng.normal(size=(rows, classes)) * skill, threshold)
    gold = (outputs.probabilities.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return Predictions(gold, outputs, tuple(f"label {i}" for i in range(classes)), slices or {})


def _reordered(predictions, order):
    slices = {name: [column[i] for i in order] for name, column in predictions.slices.items()}
    return Predictions(predictions.gold[order], predictions.outputs.rows(order), predictions.labels, slices)


@pytest.fixture(scope="session")
def outputs_of():
    return _outputs_of


@pytest.fixture(scope="session")
def simulated():
    return _simulated


@pytest.fixture(scope="session")
def reordered():
    return _reordered


@pytest.fixture(scope="session")
def answers():
    return _simulated(600, 5)


class FakePredictor:
    """Stands in for `savile.models.Predictor`: the model's `base` says how skilled it is and `facts` which logits it gives.

    A text ends in its row number, and the row's logits are kept in ``facts["logits"]``; other forms add a little noise.
    """

    reads, exact = "text", True

    def reasons(self, inputs):
        return []

    def __init__(self, model, form, engine=None, threads=None):
        self.calibration = model.calibrations.get(form, Calibration())
        self.logits = np.asarray(model.facts["logits"])
        if form not in ("torch", "linear"):
            self.logits = self.logits + np.asarray(model.facts.get("shift", 0.0))

    def __call__(self, texts):
        rows = [int(text.rpartition(" ")[2]) for text in texts]
        return _outputs_of(self.logits[rows] / self.calibration.temperature, self.calibration.threshold)


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A data set of 600 test rows and models of any skill on it, with a home of their own and predictions played back."""
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("savile.models._predict.Predictor", FakePredictor)
    return Room()


class Room:
    labels = ("card lost", "refund", "transfer failed", "退款")

    def data(self, rows=600, columns=("region",), labels=labels):
        gold = np.random.default_rng(0).integers(len(labels), size=rows)
        table = {"text": [f"{'long ' * (i % 9)}message {i}" for i in range(rows)], "category": [labels[g] for g in gold]}
        for column in columns:
            table[column] = ["north" if i % 3 else "south" for i in range(rows)]
        parts = {"test": np.arange(rows), "train": np.arange(0), "valid": np.arange(0), "calib": np.arange(0)}
        return Dataset(
            pa.table(table), {"text": "text", "label": "category"}, parts, "classify", labels, ref="data@1", name="support"
        )

    def model(self, data, skill=4.0, family="encoder", seed=1, **more):
        rng = np.random.default_rng(seed)
        gold = [self.labels.index(label) for label in data.column("label")]
        logits = rng.normal(size=(len(gold), len(self.labels))) + skill * np.eye(len(self.labels))[gold]
        form = "linear" if family == "linear" else "torch"
        forms = {form: {"model.safetensors": b"x" * 250_000}, "openvino-bf16": {"model.bin": b"x" * 90_000}}
        facts = {"logits": logits.tolist(), "seconds": 12.5, "kwh": 0.0004, "trainable_share": 0.02} | more
        calibrations = {name: Calibration(1 / skill, 0.6) for name in forms}  # the temperature that is right for such logits
        ref = f"model@{family}{seed}"
        return Model(family, self.labels, forms=forms, calibrations=calibrations, facts=facts, base="minilm", ref=ref)
