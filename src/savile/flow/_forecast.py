"""What following a recipe would take, stage by stage: from a short trial on this machine, corrected by what past runs took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from savile.base import catalogue, machine, stats
from savile.base.errors import SavileError
from savile.base.recipe import Recipe
from savile.base.records import Dataset
from savile.flow import _line, _past

if TYPE_CHECKING:
    from savile.adaptation._probe import Cost, Prober

MB = 1e6
SHOWN = ("candidate", "seconds")
STAGES = ("govern", "adapt", "compress", "evaluate")
READ = 200  # texts whose pieces are counted
CHECKED = 1_000  # rows each form is held against
GOLDEN = 1_000
TUNED, UNSURE = 0.75, 0.03  # share of a head's errors that tuning leaves, and the points by which guesses are off
RARE = 0.02  # a chance that is not reckoned with; of runs whose forms were written, one had been given 0.04
EVEN_ROWS = 300  # judged rows on which keywords and a network are surely better together every second time
# measured on one core, as multiples of the seconds the trained form takes for a row in fp32
CHECKING, TIMING, CALIBRATING, SERVING = 4.4, 8.4, 550.0, 0.4
EXPORT_SECONDS, EXPORT_PARAMETERS = 7.0, 6e-8  # of writing the forms: whatever the base, and a byte of its weights
EXPORT_MEMORY, EXPORT_COPIES = 400e6, 6.0  # bytes while forms are written, and times the weights
FORMS = 2.4  # times the weights that all forms take on disk
MEASURING, MEASURED_ROW = 1.5, 6e-4  # seconds of figures and pages, and for a row
PAGES = 3e6  # bytes


@dataclass(frozen=True)
class Forecast:
    """What a run would take.

    Attributes:
        stages: stage -> seconds, before past runs correct them.
        busy: processor seconds in a second of wall-clock time.
        peak: bytes the process would hold at most, likewise uncorrected.
        disk: bytes written.
        prices: ``watts``, ``kwh_price`` and ``hour_price`` of the recipe.
        factors: stage, or ``memory`` -> what past runs on this machine took against what was planned.
        candidates: what adapting would try, and what each of them takes.
        basis: ``measured`` by a trial now, ``past`` from a trial of an earlier run, or ``modelled``.
        least: seconds that adapting takes at the very least.
    """

    stages: Mapping[str, float]
    busy: float
    peak: float
    disk: float
    prices: Mapping[str, float]
    factors: Mapping[str, float] = field(default_factory=dict)
    candidates: tuple[Mapping[str, Any], ...] = ()
    basis: str = "measured"
    least: float = 0.0

    def corrected(self) -> dict[str, float]:
        """stage -> seconds."""
        return {stage: seconds * self.factors.get(stage, 1.0) for stage, seconds in self.stages.items()}

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, without what trials measured; energy and money are modelled."""
        stages = self.corrected()
        taken = {
            "seconds": round(sum(stages.values()), 1),
            "peak_rss_mb": round(self.peak / MB * self.factors.get("memory", 1.0)),
            "disk_mb": round(self.disk / MB, 1),
            **cost(sum(stages.values()), self.busy, self.prices),
            "stages": {stage: round(seconds, 1) for stage, seconds in stages.items()},
        }
        return {**taken, "basis": self.basis, "candidates": [{name: one[name] for name in SHOWN} for one in self.candidates]}

    def profile(self) -> dict[str, float]:
        """What a scheduler wants to know of it as a job: ``seconds``, ``peak_mib``, ``kwh`` and ``money``."""
        said = self.as_dict()
        return {
            "seconds": said["seconds"],
            "peak_mib": said["peak_rss_mb"] * MB / (1 << 20),
            "kwh": said["kwh"],
            "money": said["money"],
        }


def cost(seconds: float, busy: float, prices: Mapping[str, float]) -> dict[str, float]:
    """Kilowatt-hours and money of so many seconds; modelled, at the recipe's watts and prices."""
    kwh = machine.energy(seconds * busy, prices["watts"])
    return {"kwh": round(kwh, 7), "money": round(kwh * prices["kwh_price"] + seconds / 3600 * prices["hour_price"], 6)}


def prices(recipe: Recipe) -> dict[str, float]:
    """What the section `run` says about costs."""
    return {"watts": recipe.run.watts, "kwh_price": recipe.run.kwh_price, "hour_price": recipe.run.hour_price}


def forecast(recipe: Recipe, data: Dataset, prober: Prober | None = None) -> Forecast:
    """What is left of a run once its data is governed, from trials of every candidate.

    Args:
        recipe: what to follow.
        data: the governed data; its test part is counted and not read.
        prober: of the same data, when several recipes are compared.
    """
    from savile.adaptation._probe import Prober

    prober = prober or Prober(data)
    own = {**recipe.adapt.settings, **_line.value(recipe)}
    asked = _asked(recipe, _line.base(recipe), recipe.adapt.method, own)
    tried = prober.costs(asked)
    network, alone, chance = _ends(tried)
    together = _together(asked, data, tried, prober.few)
    chance *= 1 - together
    rivals = _rivals(recipe, prober, {cost.key for cost in tried})
    rows = {part: len(data.parts.get(part, ())) for part in ("train", "valid", "calib", "test")}
    learned = sum(rows[part] for part in ("train", "valid", "calib"))
    compared, pieces = [*rivals, *tried], _pieces(data)
    stages = {
        "govern": 0.0,
        "adapt": sum(one.seconds for one in tried),
        "compress": chance * _compress(network, learned),
        "evaluate": sum(one.seconds for one in rivals)
        + chance * _evaluate(network, rows["test"], pieces, SERVING)
        + together * _evaluate(network, rows["test"], pieces)
        + (1 - chance - together) * _evaluate(alone, rows["test"], pieces)
        + sum(rows["test"] * one.answer for one in _baselines(compared)),
    }
    figures = machine.resident() + stats.held(rows["test"])
    tried_peak = max(float(machine.peak()), figures, *(one.peak for one in compared))
    exporting = max(tried_peak, machine.resident() + EXPORT_MEMORY + EXPORT_COPIES * network.weights)
    exports = chance > RARE  # of memory and disk the most counts, for a run that lacks them is lost
    peak = exporting if exports else tried_peak
    disk = PAGES + sum(one.disk for one in compared) + exports * FORMS * network.weights
    busy = sum(one.busy * one.seconds for one in tried) / max(1e-9, sum(one.seconds for one in tried))
    said = [
        {"candidate": one.name, "seconds": round(one.seconds, 1), "key": one.key, "rates": one.rates}
        for one in {cost.key: cost for cost in [*tried, *rivals]}.values()
    ]
    least = min(one.least for one in tried) if len(tried) > 1 else tried[0].least
    return Forecast(stages, busy, peak, disk, prices(recipe), _past.factors(), tuple(said), least=least)


def _asked(recipe: Recipe, base: str, method: str, settings: Mapping[str, Any]) -> Any:
    """What `savile.adaptation` is asked for, as it asks itself."""
    from savile.adaptation._learners import Recipe as Asked

    return Asked(base, method, dict(settings), recipe.adapt.seed, recipe.adapt.budget.minutes)


def _rivals(recipe: Recipe, prober: Prober, tried: Set[str]) -> list[Cost]:
    """The baselines, which are trained for the report unless what was tried is as good; a budget changes no key.

    Of a table, what was tried within a budget may have seen fewer rows than the baseline does.
    """
    cut = "text" not in prober.data.roles and recipe.adapt.budget.minutes is not None
    found = []
    for base, method, settings, minutes in _line.rivals(recipe, prober.data).values():
        try:
            cost = prober.cost(_asked(recipe, base, method, settings), minutes)
        except SavileError:  # a base that is not here, or reads nothing of this, is not compared with
            continue
        if cost.key not in tried or (cut and minutes is None):
            found.append(cost)
    return found


def _ends(tried: list[Cost]) -> tuple[Cost, Cost, float]:
    """The best network, the best family without one, and the chance that `auto` keeps the network, which is then compressed.

    A trial guesses how good each will be; a method that tunes is taken to leave `TUNED` of the errors of a new head, more of
    them where the budget cuts it short.
    """
    networks, others = _divided(tried)
    if not networks or not others:
        return tried[-1], tried[-1], 1.0 if networks else 0.0
    guesses = [one.score for one in networks if one.score is not None]
    rival = max((one.score for one in others if one.score is not None), default=None)
    if not guesses or rival is None:
        return networks[-1], others[-1], 0.5
    wrong = (1 - max(guesses)) * (1 - (1 - TUNED) * networks[-1].whole if len(networks) > len(guesses) else 1.0)
    ahead = (1 - wrong - rival) / UNSURE
    return networks[-1], others[-1], 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, ahead))))


def _together(asked: Any, data: Dataset, tried: list[Cost], few: bool) -> float:
    """The chance that `auto` lets keywords and a network answer together, which are not compressed."""
    from savile.adaptation._auto import apart

    if not all(_divided(tried)) or apart(data, asked):
        return 0.0
    judged = sum(len(data.parts.get(part, ())) for part in (("train",) if few else ("valid", "calib")))
    return judged / (judged + EVEN_ROWS)


def _divided(tried: list[Cost]) -> tuple[list[Cost], list[Cost]]:
    """Networks, and families without one."""
    return [one for one in tried if one.loop], [one for one in tried if not one.loop]


def _compress(chosen: Cost, rows: int) -> float:
    """Writing the forms, and holding each against the trained one."""
    from savile.compression._measure import timed

    if not chosen.loop:
        return 0.0
    passes = CHECKING * min(rows, CHECKED) + TIMING * min(rows, timed(chosen.answer)) + CALIBRATING * min(1.0, rows / 512)
    return EXPORT_SECONDS + EXPORT_PARAMETERS * chosen.weights + passes * chosen.answer


def _evaluate(chosen: Cost, test: int, pieces: float, serving: float = 1.0) -> float:
    """Answering the test part, the proof that what serves answers as trained, reasons, and the figures.

    Args:
        chosen: what answers.
        test: rows.
        pieces: of a text that are left out in turn to see what decides.
        serving: share of the trained form's time that what serves takes; 1 where that serves.
    """
    from savile.evaluation._why import ASKED_ROWS

    if not chosen.loop:
        return MEASURING + test * (MEASURED_ROW + chosen.answer)
    served = test + min(test, ASKED_ROWS) * pieces
    proven = min(test, GOLDEN) if serving < 1 else 0
    return MEASURING + test * MEASURED_ROW + (served * serving + proven) * chosen.answer


def _pieces(data: Dataset) -> float:
    """How many times a network is asked for the reasons of one answer: once without each piece of the text."""
    from savile.models._reasons import pieces_of
    from savile.models._spans import TOKEN
    from savile.models._vectors import VECTOR

    if "text" not in data.roles or catalogue.get("tasks", data.task).head(1).loss in (TOKEN, VECTOR):
        return 0.0
    texts = data.texts("train")
    return sum(len(pieces_of(text)) for text in texts[:READ]) / max(1, len(texts[:READ]))


def _baselines(costs: list[Cost]) -> list[Cost]:
    """One of each name that a report compares with."""
    named = {one.name: one for one in costs if one.name in ("linear", "head")}
    return list(named.values())
