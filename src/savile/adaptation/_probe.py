"""What a candidate would take, from a short measured trial of it: a few real steps, or a few small fits."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from savile.adaptation import _auto, _before, _folds, _search
from savile.adaptation._held import Held
from savile.adaptation._learners import TRIAL, Learner, LoopLearner, Recipe, learner
from savile.adaptation._train import Parts, judged, units
from savile.base import answers, catalogue, events, machine
from savile.base.contracts import Rows
from savile.base.errors import SavileError
from savile.base.records import Calibration, Dataset, canonical, digest

ROWS, STEP_ROWS = 256, 128  # of the sample a new head is tried on, and of one that steps are timed on
CHARACTERS, LEAST_ROWS = 40_000, 32  # of either
SIZES = (400, 1_600, 6_400)  # rows of the fits of a family that fits itself
WARM = 64  # rows of a fit before the first that is timed
PATIENCE = 2.0  # seconds that rows of a trial may be read; a further, larger fit may take twice as long
GROWING = {"seconds": 1.3, "held": 1.0, "stored": 1.0}  # what grows with rows, and the largest power of them it grows with
FLATTEST = 0.3
HELD = 400  # rows that judge those fits
USUAL_FALL, LEAST_WRONG = 0.2, 0.005  # of errors with rows, as a power, and the share of errors that is as good as none
WRITTEN = 50e6  # bytes a second that are made into files, digested and fsynced
COPIES = 3.0  # times what is stored that is in memory while it is made


@dataclass(frozen=True)
class Cost:
    """What one candidate would take.

    Attributes:
        name: its method, or its family.
        loop: whether it is a network, which is compressed before it serves.
        seconds: of fitting it and answering the rows it is judged on.
        busy: processor seconds in a second of wall-clock time.
        peak: bytes the process would hold at most.
        disk: bytes of what is stored of it.
        answer: seconds a row that the trained form answers.
        weights: bytes of the whole network; 0 for other families.
        least: seconds it takes at the very least, however small the budget.
        score: how good it will likely be, from how a trial got better with rows; None where nothing was tried.
        whole: its seconds, as a share of what it would take without a budget.
        rates: what was measured, to be kept.
        key: what it is kept by.
    """

    name: str
    loop: bool
    seconds: float
    busy: float
    peak: float
    disk: float
    answer: float
    weights: float = 0.0
    least: float = 0.0
    score: float | None = None
    whole: float = 1.0
    rates: dict[str, float] = field(default_factory=dict)
    key: str = ""


class Prober:
    """Tries candidates on a data set; each network and family is tried once.

    Args:
        data: a governed data set; its test part is not read.
        past: what trials of earlier runs measured, by candidate and newest first; given, nothing is tried now.
    """

    def __init__(self, data: Dataset, past: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self.data, self._known, self._past = data, dict[str, _Loop | _Own](), past
        self._base: str | None = None
        self.few = _folds.few(data)
        self.rows = {part: len(data.parts.get(part, ())) for part in ("train", "valid", "calib")}

    def costs(self, recipe: Recipe) -> list[Cost]:
        """The cost of every candidate that `savile.adaptation.adapt` would try, in that order and within its budget.

        Raises:
            KeyError: no trial of one is among those of the past.
        """
        recipe = replace(recipe, base=self.base(recipe.base), settings=_before.asked(recipe.settings)[1])
        if recipe.method == _search.METHOD:
            return [self._searched(recipe)]
        if not _auto.chooses(recipe):
            return [self.cost(recipe, recipe.minutes)]
        found: list[Cost] = []
        for candidate in _auto.candidates(self.data, recipe):
            minutes = _auto.share(recipe, candidate, sum(cost.seconds for cost in found))
            if minutes == 0.0:
                continue
            try:
                found.append(self.cost(candidate, minutes))
            except SavileError:
                if candidate.base not in (_auto.TABLES, _auto.SENSES):  # a table that cannot be learned from is left out
                    raise
        return found

    def _searched(self, recipe: Recipe) -> Cost:
        """The cost of a search: of as many trials of the method that tunes most, the cheap ones among them."""
        plan, recipe = _search.asked(recipe)
        one = self.cost(replace(recipe, method=_auto.TUNED), None)
        seconds = one.seconds * plan.trials * (1 + 1 / _search.CHEAP) / 2
        if recipe.minutes is not None:
            seconds = min(seconds, recipe.minutes * 60 + one.seconds)
        return replace(one, name=_search.METHOD, seconds=seconds, disk=one.disk * plan.trials)

    def cost(self, recipe: Recipe, minutes: float | None) -> Cost:
        """What one candidate takes within `minutes`."""
        candidate = learner(self.data, replace(recipe, base=self.base(recipe.base)))
        key = named(candidate)
        if key not in self._known:
            past = None if self._past is None else self._past[key]
            with _silent():
                if isinstance(candidate, LoopLearner):
                    self._known[key] = _Loop(self.data, candidate, past)
                else:
                    self._known[key] = _Own(self.data, candidate, past)
        return replace(self._known[key].cost(self, minutes), key=key)

    def base(self, named: str) -> str:
        """A base by its name; the one for the texts' language where no name is given."""
        if named != _auto.BY_LANGUAGE:
            return named
        if self._base is None:
            with _silent():
                self._base = _auto.language_base(self.data)
        return self._base


def named(candidate: Learner) -> str:
    """What a trial is remembered by: all that its speed depends on beside the rows."""
    shape = {name: value for name, value in candidate.identity().items() if name not in ("value", "seed")}
    return digest(canonical([shape, candidate.reads]))[:12]


class _Loop:
    """A network, tried now or in the past."""

    def __init__(self, data: Dataset, candidate: LoopLearner, past: Mapping[str, float] | None) -> None:
        from savile.models._probe import Rates, scaled

        self.candidate, self.start = candidate, units(data, candidate.head)
        self.parts = Parts(data, candidate, self.start)
        lengths = np.array([len(text) for text in self.parts.inputs["train"]])
        if past is None:
            past = self._tried(lengths)
        own = {name: past[name] for name in past if name in {one.name for one in fields(Rates)}}
        self.rates = scaled(Rates(**own), lengths.mean() / past["characters"])  # type: ignore[arg-type]
        self.load, self.learning = past["load"], past["learning"]
        self.past = {**past}

    def _tried(self, lengths: np.ndarray) -> dict[str, float]:
        """Build the network and take it through a few rows, the longest first."""
        from savile.models._probe import probe

        candidate, texts, targets = self.candidate, self.parts.inputs["train"], self.parts.targets["train"]
        longest = np.argsort(-lengths, kind="stable")[: candidate.fit_settings.batch_rows]
        candidate.network()  # the first one pays for what is loaded once
        clock = time.perf_counter()
        network = candidate.network()
        load = time.perf_counter() - clock
        alone = network.frozen_depth() == len(network.layers)  # a head is solved for, and its answers say how good it will be
        chosen = _sample(lengths, ROWS if alone else STEP_ROWS, candidate.seed)
        rows, long = (([texts[i] for i in part], targets[part]) for part in (chosen, longest))
        rates, held = probe(network, rows, long, candidate.fit_settings, lambda asked: candidate.plugin.predict(network, asked))
        learning = float(sum(p.numel() * p.element_size() for _, p in network.trainable()))
        found = {**asdict(rates), "load": load, "learning": learning, "characters": float(lengths[chosen].mean())}
        gold = [self.parts.gold["train"][chosen[-len(logits) :]] for logits in held]
        scores = [_score(self.parts.data, Held(*pair), self.start) for pair in zip(held, gold, strict=True)]
        return {**found, **_curve([(len(logits) * (i + 1), scores[i]) for i, logits in enumerate(held)])}

    def cost(self, on: Prober, minutes: float | None) -> Cost:
        """Its cost on all rows."""
        from savile.models._within import LEAST

        rates, rows = self.rates, on.rows
        seconds, boundless = (self._seconds(on, each) for each in (minutes, None))
        fits = (_folds.FOLDS + (not self.candidate.joins) if on.few else 1) * self.candidate.fit_settings.runs
        return Cost(
            name=self.candidate.name,
            loop=True,
            seconds=seconds,
            busy=rates.busy,
            peak=rates.peak + rates.kept * (rows["train"] + rows["valid"]),
            disk=self.learning,
            answer=rates.answer,
            weights=rates.weights,
            score=guessed(self.past, rows["train"] if on.few else self._learned(rows["train"], minutes)),
            whole=min(1.0, seconds / boundless),
            least=fits * (self.load + rates.source * min(rows["train"], LEAST) + rates.step),
            rates=self.past,
        )

    def _seconds(self, on: Prober, minutes: float | None) -> float:
        """Seconds of fitting it and of answering what it is judged on."""
        rows = on.rows
        if on.few:
            return self._folds(rows["train"], minutes)
        return self._fit(rows["train"], rows["valid"], minutes) + (rows["valid"] + rows["calib"]) * self.rates.answer

    def _learned(self, rows: float, minutes: float | None, seen: bool = False) -> float:
        """Rows that one fit learns from."""
        from savile.models._within import most_rows

        if minutes is None:
            return rows
        source = 0.0 if seen else self.rates.source
        return min(rows, most_rows(minutes / self.candidate.fit_settings.runs, source, not self.rates.step))

    def _folds(self, rows: float, minutes: float | None) -> float:
        """Seconds of fitting and answering every fold, and of fitting all rows; what is frozen may be passed once for all."""
        from savile.models._within import most_rows

        alone, folds, rates = not self.rates.step, _folds.FOLDS, self.rates
        source = rates.answer if alone else rates.source
        once = self.candidate.sees_once and (minutes is None or most_rows(minutes, source, alone) >= rows)
        looking = self.load + rows * source if once else 0.0
        last = not self.candidate.joins
        share = None if minutes is None else (minutes - looking / 60) / (folds + last)
        inside = rows * (1 - 1 / folds)
        fits = self._fit(inside, 0, share, once) + (folds - 1) * self._fit(inside, 0, share, once, probes=False)
        fits += last * self._fit(rows, 0, share, once, probes=False)
        return looking + fits + (0.0 if once and alone else rows * rates.answer)

    def _fit(self, rows: float, valid: float, minutes: float | None, seen: bool = False, probes: bool = True) -> float:
        """Seconds of one call of the training loop; of rows whose way through frozen layers is `seen`.

        The first call `probes` what a step takes; those that follow take as many steps.
        """
        from savile.models._fit import PROBE_SHARE, PROBE_STEPS
        from savile.models._probe import solving

        rates, settings = self.rates, self.candidate.fit_settings
        source, rows = 0.0 if seen else rates.source, self._learned(rows, minutes, seen)
        minutes = None if minutes is None else minutes / settings.runs
        if not rates.step:
            return self.load + rows * source + solving(rows, rates)
        ready = (rows + valid) * source
        epoch = math.ceil(rows * rates.steps_a_row / settings.accumulate)
        steps = settings.steps or max(1, settings.least_steps, round(settings.epochs * epoch))
        training = steps * rates.step * settings.accumulate
        probing = 0.0
        if minutes is not None:
            timed = max(1, min(PROBE_STEPS, math.ceil(PROBE_SHARE * minutes * 60 / rates.step)))
            probing = (1 + timed) * rates.step
            training = min(training, max(rates.step, minutes * 60 - ready - probing))
        judging = settings.evaluations * valid * rates.judge if valid else 0.0
        return self.load + settings.runs * (ready + training + judging) + probes * probing


class _Own:
    """A family that fits itself, fitted on few rows and on more, now or in the past."""

    def __init__(self, data: Dataset, candidate: Learner, past: Mapping[str, float] | None) -> None:
        self.candidate = candidate
        if past is not None:
            self.last, self.powers = dict(past), {name: past[f"power_{name}"] for name in GROWING}
            self.busy = past["busy"]
            return
        head = catalogue.get("tasks", data.task).head(len(data.labels))
        start = units(data, head)
        parts = Parts(data, candidate, start)
        valid = parts.rows("valid") if len(data.parts.get("valid", ())) else None
        order = np.random.default_rng(candidate.seed).permutation(len(parts.gold["train"]))
        held = order[-min(HELD, len(order) // 3) :]
        order = order[: len(order) - len(held)]
        tries: list[dict[str, float]] = []
        scores: list[tuple[int, float]] = []
        warm, _ = self._tried(parts.rows("train", order[:WARM], valid=valid))  # pays for what is loaded once
        most = max(2 * WARM, int(PATIENCE / max(warm["answer"], 1e-9)))  # rows that are read within patience
        held, slow = held[:most], most < SIZES[0]
        clock, busy = time.perf_counter(), time.process_time()
        for size in dict.fromkeys(min(size, len(order), most) for size in ((most // 2, most) if slow else SIZES)):
            if tries and not slow and tries[-1]["seconds"] * size / tries[-1]["rows"] > 2 * PATIENCE:
                break
            took, answerer = self._tried(parts.rows("train", order[:size], valid=valid))
            tries.append(took)
            answered = Held(candidate.predict(answerer, answers.take(parts.inputs["train"], held)), parts.gold["train"][held])
            scores.append((size, _score(data, answered, start)))
        self.busy = (time.process_time() - busy) / (time.perf_counter() - clock)
        self.powers = {name: _power(tries, name) for name in GROWING}
        if len(tries) == 1 and warm["rows"] < tries[0]["rows"]:  # no second fit: memory is seen to grow from the warm one
            self.powers |= {name: _power([warm, *tries], name) for name in ("held", "stored")}
        powers = {f"power_{name}": power for name, power in self.powers.items()}
        self.last = {**tries[-1], "busy": self.busy, **powers, **_curve(scores)}

    def _tried(self, rows: Rows) -> tuple[dict[str, float], Any]:
        """One fit: what it took, and what came of it."""
        with machine.Watch() as watch, TemporaryDirectory() as scratch:
            clock, size = time.perf_counter(), len(rows.targets)
            answerer, _ = self.candidate.fit(rows, Path(scratch))
            fitted = time.perf_counter()
            self.candidate.predict(answerer, rows.inputs)
            answered = time.perf_counter()
        files = self.candidate.files(answerer).values()
        stored = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in files)
        took = {"rows": float(size), "seconds": fitted - clock, "answer": (answered - fitted) / size}
        return {**took, "held": float(watch.most), "stored": float(stored)}, answerer

    def cost(self, on: Prober, minutes: float | None) -> Cost:
        """Its cost on all rows."""
        rows = on.rows
        answer = self.last["answer"]
        if on.few:
            inside, outside = rows["train"] * (1 - 1 / _folds.FOLDS), rows["train"] / _folds.FOLDS
            seconds = _folds.FOLDS * (self._at("seconds", inside) + outside * answer) + self._at("seconds", rows["train"])
        else:
            seconds = self._at("seconds", rows["train"]) + (rows["valid"] + rows["calib"]) * answer
        learned = float(rows["train"])
        if minutes is not None and seconds > minutes * 60:  # rows are cut to fit
            learned *= (minutes * 60 / seconds) ** (1 / self.powers["seconds"])
            seconds = minutes * 60
        stored = self._at("stored", learned)
        seconds += stored / WRITTEN
        return Cost(
            name=self.candidate.name,
            loop=False,
            seconds=seconds,
            busy=self.busy,
            peak=machine.resident() + self._at("held", learned) + COPIES * stored,
            disk=stored,
            answer=answer,
            least=self._at("seconds", min(rows["train"], TRIAL)),
            score=guessed(self.last, learned),
            rates=self.last,
        )

    def _at(self, what: str, rows: float) -> float:
        return self.last[what] * float((rows / self.last["rows"]) ** self.powers[what])


def _score(data: Dataset, held: Held, start: Calibration) -> float:
    """The task's score on rows that were held out of a trial."""
    head = catalogue.get("tasks", data.task).head(len(data.labels))
    return float(judged(data.task, head, held, start)["score"])


def _curve(judged: Sequence[tuple[int, float]]) -> dict[str, float]:
    """What is left wrong after so many rows, and the power of rows it falls with: halfway between the usual and the seen."""
    if not judged:
        return {}
    rows, wrong = judged[-1][0], max(LEAST_WRONG, 1 - judged[-1][1])
    fall = USUAL_FALL
    if len(judged) > 1:
        before = max(LEAST_WRONG, 1 - judged[0][1])
        fall = (fall + min(1.0, max(0.0, math.log(before / wrong) / math.log(rows / judged[0][0])))) / 2
    return {"judged_rows": float(rows), "wrong": wrong, "fall": fall}


def guessed(rates: Mapping[str, float], rows: float) -> float | None:
    """How good a candidate will likely be on all rows: errors fall with a power of rows (Hestness et al. 2017)."""
    if "wrong" not in rates:
        return None
    return 1 - rates["wrong"] * float((max(rows, 1.0) / rates["judged_rows"]) ** -rates["fall"])


def _power(tries: Sequence[Mapping[str, float]], what: str) -> float:
    """How what was measured grows with rows, as a power of them; in proportion where only one fit was tried."""
    if len(tries) < 2 or min(one[what] for one in tries) <= 0:
        return 1.0
    first, last = tries[-2:]
    grown = math.log(last[what] / first[what]) / math.log(last["rows"] / first["rows"])
    return min(GROWING[what], max(FLATTEST, grown))


def _sample(lengths: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Row numbers of a sample: as many as have few characters in all."""
    order = np.random.default_rng(seed).permutation(len(lengths))[:most]
    enough = int(np.searchsorted(np.cumsum(lengths[order]), CHARACTERS)) + 1
    return order[: max(LEAST_ROWS, enough)]


@contextmanager
def _silent() -> Iterator[None]:
    """A trial tells nothing of its own progress."""
    token = events._listeners.set(())
    try:
        yield
    finally:
        events._listeners.reset(token)
