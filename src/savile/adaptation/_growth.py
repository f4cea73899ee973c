"""Growth in check: adapters that came one by one are shared and cut until they fit a budget, by the measured cost of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from savile.adaptation import _experts, _library, _merging
from savile.adaptation._library import Member, Update
from savile.base import answers, catalogue, events
from savile.base.contracts import HeadSpec
from savile.base.errors import InputError
from savile.base.records import Dataset

TRIED = 3  # of each kind of step, so many are measured before the cheapest is taken
BYTES = 4


@dataclass(frozen=True)
class Step:
    """What was done.

    Attributes:
        what: in words.
        why: what spoke for it.
        megabytes: of all adapters afterwards.
        lost: the score that the tasks lost so far, the mean over all of them.
    """

    what: str
    why: str
    megabytes: float
    lost: float


@dataclass(frozen=True)
class Grown:
    """Adapters within their budget: settings of the method ``domains``, the way there, and task -> score alone and now."""

    settings: Mapping[str, Any]
    steps: tuple[Step, ...]
    scores: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class _Group:
    """Adapters that share one: their places, its updates and their rank."""

    places: tuple[int, ...]
    updates: Mapping[str, Update]
    rank: int

    @property
    def size(self) -> int:
        """Bytes in fp32."""
        return BYTES * sum(a.numel() + b.numel() for a, b in self.updates.values())


@dataclass(frozen=True)
class _Candidate:
    """A step that could be taken: groups that go, the one that comes, and the scores of its tasks then."""

    gone: tuple[int, ...]
    new: _Group
    scores: Mapping[int, float]
    what: str
    why: str


def within(data: Dataset, refs: Sequence[str], base: str, max_mb: float | None = None, most: int | None = None) -> Grown:
    """Share and cut adapters until they fit, each time by the step that costs the least score for the bytes it saves.

    Two adapters become one, the mean of their updates, where these are most alike; or one is cut to half its rank, where the
    directions that go hold least of it. What a step costs is measured with each task's own head on its validation and
    calibration rows, or on its training rows where none are set apart.

    Args:
        data: of all adapters, a stage each, in their order.
        refs: the adapters.
        base: what they are adapters of.
        max_mb: megabytes that all of them may take together.
        most: how many may be left.

    Raises:
        InputError: a budget below what one adapter of rank 1 takes, no adapter left, or data that does not say whose its rows
            are.
    """
    if most is not None and most < 1:
        raise InputError("one adapter or more to be left", f"most {most}", "Raise it.")
    from savile.models._bases import locate

    members = _library.read(_library.settled(refs), locate(base))
    judge = _Judge(data, members, base)
    groups = [_Group((place,), member.updates, member.rank) for place, member in enumerate(members)]
    alone = {place: judge.score(place, member.updates) for place, member in enumerate(members)}
    now, steps = dict(alone), list[Step]()
    while _size(groups) > (np.inf if max_mb is None else max_mb) or len(groups) > (most or len(members)):
        fewer_only = most is not None and len(groups) > most and (max_mb is None or _size(groups) <= max_mb)
        tried = _shares(groups, members, judge) + ([] if fewer_only else _cuts(groups, members, judge))
        if not tried:
            received = f"{max_mb} MB; one adapter of rank {groups[0].rank} takes {_size(groups):.3f} MB"
            raise InputError("a budget that one adapter fits", received, "Allow more.")
        best = min(tried, key=lambda one: _price(one, groups, now))
        groups = [group for place, group in enumerate(groups) if place not in best.gone] + [best.new]
        now |= best.scores
        lost = float(np.mean([alone[place] - now[place] for place in alone]))
        steps.append(Step(best.what, best.why, _size(groups), lost))
        events.emit("progress", stage="keep growth in check", done=len(steps))
    groups = sorted(groups, key=lambda group: group.places)
    settings = {"groups": [list(group.places) for group in groups], "ranks": [group.rank for group in groups]}
    names = [member.name for member in members]
    return Grown(settings, tuple(steps), {names[place]: (alone[place], now[place]) for place in alone})


def _size(groups: Sequence[_Group]) -> float:
    return sum(group.size for group in groups) / 1e6


def _price(one: _Candidate, groups: Sequence[_Group], now: Mapping[int, float]) -> tuple[float, int]:
    """Score that a step costs a byte saved; of equal ones the step that saves more."""
    saved = sum(groups[place].size for place in one.gone) - one.new.size
    cost = sum(max(0.0, now[place] - score) for place, score in one.scores.items())
    return cost / max(1, saved), -saved


def _shares(groups: Sequence[_Group], members: Sequence[Member], judge: _Judge) -> list[_Candidate]:
    """Pairs of groups that could share one adapter, the most alike first."""
    if len(groups) < 2:
        return []
    cosines = _library.similarity([replace(members[0], updates=group.updates) for group in groups])
    pairs = sorted(((i, j) for i in range(len(groups)) for j in range(i + 1, len(groups))), key=lambda pair: -cosines[pair])
    found = []
    for i, j in pairs[:TRIED]:
        places, rank = (*groups[i].places, *groups[j].places), max(groups[i].rank, groups[j].rank)
        merged = _merging.merged([members[place].updates for place in places], "linear", (), _merging.DENSITY, rank)
        new = _Group(tuple(sorted(places)), merged, rank)
        what = f"{_called(groups[i], members)} and {_called(groups[j], members)} share one"
        found.append(_Candidate((i, j), new, judge.scores(new), what, f"cosine {cosines[i, j]:.2f}"))
    return found


def _cuts(groups: Sequence[_Group], members: Sequence[Member], judge: _Judge) -> list[_Candidate]:
    """Groups whose adapter could do with half its rank, those that lose least of it first."""
    halves = {place: max(1, group.rank // 2) for place, group in enumerate(groups) if group.rank > 1}
    cut = {
        place: {name: _merging.low_rank(a, b, rank) for name, (a, b) in groups[place].updates.items()}
        for place, rank in halves.items()
    }
    kept = {place: _mass(updates) / max(1e-30, _mass(groups[place].updates)) for place, updates in cut.items()}
    found = []
    for place in sorted(cut, key=lambda one: -kept[one])[:TRIED]:
        group, rank = groups[place], halves[place]
        new = _Group(group.places, cut[place], rank)
        what = f"{_called(group, members)} cut to rank {rank}"
        found.append(_Candidate((place,), new, judge.scores(new), what, f"{kept[place]:.0%} of its square stays"))
    return found


def _mass(updates: Mapping[str, Update]) -> float:
    return sum(_library._dot(one, one) for one in updates.values())


def _called(group: _Group, members: Sequence[Member]) -> str:
    return "+".join(members[place].name for place in group.places)


class _Judge:
    """How well some update answers the rows of a task, under that task's own head.

    Args:
        data: of all adapters.
        members: the adapters.
        base: what they are adapters of.
    """

    def __init__(self, data: Dataset, members: Sequence[Member], base: str) -> None:
        from savile.adaptation._learners import family_of

        self.members = members
        self.family = catalogue.get("families", family_of(base))
        self.task = catalogue.get("tasks", data.task)
        spec: HeadSpec = self.task.head(len(members[0].labels))
        if spec.loss not in ("cross_entropy", "binary_cross_entropy"):
            raise InputError("adapters for labels of texts", f"the task {data.task}", "Keep them all: leave the budget out.")
        self.network = self.family.create(base, members[0].labels, spec.loss, cosine=False)
        several = [member.updates for member in members]
        layers = tuple(sorted({layer for updates in several for layer in updates}))
        plan = _experts.Plan(("one",), (max(member.rank for member in members),), layers)
        _experts.hang(self.network, plan, lambda _experts, x: torch.ones(*x.shape[:-1], 1))
        self.rows = [_rows(data, place, len(members), member.labels) for place, member in enumerate(members)]

    def score(self, place: int, updates: Mapping[str, Update]) -> float:
        """The score of the task at a place with some updates."""
        from savile.models._source import answered

        weight, bias = self.members[place].head
        head = self.network.head
        head.weight, head.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        self.network.labels = self.members[place].labels
        nothing = {name: (a[:0], b[:, :0]) for member in self.members for name, (a, b) in member.updates.items()}
        _experts.fill(self.network, [{**nothing, **updates}])
        texts, gold = self.rows[place]
        logits = torch.from_numpy(np.asarray(self.family.predict(self.network.eval(), texts)))
        return float(self.task.score(answered(self.network, logits), gold))

    def scores(self, group: _Group) -> dict[int, float]:
        """Those of every task of a group."""
        return {place: self.score(place, group.updates) for place in group.places}


def _rows(data: Dataset, place: int, count: int, labels: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Texts and targets to judge a task by, none of them a test row.

    Raises:
        InputError: the data is not that of the adapters.
    """
    if len(data.settings.get("stages", ())) != count:
        do = "Put the data of each adapter behind the other: savile combine does."
        raise InputError(f"data of {count} adapters, a stage each", data.ref or data.name, do)
    texts: list[str] = []
    values: list[Any] = []
    for part in ("valid", "calib") if len(data.parts.get("valid", ())) else ("train",):
        stages = data.stages(part)
        assert stages is not None
        chosen = np.flatnonzero(stages == place)
        offered, said = data.texts(part), data.column("label", part)
        texts += [offered[row] for row in chosen]
        values += [said[row] for row in chosen]
    return texts, answers.targets(data.task, values, labels)
