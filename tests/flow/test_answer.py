"""Answers in words, from a file of conversations to a release that answers over HTTP as it was tested."""

import asyncio
import dataclasses
import json

import httpx2 as httpx
import numpy as np
import pytest

import savile
from savile import compression, testing
from savile.adaptation import adapt
from savile.base.errors import InputError, ParityError, RefusalError
from savile.base.store import Store
from savile.flow.compress import compress
from savile.models import Predictor
from savile.serving import _bundle, _http

SAID = {"red": "stop now", "green": "go ahead", "blue": "look up", "black": "sleep well"}
# a base with random weights learns nothing much unless all of it does
TUNED = {"freeze": 0, "freeze_embeddings": False, "learning_rate": 1e-2, "epochs": 28.0, "batch_rows": 16}


def asked(rows, start=0):
    """Prompts of a colour and a number, and the answer that goes with the colour."""
    return [(f"{colour} {start + row}", SAID[colour]) for row in range(rows) for colour in [list(SAID)[row % 4]]]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    texts = [prompt for prompt, _ in asked(240)]
    return str(testing.tiny_decoder(tmp_path_factory.mktemp("decoder"), [*texts, *SAID.values()] * 2))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("chats") / "chats.jsonl"
    rows = [[{"role": "user", "content": one}, {"role": "assistant", "content": other}] for one, other in asked(240)]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def made(base, file, tmp_path_factory):
    """A run and the folder of its store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(tmp_path_factory.mktemp("answers") / "home"))
        settings = {f"adapt.settings.{name}": one for name, one in TUNED.items()} | {"evaluate.must_beat": "base"}
        result = savile.run(file, task="answer", settings={"model.base": base, "adapt.method": "full", **settings})
        yield result, Store.open().home


@pytest.fixture
def run(made, monkeypatch):
    """The run, with its store open."""
    monkeypatch.setenv("SAVILE_HOME", str(made[1]))
    return made[0]


@pytest.fixture
def call(run):
    """Asks the application in this process: path and body -> status and JSON."""
    release = Store.open().load(run.json["release"])
    predictor = _bundle.opened(release)
    proof = _bundle.replay(predictor, release)
    assert (proof["passed"], proof["n"]) == (True, 8)
    service = _http.Service(predictor, release, proof, None)
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(_http.app(service)), base_url="http://savile")

    def ask(body, path="/v1/chat/completions"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = loop.run_until_complete(client.post(path, content=content))
        return response.status_code, response.json()

    yield ask
    loop.run_until_complete(client.aclose())
    service.close()
    loop.close()


def chat(*texts, **more):
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]
    return {"messages": turns, **more}


def test_a_run_learns_what_was_answered_and_says_how_near_it_comes(run):
    figures, base = run.json["metrics"], run.json["baselines"]["base"]
    assert list(figures) == ["perplexity", "exact_match", "token_f1"]
    assert figures["perplexity"]["value"] < 1.5 < 20 < base["perplexity"]["value"]
    assert figures["perplexity"]["low"] <= figures["perplexity"]["value"] <= figures["perplexity"]["high"]
    assert figures["exact_match"]["value"] > 0.9 > 0.1 > base["exact_match"]["value"]
    assert run.json["baselines"]["linear"] is None
    assert [check["name"] for check in run.json["gate"]["checks"]] == ["beat base"]
    assert any("answers it wrote" in line and "of the untuned base model" in line for line in run.summary)
    report = Store.open().load(run.json["report"])
    assert report.body["differences"]["base"]["perplexity"]["high"] < 0
    assert set(report.body["tables"]["written"][0]) == {"given", "written"}


def test_the_stored_model_writes_and_is_an_adapter_in_files(run):
    model = Store.open().load(run.json["model"])
    assert (model.task, model.family, model.method, model.labels) == ("answer", "decoder", "full", ("answer",))
    said = json.loads(model.forms["torch"]["network.json"].read_text())
    assert (said["loss"], said["instruction"]) == ("next_token", "Answer the message.")
    predict = Predictor(model, "torch")
    lengths = predict.beside(["x"] * 4, list(SAID.values()), 0).logits.given[:, 1]
    assert said["longest"] == lengths.max()
    outputs = predict(["green 1", "black 2"])
    assert outputs.choice.tolist() == ["go ahead", "sleep well"]
    assert not outputs.abstain.any()
    assert "training rows set apart" in model.facts["chosen_on"]
    least = min(one["valid_loss"] for one in model.facts["history"])
    assert model.facts["valid"]["log_loss"] == pytest.approx(least, rel=0.05)  # what is kept; judged in bf16 while it learns


def test_what_answers_in_words_is_not_compressed_and_says_so(run):
    model = Store.open().load(run.json["model"])
    with pytest.raises(InputError, match="one of the task answer"):
        compression.compress(model)
    assert compress(model.ref) == model
    with pytest.raises(RefusalError, match="at most 1 MB"):
        compress(model.ref, settings={"compress.max_size_mb": 1})


def test_chat_as_openai_has_it(call, run):
    status, said = call(chat("green 17", model="any", user="me", temperature=0, n=1, stream=False))
    assert status == 200
    assert (said["object"], said["model"]) == ("chat.completion", Store.open().load(run.json["release"]).digest)
    choice = said["choices"][0]
    assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", "content": "go ahead"}, "stop")
    usage = said["usage"]
    assert usage["completion_tokens"] > 2
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    _, cut = call(chat("green 17", max_tokens=1))
    assert cut["usage"]["completion_tokens"] == 1
    assert cut["choices"][0]["finish_reason"] == "length"
    assert "go ahead".startswith(cut["choices"][0]["message"]["content"])
    status, longer = call(chat("green 17", "go ahead", "red 4"))
    assert status == 200
    assert longer["usage"]["prompt_tokens"] > usage["prompt_tokens"] + 5
    told = {"messages": [{"role": "system", "content": "Answer the message."}, *chat("green 17")["messages"]]}
    assert call(told)[1]["choices"] == said["choices"]
    parts = [{"type": "text", "text": "green 17"}]
    assert call({"messages": [{"role": "user", "content": parts}]})[1]["choices"] == said["choices"]
    assert call({"texts": ["green 17", "black 3"]}, "/v1/answer")[1]["answers"][1]["answer"] == "sleep well"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "json"),
        ({}, 422, "shape"),
        ([], 422, "shape"),
        (chat("x", tools=[]), 422, "unsupported"),
        (chat("x", stream=True), 422, "stream"),
        (chat("x", temperature=0.7), 422, "temperature"),
        (chat("x", temperature=False), 422, "temperature"),
        (chat("x", n=2), 422, "n"),
        (chat("x", max_tokens=0), 422, "max_tokens"),
        (chat("x", max_tokens="9"), 422, "max_tokens"),
        (chat(), 422, "messages"),
        (chat("x", "y"), 422, "roles"),
        ({"messages": ["x"]}, 422, "messages"),
        ({"messages": [{"role": "user"}]}, 422, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 422, "roles"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, 422, "roles"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 422, "content"),
        ({"messages": [{"role": "user", "content": None}]}, 422, "content"),
        ({"messages": [{"role": "system", "content": "Be rude."}, {"role": "user", "content": "x"}]}, 422, "system"),
        ({"messages": [{"role": "system", "content": "Answer the message."}]}, 422, "roles"),
        (chat("x" * 20_001), 422, "length"),
        (chat("\ud800"), 422, "unicode"),
    ],
)
def test_whatever_else_is_asked_is_refused_with_what_to_do(call, body, status, code):
    got, said = call(body)
    assert (got, said["error"]["code"]) == (status, code)


def test_other_words_than_were_released_are_refused(run):
    release = Store.open().load(run.json["release"])
    tokens = [list(one) for one in release.golden["logits"]["tokens"]]
    tokens[0][0] += 1
    other = dataclasses.replace(release, golden={**release.golden, "logits": {**release.golden["logits"], "tokens": tokens}})
    proof = _bundle.replay(_bundle.opened(release), other)
    assert (proof["passed"], proof["flips"]) == (False, 1)
    with pytest.raises(ParityError, match="1 of 8 answers changed"):
        _bundle.refuse(other, proof)


def test_a_killed_run_goes_on_and_comes_to_the_same(base, run, tmp_path, monkeypatch):
    data = Store.open().load(run.json["data"])
    brief = {**TUNED, "epochs": 2.0, "checkpoint_seconds": 0.0}
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "whole"))
    whole = adapt(data, base, "full", settings=brief)
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "killed"))
    from savile.models import _fit

    plain, steps = _fit._Loop._advance, []

    def killed(loop):
        steps.append(loop.step)
        if len(steps) == 12:
            raise KeyboardInterrupt
        plain(loop)

    monkeypatch.setattr(_fit._Loop, "_advance", killed)
    with pytest.raises(KeyboardInterrupt):
        adapt(data, base, "full", settings=brief)
    again = adapt(data, base, "full", settings=brief)
    assert steps[12] == 11
    assert again.facts["valid"] == whole.facts["valid"]
    weights = [model.forms["torch"]["trunk.safetensors"].read_bytes() for model in (whole, again)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"model": "linear"}, "a family that writes"),
        ({"method": "head"}, "changes what a language model writes"),
        ({"method": "search"}, "compares answers by label"),
        ({"model": "model@123"}, "a base, for the task"),
        ({"settings": {"value": {"right": 1.0}}}, "mean something"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learned(base, run, more, match):
    data = Store.open().load(run.json["data"])
    with pytest.raises(InputError, match=match):
        adapt(data, **{"model": base, "method": "full", **more})


def test_keywords_cannot_be_beaten_where_they_cannot_answer(base, file):
    settings = {"model.base": base, "evaluate.must_beat": "linear"}
    with pytest.raises(InputError, match="keywords cannot"):
        savile.run(file, task="answer", settings=settings)
    assert Store.open().list("model") == []


def test_an_instruction_is_told_and_kept_and_so_is_a_budget(base, run):
    data = Store.open().load(run.json["data"])
    brief = {**TUNED, "instruction": "Say what to do.", "epochs": 500.0}
    model = adapt(data, base, "full", minutes=0.02, settings=brief)
    assert model.facts["steps"] < 1000
    answerer = Predictor(model, "torch").answerer
    assert answerer.instruction == "Say what to do."
    before = answerer.tokenizer.decode(list(answerer.prompt.before), skip_special_tokens=False)
    assert "Say what to do." in before


def test_a_conversation_is_read_turn_by_turn_and_cut_from_its_beginning(base):
    from savile.models import _answers, decoder

    network = decoder.create(base, ("answer",), "next_token", max_length=40)
    ids = _answers.asked(network, ["user: red 1\nassistant: stop now\nuser: blue 2"])[0]
    read = network.tokenizer.decode(ids, skip_special_tokens=False)
    end, turn = "<|im_end|>\n<|im_start|>", "assistant\n"
    assert read == f"red 1{end}{turn}stop now{end}user\nblue 2{end}{turn}"
    long = "\n".join(f"user: red {row}\nassistant: stop now" for row in range(30)) + "\nuser: blue 2"
    cut = _answers.asked(network, [long])[0]
    assert len(cut) <= 40
    assert network.tokenizer.decode(cut, skip_special_tokens=False).endswith(f"blue 2{end}{turn}")
    assert _answers.asked(network, ["user: hello"])[0] == network.encode(["user: hello"])[0]  # one turn is a text


def test_likelihood_is_that_of_the_given_answers_and_none_is_written_twice(run):
    model = Store.open().load(run.json["model"])
    predict = Predictor(model, "torch")
    prompts, given = zip(*asked(12, start=500), strict=True)
    outputs = predict.beside(prompts, given, 3)
    assert np.flatnonzero(outputs.logits.written).tolist() == [0, 5, 11]
    likely, worse = outputs.logits.given, predict.beside(prompts, ["look away"] * 12, 0).logits.given
    assert (worse[:, 0] / worse[:, 1] < likely[:, 0] / likely[:, 1]).all()
