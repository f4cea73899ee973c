"""A stored model teaches another: as far as it is right, and most where the other is behind."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from easy_data import dataset

from savile.adaptation import _folds, _learners, _taught, adapt
from savile.adaptation._teaching import MOST_RATIO, Sampler, many, trust
from savile.base.errors import InputError, UnknownNameError
from savile.base.events import listening
from savile.base.store import Store
from savile.models import FitSettings, Predictor, encoder, fit


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAVILE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(_folds, "FOLDS", 2)


def test_the_domain_that_is_furthest_behind_is_drawn_more_and_none_less_than_its_floor():
    sampler = Sampler(np.repeat([0, 1, 2], [60, 30, 10]), smooth=0.5, seed=3)
    for _ in range(4):
        shares = sampler.update(np.array([0.4, 0.5, 1.5]), np.array([0.3, 0.3, 0.3]))
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0.5 / 3 - 1e-12).all()
    assert shares[2] > shares[1] > shares[0]
    drawn = np.bincount(sampler.domains[np.concatenate([sampler.draw(step, 64) for step in range(50)])]) / 3200
    assert np.abs(drawn - shares).max() < 0.03
    assert (sampler.draw(7, 64, 1) == sampler.draw(7, 64, 1)).all()
    batches = {sampler.draw(step, 64, number).tobytes() for step in range(6) for number in range(3)}
    assert len(batches) == 18


def test_a_hopeless_student_overflows_nothing():
    sampler = Sampler(np.array([0, 1]))
    shares = sampler.update(np.array([900.0, 0.1]), np.array([0.1, 0.1]))
    assert np.isfinite(shares).all()
    assert shares[0] > 0.7
    assert MOST_RATIO == 10.0
    with pytest.raises(InputError, match="rows of every domain"):
        Sampler(np.array([0, 2]))


def test_a_teacher_is_believed_as_far_as_it_is_sure_and_right():
    said = torch.tensor([[0.98, 0.01, 0.01], [0.34, 0.33, 0.33], [0.98, 0.01, 0.01]])
    sure_right, unsure, sure_wrong = trust(said, torch.tensor([0, 0, 1]), most=0.8).tolist()
    assert 0.6 < sure_right <= 0.8
    assert unsure < 0.01
    assert sure_wrong < 0.02
    assert trust(said, None)[2] == pytest.approx(trust(said, None)[0])


def test_of_several_teachers_the_one_that_does_well_in_a_domain_has_the_say_there():
    one, other = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    mixed = many([one, other], np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert torch.allclose(mixed, torch.tensor([[0.9, 0.1], [0.1, 0.9]]))


QUICK = {"steps": 24, "learning_rate": 3e-3, "least_steps": 0}
SHORT = {**QUICK, "steps": 2}


def grouped(rows, held=18, seed=0):
    """Rows with a column that says in which of two shops something was asked."""
    data = dataset(rows, held=held, seed=seed)
    shops = ["north" if i % 4 else "south" for i in range(data.table.num_rows)]
    roles = {**data.roles, "shop": "shop"}
    return type(data)(**{**vars(data), "table": data.table.append_column("shop", pa.array(shops)), "roles": roles})


def test_a_stored_model_teaches_and_rows_are_drawn_where_the_student_is_behind(tiny, monkeypatch):
    data = grouped(60)
    teacher = adapt(data, tiny, "full", settings=QUICK)
    drawn = []
    real = _taught.Behind.draw

    def watched(self, step, rows):
        found = real(self, step, rows)
        drawn.extend(len(one) for one in found)
        return found

    monkeypatch.setattr(_taught.Behind, "draw", watched)
    model = adapt(data, tiny, "full", settings={**QUICK, "teacher": {"model": teacher.ref, "column": "shop"}})
    assert teacher.ref in model.parents
    assert 0 < model.facts["trust"] <= 1
    assert set(model.facts["drawn"]) == {"north", "south"}
    assert sum(model.facts["drawn"].values()) == pytest.approx(1.0, abs=1e-3)
    assert min(model.facts["drawn"].values()) >= 0.25 - 1e-3
    assert drawn
    outputs = Predictor(model, "torch")(data.texts("test"))
    assert (outputs.choice == data.targets("test")).mean() > 0.6
    drawn.clear()
    alike = adapt(data, tiny, "full", settings={**QUICK, "teacher": teacher.ref})
    assert not drawn
    assert "drawn" not in alike.facts
    assert alike.ref != model.ref


def test_what_cannot_teach_says_so(tiny):
    data = grouped(60)
    teacher = adapt(data, tiny, "full", settings=QUICK)
    for given, error, said in (
        ({"model": teacher.ref, "columns": "shop"}, UnknownNameError, "key of adapt.settings.teacher"),
        ({"model": teacher.ref, "column": "shops"}, UnknownNameError, "column"),
        ({"column": "shop"}, InputError, "teacher with a model"),
        ({"model": teacher.ref, "most": 1.5}, InputError, "shares from 0 to 1; received most 1.5"),
        ({"model": teacher.ref, "smooth": "half"}, InputError, "smooth: a valid number"),
        (Store.open().save(data).ref, InputError, "models or releases"),
    ):
        with pytest.raises(error, match=said):
            adapt(data, tiny, "full", settings={**QUICK, "teacher": given})
    fewer = type(data)(**{**vars(data), "labels": (*data.labels, "zz")})
    with pytest.raises(InputError, match="task and labels"):
        adapt(fewer, tiny, "full", settings={**QUICK, "teacher": teacher.ref})


def test_a_teacher_may_go_by_an_alias(tiny):
    data = grouped(60)
    teacher = adapt(data, tiny, "full", settings=QUICK)
    Store.open().alias("wise", teacher.ref)
    assert learner(data, tiny, {"teacher": "wise"}).parents == (teacher.ref,)


def learner(data, base, settings, method="full"):
    return _taught.TaughtLearner(data, _learners.Recipe(base, method, settings, 0), _learners.family_of(base))


def test_a_teacher_of_the_very_rows_that_are_judged_out_of_fold_is_refused(tiny):
    few, other = (Store.open().save(grouped(60, held=0, seed=seed)) for seed in (0, 1))
    teacher, stranger = (adapt(data, tiny, "full", settings=SHORT) for data in (few, other))
    taught = adapt(other, tiny, "full", settings={**SHORT, "teacher": teacher.ref})
    for one in (teacher, taught):
        with pytest.raises(InputError, match="judged out of fold"):
            learner(few, tiny, {"teacher": one.ref})
    rows = np.array_split(few.parts["test"], 2)
    apart = replace(few, parts={**few.parts, "valid": rows[0], "calib": rows[1]}, ref="")
    assert learner(apart, tiny, {"teacher": teacher.ref}).parents == (teacher.ref,)
    assert len(set(few.texts("train")) & set(other.texts("train"))) <= _taught.TWICE * 60
    assert learner(few, tiny, {"teacher": stranger.ref}).parents == (stranger.ref,)
    unknown, said = adapt(replace(other, ref=""), tiny, "full", settings=SHORT, seed=7), []
    with listening(said.append):
        learner(few, tiny, {"teacher": unknown.ref})
    assert any("is not stored" in event.facts.get("text", "") for event in said)


def test_rows_are_drawn_for_steps_only_and_a_teacher_stands_alone(tiny):
    data = grouped(60)
    teacher = adapt(data, tiny, "full", settings=QUICK)
    with pytest.raises(InputError, match="drawn step by step"):
        learner(data, tiny, {"teacher": {"model": teacher.ref, "column": "shop"}}, "head")
    alike = adapt(data, tiny, "head", settings={"teacher": teacher.ref})
    assert "drawn" not in alike.facts
    with pytest.raises(InputError, match="a stored teacher or an ensemble"):
        learner(data, tiny, {"teacher": teacher.ref, "ensemble": 3})


def behind(data):
    """Draws for a run in which the south is beyond every student: there it is judged by wrong labels."""
    names, place = _taught.domains(data, "shop")
    texts, gold = list(data.texts("valid")), data.targets("valid")
    places = np.array([place[text] for text in texts])
    judged = np.where(places == names.index("south"), (gold + 1) % 3, gold)
    judge = _taught.Judging(texts, judged, places, np.full(len(texts), 0.05))
    return names, place, _taught.Behind(place, judge, 0.5)


def trained(data, base, checkpoint=None):
    """A network that learned from rows drawn so, and what drew them."""
    *_, keeper = behind(data)
    network = encoder.create(base, data.labels)
    encoder.attach(network, "full", {})
    network.keeper = keeper
    settings = FitSettings(steps=24, batch_rows=8, learning_rate=3e-3, precision="fp32", checkpoint_seconds=0.0, accumulate=2)
    fit(network, (list(data.texts("train")), data.targets("train")), settings, checkpoint=checkpoint)
    return network, keeper


def test_shares_move_to_where_a_student_stays_behind(tiny):
    data = grouped(60)
    names, place, _ = behind(data)
    drawn, texts = [], list(data.texts("train"))
    real = _taught.Behind.draw

    def watched(self, step, rows):
        found = real(self, step, rows)
        drawn.append(np.mean([place[texts[row]] == names.index("south") for row in np.concatenate(found)]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_taught.Behind, "draw", watched)
        _, keeper = trained(data, tiny)
    south = keeper.shares[names.index("south")]
    assert 0.7 < south <= 0.75  # a quarter stays in the north
    assert np.mean(drawn[12:]) > 0.65
    assert abs(np.mean(drawn[:4]) - 0.5) < 0.2


def test_a_run_that_is_killed_goes_on_with_the_same_draws_and_weights(tiny, tmp_path):
    data = grouped(60)
    expected, whole = trained(data, tiny, tmp_path / "peace")

    def kill(event):
        if event.kind == "progress" and event.facts.get("done") == 14:  # between two renewals of the shares
            raise ConnectionAbortedError

    with listening(kill), pytest.raises(ConnectionAbortedError):
        trained(data, tiny, tmp_path / "war")
    steps = []
    with listening(lambda event: steps.append(event.facts.get("done")) if event.kind == "progress" else None):
        found, keeper = trained(data, tiny, tmp_path / "war")
    assert steps[0] == 14
    assert (keeper.shares == whole.shares).all()
    assert all(torch.equal(p, q) for p, q in zip(expected.parameters(), found.parameters(), strict=True))


def test_shares_outlast_a_kill():
    judge = _taught.Judging(["a"], np.array([0]), np.array([0]), np.array([0.1]))
    one, other = (_taught.Behind({"a": 0, "b": 1, "c": 2}, judge, 0.5) for _ in range(2))
    for behind in (one, other):
        behind.meet(["a", "a", "c"], seed=1)
    one.sampler.update(np.array([2.0, 0.1]), np.array([0.1, 0.1]))
    other.remember(None, one.memory(None))
    assert other.shares[0] > other.shares[2] > other.shares[1] == 0
    assert (other.draw(3, [np.arange(8)])[0] == one.draw(3, [np.arange(8)])[0]).all()
