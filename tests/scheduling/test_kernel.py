"""Every decision is held against the cluster: what does not hold is an error, and leaves everything as it was."""

import pytest
from clusters import job, kernel_with, node

from savile.base.errors import InputError, ViolationError
from savile.base.work import (
    DataItem,
    Event,
    Job,
    Migrate,
    Place,
    Pod,
    Power,
    Preempt,
    Price,
    Region,
    Reject,
    Replicate,
    Resize,
    Start,
)

ONE: tuple[Place, ...] = (("n0", (0,)),)


def held(kernel):
    return kernel.room.cpu.tolist(), kernel.room.mem.tolist(), kernel.room.gpu.tolist(), kernel.state.pending.tolist()


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (Start("a", (("n0", (0, 1)),)), "1 distinct devices"),
        (Start("a", (("n0", (7,)),)), "device 7"),
        (Start("a", (("nowhere", (0,)),)), "a node that is up"),
        (Start("a", ()), "started together"),
        (Start("nobody", ONE), "a job that waits"),
        (Start("gang", ONE), "2 pods"),
        (Start("gang", (("n0", (0,)), ("n0", (0,)))), "device 0"),
        (Start("gang", (("n0", (0,)), ("far", (0,)))), "in one region"),
        (Start("pair", (("n0", (1, 1)),)), "2 distinct devices"),
        (Start("at home", (("far", (0,)),)), "may use"),
        (Start("huge", (("n0", (0,)),)), "CPU and memory"),
        (Preempt("a"), "a job that runs"),
        (Resize("a", ONE), "a job that runs"),
        (Reject("nobody"), "a job that waits"),
        (Power("nowhere", False), "an empty node"),
        (Price("nobody", 1.0), "a job that has arrived"),
        (Replicate("letters", "south"), "kept where it may be"),
        (Replicate("letters", "here", drop=True), "another copy"),
    ],
)
def test_what_does_not_hold_is_an_error_and_changes_nothing(decision, sentence):
    jobs = [
        job("a"),
        job("gang", pods=2),
        job("pair", gpu=2000),
        job("at home", residency=frozenset({"here"})),
        Job("huge", Pod(99_000, 1024, 1000)),
    ]
    letters = DataItem("letters", 1.0, frozenset({"here"}), frozenset({"here"}))
    kernel = kernel_with(*jobs, nodes=[node(), node("far", "south")], items=[letters])
    before = held(kernel)
    with pytest.raises(ViolationError, match=sentence):
        kernel.apply(decision)
    assert held(kernel) == before


def test_a_node_that_is_down_or_off_takes_no_job():
    kernel = kernel_with(job("a"))
    kernel.happen(Event("down", 1.0, node="n0"))
    with pytest.raises(ViolationError):
        kernel.apply(Start("a", ONE))
    kernel.happen(Event("up", 2.0, node="n0"))
    kernel.apply(Power("n0", False))
    with pytest.raises(ViolationError):
        kernel.apply(Start("a", ONE))
    kernel.apply(Power("n0", True))
    kernel.apply(Start("a", ONE))
    with pytest.raises(ViolationError, match="an empty node"):
        kernel.apply(Power("n0", False))


def test_shares_of_one_device_add_up_to_one():
    kernel = kernel_with(*(job(name, gpu=400) for name in "abc"))
    kernel.apply(Start("a", ONE))
    kernel.apply(Start("b", ONE))
    with pytest.raises(ViolationError):
        kernel.apply(Start("c", ONE))
    assert kernel.room.gpu.tolist() == [[200, 1000, 1000, 1000]]
    kernel.happen(Event("finish", 5.0, "a"))
    kernel.apply(Start("c", ONE))
    assert kernel.room.gpu.tolist() == [[200, 1000, 1000, 1000]]


def test_a_preempted_job_keeps_what_it_did_and_its_place_in_the_queue():
    kernel = kernel_with(job("a", ckpt_s=60.0, restart_s=30.0), job("b", release=10.0))
    kernel.apply(Start("a", ONE))
    kernel.happen(Event("round", 1000.0))
    kernel.apply(Preempt("a"))
    assert kernel.state.pending.tolist() == [0, 1]
    assert kernel.done_s[0] == pytest.approx(1000.0 - 10.0 - 60.0, abs=10.0)
    said = kernel.apply(Start("a", ONE))
    assert kernel.running[0].begins == 1030.0
    assert said.end_s == pytest.approx(1030.0 + 3600.0 - kernel.done_s[0])


def test_a_moved_job_goes_on_elsewhere_and_overlapping_places_are_fine():
    kernel = kernel_with(job("a", pods=1, most=3, alpha=0.5))
    kernel.apply(Start("a", ONE))
    kernel.happen(Event("round", 900.0))
    kernel.apply(Resize("a", (("n0", (0,)), ("n0", (1,)), ("n0", (2,)))))
    assert kernel.running[0].rate == pytest.approx(3**0.5)
    assert kernel.running[0].done_s == 900.0
    assert kernel.room.gpu.tolist() == [[0, 0, 0, 1000]]
    with pytest.raises(ViolationError):
        kernel.apply(Resize("a", (("n0", (0,)), ("n0", (1,)), ("n0", (2,)), ("n0", (3,)))))
    assert kernel.room.gpu.tolist() == [[0, 0, 0, 1000]]
    kernel.happen(Event("finish", 2000.0, "a"))
    assert kernel.room.gpu.tolist() == [[1000] * 4]


def test_a_job_on_a_lost_node_falls_back_to_its_checkpoint():
    kernel = kernel_with(job("a", ckpt_every_s=600.0))
    kernel.apply(Start("a", ONE))
    kernel.happen(Event("down", 1500.0, node="n0"))
    assert kernel.done_s[0] == 1200.0
    assert kernel.ledger.lost_s == 300.0
    assert kernel.state.pending.tolist() == [0]
    assert kernel.room.gpu.tolist() == [[1000] * 4]


def test_data_is_fetched_paid_and_kept_when_asked():
    south = Region("south", gbps=1.0)
    here = Region("here", egress_eur=0.1)
    items = [DataItem("records", 10.0, frozenset({"here"}))]
    jobs = [job(name, data=("records",)) for name in "ab"]
    kernel = kernel_with(*jobs, nodes=[node(), node("far", "south")], regions=[here, south], items=items)
    kernel.apply(Start("a", (("far", (0,)),), keep=True))
    assert kernel.running[0].begins == pytest.approx(85.9, abs=0.1)
    kernel.apply(Start("b", (("far", (1,)),)))
    assert kernel.running[1].begins == 0.0
    assert kernel.ledger.egress == pytest.approx(1.0)
    kernel.apply(Migrate("b", (("n0", (0,)),)))
    assert kernel.ledger.egress == pytest.approx(1.0)


def test_a_policy_cannot_write_to_the_state_or_read_the_truth():
    from savile.base.series import Series

    here = Region("here", price=Series(0.0, (1.0, 2.0)))
    kernel = kernel_with(job("a"), regions=[here])
    for array in (kernel.state.room.cpu, kernel.state.room.gpu, kernel.state.pending, kernel.state.table["work"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(TypeError):
        kernel.state.running[0] = None
    assert kernel.state.regions["here"].price is None
    assert kernel.state.outlook("here").price.at(0.0) == 1.0


def test_impossible_jobs_and_nodes_are_input_errors():
    with pytest.raises(InputError, match="share of one device"):
        job("a", gpu=1500)
    with pytest.raises(InputError, match="pods >= 1"):
        job("a", pods=0)
    with pytest.raises(InputError, match="distinct ids"):
        kernel_with(nodes=[node(), node()])
    with pytest.raises(InputError, match="distinct ids"):
        kernel_with(job("a"), job("a"))
