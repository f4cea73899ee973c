"""Small files to run, and a machine without base models, so that a whole run takes a second."""

import csv

import pytest

KINDS = {
    "cancel": ("please cancel my order", "stop the order I placed", "I do not want the shoes any more, call it off"),
    "status": ("where is my parcel", "has my box been sent yet", "the van did not come, when will it"),
    "refund": ("when do I get my money back", "the refund is not on my account", "you owe me for the broken lamp"),
}
ENDINGS = (
    "today",
    "now",
    "thanks",
    "asap",
    "number {}",
    "it is {} days",
    "my name is Ada {}",
    "order {}",
    "hello {}",
    "bye {}",
)


@pytest.fixture
def rows():
    """90 messages of three kinds that a keyword model tells apart."""
    return [
        (f"{text} {ending.format(7 * place + i)}", label)
        for label, texts in KINDS.items()
        for i, text in enumerate(texts)
        for place, ending in enumerate(ENDINGS)
    ]


@pytest.fixture
def tickets(tmp_path, rows):
    """Those messages as a csv file."""
    path = tmp_path / "work" / "tickets.csv"
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("message", "queue"), *rows])
    return path


@pytest.fixture
def no_bases(monkeypatch):
    """Base models are not installed; runs compare with the keyword model alone."""
    monkeypatch.setattr("savile.models._bases.installed", dict)


@pytest.fixture
def heard():
    """Events, while a test listens."""
    from savile.base.events import listening

    events = []
    with listening(events.append):
        yield events
