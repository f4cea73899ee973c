"""Spans of every usual form become one form, and stay on their words when the text is masked or trimmed."""

import json

import pytest

from savile import data
from savile.base.errors import DataError
from savile.data import _conll, sources
from savile.tasks import tag

TEXTS = ["  Ann Lee lives in Bern.", "Nobody is here.", "Call Bob in Rome"]
SPANS = [[(2, 9, "name"), (19, 23, "place")], [], [(5, 8, "name"), (12, 16, "place")]]
WORDS = [[("Ann Lee", "name"), ("Bern", "place")], [], [("Bob", "name"), ("Rome", "place")]]


def cluener(text, spans):
    found = {}
    for start, end, label in spans:
        found.setdefault(label, {}).setdefault(text[start:end], []).append([start, end - 1])
    return {"text": text, "label": found}


FORMS = {
    "objects": lambda text, spans: {"text": text, "spans": [{"start": a, "end": b, "label": c} for a, b, c in spans]},
    "presidio": lambda text, spans: {
        "full_text": text,
        "spans": [{"entity_type": c, "entity_value": text[a:b], "start_position": a, "end_position": b} for a, b, c in spans],
    },
    "triples": lambda text, spans: {"text": text, "label": [list(span) for span in spans]},
    "spacy": lambda text, spans: {"text": text, "spans": {"entities": [list(span) for span in spans]}},
    "cluener": cluener,
    "label studio": lambda text, spans: {
        "data": {"text": text},
        "annotations": [{"result": [{"value": {"start": a, "end": b, "labels": [c]}} for a, b, c in spans]}],
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(FORMS[form](*pair)) for pair in zip(TEXTS, SPANS, strict=True)))
    source = sources.read(path)
    texts = [text.strip() for text in source.table.column(source.hints["spanned"]).to_pylist()]
    cells = source.table.column(source.hints["spans"]).to_pylist()
    found = [[(text[a:b], label) for a, b, label in tag.spans(cell)] for text, cell in zip(texts, cells, strict=True)]
    assert found == WORDS


def test_spans_beyond_their_text_are_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "short", "spans": [{"start": 2, "end": 9, "label": "name"}]}))
    with pytest.raises(DataError, match="row 1, whose text has 5 characters"):
        sources.read(path)


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("B-x I-x O B-x", [(0, 3), (6, 7)]),
        ("B-x E-x O S-x", [(0, 3), (6, 7)]),
        ("I-x I-x O I-x", [(0, 3), (6, 7)]),
        ("B-x B-x O U-x", [(0, 1), (2, 3), (6, 7)]),
    ],
)
def test_conll_labels_of_every_scheme(labels, spans):
    text, cell = _conll.sentence(list(zip("abcd", labels.split(), strict=True)))
    assert text == "a b c d"
    assert [(start, end) for start, end, _ in tag.spans(cell)] == spans


def test_a_conll_file_becomes_rows(tmp_path):
    path = tmp_path / "rows.conll"
    path.write_text("-DOCSTART- O\n\nAnn B-name\nLee I-name\nlives O\n\n张 B-name\n三 I-name\n来 O\n", encoding="utf-8")
    table = sources.read(path).table
    assert table.column("text").to_pylist() == ["Ann Lee lives", "张三来"]
    path.write_text("Ann\n")
    with pytest.raises(DataError, match=r"line 1 of rows\.conll"):
        sources.read(path)


def test_masking_moves_the_spans_with_the_text(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    path = tmp_path / "rows.jsonl"
    rows = []
    for i in range(40):
        text = f"Write to user{i}@example.com, then ask Ann{i} about case {i}."
        start = text.index("Ann")
        mail = text.index("user")
        spans = [[start, start + len(f"Ann{i}"), "name"], [mail, text.index(","), "mail"]]
        rows.append(json.dumps({"text": text, "spans": spans}))
    path.write_text("\n".join(rows))
    found = data.govern(path)
    assert (found.task, found.labels) == ("tag", ("mail", "name"))
    for text, cell in zip(found.column("text"), found.column("label"), strict=True):
        words = {label: text[start:end] for start, end, label in tag.spans(cell)}
        assert words["name"].startswith("Ann")
        assert words["mail"].startswith("[EMAIL-")
        assert words["mail"].endswith("]")
