"""Following an alias: answers never stop, the new release is proven and on trial, and what fails is taken back by itself."""

import asyncio
import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

import small_line
from savile.base.store import Store
from savile.serving import _bundle, _follow, _standing

TEXTS = ["card stolen please", "parcel late", "money twice today"]


@pytest.fixture
def place(small, monkeypatch):
    """The place of a first release called champion, what opens standings, and a second release."""
    store = Store.open()
    data, trained, model = small
    first = small_line.released(store.save(data), store.save(trained), "torch", None)
    second = small_line.released(store.load(data.ref), store.save(model))
    store.alias("champion", first.ref)
    monkeypatch.setattr(_follow, "TRIAL", 6)

    def standing(release):
        predictor = _bundle.opened(release)
        return _standing.Standing(predictor, release, _bundle.replay(predictor, release), lambda *_: None)

    return _standing.Place(standing(first)), first, second


def follower(place):
    return _follow.Follower(place, "champion", lambda *_: None, lambda: None)


def acts(name):
    return [act["subject"] for act in Store.open().audit.acts(name)]


def test_another_champion_answers_while_nothing_is_lost(place):
    where, first, second = place
    old = weakref.ref(where.now.predictor)

    async def story():
        following, seen = follower(where), []

        async def asking():
            while seen.count(second.ref) < 5:
                now, outputs = await where.ask(TEXTS)
                assert len(outputs.choice) == len(TEXTS)
                seen.append(now.release.ref)

        asked = asyncio.create_task(asking())
        await asyncio.sleep(0.05)
        Store.open().alias("champion", second.ref)
        await following.look()
        await asyncio.wait_for(asked, 60)
        await following.look()
        return seen

    seen = asyncio.run(story())
    assert seen[0] == first.ref
    assert seen == sorted(seen, key=[first.ref, second.ref].index)  # and never back
    assert where.before is None  # the trial is over
    gc.collect()
    assert old() is None  # its memory and its threads are let go
    assert acts("swap") == [second.ref]
    assert acts("rollback") == []


def test_one_that_fails_on_trial_is_taken_back_and_its_question_is_answered(place):
    where, first, second = place

    async def story():
        following = follower(where)
        Store.open().alias("champion", second.ref)
        await following.look()
        assert where.now.release.ref == second.ref

        def broken(texts):
            raise RuntimeError("out of order")

        where.now.batcher._answer = broken
        now, outputs = await where.ask(TEXTS)
        assert now.release.ref == first.ref
        assert len(outputs.choice) == len(TEXTS)
        await following.look()
        await following.look()

    asyncio.run(story())
    assert where.now.release.ref == first.ref
    assert Store.open().aliases()["champion"] == first.ref
    assert acts("rollback") == [second.ref]


def test_one_that_leaves_far_more_to_people_is_taken_back(place):
    where, first, second = place

    async def story():
        following = follower(where)
        where.now.count(np.zeros(500, dtype=bool))
        Store.open().alias("champion", second.ref)
        await following.look()
        where.now.count(np.arange(100) < 60)
        await following.look()

    asyncio.run(story())
    assert Store.open().aliases()["champion"] == first.ref
    assert acts("rollback") == [second.ref]


def test_one_that_does_not_answer_as_released_never_answers(place):
    where, first, second = place
    store = Store.open()
    golden = {**second.golden, "logits": [[-one for one in row] for row in second.golden["logits"]]}
    wrong = store.save(replace(second, golden=golden, ref=""))

    async def story():
        store.alias("champion", wrong.ref)
        await follower(where).look()

    asyncio.run(story())
    assert where.now.release.ref == first.ref
    assert store.aliases()["champion"] == first.ref
    assert acts("rollback") == [wrong.ref]
    assert acts("swap") == []


def test_a_model_with_other_labels_is_no_champion_of_this_server(place):
    where, first, second = place
    other = _standing.Standing(where.now.predictor, second, {"passed": True, "reason": ""}, lambda *_: None)
    assert other.takes_the_place_of(where.now) == ""
    other.predictor.model = replace(other.predictor.model, labels=("other",))
    assert first.ref == where.now.release.ref
    assert "other labels" in other.takes_the_place_of(_standing.Standing(_bundle.opened(first), first, {}, lambda *_: None))
