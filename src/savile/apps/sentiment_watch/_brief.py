"""A brief in English or Chinese. Every sentence is a figure of the watch put into words, and names the rows it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from savile.apps.sentiment_watch._watch import Company, Surge, Watch
from savile.base.contracts import Value

QUOTED, QUOTE_LETTERS = 2, 160  # texts quoted for an alarm, and how much of each

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "all": "{items:,} items about {companies} companies, {period} {year}: {negative} negative, {positive} positive.",
        "known": "People labelled {known:,} of them; the other {read:,} were read by the model.",
        "read": "All of them were read by the model.",
        "nobody": "{nobody:,} items name no company of the list and count for none.",
        "alarm": "Alarm: {company}, {period}. About {found:.1f} negative items from {window}, where {usual:.1f} would be usual "
        "(p = {p}); raised on {raised}.{quotes} Rows {rows}.",
        "quote": " “{text}”",
        "quiet": "No alarm: on none of {tested} days had a company more negative items than its own past explains.",
        "short": "No alarm can be raised yet: there is too little past to say what is usual.",
        "better": "{company} improves: net sentiment rises by {slope:.1f} points a week ({low:+.1f} to {high:+.1f}).",
        "worse": "{company} gets worse: net sentiment falls by {slope:.1f} points a week ({low:+.1f} to {high:+.1f}).",
        "level": "No company's weekly sentiment shows a trend that stands out from its ups and downs.",
        "worst": "Most negative over the whole time: {company}, {negative} of {items} items.",
        "limits": "In a stream without change the chance of any alarm on these {tested} days is at most {alpha:.0%}. An alarm "
        "says that there is more negative news than usual; it does not say why, nor whether the news is true.",
        "share": "{value:.0%} ({low:.0%} to {high:.0%})",
        "period": "{first} to {last}",
        "comma": ", ",
    },
    "zh": {
        "all": "{year}年{period}，共{items:,}条内容，涉及{companies}家公司：负面占{negative}，正面占{positive}。",
        "known": "其中{known:,}条由人工标注，其余{read:,}条由模型判读。",
        "read": "全部由模型判读。",
        "nobody": "{nobody:,}条未提及名单中的公司，未计入任何公司。",
        "alarm": "警报：{company}，{period}。{window}约有{found:.1f}条负面内容，按以往情况应为{usual:.1f}条（p = {p}）；"
        "{raised}发出警报。{quotes}见第{rows}行。",
        "quote": "“{text}”",
        "quiet": "无警报：在{tested}天里，没有一家公司的负面内容多于其自身历史所能解释的水平。",
        "short": "暂时无法发出警报：历史太短，还不能判断什么是常态。",
        "better": "{company}好转：净情绪每周上升{slope:.1f}个百分点（{low:+.1f}至{high:+.1f}）。",
        "worse": "{company}转差：净情绪每周下降{slope:.1f}个百分点（{low:+.1f}至{high:+.1f}）。",
        "level": "各公司的周度情绪都没有超出正常起伏的趋势。",
        "worst": "全期负面占比最高的是{company}：{items}条中占{negative}。",
        "limits": "如果一切如常，这{tested}天里出现任何一次误报的概率不超过{alpha:.0%}。"
        "警报只说明负面内容比平时多，不说明原因，也不说明内容是否属实。",
        "share": "{value:.0%}（{low:.0%}至{high:.0%}）",
        "period": "{first}至{last}",
        "comma": "、",
    },
}


def brief(watch: Watch, texts: Mapping[int, str], language: str) -> list[str]:
    """What happened, a sentence or two a line.

    Args:
        watch: what is told.
        texts: row number -> its masked text, for quotations.
        language: en or zh.
    """
    words, read = WORDS[language], watch.items - watch.known
    lines = [
        words["all"].format(
            items=watch.items,
            companies=len(watch.companies),
            period=period(watch.first, watch.last, language),
            year=watch.last.year,
            negative=share(watch.shares[0], language),
            positive=share(watch.shares[2], language),
        ),
        words["known"].format(known=watch.known, read=read) if watch.known else words["read"],
    ]
    lines += [words["nobody"].format(nobody=watch.nobody)] if watch.nobody else []
    lines += [_alarm(surge, texts, language) for surge in watch.surges]
    if not watch.surges:
        lines.append(words["quiet" if watch.tested else "short"].format(tested=watch.tested))
    lines += _trends(watch, language)
    if watch.companies:
        worst = watch.companies[0]
        lines.append(words["worst"].format(company=worst.name, items=worst.items, negative=share(worst.negative, language)))
    lines += [words["limits"].format(tested=watch.tested, alpha=watch.rule.alpha)] if watch.tested else []
    return lines


def day(when: date, language: str) -> str:
    """A date as people write it."""
    return f"{when.month}月{when.day}日" if language == "zh" else f"{when.day} {when:%B}"


def period(first: date, last: date, language: str) -> str:
    """From one day to another; one day when they are the same."""
    if first == last:
        return day(first, language)
    return WORDS[language]["period"].format(first=day(first, language), last=day(last, language))


def share(value: Value, language: str) -> str:
    """A share with its interval."""
    return WORDS[language]["share"].format(value=value.value, low=value.low, high=value.high)


def chance(p: float) -> str:
    """A p-value in one digit, as in 0.002 or 3e-08."""
    return f"{p:.1g}"


def _alarm(surge: Surge, texts: Mapping[int, str], language: str) -> str:
    words = WORDS[language]
    quotes = "".join(words["quote"].format(text=_cut(texts[row])) for row in surge.rows[:QUOTED])
    return words["alarm"].format(
        company=surge.company,
        period=period(surge.first, surge.last, language),
        window=period(*surge.window, language),
        found=surge.found,
        usual=surge.usual,
        p=chance(surge.p),
        raised=day(surge.raised, language),
        quotes=quotes,
        rows=words["comma"].join(map(str, sorted(surge.rows))),
    )


def _trends(watch: Watch, language: str) -> list[str]:
    """The trends that stand out among all companies, or that none does."""
    outstanding = [one for one in watch.companies if one.stands_out and one.trend is not None]
    return [_trend(one, language) for one in outstanding] or [WORDS[language]["level"]]


def _trend(one: Company, language: str) -> str:
    assert one.trend is not None
    words = WORDS[language]["better" if one.trend.slope > 0 else "worse"]
    ends = {"low": 100 * one.trend.low, "high": 100 * one.trend.high}
    return words.format(company=one.name, slope=100 * abs(one.trend.slope), **ends)


def _cut(text: str) -> str:
    return text if len(text) <= QUOTE_LETTERS else text[: QUOTE_LETTERS - 1] + "…"
