"""A small linear model, measured, as trackers are told of it."""

import pytest

import savile

KINDS = {"cancel": "please cancel my order", "status": "where is my parcel", "refund": "when do I get my money back"}


@pytest.fixture
def result(tmp_path, monkeypatch):
    """A run of the linear family on ninety messages; base models are not looked for."""
    monkeypatch.setattr("savile.models._bases.installed", dict)
    path = tmp_path / "tickets.csv"
    rows = [f"{text} number {i} {'today' * (i % 3)},{label}" for label, text in KINDS.items() for i in range(30)]
    path.write_text("\n".join(["message,queue", *rows]), encoding="utf-8")
    return savile.run(path, settings={"model.family": "linear", "evaluate.floor": 0.5})


@pytest.fixture
def report(result):
    """Its report."""
    return savile.Store.open().load(result.json["report"])
