"""Vectors over HTTP: as OpenAI's clients ask for them, as the model was tested, and whatever else is sent is refused."""

import asyncio
import base64
import json

import httpx2 as httpx
import numpy as np
import pyarrow as pa
import pytest

import small_line
from savile import adaptation, compression, evaluation, serving
from savile.base import answers
from savile.base.records import Dataset
from savile.base.store import Store
from savile.models import Predictor
from savile.serving import _bundle, _http

TEXTS = ["my card was stolen today", "the parcel is late", "退款什么时候到账"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A released model of vectors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(tmp_path_factory.mktemp("vectors") / "home"))
        plain = small_line.dataset()
        subjects = {name: " ".join(words) for name, words in small_line.WORDS.items()}
        pairs = [answers.pair(text, subjects[label]) for text, label in zip(plain.texts(), plain.column("label"), strict=True)]
        table = pa.table({"text": pairs, "related": ["1"] * len(pairs)})
        roles = {"text": "text", "label": "related"}
        data = Store.open().save(Dataset(table, roles, plain.parts, "embed", ("similarity",)))
        base = small_line.base(tmp_path_factory.mktemp("base"))
        trained = adaptation.adapt(data, base, "full", settings={"epochs": 4.0, "learning_rate": 3e-3, "sizes": [8]})
        model = compression.compress(trained, data)
        served = model.facts["served"]
        report = evaluation.evaluate(model, data, served["form"], served["engine"])
        yield serving.release(model, served["form"], served["engine"], report, data, "tester"), model, report, Store.open().home


@pytest.fixture
def call(made, monkeypatch):
    """Asks the application in this process: path and body -> status and JSON."""
    release, _, _, home = made
    monkeypatch.setenv("SAVILE_HOME", str(home))
    predictor = _bundle.opened(release)
    proof = _bundle.replay(predictor, release)
    assert proof["passed"], proof
    service = _http.Service(predictor, release, proof, None)
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(_http.app(service)), base_url="http://savile")

    def asked(body, path="/v1/embeddings", method="POST"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = loop.run_until_complete(client.request(method, path, content=content))
        return response.status_code, response.json()

    yield asked
    loop.run_until_complete(client.aclose())
    service.close()
    loop.close()


def test_vectors_are_those_of_the_model_that_was_tested(call, made):
    _, model, report, _ = made
    status, said = call({"input": TEXTS, "model": "any"})
    assert status == 200
    assert [row["index"] for row in said["data"]] == [0, 1, 2]
    assert said["object"] == "list"
    assert said["usage"]["prompt_tokens"] > 0
    found = np.array([row["embedding"] for row in said["data"]])
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-4)
    assert np.abs(found - Predictor(model, "torch").vectors(TEXTS)).max() < 0.05
    assert report.body["metric"] == "ndcg_10"
    assert report.body["metrics"]["ndcg_10"]["value"] > 0.8


def test_a_text_alone_fewer_dimensions_and_base64(call):
    _, whole = call({"input": TEXTS[0]})
    status, short = call({"input": TEXTS[0], "dimensions": 8, "encoding_format": "base64"})
    assert status == 200
    found = np.frombuffer(base64.b64decode(short["data"][0]["embedding"]), dtype="<f4")
    wanted = np.array(whole["data"][0]["embedding"][:8])
    assert found.shape == (8,)
    assert np.allclose(found, wanted / np.linalg.norm(wanted), atol=1e-5)


def test_pairs_are_answered_by_how_alike_they_are(call):
    _, said = call(
        {"pairs": [["my card was stolen", "card stolen blocked pin"], ["my card was stolen", "money refund"]]}, "/v1/embed"
    )
    near, far = (one["similarity"] for one in said["answers"])
    assert near > far


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no json", 400),
        ({"text": "a"}, 422),
        ({"input": []}, 422),
        ({"input": ["a", 3]}, 422),
        ({"input": "a", "dimensions": 0}, 422),
        ({"input": "a", "dimensions": 100_000}, 422),
        ({"input": "a", "dimensions": True}, 422),
        ({"input": "a", "encoding_format": "int8"}, 422),
        ({"input": "a", "more": 1}, 422),
        ({"input": "x" * 20_001}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(call, body, code):
    status, said = call(body)
    assert status == code
    assert said["error"]["message"]


def test_the_description_tells_of_it(call):
    _, said = call(b"", "/openapi.json", "GET")
    assert "/v1/embeddings" in said["paths"]
