"""The service as callers meet it: a real process, its answers, its keys, its limits, its figures and its end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import by_schema
import malformed
import pytest

import small_line
from savile import serving
from savile.base.store import Store
from savile.models import Predictor
from savile.serving import _bundle, _http, _schema

SERVER = """
import os, sys
from savile import serving
from savile.base.store import Store
release = Store.open().load(sys.argv[1])
serving.serve(release, port=0, keys=sys.argv[2] == "keys", ready=lambda url: print(url, flush=True))
"""


@contextmanager
def served(home, release, keys="none"):
    """A server of its own process; its process and address."""
    environment = {**os.environ, "SAVILE_HOME": str(home)}
    command = [sys.executable, "-c", SERVER, release.ref, keys]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        try:
            assert url, process.stderr.read()
            yield process, urlsplit(url).netloc
        finally:
            process.kill()


@pytest.fixture(scope="module")
def release(small, tmp_path_factory):
    """A release in a home of the module's own, the home, and a key to it."""
    home = tmp_path_factory.mktemp("served") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(home))
        data, _, model = small
        made = small_line.released(Store.open().save(data), Store.open().save(model))
        yield made, home, serving.new_key("tests")


@pytest.fixture(scope="module")
def address(release):
    """Where a server without keys listens."""
    made, home, _ = release
    with served(home, made) as (process, found):
        yield found
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def call(address, method="GET", path="/v1/classify", body=None, headers=None):
    """Status and JSON of one request."""
    connection = http.client.HTTPConnection(address, timeout=60)
    if isinstance(body, dict | list):
        body = json.dumps(body)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_json = response.getheader("content-type", "").startswith("application/json")
    return response.status, json.loads(content) if is_json and content else content


def exchange(address, sent):
    """The status of what comes back for raw bytes; 0 when the server just hangs up."""
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=0.3) as connection,
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(sent)
        got = b""
        for last in (False, True):
            with suppress(TimeoutError):
                got = got or connection.recv(4096)
                break
            if not last:  # it waits for more, as it should when less came than was announced: tell it that there is no more
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(60)
        parts = got.split(maxsplit=2)
        return int(parts[1]) if len(parts) > 1 else 0
    return 0


def test_answers_are_those_of_the_model_that_was_tested(address, release, small):
    data, _, model = small
    texts = data.texts("test")
    status, found = call(address, "POST", body={"texts": texts})
    assert status == 200
    expected = Predictor(model, "onnx-int8", "onnxruntime")(texts)
    answers = found["answers"]
    assert [answer["label"] for answer in answers] == [model.labels[choice] for choice in expected.choice]
    assert [answer["probability"] for answer in answers] == pytest.approx(expected.confidence.tolist(), abs=1e-4)
    assert {answer["abstain"] for answer in answers} == set(expected.abstain.tolist())
    assert {answer["release"] for answer in answers} == {release[0].digest}
    assert call(address, "POST", body={"text": texts[3]}) == (200, {"answers": [answers[3]]})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[" * 50_000, 400),
        (b"\xff\xfe\x00", 400),
        ({"text": 1}, 422),
        ({"texts": []}, 422),
        ({"texts": ["a"] * 257}, 422),
        ({"text": "a" * 20_001}, 422),
        ('{"text": "\\ud800"}', 422),
        ({"text": "a", "texts": ["a"]}, 422),
        ({"question": "a"}, 422),
        ({}, 422),
        (["a"], 422),
        ("x" * (4 << 20) + "x", 413),
        ({"text": "\x00"}, 200),
        ({"text": ""}, 200),
        ({"texts": ["a" * 20_000] * 2}, 200),
    ],
)
def test_what_is_wrong_is_said(address, body, status):
    found, said = call(address, "POST", body=body)
    assert found == status
    assert status == 200 or (said["error"]["code"] and said["error"]["message"])


def test_nothing_a_client_sends_ends_in_status_500(address):
    sent = [*malformed.handmade(), *malformed.mutated(0, 120)]
    assert len(sent) >= 300
    codes = [exchange(address, request) for request in sent]
    assert [request[:200] for request, code in zip(sent, codes, strict=True) if code >= 500] == []
    assert {200, 400, 404, 405, 413, 422} <= set(codes)
    assert codes.count(200) > 20  # some changes do no harm, and are answered
    assert call(address, "POST", body={"text": "still alive"})[0] == 200


def test_answers_are_as_the_schema_says(address):
    """Good and bad requests that schemathesis makes of the server's own OpenAPI."""
    found = {label: (codes, wrong) for label, codes, wrong in by_schema.calls(f"http://{address}", 12)}
    assert [wrong for _, wrong in found.values() if wrong] == []
    assert {200, 422} <= set(found["POST /v1/classify"][0])
    assert {label.partition(" ")[2] for label in found} >= _http.OPEN | {"/v1/models", "/version", "/metrics", "/readyz/replay"}


def test_readiness_replays_the_golden_inputs(address):
    status, found = call(address, path="/readyz")
    assert (status, found["status"], found["proof"]["n"]) == (200, "ready", _bundle.GOLDEN)
    assert call(address, "POST", "/readyz/replay")[1]["proof"]["flips"] == 0


def test_what_serves_is_told(address, release):
    made, *_ = release
    assert call(address, path="/healthz") == (200, {"status": "alive"})
    (model,) = call(address, path="/v1/models")[1]["data"]
    assert (model["id"], model["release"], model["form"], model["engine"]) == (
        made.digest,
        made.ref,
        "onnx-int8",
        "onnxruntime",
    )
    assert model["labels"] == sorted(small_line.WORDS)
    found = call(address, path="/version")[1]
    assert (found["release"], found["released_with"]) == (made.digest, list(made.cpu_flags))


def test_figures_count_and_name_nobody(address):
    call(address, "POST", body={"text": "a text nobody should find"})
    call(address, path="/made/up/by/somebody")
    found = call(address, path="/metrics")[1].decode()
    assert 'savile_requests_total{code="200",route="/v1/classify"}' in found
    assert 'savile_requests_total{code="404",route="other"}' in found
    assert "savile_batch_texts_count" in found
    assert "nobody" not in found
    assert "made/up" not in found


def test_openapi_tells_what_is_checked(address):
    found = call(address, path="/openapi.json")[1]
    schema = found["paths"]["/v1/classify"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["oneOf"][1]["properties"]["texts"]["maxItems"] == _schema.MAX_TEXTS
    assert {"200", "400", "401", "413", "422", "503"} <= set(found["paths"]["/v1/classify"]["post"]["responses"])
    assert call(address, path="/docs")[0] == 404  # its page would load scripts from elsewhere


def test_every_route_but_health_asks_for_a_key(release):
    made, home, key = release
    with served(home, made, "keys") as (_, address):
        paths = [
            *call(address, path="/openapi.json", headers={"Authorization": f"Bearer {key}"})[1]["paths"],
            "/openapi.json",
            "/no",
        ]
        assert set(paths) >= _http.OPEN | {"/v1/classify", "/metrics"}
        for path in paths:
            for wrong in ({}, {"Authorization": "Bearer sv_wrong"}, {"Authorization": key}):
                status = call(address, "POST", path, {"text": "a"}, wrong)[0]
                assert (status != 401) == (path in _http.OPEN), path
        assert call(address, "POST", body={"text": "a"}, headers={"Authorization": f"Bearer {key}"})[0] == 200


def test_a_form_that_stopped_answering_as_released_is_not_served(release, monkeypatch):
    made, home, _ = release
    monkeypatch.setenv("SAVILE_HOME", str(home))
    predictor = _bundle.opened(made)
    service = _http.Service(predictor, made, {"passed": False, "reason": "3 of 64 answers changed"}, None)
    from starlette.testclient import TestClient

    client = TestClient(_http.app(service))
    assert client.get("/readyz").status_code == 503
    refused = client.post("/v1/classify", json={"text": "a"})
    assert refused.status_code == 503
    assert "3 of 64" in refused.json()["error"]["message"]
    assert client.post("/readyz/replay").status_code == 200  # it answers as released after all
    assert client.post("/v1/classify", json={"text": "a"}).status_code == 200
    intact, predictor._logits = predictor._logits, lambda texts: -intact(texts)
    assert client.post("/readyz/replay").status_code == 503
    assert client.post("/v1/classify", json={"text": "a"}).status_code == 503
    service.close()


def test_what_was_begun_is_finished_when_told_to_stop(release):
    made, home, _ = release
    body = json.dumps({"texts": ["my card was stolen"] * 200}).encode()
    head = f"POST /v1/classify HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with served(home, made) as (process, address):
        host, port = address.split(":")
        begun = [socket.create_connection((host, int(port)), timeout=60) for _ in range(12)]
        for connection in begun:
            connection.sendall(head + body[:100])
        while "savile_requests_in_flight 13.0" not in call(address, path="/metrics")[1].decode():
            pass
        process.send_signal(signal.SIGTERM)
        while listens(host, int(port)):
            pass
        for connection in begun:
            connection.sendall(body[100:])
        for connection in begun:
            with connection, connection.makefile("rb") as answer:
                assert b"200 OK" in answer.readline()
                assert answer.read().count(b'"label"') == 200
        assert process.wait() == 0


def listens(host, port):
    try:
        socket.create_connection((host, port), timeout=60).close()
    except OSError:
        return False
    return True


def test_state_is_kept_in_the_home_and_nowhere_else(release):
    _, home, key = release
    assert key not in "".join(path.read_text(errors="replace") for path in Path(home).rglob("*") if path.is_file())
