"""Roles are inferred where names and values are clear, and asked for where they are not."""

import numpy as np
import pyarrow as pa
import pytest

from savile import data
from savile.base import dates
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.events import listening
from savile.data import Options, _columns

ROWS = 60


@pytest.fixture
def columns(sentences):
    return {"text": sentences(ROWS), "label": ["a", "b", "c"] * (ROWS // 3)}


def roles(path, **options):
    return dict(data.inspect(path, Options(**options)).roles)


@pytest.mark.parametrize("name", ["label", "category", "Intent", "CLASS", "sentiment", "target", "y", "标签"])
def test_usual_label_names(write, columns, name):
    columns[name] = columns.pop("label")
    columns["status"] = ["open", "shut"] * (ROWS // 2)
    assert roles(write(columns)) == {"text": "text", "label": name}


def test_the_only_column_with_few_values_is_the_label(write, columns):
    columns["kind of ticket"] = columns.pop("label")
    assert roles(write(columns))["label"] == "kind of ticket"


def test_several_candidates_are_listed(write, columns):
    columns["queue"] = columns.pop("label")
    columns["status"] = ["open", "shut"] * (ROWS // 2)
    with pytest.raises(InputError, match=r"queue \(3 values\), status \(2 values\).*--label 'queue'"):
        data.inspect(write(columns))


def test_where_a_number_is_asked_for_the_only_column_of_numbers_is_the_label(write, columns):
    columns["shelf"] = columns.pop("label")
    columns["bought"] = [round(i * 1.37, 2) for i in range(ROWS)]
    assert roles(write(columns), task="score")["label"] == "bought"


def test_no_candidate_is_said(write, sentences):
    with pytest.raises(InputError, match="one label column; received none"):
        data.inspect(write({"text": sentences(ROWS), "price": [i * 1.37 for i in range(ROWS)]}))


def test_two_usual_names_take_the_first_and_warn(write, columns):
    columns["intent"] = ["x", "y"] * (ROWS // 2)
    said = []
    with listening(said.append):
        assert roles(write(columns))["label"] == "label"
    assert next(event.facts["text"] for event in said if event.kind == "warning").startswith("Taking 'label'")


@pytest.mark.parametrize("name", ["message", "reviewText", "customer_query", "评论"])
def test_usual_text_names_win_over_longer_texts(write, columns, name, sentences):
    columns[name] = columns.pop("text")
    columns["notes"] = [text * 3 for text in sentences(ROWS, seed=1)]
    assert roles(write(columns))["text"] == name


def test_without_a_usual_name_the_longest_sentences_are_the_text(write, columns, sentences):
    columns["what they said"] = columns.pop("text")
    columns["short"] = sentences(ROWS, seed=2, words=3)
    columns["code"] = [f"X-{i:09d}-{'q' * 90}" for i in range(ROWS)]
    assert roles(write(columns))["text"] == "what they said"


def test_chinese_without_spaces_is_text(write):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("的一是不了人我在有他这为之大来以个中上们"), size=9)) for _ in range(ROWS)]
    assert roles(write({"wenben": texts, "label": ["a", "b"] * (ROWS // 2)}))["text"] == "wenben"


def test_a_table_without_sentences_has_no_text(write):
    columns = {
        "age": [20 + i * 7 % 50 for i in range(ROWS)],
        "plan": ["s", "m", "l"] * (ROWS // 3),
        "label": ["a", "b"] * (ROWS // 2),
    }
    seen = data.inspect(write(columns))
    assert (dict(seen.roles), seen.task) == ({"label": "label"}, "classify")
    assert {column.role for column in seen.columns} == {"number", "category", "label"}
    assert {column.why for column in seen.columns if column.role != "label"} == {"learned from"}


def test_a_table_with_nothing_to_learn_from_is_told_so(write):
    with pytest.raises(InputError, match=r"column with texts.*row.*--text"):
        data.inspect(write({"row": range(ROWS), "label": ["a", "b"] * (ROWS // 2)}))


def test_names_are_the_text_where_there_is_nothing_else(write, sentences):
    columns = {"goods": sentences(ROWS, words=2), "label": ["a", "b"] * (ROWS // 2)}
    assert roles(write(columns)) == {"text": "goods", "label": "label"}
    assert roles(write(columns | {"price": [i * 37 % 50 for i in range(ROWS)]})) == {"label": "label"}


def test_rows_that_agree_in_every_column_but_the_label_stay_together(write, home):
    rng = np.random.default_rng(0)
    numbers = rng.integers(10_000, size=300)
    numbers[:40] = numbers[40:80]
    made = data.govern(write({"income": numbers, "label": rng.choice(["a", "b"], size=300)}))
    values = made.table.column("income").to_numpy()
    assert not set(values[made.parts["train"]]) & set(values[made.parts["test"]])
    assert "same_columns" in {finding.rule for finding in made.findings}


def test_explicit_names_win(write, columns, sentences):
    columns |= {"other": sentences(ROWS, seed=3), "status": ["open", "shut"] * (ROWS // 2)}
    assert roles(write(columns), text="other", label="status") == {"text": "other", "label": "status"}


@pytest.mark.parametrize("option", ["label", "text", "time", "group"])
def test_an_unknown_column_names_its_nearest(write, columns, option):
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        data.inspect(write(columns), Options(**{option: "lable"}))


def test_one_column_cannot_be_two_things(write, columns):
    with pytest.raises(InputError, match="'text'"):
        data.inspect(write(columns), Options(label="text", text="text"))
    with pytest.raises(InputError, match="'label'"):
        data.inspect(write(columns), Options(label="label", drop=("label",)))


def test_dates_and_customers_steer_the_split(write, columns):
    dated = {**columns, "created_at": [f"2024-01-{1 + i // 2:02d}" for i in range(ROWS)]}
    assert roles(write(dated))["time"] == "created_at"
    grouped = {**columns, "customer_id": [f"K{i % 20}" for i in range(ROWS)]}
    assert roles(write(grouped))["group"] == "customer_id"
    assert "time" not in roles(write(dated), drop=("created_at",))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("date of birth", [f"19{40 + i}-01-02" for i in range(ROWS)]),
        ("update", ["yes", "no"] * (ROWS // 2)),
        ("customer_id", [f"K{i}" for i in range(ROWS)]),
        ("account", ["basic", "gold", "plus"] * (ROWS // 3)),
    ],
)
def test_what_only_looks_like_a_date_or_customer_does_not(write, columns, name, values):
    assert roles(write({**columns, name: values})) == {"text": "text", "label": "label"}


def test_columns_that_number_the_rows_are_left_out_and_said_so(write, columns):
    columns = {"row": range(ROWS), "ticket_id": [f"T{i * 7 % ROWS}" for i in range(ROWS)], "same": ["x"] * ROWS, **columns}
    found = data.inspect(write(columns))
    assert {column.name: column.role for column in found.columns} == {
        "row": "id",
        "ticket_id": "id",
        "same": "constant",
        "text": "text",
        "label": "label",
    }
    (noted,) = [finding for finding in found.findings if finding.rule == "id_column"]
    assert "row, ticket_id" in noted.evidence


def test_a_score_is_no_class(write, columns):
    columns["label"] = [i * 1.37 for i in range(ROWS)]
    with pytest.raises(InputError, match=r"60 different numbers in 'label'.*score"):
        data.inspect(write(columns), Options(task="classify"))


def test_stars_are_labels(write, columns):
    columns["label"] = [1, 2, 3, 4, 5] * (ROWS // 5)
    assert dict(data.inspect(write(columns)).labels) == dict.fromkeys("12345", 12)


def test_free_text_is_no_label(write, columns, sentences):
    path = write({"text": sentences(300), "label": sentences(300, seed=5, words=2)})
    with pytest.raises(InputError, match="300 different values"):
        data.inspect(path)


@pytest.mark.parametrize("role", ["label", "text"])
@pytest.mark.parametrize("missing", ["", "  ", "NaN", "null", "N/A"])
def test_a_few_rows_without_label_or_text_are_left_out(write, columns, role, missing):
    columns[role][7] = missing
    found = data.inspect(write(columns))
    assert sum(found.parts.values()) == ROWS - 1
    (noted,) = [finding for finding in found.findings if finding.rule == f"empty_{role}"]
    assert (noted.rows, noted.count) == ((7,), 1)
    assert "line 9" in noted.evidence


def test_many_rows_without_label_are_an_error_with_lines(write, columns):
    columns["label"][3:6] = ["", "", ""]
    with pytest.raises(DataError, match=r"3 rows without a label \(5\.0%\), lines 5, 6, 7"):
        data.inspect(write(columns))


def test_a_label_called_none_is_a_label(write, columns):
    columns["label"][:5] = ["None"] * 5
    assert data.inspect(write(columns)).labels["None"] == 5


def test_labels_lose_the_space_around_them(write, columns):
    columns["label"] = [f" {label} " for label in columns["label"]]
    assert set(data.inspect(write(columns)).labels) == {"a", "b", "c"}


def test_one_class_is_an_error(write, columns):
    columns["label"] = ["a"] * ROWS
    with pytest.raises(DataError, match="only 'a'"):
        data.inspect(write(columns), Options(label="label"))


def test_classes_of_one_row_are_an_error_only_when_nothing_else_is_left(write, columns):
    columns["label"] = ["a"] * (ROWS - 1) + ["rare"]
    with pytest.raises(DataError, match="one row only of rare"):
        data.inspect(write(columns), Options(label="label"))
    columns["label"][0:30] = ["b"] * 30
    assert "single_row_class" in [
        finding.rule for finding in data.inspect(write(columns)).findings if "rare" in finding.evidence
    ]


def test_too_few_rows_are_an_error(write, sentences):
    with pytest.raises(DataError, match="at least 10 rows"):
        data.inspect(write({"text": sentences(6), "label": list("ababab")}))


def test_the_test_file_needs_the_same_columns(write, columns, sentences):
    test = write({"text": sentences(9, seed=9), "lable": ["a", "b", "c"] * 3}, "test.csv")
    with pytest.raises(DataError, match=r"'label' in both files.*test\.csv"):
        data.inspect(write(columns), Options(test=test))


def test_labels_that_differ_in_spelling_and_blanks_among_numbers_are_told(write, columns):
    columns["label"][0], columns["label"][3] = "A ", "A"
    columns["price"] = [" " if i == 4 else f"{i * 1.5}" for i in range(ROWS)]
    found = {finding.rule: finding for finding in data.inspect(write(columns)).findings}
    assert "A / a" in found["label_spelling"].evidence
    assert found["blank_number"].rows == (4,)


def test_what_was_understood_is_shown(write, columns):
    said = []
    with listening(said.append):
        data.inspect(write(columns))
    (shown,) = [event.facts for event in said if event.kind == "roles"]
    assert shown["roles"] == {"text": "text", "label": "label"}
    assert [column["role"] for column in shown["columns"]] == ["text", "label"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "+3"], "integer"),
        (["1.5", ".5", "1e-3", "2"], "real"),
        (["007", "012"], "string"),
        (["1.5", "01.5"], "string"),
        (["12345678901234567890"], "real"),
        (["2024-01-02", "2024-01-03"], "time"),
        (["a", "1"], "string"),
    ],
)
def test_kinds_of_values(values, kind):
    assert _columns.kind(pa.array(values)) == kind


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-02-29T13:05:09", "2024-02-29T13:05:09"),
        ("2024-02-29 13:05:09.123456+02:00", "2024-02-29T11:05:09"),
        ("2024-02-29T13:05:09Z", "2024-02-29T13:05:09"),
        ("2024/2/9 7:05", "2024-02-09T07:05:00"),
        ("29.02.2024", "2024-02-29T00:00:00"),
        ("24-02-2015 11.35", "2015-02-24T11:35:00"),
        ("12/31/2024 11:30 PM", "2024-12-31T23:30:00"),
        ("01jan2022 00:00:00", "2022-01-01T00:00:00"),
        ("3 March 2021", "2021-03-03T00:00:00"),
        ("2018年5月11日", "2018-05-11T00:00:00"),
    ],
)
def test_spellings_of_dates(value, iso):
    (seconds,) = dates.seconds(pa.array([value]))
    assert np.datetime64(int(seconds), "s") == np.datetime64(iso)


@pytest.mark.parametrize("value", ["2024-13-45", "hello", "12:30", "1.2.3", "99/99/2024"])
def test_what_is_no_date(value):
    assert dates.seconds(pa.array([value] * 3)) is None


def test_unix_time_in_seconds_and_milliseconds():
    assert dates.seconds(pa.array(["1700000000", None])).tolist()[0] == 1_700_000_000
    assert dates.seconds(pa.array(["1700000000123"])).tolist() == [1_700_000_000]


def test_telephone_numbers_are_no_text(write, columns):
    columns["phone"] = [f"+44 20 7946 {number:04d}" for number in range(ROWS)]
    columns["channel"] = ["shop", "web"] * (ROWS // 2)
    del columns["text"]
    assert roles(write(columns), label="label") == {"label": "label"}


def test_a_usual_name_inside_an_object_is_one(write, columns):
    columns["message.text"] = columns.pop("text")
    columns["payload"] = [f"{text} and some more words of no use" for text in columns["message.text"]]
    assert roles(write(columns))["text"] == "message.text"
