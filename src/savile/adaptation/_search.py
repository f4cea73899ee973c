"""``method: search``: methods and their settings tried by Optuna for several goals at once, cheap trials first.

Optuna draws the space. The first half of the trials, eight at most, take a third of the steps, each another method as far as
there are others; then the best compromises among those are trained in full (successive halving, Jamieson and Talwalkar 2016,
over non-dominated layers), and what is left goes to what is expected to widen the front the most (`_proposals`). Each is
trained like any other candidate and remembered by the store, so that a search that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from savile.adaptation import _front, _proposals
from savile.adaptation._asked import filled
from savile.adaptation._auto import TUNED
from savile.adaptation._learners import Recipe, family_of, learner
from savile.adaptation._search_page import html
from savile.adaptation._train import EDITION, Usage, recalled, train
from savile.base import catalogue, events
from savile.base.errors import InputError, MissingExtraError, SavileError, UnknownNameError
from savile.base.records import Dataset, Model, canonical, digest

METHOD = "search"
NAMING = ("facts", "hops", "teacher")  # settings that name something, and how it is read
TRIALS, CHEAP = 12, 3  # trials of a search; a cheap one takes one step in so many
NOT_SEARCHED = ("head", "adapter_fusion", "autolora")  # solved exactly; needs adapters; searches for itself
LEAST_STEPS = 24
MOST_CHEAP = 8  # they tell methods apart; between rates they mislead, for few steps want a low one
PROMOTED = 0.5  # share of the cheap trials, the best of them, that are trained in full
DRAWN = 1000  # draws of the space, of which the different ones are what there is to try
RATES = (0.3, 0.55, 1.0, 1.7, 3.0)  # of a method's usual learning rate
RANKS = (2, 4, 8)
# goal -> the fact of a model it is read from; less of each is better, but of the score
GOALS = {"score": "", "share": "trainable_share", "latency": "answer_ms", "memory": "memory_mb", "energy": "kwh"}
PICKS = ("score", "knee", *(goal for goal in GOALS if goal != "score"))

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What a search is asked for.

    Attributes:
        trials: in all, cheap ones among them.
        good_enough: validation score from which on it ends, once the cheap trials are over.
        goals: among `GOALS`, the score first.
        pick: which of the best compromises is kept: the best ``score``; the ``knee``, nearest to the best of every goal; or a
            goal: the best in it among those whose score is within the interval of the best.
    """

    trials: int = TRIALS
    good_enough: float = 2.0
    goals: tuple[str, ...] = ("score", "share")
    pick: str = "score"

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError("one trial of a search or more", f"{self.trials}", "Correct trials.")
        for goal in self.goals:
            if goal not in GOALS:
                raise UnknownNameError("goal of a search", goal, GOALS)
        if self.goals[:1] != ("score",) or len(set(self.goals)) < max(2, len(self.goals)):
            raise InputError("goals that begin with score, another one at least", ", ".join(self.goals), "Correct goals.")
        if self.pick not in PICKS:
            raise UnknownNameError("pick of a search", self.pick, PICKS)


@dataclass(frozen=True)
class Trial:
    """What was tried: parameters, whether it was a cheap trial, and what came of each goal, as it is measured."""

    params: Params
    cheap: bool
    values: tuple[float, ...]


def search(data: Dataset, recipe: Recipe) -> Model:
    """Try methods, rates and ranks on a base, and store one again, with what was tried and a page of the best compromises.

    Args:
        data: what is learned.
        recipe: its settings may hold those of `Plan`.

    Raises:
        InputError: a family that needs no base, or no method that its base can carry.
        MissingExtraError: Optuna is not installed.
        UnknownNameError: no such goal or pick.
    """
    from savile.base.store import Store

    store, usage, (plan, recipe) = Store.open(), Usage(), asked(recipe)
    _searchable(recipe)
    # what these name, a file or an alias, may have changed since, and so may a base
    outside = {name: recipe.settings[name] for name in NAMING if name in recipe.settings}
    named = learner(data, replace(recipe, method=TUNED, settings=outside)).identity()
    key = digest(canonical([METHOD, EDITION, data.digest, data.mask, asdict(recipe), asdict(plan), named]))
    known = recalled(store, key)
    if known is not None:
        return known
    methods, tried, started = carried(data, recipe), list[Model](), time.perf_counter()

    def values(params: Params, cheap: bool) -> tuple[float, ...]:
        tried.append(train(data, _candidate(data, recipe, params, cheap)))
        events.emit("progress", stage="search", done=len(tried), total=plan.trials)
        return measured(tried[-1], plan.goals)

    def enough(trials: Sequence[Trial]) -> bool:
        spent = (time.perf_counter() - started) / 60
        return recipe.minutes is not None and spent > recipe.minutes

    ranked = {method: "rank" in _usual(data, recipe, method).method_settings for method in methods}
    trials = explore(lambda asked: proposed(asked, ranked), values, plan, recipe.seed, enough)
    entries = [_entry(trial, model) for trial, model in zip(trials, tried, strict=True)]
    kept = picked(entries, plan)
    best = tried[kept]
    facts = {**best.facts, **usage.facts(), "tried": entries, "front": best_of(entries, plan.goals), "picked": kept}
    facts |= {"goals": list(plan.goals), "fit_seconds": best.facts["seconds"]}
    page = store.page(f"search-{key[:12]}.html", html(entries, facts["front"], plan.goals, kept))
    facts["pages"] = [str(page)]
    events.emit("note", text=f"{len(facts['front'])} of {len(entries)} trials are beaten by no other; see {page}")
    chosen: Model = store.save(replace(best, facts=facts, parents=(*best.parents, best.ref)))
    store.audit.append("search", chosen.ref, data=data.ref, tried=[model.ref for model in tried], kept=best.ref)
    store.remember(key, chosen.ref)
    return chosen


def asked(recipe: Recipe) -> tuple[Plan, Recipe]:
    """The plan in a recipe's settings, and the recipe without it."""
    settings = dict(recipe.settings)
    own = {name: settings.pop(name) for name in asdict(Plan()) if name in settings}
    return filled(Plan, own), replace(recipe, settings=settings)


def explore(
    propose: Callable[[Any], Params],
    values: Callable[[Params, bool], tuple[float, ...]],
    plan: Plan,
    seed: int = 0,
    enough: Callable[[Sequence[Trial]], bool] = lambda trials: False,
) -> list[Trial]:
    """The trials of a search, in order.

    Args:
        propose: a trial of Optuna -> parameters, asked of it.
        values: parameters and whether the trial is cheap -> what came of each goal.
        plan: how many trials, for which goals.
        seed: of the proposals.
        enough: whether to stop for another reason than the plan's, asked before every trial but the first.
    """
    pool, trials, rng = _pool(propose, seed), list[Trial](), np.random.default_rng(seed)
    cheap = max(1, min(MOST_CHEAP, plan.trials // 2))

    def over() -> bool:
        good = len(trials) > cheap and max(trial.values[0] for trial in trials) >= plan.good_enough
        return len(trials) >= plan.trials or good or (bool(trials) and enough(trials))

    def attempt(params: Params, less: bool) -> None:
        if not over():
            trials.append(Trial(params, less, values(params, less)))

    for place in _proposals.spread(pool, cheap, rng):
        attempt(pool[place], True)
    for trial in _promising(trials, plan, round(PROMOTED * cheap)):
        attempt(trial.params, False)
        pool.remove(trial.params)
    while pool and not over():
        good = goodness(np.array([trial.values for trial in trials]))
        less = np.array([trial.cheap for trial in trials])
        attempt(pool.pop(_proposals.widest(pool, [trial.params for trial in trials], less, good, rng)), False)
    return trials


def _promising(trials: Sequence[Trial], plan: Plan, most: int) -> list[Trial]:
    """The cheap trials to be taken further: the best compromises, then the next best; within a layer the best score first."""
    goods = goodness(np.array([trial.values for trial in trials]))
    order = [row for layer in _front.layers(goods) for row in layer[np.argsort(-goods[layer, 0], kind="stable")]]
    return [trials[row] for row in order[:most]]


def goodness(values: np.ndarray) -> np.ndarray:
    """Values of goals (n, goals) -> more is better; what costs is counted in powers of ten, for a tenth of it is a step."""
    return np.column_stack([values[:, 0], -np.log10(np.maximum(values[:, 1:], 1e-12))])


def measured(model: Model, goals: Sequence[str]) -> tuple[float, ...]:
    """What came of each goal."""
    return tuple(float(model.facts[GOALS[goal]] if GOALS[goal] else model.facts["valid"][goal]) for goal in goals)


def proposed(asked: Any, ranked: Mapping[str, bool]) -> Params:
    """What is searched: the method, its learning rate as a multiple of the usual one, and the rank where it has one.

    Args:
        asked: a trial of Optuna.
        ranked: method -> whether it has a rank.
    """
    method = asked.suggest_categorical("method", list(ranked))
    params = {"method": method, "rate": asked.suggest_categorical("rate", RATES)}
    return {**params, "rank": asked.suggest_categorical("rank", RANKS)} if ranked[method] else params


def _searchable(recipe: Recipe) -> None:
    """Nothing, where there is a base to try methods on.

    Raises:
        InputError: the family needs none.
    """
    if catalogue.get("families", family_of(recipe.base)).trains == "own":
        raise InputError("a base to search methods for", recipe.base, "Use minilm, use-m or a BERT-like base of your own.")


def carried(data: Dataset, recipe: Recipe) -> list[str]:
    """The methods a search chooses among: those the base can carry."""
    found = []
    for method in catalogue.names("methods"):
        if method in NOT_SEARCHED:
            continue
        try:
            _usual(data, recipe, method).network()
        except SavileError:
            continue
        found.append(method)
    return found


def _usual(data: Dataset, recipe: Recipe, method: str) -> Any:
    """The learner of a method with its usual settings."""
    return learner(data, replace(recipe, method=method, settings={}))


def _candidate(data: Dataset, recipe: Recipe, params: Params, cheap: bool) -> Recipe:
    """The recipe of a trial; what it itself says of settings wins."""
    plain = _usual(data, recipe, params["method"])
    usual, owned = plain.fit_settings, plain.method_settings
    settings: dict[str, Any] = {"learning_rate": usual.learning_rate * params["rate"]}
    if "rank" in params:
        rank = params["rank"]
        settings |= {"rank": rank, "alpha": 2 * rank} | ({"start_rank": rank + rank // 2} if "start_rank" in owned else {})
    if cheap:
        settings["most_steps"] = max(LEAST_STEPS, usual.least_steps // CHEAP)
    return replace(recipe, method=params["method"], settings={**settings, **recipe.settings}, minutes=None)


def best_of(entries: Sequence[Mapping[str, Any]], goals: Sequence[str]) -> list[int]:
    """Which entries no other beats, the best score last."""
    goods = goodness(np.array([[entry[goal] for goal in goals] for entry in entries]))
    return sorted(_front.front(goods).tolist(), key=lambda place: float(entries[place]["score"]))


def picked(entries: Sequence[Mapping[str, Any]], plan: Plan) -> int:
    """The entry that is kept, see `Plan`; of equal ones the surer."""
    best = max(range(len(entries)), key=lambda place: (entries[place]["score"], -entries[place]["log_loss"]))
    if plan.pick == "score":
        return best
    if plan.pick == "knee":
        return _front.knee(goodness(np.array([[entry[goal] for goal in plan.goals] for entry in entries])))
    within = [place for place, entry in enumerate(entries) if entry["score"] >= entries[best]["low"]]
    return min(within, key=lambda place: (entries[place][plan.pick], -entries[place]["score"]))


def _entry(trial: Trial, model: Model) -> dict[str, Any]:
    costs = dict(zip(list(GOALS)[1:], measured(model, list(GOALS)[1:]), strict=True))
    said = {"candidate": model.method, "model": model.ref, "settings": dict(trial.params), **model.facts["valid"]}
    return {**said, **costs, "cheap": trial.cheap, "steps": model.facts["steps"], "seconds": model.facts["seconds"]}


def _pool(propose: Callable[[Any], Params], seed: int) -> list[Params]:
    """The different ones among many draws of the space, in the order in which they came."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "search") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return list({canonical(params): params for params in (propose(study.ask()) for _ in range(DRAWN))}.values())
