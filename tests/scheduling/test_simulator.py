"""Time passes as it should: finishes, outages, restarts, rounds; what is written can be replayed to the byte."""

import itertools

import numpy as np
import pytest
from clusters import job, node, simulate, starts

from savile import scheduling
from savile.base.series import HOUR, Series, forecast
from savile.base.work import Region
from savile.scheduling import SimBackend, World, replay, report, run


def test_jobs_wait_for_room_and_small_ones_overtake():
    jobs = [job("a", 4000, 0.0, 100.0), job("b", 4000, 1.0, 50.0), job("c", 0, 2.0, 500.0)]
    found = simulate("first_fit", [node()], jobs)
    assert starts(found) == {"a": 0.0, "c": 2.0, "b": 100.0}
    assert found.figures["makespan_s"] == 502.0
    assert found.figures["jct_mean_s"] == pytest.approx((100 + 149 + 500) / 3)


def test_real_work_differs_from_the_estimate_and_the_policy_does_not_know():
    found = simulate("first_fit", [node()], [job("a", work=100.0)], work_s={"a": 170.0})
    assert found.log.entries[0].predicted[0].end_s == 100.0
    assert found.kernel.ended[0] == (170.0, "finished")


def test_an_outage_costs_what_was_not_saved_and_a_restart():
    jobs = [job("a", 4000, 0.0, 1000.0, ckpt_every_s=300.0, restart_s=20.0)]
    found = simulate("first_fit", [node()], jobs, outages=(("n0", 400.0, 500.0),))
    assert found.kernel.ended[0][0] == 500.0 + 20.0 + (1000.0 - 300.0)
    assert found.figures["lost"] == 1.0
    assert found.kernel.ledger.lost_s == 4 * 100.0


def test_a_job_that_has_waited_too_long_is_overtaken_no_more():
    small = [job(f"s{i}", 2000, 100.0 * i, 250.0) for i in range(200)]
    found = simulate(scheduling.policy("first_fit", patience_s=1000.0), [node()], [*small, job("large", 4000, 500.0, 10.0)])
    assert 1500.0 < starts(found)["large"] < 1800.0


def test_a_gang_starts_whole_or_not_at_all():
    jobs = [job("a", 2000, 0.0, 100.0), job("gang", 2000, 1.0, 10.0, pods=4)]
    found = simulate("best_fit", [node("n0"), node("n1")], jobs)
    assert starts(found) == {"a": 0.0, "gang": 100.0}


def test_energy_is_the_integral_of_the_power_and_its_cost_follows_the_price():
    price = Series(0.0, (100.0, 300.0))
    here = Region("here", pue=1.5, price=price, carbon=Series(0.0, (400.0,)), rent={"fast": 2.0})
    found = simulate("first_fit", [node(idle_w=100.0, peak_w=100.0)], [job("a", 2000, 0.0, 2 * HOUR)], regions=(here,))
    idle, dynamic = 100.0 + 4 * 50.0, 2 * 200.0
    assert found.figures["kwh"] == pytest.approx(1.5 * (idle + dynamic) * 2 / 1000)
    assert found.figures["energy_eur"] == pytest.approx(found.figures["kwh"] / 2 / 1000 * (100 + 300))
    assert found.figures["gco2"] == pytest.approx(found.figures["kwh"] * 400)
    assert found.figures["rent_eur"] == pytest.approx(2 * 2 * 2.0)


def test_series_integrals_add_up_and_agree_with_sums():
    values = tuple(np.random.default_rng(0).normal(size=50))
    series = Series(7.0, values, 10.0)
    fine = np.arange(-100.0, 700.0, 0.01) + 0.005
    for start, end in ((0.0, 3.0), (12.0, 333.3), (-50.0, 600.0)):
        inside = fine[(fine > start) & (fine < end)]
        assert series.integral(start, end) == pytest.approx(sum(series.at(t) for t in inside) * 0.01, abs=0.2)
        middle = (start + end) / 3
        assert series.integral(start, end) == pytest.approx(series.integral(start, middle) + series.integral(middle, end))
        times = np.linspace(start, end, 7)
        each = [series.mean(one, next_) for one, next_ in itertools.pairwise(times)]
        assert series.means(times) == pytest.approx(each)


@pytest.mark.parametrize(("hour", "known_h"), [(0, 23), (12.5, 11), (13, 34), (23, 24)])
def test_what_is_published_ahead_is_known_and_nothing_after_it(hour, known_h):
    rng, now = np.random.default_rng(0), (240 + hour) * HOUR
    values = rng.uniform(0, 100, 480)
    other = values.copy()
    other[240 + int(hour) + known_h + 1 :] += 50.0
    one, two = (forecast(Series(0.0, tuple(v), published_h=13.0), now) for v in (values, other))
    assert one == two
    here = 240 + int(hour)
    assert one.values[: known_h + 1] == tuple(values[here : here + known_h + 1])
    assert one.values[known_h + 1] != values[here + known_h + 1]
    assert len(one.values) == len(forecast(Series(0.0, tuple(values)), now).values)


def test_a_forecast_reads_nothing_that_has_not_happened():
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, 400)
    now = 200 * HOUR + 1800
    other = values.copy()
    other[201:] = rng.normal(0, 1, 199)
    one, two = (forecast(Series(0.0, tuple(v)), now) for v in (values, other))
    assert one == two
    assert one.at(now) == values[200]
    daily = Series(0.0, tuple(np.tile(np.arange(24.0), 20)))
    assert forecast(daily, 240 * HOUR).values[:48] == tuple(np.tile(np.arange(24.0), 2))


@pytest.mark.parametrize("policy", ["first_fit", "best_fit"])
def test_a_written_log_replays_to_the_byte(policy):
    from savile._testing import small_world

    backend = SimBackend(small_world(7), round_s=600.0)
    text = run(policy, backend, 7).log.text()
    assert replay(text, scheduling.policy(policy), backend.kernel(), 7).text() == text
    assert text.count("\n") > 80


def test_a_report_has_intervals_bounds_and_sources():
    worlds = [World((node(),), tuple(job(f"j{i}", 2000, 10.0 * i, 100.0 + seed) for i in range(9))) for seed in range(10)]
    said = report([run("best_fit", SimBackend(world), seed) for seed, world in enumerate(worlds)])
    jct = said["figures"]["jct_mean_s"]
    assert jct["n"] == 10
    assert jct["low"] < jct["value"] < jct["high"]
    assert jct["bound"] <= jct["value"]
    assert said["figures"]["makespan_s"]["gap"] >= 0
    assert {figure["source"] for figure in said["figures"].values()} == {"real", "modelled"}
    assert said["figures"]["violations"]["value"] == 0
