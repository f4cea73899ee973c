"""Routes of apps, mounted in a served model: keys, checks, limits, the description, and the same answers as everybody's."""

import json
from datetime import date, timedelta
from types import SimpleNamespace

import httpx2 as httpx
import pytest

import small_line
from savile import serving
from savile.apps import sentiment_watch
from savile.base.errors import InputError, UnknownNameError
from savile.base.store import Store
from savile.models import Predictor
from savile.serving import _apps, _bundle, _http
from savile.serving._keys import Keys

PATH = "/v1/sentiment_watch"
LABELS = {"card lost": "negative", "order late": "neutral", "refund": "positive", "退款": "other"}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A released linear model of sentiments, in a home of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAVILE_HOME", str(tmp_path_factory.mktemp("apps") / "home"))
        patch.setattr(small_line, "WORDS", {LABELS[name]: words for name, words in small_line.WORDS.items()})
        data = small_line.dataset()
        model = small_line.adapted(data, "", "linear")
        yield small_line.released(data, model, None, None), Store.open(), serving.new_key("tests")


@pytest.fixture
def client(release, monkeypatch):
    """The application in this process, with keys."""
    made, store, _ = release
    monkeypatch.setenv("SAVILE_HOME", str(store.home))
    predictor = _bundle.opened(made)
    service = _http.Service(
        predictor, made, _bundle.replay(predictor, made), Keys(store.keys), _apps.found(("sentiment_watch",), predictor)
    )
    with Caller(_http.app(service)) as caller:
        yield caller
    service.close()


class Caller:
    """Speaks HTTP to an application without a socket."""

    def __init__(self, app):
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://savile")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    def __call__(self, method, path, key=None, **more):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self.loop.run_until_complete(self.client.request(method, path, headers=headers, **more))


def question(days=40, **more):
    """One item a day for two companies; on the last three days Orbit has five bad ones each."""
    first = date(2026, 3, 2)
    items = [
        {"text": f"{name} parcel order late courier number {i}", "date": (first + timedelta(i)).isoformat()}
        for i in range(days)
        for name in ("Orbit", "Northwind")
    ]
    bad = [
        {"text": f"Orbit card stolen blocked pin case {i}", "date": (first + timedelta(days - 1 - i % 3)).isoformat()}
        for i in range(18)
    ]
    return {"items": items + bad, "companies": {"Orbit": ["ORB"], "Northwind": []}, **more}


def test_the_route_finds_the_surge_and_says_what_answered(client, release):
    answer = client("POST", PATH, release[2], json=question())
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert [alarm["company"] for alarm in said["alarms"]] == ["Orbit"]
    assert said["release"] == release[0].digest
    assert said["items"] == 98
    assert any(line.startswith("Alarm: Orbit") for line in said["brief"])
    assert any(
        line.startswith("警报：Orbit")
        for line in client("POST", PATH, release[2], json=question(language="zh")).json()["brief"]
    )


def test_the_route_reads_as_the_app_does_with_the_same_model(client, release):
    asked = question()
    said = client("POST", PATH, release[2], json=asked).json()
    made, store, _ = release
    door = _apps.TypeAdapter(sentiment_watch.Asked).validate_python(json.loads(json.dumps(asked)), strict=False)
    direct = sentiment_watch.routes[0].answer(door, Predictor(store.load(made.model), made.form, made.engine or None))
    assert json.loads(json.dumps({**direct, "release": made.digest})) == said


def test_a_key_is_asked_for(client):
    assert client("POST", PATH, json=question()).status_code == 401


def test_an_open_route_takes_no_key(release, monkeypatch):
    made, store, _ = release
    monkeypatch.setenv("SAVILE_HOME", str(store.home))
    route = sentiment_watch.Route(PATH, "Open.", "open", sentiment_watch.Asked, sentiment_watch._served)
    predictor = _bundle.opened(made)
    apps = {"watch": SimpleNamespace(routes=(route,))}
    service = _http.Service(predictor, made, _bundle.replay(predictor, made), Keys(store.keys), apps)
    with Caller(_http.app(service)) as caller:
        assert caller("POST", PATH, json=question()).status_code == 200
        assert caller("GET", "/v1/models").status_code == 401
    service.close()


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"more": 1}, 422, "more"),
        ({"items": []}, 422, "items"),
        ({"items": [{"text": "Orbit", "date": "yesterday"}]}, 422, "items.0.date"),
        ({"items": [{"text": "Orbit"}]}, 422, "items.0.date"),
        ({"items": [{"text": "x" * 20_001, "date": "2026-03-02"}]}, 422, "items.0.text"),
        ({"companies": {}}, 422, "companies"),
        ({"companies": {"Orbit": ["ORB"], "Orb": ["ORB"]}}, 422, "an alias for each company of its own"),
        ({"companies": {"Nobody": []}}, 422, "texts that name companies of the list"),
        ({"language": "de"}, 422, "language"),
        ({"settings": {"alpha": 2}}, 422, "settings.alpha"),
        ({"settings": {"companies": "/etc/passwd"}}, 200, ""),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(client, release, change, status, sentence):
    answer = client("POST", PATH, release[2], json=question(**change))
    assert answer.status_code == status, answer.text
    if status != 200:
        assert sentence in answer.json()["error"]["message"]
        assert "xxx" not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"items": NaN}', b'"\xff"', b"[" * 5_000])
def test_no_body_ends_in_a_bug(client, release, body):
    assert client("POST", PATH, release[2], content=body).status_code in (400, 422)


def test_the_description_has_the_route_its_schema_and_its_access(client, release):
    described = client("GET", "/openapi.json", release[2]).json()["paths"][PATH]["post"]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["items"]["items"]["required"] == ["text", "date"]
    assert "$ref" not in json.dumps(schema)
    assert described["x-access"] == "key"
    assert described["summary"] == sentiment_watch.routes[0].summary
    assert {"200", "401", "422", "503"} <= described["responses"].keys()


def test_the_models_route_says_which_apps_are_there(client, release):
    assert client("GET", "/v1/models", release[2]).json()["data"][0]["apps"] == ["sentiment_watch"]


def test_apps_that_do_not_fit_are_not_mounted(release):
    predictor = SimpleNamespace(model=SimpleNamespace(task="score"))
    with pytest.raises(InputError, match="a model for the task classify"):
        _apps.found(("support",), predictor)
    with pytest.raises(UnknownNameError, match="sentiment_watch"):
        _apps.found(("sentiment_wach",), predictor)


def test_a_model_that_does_not_answer_as_released_answers_no_app(client, release, monkeypatch):
    made = release[0]
    predictor = _bundle.opened(made)
    proof = {**_bundle.replay(predictor, made), "passed": False, "reason": "a planted fault"}
    service = _http.Service(predictor, made, proof, None, _apps.found(("sentiment_watch",), predictor))
    with Caller(_http.app(service)) as caller:
        assert caller("POST", PATH, json=question()).status_code == 503
    service.close()
