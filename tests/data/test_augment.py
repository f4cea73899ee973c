"""Texts in other words: what each way makes, that it is measured, kept only where it helps, and never tested on."""

import csv

import numpy as np
import pytest
from test_self_train import WORDS, rows

from savile import data
from savile.base.errors import InputError
from savile.data import Options, _rewrite
from savile.data.dedup import normal

SYNONYMS = {word: tuple(other for other in some if other != word)[:6] for some in WORDS.values() for word in some}


def augmented(path, texts, kinds, **settings):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *zip(texts, kinds, strict=True)])
    return data.prepare(path, Options(label="label", text="text", steps={"augment": {"encoder": "words", **settings}}))


def test_what_helps_is_kept_and_is_only_learnt_from(home, tmp_path):
    texts, kinds = rows(45, 0, each=5)
    found = augmented(tmp_path / "few.csv", texts, kinds, synonyms=SYNONYMS)
    outcome = found.settings["steps"]["augment"]
    ways = {one["way"]: one for one in outcome["ways"]}
    assert set(ways) == {"noise", "synonyms"}
    assert ways["synonyms"]["kept"]
    assert ways["synonyms"]["gain"] > 0
    assert all("95 % interval" in one["effect"] for one in ways.values())
    made = np.array([one is not None for one in found.column("made")])
    assert made.sum() == outcome["added"] == found.table.num_rows - 45
    assert set(np.flatnonzero(made)) <= set(found.parts["train"].tolist())
    shown = [normal(text) for text in found.column("text")]
    assert not {shown[row] for row in np.flatnonzero(made)} & {shown[row] for row in found.parts["test"]}
    unit = {found.units[row] for row in found.parts["train"][~made[found.parts["train"]]]}
    assert all(found.units[row] in unit for row in np.flatnonzero(made))  # each stays with the row it comes from
    kind = dict(zip(texts, kinds, strict=True))
    for row in np.flatnonzero(made):
        if found.column("made")[row] == "augment: synonyms":
            label = found.column("label")[row]
            assert set(found.column("text")[row].split()) <= set(WORDS[label])
            assert label in kind.values()


def test_nothing_is_added_where_nothing_helps(home, tmp_path):
    texts = [f"{word} {other}" for word in ("good", "fine") for other in (f"n{i}" for i in range(30))]
    found = augmented(tmp_path / "easy.csv", texts, [text.split()[0] for text in texts])
    outcome = found.settings["steps"]["augment"]
    assert outcome["added"] == 0
    assert "made" not in found.roles
    assert found.table.num_rows == 60


@pytest.fixture
def endpoint(language_model):
    """A server that answers prompts in synonyms."""

    def answer(prompt):
        words = prompt.rpartition("\n\n")[2].split()
        return {"message": {"content": " ".join(SYNONYMS.get(word, (word,))[0] for word in words)}}

    return language_model(answer)


def test_an_endpoint_paraphrases_and_translates_there_and_back(home, tmp_path, endpoint):
    url, seen = endpoint
    texts, kinds = rows(30, 0)
    texts[0] += " call ann@example.com"
    found = augmented(tmp_path / "few.csv", texts, kinds, ways=["paraphrase", "back_translation"], url=url, most=12)
    ways = {one["way"]: one for one in found.settings["steps"]["augment"]["ways"]}
    assert 8 <= ways["paraphrase"]["rows"] <= 12
    assert len(seen) == 12 + 2 * 12
    prompts = [prompt for prompt, _ in seen]
    for words in ("into German", "German text into English"):
        assert sum(words in prompt for prompt in prompts) == 12
    assert not any("ann@example.com" in prompt for prompt in prompts)
    assert not any("made by" in line for line in found.column("text"))


def test_a_way_needs_somebody_to_ask(home, tmp_path):
    texts, kinds = rows(30, 0)
    with pytest.raises(InputError, match="endpoint or a base"):
        augmented(tmp_path / "few.csv", texts, kinds, ways=["paraphrase"])


def test_slips_are_few_and_leave_pseudonyms_and_digits():
    text = "Please send order 12345 to [EMAIL-3f2a9c] before the weekend, thank you very much indeed"
    said = _rewrite.slips([text] * 50, np.random.default_rng(0))
    assert all("[EMAIL-3f2a9c]" in one and "12345" in one for one in said)
    assert len(set(said)) > 30
    assert np.mean([abs(len(one) - len(text)) for one in said]) < 5


def test_synonyms_are_words_of_the_same_contexts():
    rng = np.random.default_rng(0)
    frames = ["please cancel my {} for the hotel in june", "the {} was paid twice by my card", "where can I see my {} online"]
    frames += ["my dog eats a {} in the garden", "a {} sleeps under our old tree"]
    texts = [str(rng.choice(frames[:3])).format(rng.choice(["booking", "reservation"])) for _ in range(300)]
    texts += [str(rng.choice(frames[3:])).format(rng.choice(["bone", "puppy"])) for _ in range(200)]
    texts += [" ".join(rng.choice(WORDS["login"], 8)) for _ in range(200)]
    found = _rewrite.learned(texts)
    assert "reservation" in found["booking"]
    assert "booking" in found["reservation"]
    assert "bone" not in found.get("booking", ())
    assert _rewrite.learned(["too few words"]) == {}
