"""Instruction data is read as questions and answers; answers of few kinds are labels, others are learned as words."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from savile import data
from savile.base.errors import InputError
from savile.data import sources


def lines(folder, rows, name="t.jsonl"):
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def alpaca(text, answer, instruction="Which queue does this belong to?"):
    return {"instruction": instruction, "input": text, "output": answer}


def sharegpt(text, answer):
    return {
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": text},
            {"from": "gpt", "value": answer},
        ]
    }


def messages(text, answer):
    return {"id": 1, "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]}


SHAPES = {"alpaca": alpaca, "sharegpt": sharegpt, "messages": messages}


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_of_few_kinds_are_labels(tmp_path, home, sentences, shape):
    texts = sentences(60)
    made = data.govern(lines(tmp_path, [SHAPES[shape](text, ["refund", "status"][i % 2]) for i, text in enumerate(texts)]))
    assert dict(made.roles) == {"text": "prompt", "label": "output"}
    assert made.table.column("prompt").to_pylist() == texts
    assert made.labels == ("refund", "status")


@pytest.mark.parametrize("shape", SHAPES)
def test_free_answers_are_learned_as_words(tmp_path, sentences, shape):
    rows = [SHAPES[shape](text, answer) for text, answer in zip(sentences(60), sentences(60, seed=1), strict=True)]
    found = data.inspect(lines(tmp_path, rows))
    assert (found.task, found.data.labels, found.roles["label"]) == ("answer", ("answer",), "output")
    assert set(found.data.targets("test")) <= {row["output"] for row in found.data.table.to_pylist()}


def test_an_instruction_that_differs_is_part_of_the_question(tmp_path):
    rows = [alpaca("hello", "a", "Sort this."), alpaca("", "b", "Say bye.")]
    table = sources.read(lines(tmp_path, rows)).table
    assert table.column("prompt").to_pylist() == ["Sort this.\nhello", "Say bye."]


def test_several_turns_keep_their_roles(tmp_path):
    said = [("user", "my parcel?"), ("assistant", "which one?"), ("user", "42"), ("assistant", "on its way")]
    table = sources.read(lines(tmp_path, [{"messages": [{"role": who, "content": what} for who, what in said]}])).table
    assert table.to_pylist() == [{"prompt": "user: my parcel?\nassistant: which one?\nuser: 42", "output": "on its way"}]


def test_parts_of_a_message_are_its_texts(tmp_path):
    content = [{"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {}}]
    row = {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "hi"}]}
    assert sources.read(lines(tmp_path, [row])).table.column("prompt")[0].as_py().strip() == "hello"


def test_conversations_in_parquet(tmp_path):
    pq.write_table(pa.Table.from_pylist([messages("hello", "a"), messages("bye", "b")]), tmp_path / "t.parquet")
    assert sources.read(tmp_path / "t.parquet").table.to_pydict() == {
        "id": ["1", "1"],
        "prompt": ["hello", "bye"],
        "output": ["a", "b"],
    }


def test_an_alpaca_document(tmp_path):
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps([alpaca("hello", "a"), alpaca("bye", "b")], indent=2), encoding="utf-8")
    assert sources.read(path).table.column("prompt").to_pylist() == ["hello", "bye"]


def test_preferences_are_refused(tmp_path, sentences):
    rows = [{"prompt": a, "chosen": b, "rejected": b[::-1]} for a, b in zip(sentences(30), sentences(30, seed=1), strict=True)]
    with pytest.raises(InputError, match="chosen and rejected"):
        data.inspect(lines(tmp_path, rows))
    judged = [{"prompt": one, "completion": one[::-1], "label": i % 2 == 0} for i, one in enumerate(sentences(30))]
    with pytest.raises(InputError, match="prompt, completion and label"):
        data.inspect(lines(tmp_path, judged))


def test_plain_columns_called_messages_are_plain(tmp_path):
    assert sources.read(lines(tmp_path, [{"messages": "hello", "label": "a"}])).table.column_names == ["messages", "label"]
