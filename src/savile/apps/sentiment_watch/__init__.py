"""Sentiment watch: reads news about companies, and says who is talked about worse than usual, with the rows behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import ConfigDict, Field

from savile.apps.sentiment_watch import _brief, _companies, _page, _surge, _watch
from savile.base._sections import SECTION
from savile.base.contracts import Answerer, Fields, Items, Route, Work
from savile.base.errors import DataError, InputError, UnknownNameError
from savile.base.page import Page

task = "classify"
languages = ("en", "zh")

# what a label may be called, and what it means here: 0 negative, 1 neither, 2 positive
NEGATIVE = ("negative", "neg", "bearish", "bad", "-1", "负面", "消极", "负", "差评", "利空")
POSITIVE = ("positive", "pos", "bullish", "good", "1", "正面", "积极", "正", "好评", "利好")
# a row read right saves a minute of an analyst's, a row read wrong misleads one; in any one currency
VALUE = {"right": 0.2, "wrong": -1.0, "person": -0.3}
QUESTIONS = {
    "en": (
        "Regulator fines Halvorsen Grid over unpaid suppliers",
        "Best flight in years, and Verdance even found my umbrella",
        "Quillon will publish its annual report on Thursday",
    ),
    "zh": (
        "监管部门对衡川电力拖欠货款开出罚单",
        "云梭这次飞得最舒服，落下的雨伞还给送回来了",
        "芯岚半导体将于周四披露年度报告",
    ),
}
SAID = {
    "en": {
        0: "Negative: counted against the companies it names.",
        2: "Positive.",
        1: "Neither good nor bad news.",
        3: "A person should read this one.",
    },
    "zh": {0: "负面：计入所提及公司的负面内容。", 2: "正面。", 1: "中性消息。", 3: "这一条请人工判读。"},
}


@dataclass(frozen=True)
class Settings:
    """How news is watched.

    Attributes:
        companies: a file with a company a line, its aliases behind it; or name -> aliases. By default the companies are those
            that the column `company` names.
        company: column that says whom a row is about, used where the text names nobody of the list.
        alpha: chance of any false alarm in a stream without change.
        window: days that are looked at together.
        history: days before them that say what is usual.
        horizon: days over which `alpha` is spent; 0 takes the days at hand.
        negative: label that means negative, when its name does not say so.
        positive: label that means positive, when its name does not say so.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    companies: str | Mapping[str, tuple[str, ...]] | None = None
    company: str = "company"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    window: Annotated[int, Field(ge=1, le=28)] = 3
    history: Annotated[int, Field(ge=14, le=366)] = 42
    horizon: Annotated[int, Field(ge=0, le=3660)] = 0
    negative: str | None = None
    positive: str | None = None


@dataclass(frozen=True)
class Item:
    """One text with its day, and what people said it is, if they did."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    text: Annotated[str, Field(max_length=20_000)]
    date: date
    label: str | None = None


@dataclass(frozen=True)
class Asked:
    """What the route takes: texts of some weeks, and the companies to look for, each with its aliases."""

    __pydantic_config__: ClassVar[ConfigDict] = SECTION
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=5_000)]
    companies: Annotated[Mapping[str, tuple[str, ...]], Field(min_length=1, max_length=2_000)]
    language: str = "en"
    settings: Settings = field(default_factory=Settings)


def sources() -> Fields:
    """A text and its sentiment; without a date there is neither trend nor alarm."""
    return Fields(required=("text", "label"), optional=("time",))


def accepts(labels: Sequence[str], settings: Settings) -> str | None:
    """A model must have a label that means negative.

    Raises:
        InputError: the list of companies, or a label named in the settings, cannot be used.
    """
    if isinstance(settings.companies, str):
        _companies.read(Path(settings.companies))
    if 0 in _meanings(labels, settings):
        return None
    return f"none of the labels {', '.join(labels[:6])} means negative; say which does with app.settings.negative"


def sample(language: str) -> Path:
    """240 items of eight weeks about ten invented companies, written one by one; two companies get into trouble."""
    return Path(__file__).with_name(f"sample_{_spoken(language)}.csv")


def gates() -> dict[str, Any]:
    """Three of five right on the latest rows, and not below TF-IDF with a linear model."""
    return {"evaluate.floor": 0.6, "evaluate.must_beat": "linear"}


def recipe(language: str) -> dict[str, Any]:
    """The whole line on the sample: personal data masked, bars, the list of companies; the keyword family reads Chinese."""
    chinese = {"model.family": "linear"} if _spoken(language) == "zh" else {}
    return {
        "name": f"sentiment-watch-{language}",
        "task.kind": task,
        "task.time": "date",
        "data.path": str(sample(language)),
        "data.pii": "mask",
        "adapt.budget.minutes": 0.5,
        "evaluate.value": VALUE,
        "app.name": "sentiment_watch",
        "app.language": language,
        "serve.apps": ["sentiment_watch"],
        "app.settings": {"companies": str(Path(__file__).with_name(f"companies_{language}.csv"))},
        **chinese,
        **gates(),
    }


def questions(language: str) -> tuple[str, ...]:
    """Three texts that are not in the sample."""
    return QUESTIONS[_spoken(language)]


def reply(label: str, probability: float, abstain: bool, language: str) -> str:
    """What an answer means for the watch."""
    meaning = 0 if label.casefold() in NEGATIVE else 2 if label.casefold() in POSITIVE else 1
    return SAID[_spoken(language)][3 if abstain else meaning]


def apply(items: Items, answerer: Answerer, language: str, settings: Settings) -> Work:
    """The watch of some rows: a brief, everything as JSON, and a page.

    Raises:
        DataError: no row has a date, or none names a company.
        InputError: the list of companies cannot be used, or no label means negative.
    """
    found, stream = _watched(items, answerer, settings)
    texts = dict(zip(stream.numbers, stream.texts, strict=True))
    told = zip(map(_watch.on, stream.days.tolist()), stream.probabilities[:, 0].tolist(), stream.known.tolist(), strict=True)
    chances = dict(zip(stream.numbers, told, strict=True))
    lines = _brief.brief(found, texts, _spoken(language))
    return Work(tuple(lines), found.as_dict(), {"watch": _page.page(found, lines, texts, chances, language)})


def pages(language: str) -> dict[str, str]:
    """How to read the watch, for the people who work with it."""
    words = {
        "en": (
            "Sentiment watch: how to read it",
            "An alarm is a question, not an answer: more negative news than a company's past explains. Read the rows first.",
            ("Label", "Means"),
            ("bad news for the company named", "facts without a side", "good news for the company named"),
        ),
        "zh": (
            "舆情监测：如何阅读",
            "警报是提问，不是结论：它表示负面内容多于该公司自身历史所能解释的水平。请先读相关内容。",
            ("标签", "含义"),
            ("对所提及公司不利的消息", "不带立场的事实", "对所提及公司有利的消息"),
        ),
    }
    title, lead, head, meanings = words[_spoken(language)]
    rows = list(zip(("negative", "neutral", "positive"), meanings, strict=True))
    return {"guide": Page(title, language).text(lead, tone="lead").table(head, rows).html()}


def _served(asked: Asked, answerer: Answerer) -> dict[str, Any]:
    """The watch of what a caller sends, with the brief."""
    times = np.array([(item.date - date(1970, 1, 1)).days * 86_400.0 for item in asked.items])
    texts = [item.text for item in asked.items]
    items = Items(range(1, len(texts) + 1), texts, [item.label for item in asked.items], times)
    settings = Settings(**{**vars(asked.settings), "companies": asked.companies})
    found, _ = _watched(items, answerer, settings)
    return {
        **found.as_dict(),
        "brief": _brief.brief(found, dict(zip(items.numbers, texts, strict=True)), _spoken(asked.language)),
    }


routes = (
    Route(
        "/v1/sentiment_watch",
        "Sentiment per company, trends, alarms with the rows behind them, and a brief.",
        "key",
        Asked,
        _served,
    ),
)


def _watched(items: Items, answerer: Answerer, settings: Settings) -> tuple[_watch.Watch, _watch.Stream]:
    """Ask the model about what nobody has labelled, find the companies, and watch."""
    if items.times is None or not np.isfinite(items.times).any():
        do = "Name the column with --set task.time=COLUMN."
        raise DataError("rows with dates", "no date in any row", do)
    first = {" ".join(text.split()).casefold(): row for row, text in reversed(list(enumerate(items.texts)))}
    dated = [row for row in sorted(first.values()) if np.isfinite(items.times[row])]  # a text that is repeated counts once
    numbers, texts = [items.numbers[i] for i in dated], [items.texts[i] for i in dated]
    labels = [items.labels[i] for i in dated]
    meaning = _meanings(answerer.labels, settings)
    if 0 not in meaning:
        do = "Say which with --set app.settings.negative=LABEL."
        raise InputError("a label that means negative", ", ".join(answerer.labels), do)
    probabilities = np.zeros((len(dated), 3))
    asked = [i for i, label in enumerate(labels) if label not in answerer.labels]
    if asked:
        answers = answerer([texts[i] for i in asked]).probabilities
        np.add.at(probabilities.T, meaning, _scattered(answers, asked, len(dated)).T)
    for i in set(range(len(dated))).difference(asked):
        probabilities[i, meaning[answerer.labels.index(str(labels[i]))]] = 1.0
    known = np.ones(len(dated), dtype=bool)
    known[asked] = False
    column = [str(value or "").strip() for value in items.columns.get(settings.company, [""] * len(items.texts))]
    companies = _listed(settings, column)
    about = [companies.find(text) or companies.find(column[i]) for i, text in zip(dated, texts, strict=True)]
    if not any(about):
        raise DataError("texts that name companies of the list", "none that does", "Add the names as they are written there.")
    days = np.floor(items.times[dated] / 86_400).astype(np.int64)
    stream = _watch.Stream(numbers, texts, days, probabilities, known, about)
    rule = _surge.Rule(settings.alpha, settings.window, settings.history, horizon=settings.horizon)
    return _watch.watch(stream, companies.names, rule), stream


def _scattered(answers: np.ndarray, rows: list[int], n: int) -> np.ndarray:
    """Answers (a, k) at their rows among n, zero elsewhere."""
    whole = np.zeros((n, answers.shape[1]))
    whole[rows] = answers
    return whole


def _meanings(labels: Sequence[str], settings: Settings) -> list[int]:
    """0, 1 or 2 for each label: negative, neither, positive."""
    for wanted in (settings.negative, settings.positive):
        if wanted is not None and wanted not in labels:
            raise UnknownNameError("label", wanted, labels)
    negative = NEGATIVE if settings.negative is None else (settings.negative.casefold(),)
    positive = POSITIVE if settings.positive is None else (settings.positive.casefold(),)
    return [0 if label.casefold() in negative else 2 if label.casefold() in positive else 1 for label in labels]


def _listed(settings: Settings, column: Sequence[str]) -> _companies.Companies:
    """The companies to look for."""
    if isinstance(settings.companies, str):
        return _companies.read(Path(settings.companies))
    if settings.companies:
        return _companies.Companies(settings.companies)
    if not any(column):
        do = "Give one with --set app.settings.companies=FILE: a company a line, its aliases after it, commas between."
        raise InputError(f"a list of companies, or a column {settings.company!r}", "neither", do)
    return _companies.named(filter(None, column))


def _spoken(language: str) -> str:
    if language not in languages:
        raise UnknownNameError("language of the app sentiment_watch", language, languages)
    return language
