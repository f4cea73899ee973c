"""Sharing between tenants: what each mechanism promises holds, what it does not promise is found to fail."""

from __future__ import annotations

import numpy as np
import pytest
from clusters import job, node, simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from savile.base.work import Device, Node, Region
from savile.scheduling import _properties, _units, policy
from savile.scheduling._market import MECHANISMS, max_min, partial, proportional
from savile.scheduling._units import measured
from savile.scheduling.two_stage import Settings, lend, parts, preallocate

PROMISED = {
    "equal": {"sharing_incentive", "envy_free", "strategy_proof"},
    "max_min": {"sharing_incentive", "efficient"},
    "efficient": {"efficient"},
    "proportional": {"sharing_incentive", "envy_free", "efficient"},
    "strategy_proof": {"envy_free", "strategy_proof"},
}


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, _properties.Held]]:
    return _properties.table(instances=15, misreports=12)


@pytest.mark.parametrize("name", sorted(MECHANISMS))
def test_what_is_promised_holds_and_the_rest_fails(name: str, table: dict[str, dict[str, _properties.Held]]) -> None:
    assert {prop for prop, held in table[name].items() if held.always} == PROMISED[name]


def test_the_table_can_be_shown(table: dict[str, dict[str, _properties.Held]]) -> None:
    assert "| max_min | holds | fails in" in _properties.shown(table)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_nobody_is_given_what_is_not_there(n: int, a: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speed, devices = rng.lognormal(0, 1, (n, a)), rng.integers(1, 9, a).astype(float)
    for mechanism in MECHANISMS.values():
        given_out = mechanism(speed, devices)
        assert (given_out >= -1e-9).all()
        assert (given_out.sum(axis=0) <= devices * (1 + 1e-6)).all()


def test_proportional_shares_balance_the_market() -> None:
    """In equilibrium everybody buys only types with the best work per price (Eisenberg and Gale 1959)."""
    speed, devices = np.array([[4.0, 1.0], [1.0, 1.0], [1.0, 3.0]]), np.array([2.0, 2.0])
    given_out = proportional(speed, devices)
    utility = (speed * given_out).sum(axis=1)
    price = (speed / utility[:, None]).max(axis=0)  # marginal value of a type to whoever values it most
    bang = speed / utility[:, None] / price
    assert np.allclose(bang[given_out > 1e-3], 1.0, atol=1e-2)
    assert price @ devices == pytest.approx(3.0, rel=1e-2)  # all the money is spent


def test_max_min_is_the_optimum_that_a_fine_grid_finds() -> None:
    speed, devices = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([1.0, 1.0])
    fair = speed.sum(axis=1) / 2
    best = max(
        min((speed[0] @ [x, y]) / fair[0], (speed[1] @ [1 - x, 1 - y]) / fair[1])
        for x in np.linspace(0, 1, 101)
        for y in np.linspace(0, 1, 101)
    )
    found = (speed * max_min(speed, devices)).sum(axis=1) / fair
    assert found.min() == pytest.approx(best, abs=0.02)


def test_truth_pays_where_it_is_promised_and_a_lie_pays_where_it_is_not() -> None:
    speed, devices = np.array([[3.0, 1.0], [4.0, 1.0]]), np.array([1.0, 1.0])
    lies = [np.array([[a, 1.0], speed[1]]) for a in (0.3, 1.2, 2.0, 2.5, 3.5, 6.0)]
    honest = float(speed[0] @ partial(speed, devices)[0])
    assert all(float(speed[0] @ partial(lie, devices)[0]) <= honest + 1e-3 for lie in lies)
    told = float(speed[0] @ proportional(speed, devices)[0])
    assert any(float(speed[0] @ proportional(lie, devices)[0]) > told + 1e-3 for lie in lies)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.data())
def test_lending_respects_floors_needs_and_what_there_is(owned: list[float], data: st.DataObject) -> None:
    own = np.array(owned)
    need = np.array([data.draw(st.floats(0, 20)) for _ in owned])
    capacity = float(own.sum())
    given_out = lend(own, need, capacity)
    assert (given_out >= np.minimum(own, need) - 1e-9).all()
    assert (given_out <= need + 1e-9).all()
    assert given_out.sum() <= capacity + 1e-6
    assert given_out.sum() == pytest.approx(min(capacity, need.sum()), abs=1e-6)  # nothing idles while somebody needs it
    assert np.allclose(lend(own, need, capacity), given_out)  # the same state twice moves nothing


def test_what_is_given_beforehand_is_worth_more_than_an_even_split() -> None:
    needs = np.random.default_rng(0).gamma(2.0, [[1.0, 4.0, 8.0]], (40, 3))

    def value(parts: np.ndarray) -> float:
        return float(np.sqrt(np.minimum(parts, needs) / needs).sum(axis=1).mean())

    given_out = preallocate(needs, 12.0)
    assert given_out.sum() <= 12.0 + 1e-6
    assert value(given_out) >= value(np.full(3, 4.0))


def test_units_do_not_matter_and_measures_disagree_openly() -> None:
    hours = np.array([[4.0, 0.0], [0.0, 3.0]])
    speed = np.array([[1.0, 10.0], [1.0, 1.1]])
    price = np.array([1.0, 2.0])
    measures = {
        "dominant_share": _units.dominant_share(hours, np.array([8.0, 8.0])),
        "reference_hours": _units.reference_hours(hours, speed),
        "market_value": hours @ price,
    }
    counted = _units.dominant_share(hours * [60.0, 1.0], np.array([8.0 * 60.0, 8.0]))
    assert np.allclose(counted, measures["dominant_share"])
    assert np.allclose(_units.reference_hours(hours, speed * [[7.0], [3.0]]), measures["reference_hours"])
    found = _units.rankings(measures)
    assert found["reversals"]["dominant_share", "market_value"] == [(0, 1)]


def test_a_run_is_measured_in_all_three_ways() -> None:
    quick, slow = Node("q", "here", 8000, 65_536, Device("quick", speed=2.0), 1), node("s", devices=3)
    region = Region("here", rent={"quick": 1.0})
    jobs = [job("a", work=7200.0, tenant="ann"), job("b", work=3600.0, tenant="bob", types=frozenset({"quick"}))]
    found = measured(simulate("first_fit", [slow, quick], jobs, regions=(region,)))
    assert found["reference_hours"] == pytest.approx({"ann": 2.0, "bob": 0.5 * 2.0})  # half an hour on a device twice as fast
    assert found["dominant_share"]["ann"] == pytest.approx(2.0 / (4 * 2.0))
    assert found["market_value"] == pytest.approx({"ann": 0.0, "bob": 0.5})


def test_stage_one_divides_by_scenarios_of_need() -> None:
    asked = Settings(needs={"large": (6.0, 8.0), "small": (1.0, 2.0)})
    owned = parts(asked, ["large", "small"], 8.0)
    assert owned["large"] > owned["small"] > 0
    assert sum(owned.values()) <= 8.0 + 1e-6
    jobs = [job(f"j{i}", work=600.0, tenant=("large", "small")[i % 2]) for i in range(8)]
    assert simulate(policy("two_stage", needs=asked.needs), [node()], jobs).figures["finished"] == 8
