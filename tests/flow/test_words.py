"""The words one by one: they take records, references, aliases and files, and mean the same in Python and in the shell."""

import hashlib
import os
import socket

import pytest

import savile
from savile.base.errors import CorruptError, GateError, InputError, UnknownNameError
from savile.base.store import Store
from savile.flow import _checks
from savile.flow.serve import plan as serving_plan

LINEAR = {"model.family": "linear"}

pytestmark = pytest.mark.usefixtures("no_bases")


@pytest.fixture
def data(tickets):
    return savile.govern(tickets)


@pytest.fixture
def model(data):
    return savile.adapt(data, model="linear")


def test_words_take_what_words_give(data, model):
    assert savile.compress(model) == model
    report = savile.evaluate(model, data)
    assert (report.body["data"], report.body["model"]) == (data.ref, model.ref)


def test_words_take_references_and_their_beginnings(data, model):
    assert savile.adapt(data.ref, model="linear") == model
    assert savile.adapt(data.ref[:10], model="linear") == model
    assert savile.evaluate(model.ref).body["data"] == data.ref


def test_a_file_is_governed_on_the_way(tickets, model):
    assert savile.adapt(str(tickets), model="linear") == model
    assert savile.adapt(tickets, model="linear") == model


def test_an_alias_of_a_release_stands_for_its_model(tickets):
    result = savile.run(tickets, settings=LINEAR)
    assert savile.evaluate("champion").body["model"] == result.json["model"]


def test_another_kind_of_record_is_refused(data, model):
    with pytest.raises(InputError, match="a data record"):
        savile.adapt(model.ref)
    with pytest.raises(InputError, match="a model record"):
        savile.evaluate(data.ref)
    with pytest.raises(UnknownNameError):
        savile.adapt("data@ffffffffffff")


def test_evaluating_twice_measures_once(data, model, heard):
    first = savile.evaluate(model, data, settings={"evaluate.floor": 0.4})
    heard.clear()
    assert savile.evaluate(model.ref, data.ref, settings={"evaluate.floor": 0.4}) == first
    assert savile.evaluate(model, data, settings={"evaluate.floor": 0.3}) != first
    assert len(Store.open().list("report")) == 2


def test_serving_takes_a_report_that_passed(model, data, monkeypatch):
    served = []
    monkeypatch.setattr("savile.serving.serve", lambda release, *_: served.append(release))
    with pytest.raises(GateError, match="--force"):
        savile.serve(model)
    savile.evaluate(model, data, settings={"evaluate.floor": 1.01})
    with pytest.raises(GateError):
        savile.serve(model.ref)
    report = savile.evaluate(model, data, settings={"evaluate.floor": 0.1})
    savile.serve(model.ref)
    assert served[0].report == report.ref
    assert not served[0].forced


def test_serving_without_a_report_is_forced_and_written_down(model, monkeypatch):
    served = []
    monkeypatch.setattr("savile.serving.serve", lambda release, *_: served.append(release))
    savile.serve(model, force=True)
    assert served[0].forced
    assert "champion" not in Store.open().aliases()
    log = Store.open().audit.path.read_text()
    assert '"forced":true' in log.replace(" ", "")


def test_names_lists_kinds_and_says_what_they_are():
    listed = savile.names()["names"]
    assert "classify" in listed["tasks"]
    assert {"head", "full", "lora"} <= set(listed["methods"])
    assert listed["bases"]["minilm"].endswith("(not installed)")
    assert list(savile.names("methods")["names"]) == ["methods"]


def test_show_tells_what_is_stored(data, model):
    shown = savile.show()
    assert [row["ref"] for row in shown["records"]] == [data.ref, model.ref]
    assert savile.show(model.ref)["id"] == model.ref
    assert savile.show("audit", verify=True)["verified"] is True
    assert savile.show("recipe", full=True)["recipe"].count("\n") == 12
    assert savile.show("schema")["schema_of_recipe"]["title"] == "Savile recipe"


def test_show_a_recipe(tickets):
    savile.init(tickets)
    assert "label: queue" in savile.show(str(tickets.with_name("tickets.savile.yaml")))["recipe"]


def test_init_refuses_when_there_is_a_recipe(tickets):
    written = savile.init(tickets)
    assert written["roles"] == {"text": "message", "label": "queue"}
    with pytest.raises(InputError, match="without a recipe"):
        savile.init(tickets)


def test_doctor_looks_at_the_machine(savile_home):
    said = savile.doctor()
    assert said["well"]
    states = {check["what"]: check["state"] for check in said["checks"]}
    assert states["store"] == "good"
    assert states["base minilm"] == "lacking"
    assert not savile_home.exists()
    assert [check["what"] for check in said["checks"] if check["state"] != "good" and not check["do"]] == []


def test_doctor_says_what_the_processor_can_and_what_is_installed():
    found = {check["what"]: check["found"] for check in savile.doctor()["checks"]}
    assert any(
        found["processor"].endswith(means) for means in (*_checks.MEANS.values(), "no instruction set that is known here")
    )
    assert "torch 2." in found["packages for train"]


def test_doctor_sees_a_port_in_use(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = savile.doctor(settings={"serve.port": taken.getsockname()[1]})
    (port,) = [check for check in said["checks"] if check["what"] == "port"]
    assert port["state"] == "lacking"
    assert "--port 0" in port["do"]


def test_doctor_sees_threads_and_telemetry_that_the_environment_changes(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    states = {check["what"]: check for check in savile.doctor()["checks"]}
    assert states["threads"]["state"] == ("lacking" if (os.cpu_count() or 1) > 1 else "good")
    assert states["telemetry"]["do"] == "unset DO_NOT_TRACK"


def test_doctor_sees_a_clock_that_went_back(data, monkeypatch):
    monkeypatch.setattr("savile.flow._checks.time.time", lambda: 1e9)
    (clock,) = [check for check in savile.doctor()["checks"] if check["what"] == "clock"]
    assert clock["state"] == "bad"


def test_doctor_sees_a_changed_audit_log(data):
    log = Store.open().audit.path
    log.write_text(log.read_text().replace("govern", "forget"))
    assert not savile.doctor()["well"]


def test_a_key_is_made_shown_once_and_kept_as_a_hash():
    said = savile.serve(new_key="shop")
    assert said["name"] == "shop"
    kept = "".join(path.name + path.read_text() for path in Store.open().keys.iterdir())
    assert said["key"] not in kept + Store.open().audit.path.read_text()


def test_a_key_is_listed_and_taken_back():
    keys = [savile.serve(new_key=name)["key"] for name in ("shop", "shop", "desk")]
    listed = savile.show("keys")
    assert [key["name"] for key in listed["keys"]] == ["shop", "shop", "desk"]
    assert not any(key in str(listed) or hashlib.sha256(key.encode()).hexdigest() in str(listed) for key in keys)
    assert savile.serve(revoke_key="shop")["revoked"] == 2
    assert [key["name"] for key in savile.show("keys")["keys"]] == ["desk"]
    assert [act["action"] for act in savile.show("audit")["audit"]] == ["key"] * 3 + ["revoke key"]
    with pytest.raises(UnknownNameError, match="Did you mean 'desk'"):
        savile.serve(revoke_key="dsek")
    with pytest.raises(InputError, match="both"):
        savile.serve(revoke_key="desk", new_key="desk")


def test_planning_a_key_makes_none(savile_home):
    assert serving_plan(new_key="shop")["key"] is None
    with pytest.raises(UnknownNameError, match="API key"):
        serving_plan(revoke_key="shop")
    assert not savile_home.exists()


def test_verifying_a_release_holds_its_model_against_its_digests(tickets):
    result = savile.run(tickets, settings=LINEAR)
    assert savile.show("champion", verify=True)["id"] == result.json["release"]
    blob = next(iter(Store.open().load(result.json["model"]).forms["linear"].values()))
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptError, match=result.json["model"]):
        savile.show("champion", verify=True)


def test_measuring_again_without_bars_does_not_undo_a_refusal(model, data, monkeypatch):
    monkeypatch.setattr("savile.serving.serve", lambda *_, **__: None)
    savile.evaluate(model, data, settings={"evaluate.floor": 1.01})
    savile.evaluate(model, data)
    with pytest.raises(GateError):
        savile.serve(model)
