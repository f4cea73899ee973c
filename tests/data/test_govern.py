"""A file becomes a stored data set once, with nothing personal in anything that is kept, and the same ref the second time."""

import itertools
import json
import re

import numpy as np
import pytest

from savile import data
from savile.base.errors import DataError, UnknownNameError
from savile.base.events import listening
from savile.base.store import Store
from savile.data import Options, Reading, dedup

SECRETS = ["ann.lee@example.com", "+44 20 7946 0958", "4111 1111 1111 1111", "11010519491231002X", "13800138000"]


@pytest.fixture
def tickets(home, write, sentences):
    texts = sentences(300)
    texts[:10] = [f"please write to {secret} about {text}" for secret, text in zip(SECRETS * 2, texts, strict=False)]
    texts[10], texts[11], texts[12] = texts[20], texts[21].upper(), texts[22] + " x"  # same, same but for case, nearly same
    labels = ["refund", "delivery", "login"] * 100
    labels[10], labels[11] = labels[20], "login" if labels[21] != "login" else "refund"
    contact = ["ann.lee@example.com" if i % 3 == 0 else "" for i in range(300)]
    return write(
        {"text": texts, "label": labels, "contact": contact, "tel": [13800138000 + i * 7919 % 150 for i in range(300)]}
    )  # consecutive ones would only number the rows


def jaccard(first, second):
    grams = [{text[i : i + 5] for i in range(max(1, len(text) - 4))} for text in (first, second)]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def bytes_kept(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and path.parent.name != "keys"}


def test_govern_stores_a_data_set_that_loads_again(tickets):
    made = data.govern(tickets)
    again = Store.open().load(made.ref)
    assert again.table.equals(made.table)
    assert again.labels == ("delivery", "login", "refund")
    assert dict(again.roles) == {"text": "text", "label": "label"}
    assert again.name == "tickets"
    assert len(again.settings["sources"]["source"]["sha256"]) == 64
    assert all(np.array_equal(again.parts[name], made.parts[name]) for name in made.parts)


def test_the_second_time_nothing_is_done(home, tickets):
    first = data.govern(tickets)
    before = bytes_kept(home)
    said = []
    with listening(said.append):
        assert data.govern(tickets).ref == first.ref
    assert [event.kind for event in said] == ["note"]
    assert bytes_kept(home) == before


def test_another_file_or_another_option_is_another_data_set(tickets, tmp_path):
    first = data.govern(tickets)
    assert data.prepare(tickets, Options(seed=1)).ref != first.ref
    tickets.write_text(tickets.read_text(encoding="utf-8") + "one more row of text,login,,1\n", encoding="utf-8")
    assert data.govern(tickets).ref != first.ref


def test_nothing_personal_is_kept_shown_or_said(home, tickets):
    said = []
    with listening(said.append):
        made = data.govern(tickets)
    kept = b"".join(bytes_kept(home).values()).decode("utf-8", "replace") + str(said)
    for secret in [*SECRETS, "13800138007", "ann.lee"]:
        assert secret not in kept
    counts = {finding.rule: finding.count for finding in made.findings if finding.rule.startswith("personal")}
    assert counts == {"personal_email": 100, "personal_phone": 300, "personal_bank_card": 2, "personal_cn_id": 2}
    assert made.mask["pii"] == "mask"


def test_one_person_has_one_pseudonym_in_every_column_and_file(tickets, write, sentences):
    made = data.govern(tickets)
    text = made.table.column("text")[0].as_py()
    assert made.table.column("contact")[0].as_py() in text
    texts = ["mail Ann.Lee@Example.com now", *sentences(29, seed=4)]
    other = data.govern(write({"text": texts, "label": ["a", "b"] * 15}, "other.csv"))
    assert made.table.column("contact")[0].as_py() in other.table.column("text")[0].as_py()


def test_keeping_personal_data_is_a_choice_on_record(home, tickets):
    made = data.govern(tickets, pii="keep")
    assert "ann.lee@example.com" in made.table.column("contact").to_pylist()
    assert made.settings["options"]["pii"] == made.mask["pii"] == "keep"
    assert {finding.severity for finding in made.findings if finding.rule.startswith("personal")} == {"warning"}
    (entry,) = [json.loads(line) for line in (home / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert "keep" in json.dumps(entry)
    page = data.page(made).read_text(encoding="utf-8")
    assert "ann.lee@example.com" not in page


def test_the_act_is_in_the_audit_log(tickets):
    made = data.govern(tickets)
    store = Store.open()
    assert store.audit.verify() == []
    assert made.ref in (store.home / "audit.jsonl").read_text(encoding="utf-8")


def test_inspect_says_the_same_and_writes_nothing(home, tickets):
    seen = data.inspect(tickets)
    assert not home.exists()
    made = data.govern(tickets)
    assert dict(seen.roles) == dict(made.roles)
    assert dict(seen.parts) == {name: len(rows) for name, rows in made.parts.items()}
    assert [finding.evidence for finding in seen.findings] == [finding.evidence for finding in made.findings]
    assert sum(seen.labels.values()) == sum(seen.parts.values())
    assert seen.rows == 300


def test_a_wrong_file_or_task_leaves_nothing_behind(home, tickets, tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"text,label\nhello\n")
    with pytest.raises(DataError):
        data.govern(tmp_path / "bad.csv")
    with pytest.raises(UnknownNameError, match="classify"):
        data.govern(tickets, task="clasify")
    with pytest.raises(UnknownNameError):
        data.govern(tickets, label="nothing like it")
    assert not home.exists()


def test_copies_are_told_apart_and_no_part_overlaps_another(tickets):
    made = data.govern(tickets)
    rows = {finding.rule: finding.rows for finding in made.findings}
    assert rows["exact_duplicate"] == (20,)
    assert set(rows["label_conflict"]) == {11, 21}
    assert set(rows["near_duplicate"]) == {12, 22}
    texts = {name: [dedup.normal(text) for text in made.texts(name)] for name in made.parts}
    for first, second in itertools.combinations(texts, 2):
        assert not any(jaccard(one, two) >= 0.85 for one in texts[first] for two in texts[second])
    used = np.concatenate(list(made.parts.values()))
    assert sorted(used.tolist()) == [row for row in range(300) if row != 20]


def test_a_given_test_file_is_never_touched(home, write, sentences):
    texts = sentences(220)
    train = write({"text": texts[:120] + texts[:5], "label": ["a", "b"] * 60 + ["a", "b"] * 2 + ["a"]})
    test = write({"text": texts[100:] + texts[200:210], "label": ["a", "b"] * 65}, "test.csv")
    made = data.govern(train, test=test)
    assert made.parts["test"].tolist() == list(range(125, 255))
    assert sum(len(made.parts[name]) for name in ("train", "valid", "calib")) == 120
    (overlap,) = [finding for finding in made.findings if finding.rule == "test_overlap"]
    assert (overlap.count, overlap.severity) == (20, "error")


def test_columns_are_typed_and_chosen(home, write, sentences):
    columns = {
        "text": sentences(60),
        "label": [1, 2] * 30,
        "price": [f"{i}.5" for i in range(60)],
        "zip": [f"0{i % 7}" for i in range(60)],
        "age": [i % 9 for i in range(60)],
        "row": range(60),
    }
    made = data.govern(write(columns), label="label")
    assert {field.name: str(field.type) for field in made.table.schema} == {
        "text": "string",
        "label": "string",
        "price": "double",
        "zip": "string",
        "age": "int64",
    }
    chosen = data.prepare(write(columns), Options(label="label", use=("age",)))
    assert chosen.table.column_names == ["text", "label", "age"]
    dropped = data.prepare(write(columns), Options(label="label", drop=("age", "price")))
    assert dropped.table.column_names == ["text", "label", "zip"]


def test_the_page_is_self_contained_and_says_what_is_wrong(tickets):
    made = data.govern(tickets)
    page = data.page(made).read_text(encoding="utf-8")
    assert "What is wrong with your data" in page
    for words in ("The same text under different labels", "E-mail addresses", "refund", "tickets.csv", "Characters per text"):
        assert words in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_the_page_comes_back_when_it_was_removed(tickets):
    made = data.govern(tickets)
    before = data.page(made).read_bytes()
    data.page(made).unlink()
    data.govern(tickets)
    assert data.page(made).read_bytes() == before


@pytest.mark.slow
def test_banking77_is_governed_within_three_seconds(home, sample):
    import time

    path, test = sample("intent-banking77/train.csv.gz"), sample("intent-banking77/test.csv")
    data.inspect(path)  # imports
    start = time.process_time()
    made = data.govern(path, test=test)
    assert time.process_time() - start < 3.0
    assert len(made.labels) == 77
    assert {name: len(rows) for name, rows in made.parts.items()} == {"train": 8_999, "valid": 500, "calib": 500, "test": 3_080}
    for name in ("valid", "calib"):
        assert np.bincount(made.targets(name), minlength=77).min() >= 2


@pytest.mark.parametrize(
    ("name", "options", "roles"),
    [
        ("zh-reviews/waimai_10k.csv.gz", {}, {"text": "review", "label": "label"}),
        ("fin-phrasebank/phrasebank.csv.gz", {}, {"text": "sentence", "label": "label"}),
        ("zh-tnews/dev.jsonl.gz", {}, {"text": "sentence", "label": "label"}),
        ("fin-zh-news/titles_7046.csv.gz", {}, {"text": "title", "label": "label", "time": "date"}),
        ("feedback-clothing/reviews_sample.csv.gz", {"label": "Rating"}, {"text": "Review Text", "label": "Rating"}),
    ],
)
def test_public_sets_are_understood(sample, name, options, roles):
    assert dict(data.inspect(sample(name), Options(**options)).roles) == roles


@pytest.mark.parametrize(
    ("name", "label", "time"),
    [
        ("churn-telco/telco_churn.csv.gz", "Churn", None),
        ("credit-german/german.csv", None, None),
        ("credit-taiwan/taiwan_default.csv.gz", "default", None),
        ("credit-heloc/heloc.csv.gz", "RiskPerformance", None),
    ],
)
def test_public_tables_without_text_are_governed(sample, name, label, time):
    seen = data.inspect(sample(name), Options(label=label))
    assert "text" not in seen.roles
    assert seen.roles.get("time") == time
    assert seen.task == "classify"
    assert len(seen.labels) == 2
    assert seen.parts["test"] == pytest.approx(0.2 * seen.rows, rel=0.01)


def test_leakage_between_public_files_is_seen(sample):
    seen = data.inspect(
        sample("fin-zh-news/titles_7046.csv.gz"), Options(text="title", test=sample("fin-zh-news/articles_2400.csv.gz"))
    )
    (overlap,) = [finding for finding in seen.findings if finding.rule == "test_overlap"]
    assert overlap.severity == "error"
    assert 0.5 < overlap.count / seen.parts["test"] < 0.56


def test_rows_that_are_one_family_of_copies_cannot_be_divided(write):
    texts = [f"please reset the password of account number {i}" for i in range(100)]
    with pytest.raises(DataError, match="both training and test"):
        data.govern(write({"text": texts, "label": ["a", "b"] * 50}))


def test_labels_with_personal_data_are_masked_and_stay_as_many(write, savile_home):
    texts = [f"message number {i} about thing {i * 7 % 31}" for i in range(120)]
    boxes = ["billing@shop.example", "returns@shop.example", "call 555-123-4567", "other"]
    made = data.govern(write({"text": texts, "label": [boxes[i % 4] for i in range(120)]}))
    assert len(made.labels) == 4
    assert sorted(label[:7] for label in made.labels) == ["[EMAIL-", "[EMAIL-", "call [P", "other"]
    personal = {finding.rule: finding for finding in made.findings if finding.rule.startswith("personal")}
    assert personal["personal_email"].count == 60
    assert personal["personal_email"].severity == "warning"
    stored = b"".join(path.read_bytes() for path in savile_home.rglob("*") if path.is_file())
    assert not any(box.encode() in stored for box in boxes[:2])
    assert b"555-123-4567" not in stored
    kept = data.govern(write({"text": texts, "label": [boxes[i % 4] for i in range(120)]}), pii="keep")
    assert sorted(kept.labels) == sorted(boxes)


def test_findings_before_masking_do_not_quote_labels(write, savile_home):
    texts = [f"message number {i} about thing {i * 7 % 31}" for i in range(101)]
    labels = ["a"] * 60 + ["b"] * 40 + ["ada.byron@post.example"]
    made = data.govern(write({"text": texts, "label": labels}))
    single = next(finding for finding in made.findings if finding.rule == "single_row_class")
    assert "[EMAIL-" in single.evidence
    assert b"ada.byron" not in b"".join(path.read_bytes() for path in savile_home.rglob("*") if path.is_file())


def test_labels_that_masking_would_join_are_refused(write):
    texts = [f"message number {i} about thing {i * 7 % 31}" for i in range(60)]
    with pytest.raises(DataError, match="still differ"):
        data.govern(write({"text": texts, "label": ["a@shop.example", "A@shop.example", "c"] * 20}))


def test_a_column_named_with_personal_data_is_refused_without_quoting_it(tmp_path, savile_home):
    rows = [f"message number {i} about thing {i * 7 % 31},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "headless.csv").write_text("\n".join(["write to ada.byron@post.example please,a", *rows]))
    with pytest.raises(DataError, match="Add a header line") as refused:
        data.prepare(tmp_path / "headless.csv", Options(read=Reading(header=True)))
    assert "ada.byron" not in str(refused.value)
    assert not savile_home.exists()
    made = data.govern(tmp_path / "headless.csv", label="column 2")  # left to itself, the first row is known for one
    assert made.table.num_rows == 61
    assert "ada.byron" not in str(made.table.to_pydict())
