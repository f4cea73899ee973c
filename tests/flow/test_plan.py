"""Plans: made without writing, refused when they cannot hold, compared with what runs took, and better for it."""

import json
import shutil
from dataclasses import replace

import pytest

import savile
from savile.adaptation._probe import Cost, Prober
from savile.base import machine
from savile.base.errors import MachineError, RefusalError
from savile.base.recipe import override
from savile.base.store import Store
from savile.flow import _forecast, _past
from savile.flow import plan as word
from savile.flow.run import plan as dry_run

LINEAR = {"model.family": "linear"}
AMOUNTS = {"seconds", "peak_rss_mb", "disk_mb", "kwh", "money"}

pytestmark = pytest.mark.usefixtures("no_bases")


def test_a_plan_says_what_every_way_takes_and_writes_nothing(tickets, savile_home):
    said = json.loads(json.dumps(savile.plan(tickets, settings=LINEAR)))
    assert AMOUNTS | {"stages", "basis", "candidates", "profile"} <= set(said["plan"])
    assert said["plan"]["basis"] == "measured"
    assert said["plan"]["seconds"] == pytest.approx(sum(said["plan"]["stages"].values()), abs=0.5)
    assert {(row["model"], row["method"]) for row in said["alternatives"]} >= {("minilm", "head"), ("minilm", "lora")}
    lacking = next(row for row in said["alternatives"] if row["method"] == "head")
    assert lacking["refused"]["code"] == "missing_base"
    assert "pip install" in lacking["refused"]["do"]
    assert said["past"] is None
    assert not savile_home.exists()
    assert not tickets.with_name("tickets.savile.yaml").exists()


def test_the_profile_is_what_a_scheduler_reads(tickets):
    profile = savile.plan(tickets, quick=True, settings=LINEAR)["plan"]["profile"]
    assert set(profile) == {"seconds", "peak_mib", "kwh", "money"}
    assert all(value > 0 for value in profile.values())


def test_energy_and_money_follow_the_prices_of_the_recipe(tickets):
    free = {**LINEAR, "run.kwh_price": 0, "run.hour_price": 0}
    assert savile.plan(tickets, quick=True, settings=free)["plan"]["money"] == 0
    assert _forecast.cost(3600.0, 2.0, {"watts": 500.0, "kwh_price": 0.5, "hour_price": 2.0}) == {"kwh": 1.0, "money": 2.5}


def test_a_run_tells_and_keeps_what_was_planned_and_what_it_took(tickets, heard):
    result = savile.run(tickets, settings=LINEAR)
    plan = json.loads(json.dumps(result.json))["plan"]
    assert set(plan) >= AMOUNTS
    assert set(plan["actual"]) >= AMOUNTS
    assert set(plan["stages"]) == set(plan["actual"]["stages"]) == {"govern", "plan", "adapt", "compress", "evaluate"}
    assert plan["actual"]["reused"] == []
    assert any(line.startswith("Planned were") for line in result.summary)
    assert any(str(event.facts.get("text")).startswith("Planned:") for event in heard)
    (row,) = Store.open().list("plan")
    body = Store.open().get(row["ref"]).body
    assert body["report"] == result.json["report"]
    assert "label: queue" in body["recipe"]


def test_past_runs_are_counted_and_correct_plans_to_come(tickets):
    for seed in (1, 2, 3):
        savile.run(tickets, settings={**LINEAR, "adapt.seed": seed})
    bodies = [Store.open().get(row["ref"]).body for row in Store.open().list("plan")]
    ratios = sorted(body["taken"]["peak_rss_mb"] * 1e6 / body["planned"]["peak"] for body in bodies)
    assert _past.factors()["memory"] == pytest.approx(ratios[1])
    past = savile.plan(tickets, quick=True, settings=LINEAR)["past"]
    assert past["runs"] == 3
    assert 0 <= past["seconds"]["median"] <= past["seconds"]["worst"]


def test_a_factor_touches_its_stage_alone_and_never_itself():
    plan = _forecast.Forecast({"adapt": 10.0, "evaluate": 2.0}, 1.0, 1e9, 1e6, {"watts": 10, "kwh_price": 0, "hour_price": 0})
    worse = _forecast.Forecast(plan.stages, 1.0, 1e9, 1e6, plan.prices, {"adapt": 2.0, "memory": 1.5})
    assert worse.corrected() == {"adapt": 20.0, "evaluate": 2.0}
    assert worse.as_dict()["peak_rss_mb"] == 1500
    assert worse.stages == plan.stages


def test_a_dry_run_uses_trials_of_the_past_and_else_arithmetic(tickets):
    assert dry_run(tickets, settings=LINEAR).json["plan"]["basis"] == "modelled"
    savile.run(tickets, settings=LINEAR)
    said = dry_run(tickets, settings=LINEAR).json["plan"]
    assert said["basis"] == "past"
    assert set(said) >= AMOUNTS


def test_what_the_memory_does_not_hold_is_refused_before_work(tickets, monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable:       64 kB\n")
    monkeypatch.setattr(machine, "MEMINFO", meminfo)
    with pytest.raises(MachineError, match="of memory") as caught:
        savile.run(tickets, settings=LINEAR)
    assert caught.value.do
    assert [row["kind"] for row in Store.open().list()] == ["data"]
    assert savile.plan(tickets, quick=True, settings=LINEAR)["plan"]["refused"]["code"] == "machine"


def test_what_the_disk_does_not_hold_is_refused_before_work(tickets, monkeypatch):
    full = shutil.disk_usage(tickets.parent)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(MachineError, match="SAVILE_HOME"):
        savile.run(tickets, settings=LINEAR)
    assert Store.open().list("model") == []


def test_a_budget_that_holds_nothing_is_refused_with_one_that_does(tickets):
    with pytest.raises(RefusalError, match=r"adapt\.budget\.minutes to 0\.1 or more") as caught:
        savile.run(tickets, settings={**LINEAR, "adapt.budget.minutes": 1e-7})
    assert caught.value.exit_code == 3
    assert Store.open().list("model") == []


def test_a_run_that_has_nothing_left_to_do_is_not_tried_again(tickets, monkeypatch):
    savile.run(tickets, settings=LINEAR)
    monkeypatch.setattr("savile.flow._forecast.forecast", None)
    assert savile.run(tickets, settings={**LINEAR, "evaluate.floor": 0.5}).json["plan"] is None


def test_the_baseline_of_a_table_is_planned_with_all_rows_whatever_the_budget(tmp_path):
    rows = [(i % 7, i * 31 % 101, "yes" if (i % 7) + (i * 31 % 101) / 50 > 4 else "no") for i in range(600)]
    path = tmp_path / "table.csv"
    path.write_text("a,b,bought\n" + "\n".join(",".join(map(str, row)) for row in rows), encoding="utf-8")
    settings = {"model.family": "tabular", "adapt.settings.kind": "logistic", "adapt.budget.minutes": 1.0}
    recipe, data = word._read(path, {"task.label": "bought"}, {"settings": settings})
    prober = Prober(data)
    tried = prober.costs(_forecast._asked(recipe, "tabular", "auto", {"kind": "logistic"}))
    assert [one.key for one in _forecast._rivals(recipe, prober, set())] == [one.key for one in tried]
    (whole,) = _forecast._rivals(recipe, prober, {one.key for one in tried})
    assert whole.seconds >= tried[0].seconds
    boundless = override(recipe, {"adapt.budget.minutes": None})
    assert _forecast._rivals(boundless, prober, {one.key for one in tried}) == []


def test_stored_data_can_be_planned(tickets):
    data = savile.govern(tickets)
    assert word.plan(data.ref, quick=True, settings=LINEAR)["name"] == "tickets"


def costs(head, words=0.9, whole=1.0):
    """What trials of a keyword model, of a new head and of a tuned network could say."""
    shared = {"busy": 1.0, "peak": 1e9, "disk": 1e6}
    return [
        Cost("linear", False, 2.0, answer=1e-4, score=words, **shared),
        Cost("head", True, 20.0, answer=0.01, weights=1e8, score=head, **shared),
        Cost("full", True, 60.0, answer=0.01, weights=1e8, whole=whole, **shared),
    ]


def test_a_network_is_the_likelier_the_better_its_trial_and_the_more_the_budget_leaves_of_it():
    chances = [_forecast._ends(costs(*asked))[2] for asked in ((0.8,), (0.9,), (0.95,), (0.9, 0.9, 0.1))]
    assert chances[0] < 0.2 < chances[1] < chances[2]
    assert 0.5 < chances[3] < chances[1]


def test_the_more_rows_judge_the_likelier_two_answer_together(tickets):
    recipe, data = word._read(tickets, {}, {"settings": {}})
    asked = _forecast._asked(recipe, "minilm", "auto", {})
    rows = len(data.parts["train"])
    assert _forecast._together(asked, data, costs(0.9), True) == rows / (rows + _forecast.EVEN_ROWS)
    assert _forecast._together(asked, data, costs(0.9)[1:], True) == 0.0  # one kind alone
    assert _forecast._together(replace(asked, settings={"fair": {"by": "age"}}), data, costs(0.9), True) == 0.0


def test_reasons_and_the_proof_are_planned_where_a_network_answers():
    words, _, tuned = costs(0.9)
    assert _forecast._evaluate(words, 100, 20.0) == pytest.approx(_forecast.MEASURING + 100 * (_forecast.MEASURED_ROW + 1e-4))
    plain = _forecast._evaluate(tuned, 100, 0.0)
    assert _forecast._evaluate(tuned, 100, 20.0) - plain == pytest.approx(24 * 20 * 0.01)
    assert _forecast._evaluate(tuned, 100, 0.0, 0.4) - plain == pytest.approx(100 * 0.4 * 0.01)  # 0.4 to answer, 1.0 to prove
